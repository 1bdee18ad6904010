//! Which gateway is a user's home. A workspace has its home on a few gateways, so that what its channels say crosses
//! the network a few times only, however many gateways there are; its users are spread over those.
//!
//! Both by the highest hash (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): every
//! node that sees the same gateways names the same one, without a table.

use crate::node::NodeId;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The home of a user among these gateways; `None` where there are none. `subset`: gateways of a workspace, at least 1.
pub fn home<'a>(
    gateways: impl Iterator<Item = &'a NodeId>,
    (workspace, user): (&[u8], &[u8]),
    subset: usize,
) -> Option<&'a NodeId> {
    let mut ranked: Vec<(u64, &NodeId)> = gateways.map(|node| (score(node, workspace), node)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    let nearest = ranked.into_iter().take(subset.max(1)).map(|(_, node)| node);
    nearest.max_by_key(|node| (score(node, user), *node))
}

/// The door by which users reach one node alone: it is opened once, when the node takes users, and closed for good when
/// another process has the node's place. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    url: Arc<str>,
    at: Arc<At>,
}

/// Which of the two has happened.
#[derive(Debug, Default)]
struct At {
    opened: AtomicBool,
    closed: AtomicBool,
}

impl Door {
    /// One that is not open yet. `url`: empty for a node that is nobody's home.
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), at: Arc::default() }
    }
    /// From here on users may be sent there, unless it was closed already.
    pub fn open(&self) {
        self.at.opened.store(true, Relaxed);
    }
    /// Nobody is sent there any more.
    pub fn close(&self) {
        self.at.closed.store(true, Relaxed);
    }
    /// The URL as long as it is open; empty otherwise.
    pub fn url(&self) -> Arc<str> {
        let is_open = self.at.opened.load(Relaxed) && !self.at.closed.load(Relaxed);
        if is_open { self.url.clone() } else { Arc::default() }
    }
}

fn score(node: &NodeId, key: &[u8]) -> u64 {
    xxh3_64_with_seed(node.as_str().as_bytes(), xxh3_64(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const WORKSPACES: usize = 200;
    const USERS: usize = 100;
    const SUBSET: usize = 4;

    fn gateways(count: usize) -> Vec<NodeId> {
        (1..=count).map(|number| NodeId::parse(&format!("node-{number}")).unwrap()).collect()
    }

    /// The homes of all users, workspace by workspace.
    fn homes(gateways: &[NodeId]) -> Vec<NodeId> {
        let people = (0..WORKSPACES).flat_map(|workspace| (0..USERS).map(move |user| (workspace, user)));
        let home = |(workspace, user): (usize, usize)| {
            let names = (format!("T{workspace:010}"), format!("U{workspace:05}{user:05}"));
            home(gateways.iter(), (names.0.as_bytes(), names.1.as_bytes()), SUBSET).unwrap().clone()
        };
        people.map(home).collect()
    }

    fn moved(before: &[NodeId], after: &[NodeId]) -> f64 {
        let moved = before.iter().zip(after).filter(|(before, after)| before != after).count();
        moved as f64 / before.len() as f64
    }

    #[test]
    fn a_workspace_has_few_gateways_and_all_gateways_have_their_share() {
        let homes = homes(&gateways(10));
        for workspace in homes.chunks(USERS) {
            assert_eq!(workspace.iter().collect::<BTreeSet<_>>().len(), SUBSET);
        }
        let mut loads = BTreeMap::new();
        homes.iter().for_each(|home| *loads.entry(home).or_insert(0_usize) += 1);
        let mean = homes.len() / 10;
        assert!(loads.len() == 10 && loads.values().all(|load| *load < mean * 13 / 10), "{loads:?}");
    }

    #[test]
    fn a_gateway_that_comes_or_goes_moves_about_its_own_share() {
        for count in [3, 4, 10, 30] {
            let (with, without) = (homes(&gateways(count)), homes(&gateways(count - 1)));
            let share = 1.0 / count as f64;
            let moved = moved(&with, &without);
            let most = if count <= SUBSET { 1.15 } else { 2.0 };
            assert!(
                moved > 0.7 * share && moved < most * share,
                "{count} gateways: {moved} moved, share {share}"
            );
        }
    }

    #[test]
    fn a_door_opens_once_and_is_closed_for_good() {
        let door = Door::new("http://a/");
        let (another, url) = (door.clone(), |door: &Door| door.url().to_string());
        assert_eq!(url(&door), "");
        another.open();
        assert_eq!(url(&door), "http://a/");
        another.close();
        door.open();
        assert_eq!((url(&door), url(&another)), (String::new(), String::new()));
        let door = Door::new("http://a/");
        door.close();
        door.open();
        assert_eq!(url(&door), "", "who goes before it has come");
    }

    #[test]
    fn nobody_is_named_where_nobody_is_and_the_order_does_not_matter() {
        let (mut all, who) = (gateways(5), (b"T1".as_slice(), b"U1".as_slice()));
        assert_eq!(home([].iter(), who, SUBSET), None);
        let named = home(all.iter(), who, SUBSET).cloned();
        all.reverse();
        assert_eq!(home(all.iter(), who, SUBSET).cloned(), named);
        assert_eq!(home(all[..1].iter(), who, 0), Some(&all[0]), "a subset has one gateway at least");
    }
}
