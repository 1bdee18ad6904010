//! Cells with links missing, and what each node makes of that.

use super::*;
use crate::node::BootId;

fn ids(names: &[&str]) -> BTreeSet<NodeId> {
    names.iter().map(|name| NodeId::parse(name).unwrap()).collect()
}
const TENTH: Duration = Duration::from_millis(100);

/// A cell of `a` to `d`, a store and gateways that own no slots, and the links between them that are missing.
struct Cell {
    cuts: Vec<(&'static str, &'static str)>,
    /// Gateways whose loop is late.
    late: BTreeSet<NodeId>,
    /// How long reads of the store take, where that is known.
    store_ms: BTreeMap<NodeId, u64>,
    /// Members that take users, too.
    doors: BTreeSet<NodeId>,
    members: BTreeSet<NodeId>,
    stores: BTreeSet<NodeId>,
    gateways: BTreeSet<NodeId>,
}

impl Cell {
    /// With the gateways `Gate` and `gate`.
    fn with_cuts(cuts: &[(&'static str, &'static str)]) -> Self {
        Self::of(&["Gate", "gate"], cuts)
    }
    fn of(gateways: &[&str], cuts: &[(&'static str, &'static str)]) -> Self {
        let (members, stores) = (ids(&["a", "b", "c", "d"]), ids(&["store"]));
        let (late, store_ms, doors) = Default::default();
        Self { cuts: cuts.to_vec(), late, store_ms, doors, members, stores, gateways: ids(gateways) }
    }
    fn reaches(&self, me: &NodeId) -> BTreeSet<NodeId> {
        let is_cut = |other: &NodeId| {
            let (me, other) = (me.as_str(), other.as_str());
            self.cuts.contains(&(me, other)) || self.cuts.contains(&(other, me))
        };
        let all = self.members.iter().chain(&self.stores).chain(&self.gateways);
        all.filter(|other| *other != me && !is_cut(other)).cloned().collect()
    }
    /// What a node says after so many looks in each of which it was so late.
    fn ailment(&self, name: &str, looks: u32, late: Duration) -> Option<Ailment> {
        let mut fitness = Fitness::default();
        (0..looks).fold(None, |_, look| self.look(&mut fitness, name, look * TENTH, late))
    }
    fn look(&self, fitness: &mut Fitness, name: &str, now: Duration, late: Duration) -> Option<Ailment> {
        let me = NodeId::parse(name).unwrap();
        let reaches = self.reaches(&me);
        let takes = |node: &NodeId| self.store_ms.get(node).copied().map(Duration::from_millis);
        let sight = |node: &NodeId| {
            let (reaches, store_takes) = (self.reaches(node), takes(node));
            let late = self.late.iter().filter(|late| *late == node);
            let ailing = late.map(|node| (node.clone(), "late".to_owned())).collect();
            Arc::new(Sight { reaches, ailing, store_takes, ..Sight::default() })
        };
        let says = |nodes: &mut dyn Iterator<Item = &NodeId>| -> Said {
            nodes.filter(|node| reaches.contains(*node)).map(|node| (node.clone(), sight(node))).collect()
        };
        let said = says(&mut self.members.iter());
        let by_gateways = says(&mut self.gateways.iter().chain(&self.doors));
        let (members, stores) = (&self.members, &self.stores);
        let links = &reaches.iter().map(|node| (node.clone(), BootId(1))).collect();
        let (me, store_takes, said, by_gateways) = (&me, takes(&me), &said, &by_gateways);
        let around = Around { me, members, stores, links, store_takes, said, by_gateways };
        fitness.look(now, late, &around).cloned()
    }
    /// Who is gray after ten seconds.
    fn gray(&self) -> Vec<&str> {
        let is_gray = |node: &&NodeId| self.ailment(node.as_str(), 100, Duration::ZERO).is_some();
        self.members.iter().chain(&self.gateways).filter(is_gray).map(NodeId::as_str).collect()
    }
}

