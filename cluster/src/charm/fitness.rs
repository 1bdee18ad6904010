//! Whether this node is fit to own slots. A node may answer everybody and yet serve badly: its loop runs late, or it
//! does not reach nodes that others do. Such a node is called gray (Huang et al., Gray Failure, HotOS 2017). It says
//! so, others take its slots with its consent, and it is given none until it has been well for a while: each time
//! for longer.

use super::sight::{Said, Sight};
use crate::{
    fence::HOLD_MIN,
    node::{BootId, NodeId},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

/// A look that comes so late is a late one.
pub const LATE: Duration = Duration::from_millis(200);
/// Looks in which it is counted how many were late: five seconds of a loop that runs well.
const LOOKS: usize = 50;
/// So many of them make a node gray. One long pause is one late look.
const LATE_LOOKS: usize = 25;
/// A node that others reach may be out of reach for so long: links are tried again within two seconds, and come up one
/// after the other when a node starts.
pub const OUT_OF_REACH_MAX: Duration = Duration::from_secs(5);
/// A node that is gray stays so until it has been well for [`HOLD_MIN`], for twice as long each time it is gray
/// again, up to this.
const HOLD_MAX: Duration = Duration::from_secs(160);
/// After so long in one piece it is as if it had never been gray.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ailment {
    /// Its loop runs late.
    Late,
    /// It does not reach these, and others do.
    CutOff(BTreeSet<NodeId>),
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => write!(f, "its loop runs more than {} ms late", LATE.as_millis()),
            Self::CutOff(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
                write!(f, "it has no link to {}, and others have", nodes.join(", "))
            }
        }
    }
}

/// Who says itself that it is not fit. `own`: what makes this node unfit.
pub(super) fn ailing(own: Option<(&NodeId, &Ailment)>, said: &Said) -> BTreeMap<NodeId, String> {
    let own = own.map(|(me, ailment)| (me.clone(), ailment.to_string()));
    let says = |(node, sight): (&NodeId, &Arc<Sight>)| Some((node.clone(), sight.ailing.get(node)?.clone()));
    own.into_iter().chain(said.iter().filter_map(says)).collect()
}

/// The same, and of those to whom there is no link what they have said to somebody else.
pub(super) fn ailing_anywhere(mut ailing: BTreeMap<NodeId, String>, said: &Said) -> BTreeMap<NodeId, String> {
    let heard = said.values().flat_map(|sight| &sight.ailing);
    for (node, ails) in heard.filter(|(node, _)| !said.contains_key(*node)) {
        ailing.entry(node.clone()).or_insert_with(|| ails.clone());
    }
    ailing
}

/// What a node sees around it.
pub(super) struct Around<'a> {
    pub(super) me: &'a NodeId,
    /// Who may own slots.
    pub(super) members: &'a BTreeSet<NodeId>,
    /// Who keeps the store, as far as is known.
    pub(super) stores: &'a BTreeSet<NodeId>,
    /// To whom it has a link.
    pub(super) links: &'a BTreeMap<NodeId, BootId>,
    /// What those say who are reached and may own slots.
    pub(super) said: &'a Said,
    /// What all say who are reached: of whoever can own no slots it counts only whom it does not reach.
    pub(super) by_all: &'a Said,
}

impl Around<'_> {
    /// Nodes that others reach and this one does not.
    fn beyond(&self) -> BTreeSet<&NodeId> {
        let reached = self.said.values().flat_map(|sight| &sight.reaches);
        reached.filter(|node| *node != self.me && !self.links.contains_key(*node)).collect()
    }

    /// Whether it is this node that has to yield to one that it does not reach: a node that only keeps the store does
    /// not yield; of two others the one that is without more links does, of equals the one that owns no slots, then
    /// the later one by name. Two that own none do without each other.
    fn yields_to(&self, node: &NodeId, beyond: usize) -> bool {
        let owns_none = |node: &NodeId| !self.members.contains(node);
        if owns_none(node) && (self.stores.contains(node) || owns_none(self.me)) {
            return self.stores.contains(node);
        }
        let without = |(by, sight): &(&NodeId, &Arc<Sight>)| *by != node && !sight.reaches.contains(node);
        let theirs = 1 + self.by_all.iter().filter(without).count();
        (beyond, owns_none(self.me), self.me) > (theirs, owns_none(node), node)
    }
}

