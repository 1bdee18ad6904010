//! Pages of messages and threads, what they are reacted with, and each message by itself.

use super::row::{maps, same};
use super::{Effort, read};
use crate::fold::Fold;
use actors::store::{Answer, LogId, MessageRange, REACTION_USERS_MAX, Store};
use cluster::host::Entropy;
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::MessageRow;
use std::collections::BTreeMap;

/// Passes over the messages of an exhaustive comparison; most between drawn bounds.
const PASSES: usize = 8;
/// Most rows of a page.
const PAGE_MAX: u64 = 60;
/// Most rows of a page when there are many passes: threads are short.
const SMALL_PAGE_MAX: u64 = 5;
/// Single rows that one pass looks at.
const ROWS_MAX: usize = 24;

/// One conversation's views and what they should say.
pub(super) struct View<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) log: &'a LogId,
    pub(super) fold: &'a Fold,
    pub(super) chance: &'a Entropy,
    pub(super) effort: Effort,
}

/// Reactions to one message: how many by name, and the first users.
type Reactions = BTreeMap<String, (usize, Vec<UserId>)>;

/// As a fold has it: the order in which a summary names its users is not part of the comparison.
fn comparable(mut row: MessageRow) -> MessageRow {
    row.reply_users.sort_by(|a, b| a.user.cmp(&b.user));
    row
}

/// The rest of the bounds after a page.
fn rest(bounds: (Micros, Micros), newest_first: bool, last: Micros) -> (Micros, Micros) {
    if newest_first { (bounds.0, last.saturating_sub(1)) } else { (last.saturating_add(1), bounds.1) }
}