#[test]
fn who_is_cut_off_from_what_others_reach_yields_and_one_of_two_is_enough() {
    assert_eq!(Cell::with_cuts(&[]).gray(), [""; 0]);
    assert_eq!(Cell::with_cuts(&[("a", "b")]).gray(), ["b"], "of equals the later one by name");
    assert_eq!(Cell::with_cuts(&[("a", "b"), ("a", "c")]).gray(), ["a"], "it has the fewest links");
    assert_eq!(Cell::with_cuts(&[("a", "store")]).gray(), ["a"], "the store does not yield");
    let alone = [("a", "b"), ("a", "c"), ("a", "d"), ("a", "store"), ("a", "Gate"), ("a", "gate")];
    assert_eq!(Cell::with_cuts(&alone).gray(), [""; 0], "nobody is there to tell it: it is taken for gone");
    let nobody = [("a", "store"), ("b", "store"), ("c", "store"), ("d", "store")];
    assert_eq!(Cell::with_cuts(&nobody).gray(), [""; 0], "a store that nobody reaches is down");
    let from_members = [("a", "b"), ("a", "c"), ("a", "d")];
    assert_eq!(Cell::with_cuts(&from_members).gray(), ["a"], "gateways tell it of the others");
    assert_eq!(Cell::of(&[], &from_members).gray(), [""; 0]);
    let why = Cell::with_cuts(&[("a", "b")]).ailment("b", 100, Duration::ZERO).unwrap();
    assert_eq!(why.to_string(), "it has no link to a, and others have");
}

#[test]
fn a_gateway_that_owns_no_slots_yields_to_a_member_that_others_reach_unless_most_miss_it() {
    assert_eq!(Cell::with_cuts(&[("gate", "d")]).gray(), ["gate"]);
    assert_eq!(Cell::with_cuts(&[("Gate", "d")]).gray(), ["Gate"], "whatever their names");
    assert_eq!(Cell::with_cuts(&[("Gate", "d"), ("gate", "d")]).gray(), ["d"], "no gateway reaches it");
    assert_eq!(Cell::with_cuts(&[("Gate", "gate")]).gray(), [""; 0], "gateways do without each other");
    assert_eq!(Cell::with_cuts(&[("gate", "store")]).gray(), ["gate"]);
    let from_members = [("gate", "a"), ("gate", "b"), ("gate", "c"), ("gate", "d")];
    assert_eq!(Cell::with_cuts(&from_members).gray(), ["gate"], "it hears of them by the other gateway");
    let five = |cuts| Cell::of(&["g1", "g2", "g3", "g4", "g5"], cuts).gray().join(" ");
    assert_eq!(five(&[("g1", "d"), ("g2", "d")]), "g1 g2", "most reach it");
    assert_eq!(five(&[("g1", "d"), ("g2", "d"), ("g3", "d")]), "d");
}

#[test]
fn a_member_yields_to_the_only_gateway_that_is_well() {
    let cut = [("gate", "d")];
    assert_eq!(Cell::of(&["gate"], &cut).gray(), ["d"]);
    let with_late = Cell { late: ids(&["Gate"]), ..Cell::with_cuts(&cut) };
    assert_eq!(with_late.gray(), ["d"], "nobody is sent to a gateway that is not well");
    let with_doors = Cell { doors: ids(&["a", "b", "c", "d"]), ..Cell::of(&["gate"], &cut) };
    assert_eq!(with_doors.gray(), ["gate"], "members that take users reach it");
}

#[test]
fn what_gateways_that_own_no_slots_miss_says_nothing_of_a_cut_between_members() {
    let misses_all = [("gate", "a"), ("gate", "b"), ("gate", "c"), ("gate", "d")];
    let cuts = [&misses_all[..], &[("a", "b")]].concat();
    assert_eq!(Cell::with_cuts(&cuts).gray(), ["b", "gate"]);
}