/// A spell of being gray.
#[derive(Debug)]
struct Spell {
    ailment: Ailment,
    /// Since when nothing is wrong any more.
    well_since: Option<Duration>,
}

/// How fit this node is.
#[derive(Debug, Default)]
pub(super) struct Fitness {
    /// Of the last looks: which were late.
    late: VecDeque<bool>,
    /// Since when nodes are out of reach to which this one has to yield.
    missed: BTreeMap<NodeId, Duration>,
    spell: Option<Spell>,
    /// How long it has to be well the next time.
    hold: Duration,
    /// When the last spell was over.
    well_at: Duration,
}

impl Fitness {
    /// Looks; what is wrong, if this node is gray.
    pub(super) fn look(&mut self, now: Duration, late: Duration, around: &Around<'_>) -> Option<&Ailment> {
        self.late.truncate(LOOKS - 1);
        self.late.push_front(late >= LATE);
        let beyond = around.beyond();
        let count = beyond.len();
        let missed = beyond.into_iter().filter(|node| around.yields_to(node, count));
        let since = |node: &NodeId| (node.clone(), self.missed.get(node).copied().unwrap_or(now));
        self.missed = missed.map(since).collect();
        match (self.ailment(now), &mut self.spell) {
            (Some(ailment), Some(spell)) => *spell = Spell { ailment, well_since: None },
            (Some(ailment), None) => self.begins(ailment, now),
            (None, Some(spell)) => {
                if now.saturating_sub(*spell.well_since.get_or_insert(now)) >= self.hold {
                    (self.spell, self.well_at) = (None, now);
                    tracing::info!("this node is well again, and may own slots");
                }
            }
            (None, None) => {}
        }
        self.spell.as_ref().map(|spell| &spell.ailment)
    }

    fn begins(&mut self, ailment: Ailment, now: Duration) {
        let is_again = !self.hold.is_zero() && now.saturating_sub(self.well_at) < FORGIVEN_AFTER;
        self.hold = if is_again { (self.hold * 2).min(HOLD_MAX) } else { HOLD_MIN };
        let why = match ailment {
            Ailment::Late => "late",
            Ailment::CutOff(_) => "cut_off",
        };
        metrics::counter!("waggle_gray_total", "why" => why).increment(1);
        tracing::warn!(%ailment, "this node is gray: others take its slots");
        self.spell = Some(Spell { ailment, well_since: None });
    }

