//! Shrinking: from a plan that breaks a promise to a smaller one that still breaks it.
//!
//! Faults, deeds, clients and nodes are taken away as long as the same promise stays broken; then what is left is
//! shortened. Since every component draws from a stream of its own, what stays does what it did. Delta debugging:
//! Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.

use crate::plan::Plan;

/// Time that is left after the last thing that happens, ms.
const REST_MS: u64 = 500;

/// What shrinking came to.
#[derive(Debug)]
pub struct Shrunk {
    /// The smaller plan.
    pub plan: Plan,
    /// How often a plan was tried.
    pub tries: usize,
}

/// Removes items as long as `fails` says that the rest still fails: ddmin, with complements only.
pub fn minimize<T: Clone>(mut items: Vec<T>, fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    if !items.is_empty() && fails(&[]) {
        return Vec::new();
    }
    let mut parts = 2;
    while items.len() >= 2 {
        let size = items.len().div_ceil(parts);
        let mut removed = false;
        let mut at = 0;
        while at < items.len() {
            let rest: Vec<T> = [&items[..at], &items[(at + size).min(items.len())..]].concat();
            if fails(&rest) {
                items = rest;
                removed = true;
            } else {
                at += size;
            }
        }
        if !removed && size == 1 {
            break;
        }
        parts = if removed { 2 } else { (parts * 2).min(items.len()) };
    }
    items
}

/// Makes a plan smaller. `fails` runs a plan and says whether it breaks the same promise; it is asked at most
/// `tries_max` times. `broke_at_ms`: when the promise was seen broken, counted from the plan's beginning.
pub fn shrink(
    plan: Plan,
    broke_at_ms: u64,
    tries_max: usize,
    fails: &mut dyn FnMut(&Plan) -> bool,
) -> Shrunk {
    let mut shrinking = Shrinking { plan, tries: 0, tries_max, fails };
    shrinking.cut_after(broke_at_ms);
    for _round in 0..2 {
        shrinking.faults();
        shrinking.clients();
        shrinking.deeds();
    }
    shrinking.nodes();
    shrinking.crowd();
    shrinking.shorten();
    Shrunk { plan: shrinking.plan, tries: shrinking.tries }
}

struct Shrinking<'a> {
    plan: Plan,
    tries: usize,
    tries_max: usize,
    fails: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Shrinking<'_> {
    /// Keeps a candidate if it still fails.
    fn keep(&mut self, candidate: Plan) -> bool {
        if candidate == self.plan || self.tries >= self.tries_max {
            return false;
        }
        self.tries += 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.plan = candidate;
        }
        fails
    }

    /// What comes after the failure has no part in it.
    fn cut_after(&mut self, at_ms: u64) {
        let mut cut = self.plan.clone();
        cut.deeds.retain(|deed| deed.at_ms <= at_ms);
        cut.faults.retain(|fault| fault.at_ms <= at_ms);
        cut.clears_at_ms = cut.clears_at_ms.min(at_ms + REST_MS);
        self.keep(cut);
    }

    fn faults(&mut self) {
        let items = self.plan.faults.clone();
        minimize(items, &mut |faults| {
            let candidate = Plan { faults: faults.to_vec(), ..self.plan.clone() };
            candidate.faults.len() < self.plan.faults.len() && self.keep(candidate)
        });
    }

    /// All deeds of some clients at once.
    fn clients(&mut self) {
        let clients: Vec<usize> = (0..self.plan.clients.len()).collect();
        minimize(clients, &mut |some| {
            let mut candidate = self.plan.clone();
            candidate.deeds.retain(|deed| some.contains(&deed.client));
            candidate.deeds.len() < self.plan.deeds.len() && self.keep(candidate)
        });
    }

    fn deeds(&mut self) {
        let items = self.plan.deeds.clone();
        minimize(items, &mut |deeds| {
            let candidate = Plan { deeds: deeds.to_vec(), ..self.plan.clone() };
            candidate.deeds.len() < self.plan.deeds.len() && self.keep(candidate)
        });
    }

    /// Everything on one site, where no fault names another one, and on as few nodes as can be; old messages and tight
    /// limits go too.
    fn nodes(&mut self) {
        let mut one = self.plan.clone();
        one.workspaces.iter_mut().for_each(|workspace| workspace.site = 0);
        let others = one.faults.iter().any(|fault| fault.what.site().is_some_and(|site| site > 0));
        if !others {
            one.sites.truncate(1);
            self.keep(one);
        }
        for fewer in [1, 2] {
            let mut few = self.plan.clone();
            few.sites.iter_mut().for_each(|site| site.nodes = site.nodes.min(fewer));
            if self.keep(few) {
                break;
            }
        }
        let mut young = self.plan.clone();
        young.workspaces.iter_mut().flat_map(|workspace| &mut workspace.channels).for_each(|channel| {
            (channel.aged, channel.silent_members) = (0, 0);
        });
        self.keep(young);
        let roomy = Plan { tight: false, ..self.plan.clone() };
        self.keep(roomy);
    }

    /// Clients who do nothing, from the last one on, so that the others keep their numbers.
    fn crowd(&mut self) {
        loop {
            let Some(last) = self.plan.clients.len().checked_sub(1) else { return };
            let deeds = self.plan.deeds.iter().any(|deed| deed.client == last);
            let struck = self.plan.faults.iter().any(|fault| fault.what.client() == Some(last));
            let mut fewer = self.plan.clone();
            fewer.clients.truncate(last);
            if deeds || struck || !self.keep(fewer) {
                return;
            }
        }
    }

    fn shorten(&mut self) {
        let last = self.plan.deeds.iter().map(|deed| deed.at_ms);
        let last = last.chain(self.plan.faults.iter().map(|fault| fault.at_ms)).max().unwrap_or(0);
        let clears_at_ms = self.plan.clears_at_ms.min(last + REST_MS);
        self.keep(Plan { clears_at_ms, ..self.plan.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draw;
    use cluster::host::Entropy;

    #[test]
    fn what_does_not_matter_is_taken_away_and_what_does_is_kept() {
        let mut asked = 0;
        let left = minimize((0..100).collect(), &mut |items: &[u32]| {
            asked += 1;
            items.contains(&17) && items.contains(&83)
        });
        assert_eq!(left, [17, 83]);
        assert!(asked < 100, "{asked} tries");
        assert_eq!(minimize(vec![1, 2, 3], &mut |_: &[u32]| true), Vec::<u32>::new());
    }

    #[test]
    fn a_plan_shrinks_to_the_deed_and_the_fault_that_it_takes() {
        let plan = (1..).map(|seed| draw::plan(&Entropy::from_u64(seed), draw::Wish::default()));
        let plan = plan.into_iter().find(|plan| plan.faults.len() > 3).expect("some seed has faults");
        let (deed, fault) = (plan.deeds[plan.deeds.len() / 2].clone(), plan.faults[1].clone());
        let shrunk = shrink(plan, 60_000, 1000, &mut |plan| {
            plan.deeds.contains(&deed) && plan.faults.contains(&fault)
        });
        assert_eq!((shrunk.plan.deeds, shrunk.plan.faults), (vec![deed], vec![fault]));
    }

    #[test]
    fn shrinking_gives_up_after_the_tries_it_was_given() {
        let plan = draw::plan(&Entropy::from_u64(3), draw::Wish::default());
        let mut asked = 0;
        let shrunk = shrink(plan, 60_000, 5, &mut |_| {
            asked += 1;
            false
        });
        assert_eq!((shrunk.tries, asked), (5, 5));
    }
}