impl View<'_> {
    fn named(&self, view: &str) -> String {
        format!("{view} of {}", self.log.channel)
    }

    fn drawn(&self, times: &[Micros]) -> Micros {
        times[self.chance.below(times.len() as u64) as usize]
    }

    /// What the channel shows.
    pub(super) async fn shown(&self) -> Result<(), String> {
        let shown = self.fold.shown();
        let times: Vec<Micros> = shown.iter().map(|row| row.us).collect();
        let turn = self.chance.below(2) as usize;
        let passes = if self.effort == Effort::Exhaustive { PASSES } else { 1 };
        for pass in 0..passes {
            let narrow = pass >= 2 && !times.is_empty();
            // Drawn ones may end before they begin: nothing is between them.
            let bounds = if narrow { (self.drawn(&times), self.drawn(&times)) } else { (0, Micros::MAX) };
            let within = shown.iter().filter(|row| (bounds.0..=bounds.1).contains(&row.us));
            let newest_first = (pass + turn).is_multiple_of(2);
            let view = self.named("messages");
            let page = |range| self.store.messages(self.log, range);
            self.pass(&view, page, bounds, newest_first, within.cloned().collect()).await?;
        }
        Ok(())
    }

    /// All threads.
    pub(super) async fn threads(&self) -> Result<(), String> {
        for parent_us in self.fold.parents() {
            let replies = self.fold.thread(parent_us);
            let turns: &[bool] = match self.effort {
                Effort::Exhaustive => &[false, true],
                Effort::Pass if replies.is_empty() => continue,
                Effort::Pass => &[self.chance.chance(1, 2)],
            };
            for newest_first in turns {
                let view = self.named(&format!("thread {parent_us}"));
                let page = |range| self.store.thread(self.log, parent_us, range);
                self.pass(&view, page, (0, Micros::MAX), *newest_first, replies.clone()).await?;
            }
        }
        Ok(())
    }

    /// Pages between two times until one is not full, each with its reactions. `says`: oldest first.
    async fn pass(
        &self,
        view: &str,
        page: impl Fn(MessageRange) -> Answer<Vec<MessageRow>>,
        bounds: (Micros, Micros),
        newest_first: bool,
        mut says: Vec<MessageRow>,
    ) -> Result<(), String> {
        if newest_first {
            says.reverse();
        }
        let small = self.effort == Effort::Exhaustive && self.chance.chance(1, 2);
        let most = if small { SMALL_PAGE_MAX } else { PAGE_MAX };
        let (mut says, mut left) = (says.into_iter(), bounds);
        let view = format!("{view}, {} first", if newest_first { "newest" } else { "oldest" });
        loop {
            let limit = 1 + self.chance.below(most) as usize;
            let range = MessageRange { from_us: left.0, to_us: left.1, newest_first, limit };
            let rows = read(&view, page(range).await)?;
            let expected: Vec<MessageRow> = says.by_ref().take(limit).collect();
            let has: Vec<MessageRow> = rows.into_iter().map(comparable).collect();
            for at in 0..has.len().max(expected.len()) {
                same(
                    || format!("{view}, row {at} of {limit} after {left:?}"),
                    &has.get(at),
                    &expected.get(at),
                )?;
            }
            self.reactions_of_page(&has).await?;
            match has.last() {
                Some(end) if has.len() == limit => left = rest(left, newest_first, end.us),
                _ => return Ok(()),
            }
        }
    }

    /// The second read of a page.
    async fn reactions_of_page(&self, page: &[MessageRow]) -> Result<(), String> {
        let times = || page.iter().map(|row| row.us);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let found = self.reactions_between(first, last).await?;
        for us in times() {
            let has = found.get(&us).cloned().unwrap_or_default();
            maps(&self.named(&format!("reactions to {us}")), &has, &self.counted(us))?;
        }
        Ok(())
    }

    async fn reactions_between(
        &self,
        first: Micros,
        last: Micros,
    ) -> Result<BTreeMap<Micros, Reactions>, String> {
        let view = self.named("reactions");
        let mut found: BTreeMap<Micros, Reactions> = BTreeMap::new();
        for row in read(&view, self.store.reactions(self.log, first, last).await)? {
            let counted = (row.count as usize, row.users);
            if found.entry(row.us).or_default().insert(row.name.clone(), counted).is_some() {
                return Err(format!("{view}: {} is counted twice for {}", row.name, row.us));
            }
        }
        Ok(found)
    }

    fn counted(&self, us: Micros) -> Reactions {
        let counted = |(name, mut users): (String, Vec<UserId>)| {
            let count = users.len();
            users.truncate(REACTION_USERS_MAX);
            (name, (count, users))
        };
        self.fold.reactions(us).into_iter().map(counted).collect()
    }

    /// All reactions in one read, those to what is gone too, and some by themselves.
    pub(super) async fn reactions(&self) -> Result<(), String> {
        let found = self.reactions_between(0, Micros::MAX).await?;
        let times = self.fold.times().iter().map(|us| (*us, self.counted(*us)));
        let says = times.filter(|(_, counted)| !counted.is_empty()).collect();
        maps(&self.named("reactions"), &found, &says)?;
        let names = says.keys().flat_map(|us| self.fold.reactions(*us).into_iter().map(|names| (*us, names)));
        for (us, (name, users)) in self.effort.sample(names.collect(), ROWS_MAX, self.chance) {
            let view = self.named(&format!("reaction {name} to {us}"));
            let people = self.fold.moves.keys().cloned().collect();
            for user in self.effort.sample(people, 2, self.chance) {
                let has = read(&view, self.store.reaction(self.log, us, &name, &user).await)?;
                same(|| format!("{view} by {user}"), &has, &users.contains(&user))?;
            }
        }
        Ok(())
    }

    /// Messages that ever were, by the times of all events: as they are, or gone.
    pub(super) async fn single_rows(&self) -> Result<(), String> {
        for us in self.effort.sample(self.fold.times().to_vec(), ROWS_MAX, self.chance) {
            let view = self.named(&format!("message {us}"));
            let has = read(&view, self.store.message(self.log, us).await)?.map(comparable);
            same(|| view.clone(), &has, &self.fold.message(us))?;
        }
        Ok(())
    }
}