    /// What is wrong now.
    fn ailment(&self, now: Duration) -> Option<Ailment> {
        let beyond = self.missed.iter().filter(|(_, since)| now.saturating_sub(**since) >= OUT_OF_REACH_MAX);
        let beyond: BTreeSet<NodeId> = beyond.map(|(node, _)| node.clone()).collect();
        let late = self.late.iter().filter(|is_late| **is_late).count() >= LATE_LOOKS;
        match (beyond.is_empty(), late) {
            (false, _) => Some(Ailment::CutOff(beyond)),
            (true, true) => Some(Ailment::Late),
            (true, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> BTreeSet<NodeId> {
        names.iter().map(|name| NodeId::parse(name).unwrap()).collect()
    }
    const TENTH: Duration = Duration::from_millis(100);

    /// A cell of `a` to `d`, a store and two gateways that own no slots, and the links between them that are missing.
    struct Cell {
        cuts: Vec<(&'static str, &'static str)>,
        members: BTreeSet<NodeId>,
        stores: BTreeSet<NodeId>,
        gateways: BTreeSet<NodeId>,
    }

    impl Cell {
        fn with_cuts(cuts: &[(&'static str, &'static str)]) -> Self {
            let (members, stores, gateways) =
                (ids(&["a", "b", "c", "d"]), ids(&["store"]), ids(&["Gate", "gate"]));
            Self { cuts: cuts.to_vec(), members, stores, gateways }
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
            let speakers = self.members.iter().chain(&self.gateways).filter(|other| reaches.contains(*other));
            let sight = |node: &NodeId| Arc::new(Sight { reaches: self.reaches(node), ..Sight::default() });
            let by_all: BTreeMap<_, _> = speakers.map(|node| (node.clone(), sight(node))).collect();
            let mut said = by_all.clone();
            said.retain(|node, _| self.members.contains(node));
            let (members, stores) = (&self.members, &self.stores);
            let links = reaches.into_iter().map(|node| (node, BootId(1))).collect();
            let around = Around { me: &me, members, stores, links: &links, said: &said, by_all: &by_all };
            fitness.look(now, late, &around).cloned()
        }
        /// Who is gray after ten seconds.
        fn gray(&self) -> Vec<&str> {
            let is_gray = |name: &&str| self.ailment(name, 100, Duration::ZERO).is_some();
            ["a", "b", "c", "d", "Gate", "gate"].into_iter().filter(is_gray).collect()
        }
    }

    #[test]
    fn who_is_cut_off_from_what_others_reach_yields_and_one_of_two_is_enough() {
        assert_eq!(Cell::with_cuts(&[]).gray(), [""; 0]);
        assert_eq!(Cell::with_cuts(&[("a", "b")]).gray(), ["b"], "of equals the later one by name");
        assert_eq!(Cell::with_cuts(&[("a", "b"), ("a", "c")]).gray(), ["a"], "it has the fewest links");
        assert_eq!(Cell::with_cuts(&[("a", "store")]).gray(), ["a"], "the store does not yield");
        let alone = [("a", "b"), ("a", "c"), ("a", "d"), ("a", "store"), ("a", "Gate"), ("a", "gate")];
        assert_eq!(
            Cell::with_cuts(&alone).gray(),
            [""; 0],
            "nobody is there to tell it: it is taken for gone"
        );
        let nobody = [("a", "store"), ("b", "store"), ("c", "store"), ("d", "store")];
        assert_eq!(Cell::with_cuts(&nobody).gray(), [""; 0], "a store that nobody reaches is down");
        let why = Cell::with_cuts(&[("a", "b")]).ailment("b", 100, Duration::ZERO).unwrap();
        assert_eq!(why.to_string(), "it has no link to a, and others have");
    }

    #[test]
    fn a_gateway_that_owns_no_slots_yields_to_a_member_that_others_reach_unless_that_misses_more() {
        assert_eq!(Cell::with_cuts(&[("gate", "d")]).gray(), ["gate"]);
        assert_eq!(Cell::with_cuts(&[("Gate", "d")]).gray(), ["Gate"], "whatever their names");
        assert_eq!(Cell::with_cuts(&[("Gate", "d"), ("gate", "d")]).gray(), ["d"], "no gateway reaches it");
        assert_eq!(Cell::with_cuts(&[("Gate", "gate")]).gray(), [""; 0], "gateways do without each other");
        assert_eq!(Cell::with_cuts(&[("gate", "store")]).gray(), ["gate"]);
    }

    #[test]
    fn who_is_not_fit_is_told_by_itself_or_where_it_is_not_reached_by_those_that_reach_it() {
        let id = |name: &str| NodeId::parse(name).unwrap();
        let sight = |ailing: &[&str]| {
            let ailing = ailing.iter().map(|name| (id(name), "late".to_owned())).collect();
            Arc::new(Sight { ailing, ..Sight::default() })
        };
        let said = [(id("b"), sight(&["b", "c", "d"])), (id("c"), sight(&[]))].into();
        let direct = ailing(Some((&id("a"), &Ailment::Late)), &said);
        let all = ailing_anywhere(direct.clone(), &said);
        assert_eq!(direct.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let all: Vec<&str> = all.keys().map(NodeId::as_str).collect();
        assert_eq!(all, ["a", "b", "d"], "c is reached, and does not say so");
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
}
