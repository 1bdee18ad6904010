//! What seeds say, round after round, when a node that starts asks who has its name.
//!
//! A seed that has named somebody is a witness: it alone can say that this life is gone, for another seed may never
//! have had a link to it. A life that is named in two rounds is there: the links of one that has died are silent by
//! the second.

use super::company::JoinError;
use cluster::{link::hello::Life, node::NodeId};
use std::collections::BTreeMap;

/// What has been heard so far.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    /// Seeds that have named a life and not said since that the name is free, by their addresses.
    witnesses: BTreeMap<String, Life>,
    /// Who was named twice, and by whom the second time.
    there: Option<(Life, String)>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody has the name.
    Free,
    /// Another process has it.
    Taken,
    /// Somebody had it; ask again.
    Unknown,
}

impl Inquiry {
    /// Takes the answers of a round: of those seeds that gave one, which life has the name.
    pub(super) fn hear(&mut self, said: Vec<(Option<Life>, String)>) -> Verdict {
        let before: Vec<Life> = self.witnesses.values().copied().collect();
        for (holder, seed) in said {
            match holder {
                Some(life) => {
                    if before.contains(&life) {
                        self.there = Some((life, seed.clone()));
                    }
                    self.witnesses.insert(seed, life);
                }
                None => _ = self.witnesses.remove(&seed),
            }
        }
        match (&self.there, self.witnesses.is_empty()) {
            (Some(_), _) => Verdict::Taken,
            (None, true) => Verdict::Free,
            (None, false) => Verdict::Unknown,
        }
    }

    /// Why a name is not taken that is not free.
    pub(super) fn refusal(self, node: &NodeId) -> JoinError {
        let node = node.clone();
        if let Some((Life { boot: holder, .. }, by)) = self.there {
            return JoinError::Taken { node, holder, by };
        }
        let latest = self.witnesses.into_iter().max_by_key(|(_, life)| *life);
        let (by, life) = latest.expect("without a witness the name is free");
        JoinError::Unknown { node, holder: life.boot, by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::node::BootId;

    /// The verdict after each round; a seed and the life that it names, 0 for nobody.
    fn verdicts(rounds: &[&[(&str, u64)]]) -> (Inquiry, Vec<Verdict>) {
        let mut inquiry = Inquiry::default();
        let said = |(seed, life): &(&str, u64)| {
            let life = (*life > 0).then_some(Life { started_us: *life, boot: BootId(*life) });
            (life, (*seed).to_owned())
        };
        let verdicts = rounds.iter().map(|round| inquiry.hear(round.iter().map(said).collect())).collect();
        (inquiry, verdicts)
    }
    fn refusal(inquiry: Inquiry) -> String {
        inquiry.refusal(&NodeId::parse("n").unwrap()).to_string()
    }

    #[test]
    fn a_name_is_free_when_nobody_names_anybody_and_every_seed_that_did_has_taken_it_back() {
        use Verdict::{Free, Unknown};
        assert_eq!(verdicts(&[&[]]).1, [Free], "the first node of a cell has nobody to ask");
        assert_eq!(verdicts(&[&[("a", 0), ("b", 0)]]).1, [Free]);
        assert_eq!(verdicts(&[&[("a", 7)], &[("a", 0)]]).1, [Unknown, Free]);
        let both: &[&[_]] = &[&[("a", 7), ("b", 8)], &[("a", 0), ("b", 9)], &[("b", 0)]];
        assert_eq!(verdicts(both).1, [Unknown, Unknown, Free], "each seed for itself");
        assert_eq!(verdicts(&[&[("a", 7)], &[("b", 0)], &[("a", 0)]]).1, [Unknown, Unknown, Free]);
    }

    #[test]
    fn a_life_that_is_named_again_is_there() {
        let (inquiry, said) = verdicts(&[&[("a", 7)], &[("a", 0), ("b", 7)]]);
        assert_eq!(said, [Verdict::Unknown, Verdict::Taken], "whichever seed names it");
        assert!(
            refusal(inquiry).starts_with("n runs already: b is in touch with it (its life 0000000000000007)")
        );
        let (_, said) = verdicts(&[&[("a", 7), ("b", 7)], &[("a", 8), ("b", 8)]]);
        assert_eq!(said, [Verdict::Unknown; 2], "one round names it once");
    }

    #[test]
    fn a_seed_that_named_somebody_and_went_away_leaves_it_unknown() {
        let (inquiry, said) = verdicts(&[&[("a", 7), ("b", 0)], &[("b", 0)], &[("b", 0)]]);
        assert_eq!(said, [Verdict::Unknown; 3]);
        let why = refusal(inquiry);
        assert!(why.starts_with("whether n runs already is not known: a was in touch with it"), "{why}");
    }
}
