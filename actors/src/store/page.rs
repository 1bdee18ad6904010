//! What every engine's pages have in common: limits, and reactions counted from rows.

use super::{REACTION_USERS_MAX, READ_ROWS_MAX, ReactionCount};
use proto::id::UserId;
use proto::ts::Micros;

/// Bytes after which a page of a log ends.
pub const LOG_PAGE_BYTES: usize = 1024 * 1024;

/// The most rows that a read may return that was asked for `limit`.
pub fn rows_max(limit: usize) -> usize {
    limit.min(READ_ROWS_MAX)
}

/// Counts reactions from rows in the order (us, name, any user).
#[derive(Debug, Default)]
pub struct Tally {
    done: Vec<ReactionCount>,
    users: Vec<(u64, UserId)>,
}

impl Tally {
    /// One row: `user` reacted with `name` to the message at `us`, by the event `seq`.
    pub fn add(&mut self, us: Micros, name: &str, user: UserId, seq: u64) {
        if self.done.last().is_none_or(|last| last.us != us || last.name != name) {
            self.close();
            self.done.push(ReactionCount { us, name: name.into(), count: 0, users: Vec::new() });
        }
        self.users.push((seq, user));
    }

    /// All counts, in the order of their rows.
    pub fn finish(mut self) -> Vec<ReactionCount> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if let Some(last) = self.done.last_mut() {
            self.users.sort_unstable();
            last.count = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
            last.users = self.users.drain(..).take(REACTION_USERS_MAX).map(|(_, user)| user).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_listed_in_the_order_in_which_they_reacted_and_counted_beyond_the_limit() {
        let mut tally = Tally::default();
        let user = |n: usize| UserId::parse(&format!("U{n:04}")).expect("an id");
        (0..70).for_each(|n| tally.add(5, "tada", user(n), 1000 - n as u64));
        tally.add(5, "wave", user(3), 7);
        tally.add(6, "wave", user(3), 8);
        let counts = tally.finish();
        assert_eq!(counts.iter().map(|c| (c.us, c.count)).collect::<Vec<_>>(), [(5, 70), (5, 1), (6, 1)]);
        assert_eq!(counts[0].users.len(), REACTION_USERS_MAX);
        assert_eq!(counts[0].users[0], user(69));
    }
}
