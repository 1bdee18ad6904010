//! Whether this node is fit to own slots. A node may answer everybody and yet serve badly: its loop runs late, its way
//! to the store is slow, or it does not reach nodes that others do. Such a node is called gray (Huang et al., Gray
//! Failure, HotOS 2017). It says so, others take its slots with its consent, and it is given none until it has been
//! well for a while: each time for longer.

mod around;

use super::sight::{Said, Sight};
use crate::{
    fence::HOLD_MIN,
    node::{BootId, NodeId},
};
pub(super) use around::Around;
use around::Slower;
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
/// A node whose way to the store is slow may be so for this long.
const SLOW_MAX: Duration = Duration::from_secs(5);
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
    /// Its way to the store is slow.
    Slow(Slower),
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => write!(f, "its loop runs more than {} ms late", LATE.as_millis()),
            Self::CutOff(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
                write!(f, "it has no link to {}, and others have", nodes.join(", "))
            }
            Self::Slow(Slower { here, elsewhere }) => {
                let (here, elsewhere) = (here.as_millis(), elsewhere.as_millis());
                write!(f, "its reads of the store take up to {here} ms, and those of most others {elsewhere}")
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

/// The same, and of those to whom there is no link what they have said to somebody else: to a member (`said`), or where
/// no member reaches them to anybody (`by_all`).
pub(super) fn ailing_anywhere(
    (me, links): (&NodeId, &BTreeMap<NodeId, BootId>),
    mut ailing: BTreeMap<NodeId, String>,
    (said, by_all): (&Said, &Said),
) -> BTreeMap<NodeId, String> {
    let is_reached = |node: &NodeId| said.values().any(|sight| sight.reaches.contains(node));
    for (by, sight) in by_all {
        let is_member = said.contains_key(by);
        let heard = sight.ailing.iter().filter(|(node, _)| *node != me && !links.contains_key(*node));
        for (node, ails) in heard.filter(|(node, _)| is_member || !is_reached(node)) {
            ailing.entry(node.clone()).or_insert_with(|| ails.clone());
        }
    }
    ailing
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
    /// Since when its way to the store is slower than that of others, and how much now.
    slower: Option<(Duration, Slower)>,
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
        let missed = beyond.iter().copied().filter(|node| around.yields_to(node, &beyond));
        let since = |node: &NodeId| (node.clone(), self.missed.get(node).copied().unwrap_or(now));
        self.missed = missed.map(since).collect();
        let slow_since = self.slower.as_ref().map_or(now, |(since, _)| *since);
        self.slower = around.slower().map(|slower| (slow_since, slower));
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
            Ailment::Slow(_) => "slow",
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
        let slower = self.slower.as_ref().filter(|(since, _)| now.saturating_sub(*since) >= SLOW_MAX);
        match (beyond.is_empty(), late) {
            (false, _) => Some(Ailment::CutOff(beyond)),
            (true, true) => Some(Ailment::Late),
            (true, false) => slower.map(|(_, slower)| Ailment::Slow(slower.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