#[test]
fn who_is_not_fit_is_told_by_itself_or_where_it_is_not_reached_by_those_that_reach_it() {
    let id = |name: &str| NodeId::parse(name).unwrap();
    let sight = |ailing: &[&str], reaches: &[&str]| {
        let ailing = ailing.iter().map(|name| (id(name), "late".to_owned())).collect();
        Arc::new(Sight { ailing, reaches: ids(reaches), ..Sight::default() })
    };
    let direct = |by_all: &Said| ailing(Some((&id("a"), &Ailment::Late)), by_all);
    let anywhere = |said: &Said, by_all: &Said| {
        let links = by_all.keys().map(|node| (node.clone(), BootId(1))).chain([(id("silent"), BootId(1))]);
        let all = ailing_anywhere((&id("a"), &links.collect()), direct(by_all), (said, by_all));
        all.keys().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
    };
    let said: Said = [(id("b"), sight(&["b", "c", "d"], &["d"])), (id("c"), sight(&[], &[]))].into();
    assert_eq!(direct(&said).keys().map(NodeId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(anywhere(&said, &said), "a b d", "c is reached, and does not say so");
    let with = |name: &str, sight| said.clone().into_iter().chain([(id(name), sight)]).collect();
    assert_eq!(anywhere(&said, &with("d", sight(&[], &[]))), "a b", "d owns no slots, and is heard itself");
    let by_gateway = with("gate", sight(&["c", "d", "e", "silent"], &[]));
    assert_eq!(anywhere(&said, &by_gateway), "a b d e", "no member reaches e, and there is a link to silent");
    let of_me: Said = [(id("b"), sight(&["a"], &[]))].into();
    let well = ailing_anywhere((&id("a"), &BTreeMap::new()), BTreeMap::new(), (&of_me, &of_me));
    assert!(well.is_empty(), "nobody tells a node what is wrong with itself");
    let said = [(id("b"), sight(&[], &["d"]))].into();
    let by_gateway = [(id("b"), sight(&[], &["d"])), (id("gate"), sight(&["d"], &["d"]))].into();
    assert_eq!(anywhere(&said, &by_gateway), "a", "of d the members that reach it are asked");
}

#[test]
fn a_link_may_be_down_for_a_while_and_a_loop_be_late_once() {
    let (whole, cut) = (Cell::with_cuts(&[]), Cell::with_cuts(&[("a", "b")]));
    assert_eq!(cut.ailment("b", 50, Duration::ZERO), None);
    assert!(cut.ailment("b", 51, Duration::ZERO).is_some());
    assert_eq!(whole.ailment("a", 24, LATE), None);
    assert_eq!(whole.ailment("a", 25, LATE), Some(Ailment::Late));
    assert_eq!(whole.ailment("a", 1000, LATE - Duration::from_millis(1)), None);
}

#[test]
fn who_was_gray_has_to_be_well_for_longer_each_time() {
    let (cell, mut fitness, mut now) = (Cell::with_cuts(&[]), Fitness::default(), Duration::ZERO);
    let mut look = |late| {
        now += TENTH;
        cell.look(&mut fitness, "a", now, late).is_some()
    };
    let mut rests = Vec::new();
    for _ in 0..6 {
        while !look(LATE) {}
        let rest = (0..).take_while(|_| look(Duration::ZERO)).count();
        rests.push(rest / 100);
    }
    // In tens of seconds; some two more go by until the late looks are forgotten.
    assert_eq!(rests, [1, 2, 4, 8, 16, 16]);
    (0..6000).for_each(|_| assert!(!look(Duration::ZERO)));
    while !look(LATE) {}
    assert_eq!((0..).take_while(|_| look(Duration::ZERO)).count() / 100, 1, "all is forgiven");
}

#[test]
fn whose_way_to_the_store_is_slow_for_a_while_and_that_of_most_others_is_not_is_gray() {
    let gray = |takes: &[(&str, u64)]| {
        let store_ms = takes.iter().map(|(name, ms)| (NodeId::parse(name).unwrap(), *ms)).collect();
        Cell { store_ms, ..Cell::with_cuts(&[]) }.gray().join(" ")
    };
    assert_eq!(gray(&[("a", 16), ("b", 16), ("c", 64)]), "c");
    assert_eq!(gray(&[("a", 16), ("b", 16), ("c", 32), ("d", 32)]), "", "not by much");
    assert_eq!(gray(&[("a", 64), ("b", 128), ("c", 64), ("d", 128)]), "", "it is the store that is slow");
    assert_eq!(gray(&[("a", 16), ("b", 16), ("c", 64), ("d", 256)]), "c d");
    assert_eq!(gray(&[("a", 16), ("b", 64), ("c", 64), ("d", 256)]), "d", "most are slow");
    assert_eq!(gray(&[("a", 4096)]), "", "there is nothing to compare it with");
    assert_eq!(gray(&[("a", 16), ("b", 16), ("gate", 64)]), "", "gateways may be far from the store");
    let store_ms = [("a", 16), ("b", 16), ("c", 1024)].map(|(name, ms)| (NodeId::parse(name).unwrap(), ms));
    let cell = Cell { store_ms: store_ms.into(), ..Cell::with_cuts(&[]) };
    assert_eq!(cell.ailment("c", 50, Duration::ZERO), None, "it may be slow for a while");
    let why = cell.ailment("c", 51, Duration::ZERO).unwrap().to_string();
    assert_eq!(why, "its reads of the store take up to 1024 ms, and those of most others 16");
    assert_eq!(cell.ailment("c", 100, LATE), Some(Ailment::Late), "that may be why");
}
