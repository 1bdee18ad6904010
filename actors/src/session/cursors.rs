//! How far one connection has come in each log that it follows. Pure.
//!
//! Live events are pushed while the connection is level with the log; when one is missing (resume, a dropped queue,
//! a gap) the log is *behind* and is read from the cursor until it is level again. Live events of a log that is
//! behind only say how far there is to go: so replay and live meet without a gap and nothing is sent twice. A read that
//! brings nothing is not repeated before there is news, or the session's clock has come round.

use proto::id::ChannelId;
use std::collections::BTreeSet;
use std::ops::Bound;

/// The list of follows grows by this many places, or by an eighth: a connection keeps few that it does not use.
const GROWTH_MIN: usize = 4;
/// Conversations that are not followed and of which it is remembered that they were left, put aside or asked for over
/// one connection: so many of each; the oldest is forgotten.
const PLACES_MAX: usize = 1000;

/// One followed log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Follow {
    channel: ChannelId,
    /// Last seq sent on this connection.
    cursor: u64,
    /// Last seq that is known to exist.
    tail: u64,
}

/// What to do with a live event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is the next one: send it.
    Send,
    /// It was sent before, comes later by reading, or the log is not followed.
    Drop,
}

/// The read that is under way, or was last.
#[derive(Debug)]
struct Reading {
    channel: ChannelId,
    /// The cursor that it reads from.
    after: u64,
    /// Since it began an event came that it may not have seen.
    overtaken: bool,
    /// Since it began events were dropped, nobody knows which.
    lagged: bool,
}

/// All followed logs of a connection.
#[derive(Debug, Default)]
pub struct Cursors {
    /// Sorted by channel: in an idle connection's memory a plain list is less than half of a tree.
    follows: Vec<Follow>,
    behind: BTreeSet<ChannelId>,
    /// Logs after the one that was read last come first.
    reading: Option<Reading>,
    /// Cursors that the client has named in logs that could not be followed.
    named: Vec<(ChannelId, u64)>,
    /// Ends of memberships that it was shown.
    left: Vec<(ChannelId, u64)>,
    /// Logs that it asked not to follow any more, and until which seq a join is no reason to follow them again.
    aside: Vec<(ChannelId, u64)>,
}

impl Cursors {
    /// How many logs are followed.
    pub fn count(&self) -> usize {
        self.follows.len()
    }
    fn find(&self, channel: &ChannelId) -> Result<usize, usize> {
        self.follows.binary_search_by(|follow| follow.channel.cmp(channel))
    }
    fn get(&self, channel: &ChannelId) -> Option<&Follow> {
        self.find(channel).ok().map(|at| &self.follows[at])
    }
    fn get_mut(&mut self, channel: &ChannelId) -> Option<&mut Follow> {
        self.find(channel).ok().map(|at| &mut self.follows[at])
    }
    /// Whether this one is.
    pub fn follows(&self, channel: &ChannelId) -> bool {
        self.find(channel).is_ok()
    }
    /// The logs that are followed.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelId> {
        self.follows.iter().map(|follow| &follow.channel)
    }
    /// Each followed log with the last seq that was sent.
    pub fn positions(&self) -> impl Iterator<Item = (&ChannelId, u64)> {
        self.follows.iter().map(|follow| (&follow.channel, follow.cursor))
    }
    /// Makes room for this many more.
    pub fn reserve(&mut self, more: usize) {
        self.follows.reserve_exact(more);
    }
    /// Starts at `cursor` of a log whose tail is `tail`. Following twice moves the cursor forward only. A cursor ahead
    /// of the tail stays where it is: the tail may be old, and what lies between has been sent on another connection.
    pub fn follow(&mut self, channel: &ChannelId, cursor: u64, tail: u64) {
        let at = self.find(channel).unwrap_or_else(|at| {
            if self.follows.len() == self.follows.capacity() {
                self.follows.reserve_exact(GROWTH_MIN.max(self.follows.len() / 8));
            }
            self.follows.insert(at, Follow { channel: channel.clone(), cursor, tail });
            at
        });
        self.forget(channel);
        let follow = &mut self.follows[at];
        follow.cursor = follow.cursor.max(cursor);
        follow.tail = follow.tail.max(tail);
        if follow.cursor < follow.tail {
            self.behind.insert(channel.clone());
        }
    }
    /// Stops. Who asks for an earlier cursor later is served from there.
    pub fn unfollow(&mut self, channel: &ChannelId) {
        if let Ok(at) = self.find(channel) {
            self.follows.remove(at);
        }
        self.behind.remove(channel);
        self.forget(channel);
    }
    /// Stops, because the user has left. What was sent until then is not sent again, though a question for it may be
    /// under way.
    pub fn leave(&mut self, channel: &ChannelId) {
        let Some(cursor) = self.position(channel) else { return };
        self.unfollow(channel);
        remember(&mut self.left, channel, cursor);
    }
    /// Stops, because the client wants it so.
    pub fn put_aside(&mut self, channel: &ChannelId) {
        let position = self.position(channel).unwrap_or_default();
        self.unfollow(channel);
        remember(&mut self.aside, channel, position);
    }
    /// The user is in this membership of a log: if the client has put it aside, it has put this one aside.
    pub fn member_since(&mut self, channel: &ChannelId, seq: u64) {
        let aside = self.aside.iter_mut().filter(|(aside, _)| aside == channel);
        aside.for_each(|(_, until)| *until = seq.max(*until));
    }
    /// Whether the client has put a log aside in the membership that began with this seq: to be told of it late is no
    /// reason to follow it again.
    pub fn was_put_aside(&self, channel: &ChannelId, joined: u64) -> bool {
        self.aside.iter().any(|(aside, until)| aside == channel && *until >= joined)
    }
    /// The client asks for a log from this cursor; answers from where it is served. While it cannot be, the cursor is
    /// remembered, and that it is not to be put aside.
    pub fn name(&mut self, channel: &ChannelId, cursor: u64) -> u64 {
        self.aside.retain(|(aside, _)| aside != channel);
        if self.find(channel).is_err() {
            remember(&mut self.named, channel, cursor);
        }
        cursor.max(at(&self.left, channel))
    }
    /// Remembers cursors that a client came with of those logs that are not followed.
    pub fn came_with(&mut self, cursors: impl IntoIterator<Item = (ChannelId, u64)>) {
        let unserved = cursors.into_iter().filter(|(channel, _)| self.find(channel).is_err());
        self.named = unserved.collect();
    }
    /// Where a log that is not followed goes on when it is joined: at this cursor, or where the client is known to
    /// stand further on.
    pub fn further(&self, channel: &ChannelId, cursor: u64) -> u64 {
        cursor.max(at(&self.named, channel)).max(at(&self.left, channel))
    }
    fn forget(&mut self, channel: &ChannelId) {
        for places in [&mut self.named, &mut self.left, &mut self.aside] {
            places.retain(|(known, _)| known != channel);
        }
    }
    /// A live event.
    pub fn live(&mut self, channel: &ChannelId, seq: u64) -> Step {
        let level = !self.behind.contains(channel);
        let Some(follow) = self.get_mut(channel) else { return Step::Drop };
        follow.tail = follow.tail.max(seq);
        let passes = seq == follow.cursor.saturating_add(1) && level;
        if passes || (cluster::planted!(LiveOvertakesReplay) && seq > follow.cursor) {
            follow.cursor = seq;
            return Step::Send;
        }
        if seq > follow.cursor {
            self.behind.insert(channel.clone());
            self.reading.iter_mut().for_each(|reading| reading.overtaken |= reading.channel == *channel);
        }
        Step::Drop
    }
    /// The queue was dropped: any log may have missed events. Each is read once to see.
    pub fn lagged(&mut self) {
        self.behind.extend(self.follows.iter().map(|follow| follow.channel.clone()));
        self.reading.iter_mut().for_each(|reading| reading.lagged = true);
    }
    /// The last seq that was sent of a followed log.
    pub fn position(&self, channel: &ChannelId) -> Option<u64> {
        self.get(channel).map(|follow| follow.cursor)
    }
    /// A log that is behind, and the cursor to read from. They take turns: one that never gets level keeps no other
    /// waiting.
    pub fn next_behind(&mut self) -> Option<(ChannelId, u64)> {
        let last = self.reading.as_ref().map(|reading| &reading.channel);
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.behind.range((after, Bound::Unbounded)).next();
        let channel = next.or_else(|| self.behind.first())?.clone();
        let cursor = self.position(&channel)?;
        let reading = Reading { channel: channel.clone(), after: cursor, overtaken: false, lagged: false };
        self.reading = Some(reading);
        Some((channel, cursor))
    }
    /// An event that was read; false when it is not the next one.
    pub fn read(&mut self, channel: &ChannelId, seq: u64) -> bool {
        match self.get_mut(channel) {
            Some(follow) if seq == follow.cursor.saturating_add(1) => {
                follow.cursor = seq;
                true
            }
            _ => false,
        }
    }
    /// The log no longer holds what comes before `seq`: continue there. True when the cursor moved.
    pub fn skip_to(&mut self, channel: &ChannelId, seq: u64) -> bool {
        match self.get_mut(channel) {
            Some(follow) if follow.cursor.saturating_add(1) < seq => {
                follow.cursor = seq - 1;
                true
            }
            _ => false,
        }
    }
    /// A read came to an end at the log's `tail`: level again, unless more has come since. An owner that has less than
    /// is known here would be asked round and round, without any time passing.
    pub fn read_to(&mut self, channel: &ChannelId, tail: u64) {
        let Some(read) = self.reading.as_ref().filter(|reading| reading.channel == *channel) else { return };
        let (after, overtaken, lagged) = (read.after, read.overtaken, read.lagged);
        if let Some(follow) = self.get_mut(channel) {
            follow.tail = follow.tail.max(tail);
            let in_vain = after == follow.cursor && !overtaken;
            if (follow.cursor >= follow.tail || in_vain) && !lagged {
                self.behind.remove(channel);
            }
        }
    }
    /// The session's clock: what was read in vain is read again.
    pub fn look_again(&mut self) {
        let short = self.follows.iter().filter(|follow| follow.cursor < follow.tail);
        self.behind.extend(short.map(|follow| follow.channel.clone()));
    }
    /// Logs that are behind, with their tails: for a tail beacon.
    pub fn beacon(&self) -> Vec<(ChannelId, u64)> {
        let tail = |channel: &ChannelId| self.get(channel).map_or(0, |follow| follow.tail);
        self.behind.iter().map(|channel| (channel.clone(), tail(channel))).collect()
    }
}

fn remember(places: &mut Vec<(ChannelId, u64)>, channel: &ChannelId, seq: u64) {
    places.retain(|(known, _)| known != channel);
    if places.len() >= PLACES_MAX {
        places.remove(0);
    }
    places.push((channel.clone(), seq));
}

fn at(places: &[(ChannelId, u64)], channel: &ChannelId) -> u64 {
    places.iter().find(|(known, _)| known == channel).map_or(0, |(_, seq)| *seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelId {
        ChannelId::parse(name).unwrap()
    }

    #[test]
    fn live_events_pass_in_order_and_once() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 5, 5);
        assert_eq!(
            [6, 6, 7, 3].map(|seq| cursors.live(&c, seq)),
            [Step::Send, Step::Drop, Step::Send, Step::Drop]
        );
        assert_eq!(cursors.next_behind(), None);
    }

    #[test]
    fn a_cursor_ahead_of_the_tail_is_gone_on_from_and_no_cursor_is_too_large() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 7, 5);
        assert_eq!([6, 7, 8].map(|seq| cursors.live(&c, seq)), [Step::Drop, Step::Drop, Step::Send]);
        cursors.follow(&c, u64::MAX, 5);
        assert_eq!((cursors.live(&c, 9), cursors.next_behind()), (Step::Drop, None));
        cursors.lagged();
        assert_eq!(cursors.next_behind(), Some((c.clone(), u64::MAX)));
        assert!(!cursors.skip_to(&c, 9) && !cursors.read(&c, 9));
    }

    #[test]
    fn replay_and_live_meet_without_a_gap() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 2, 4);
        assert_eq!(cursors.next_behind(), Some((c.clone(), 2)));
        assert_eq!(cursors.live(&c, 5), Step::Drop, "live may not overtake the replay");
        assert!([3, 4].iter().all(|seq| cursors.read(&c, *seq)));
        cursors.read_to(&c, 4);
        assert_eq!(cursors.next_behind(), Some((c.clone(), 4)), "5 came while 3 and 4 were read");
        assert!(cursors.read(&c, 5));
        cursors.read_to(&c, 5);
        assert_eq!((cursors.next_behind(), cursors.live(&c, 6)), (None, Step::Send));
    }

    #[test]
    fn a_missing_event_makes_the_log_be_read_from_the_cursor() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 0, 0);
        assert_eq!((cursors.live(&c, 2), cursors.live(&c, 1)), (Step::Drop, Step::Drop));
        assert_eq!(cursors.next_behind(), Some((c.clone(), 0)));
    }

    #[test]
    fn after_a_dropped_queue_every_log_is_looked_at() {
        let mut cursors = Cursors::default();
        for name in ["C0000000001", "C0000000002"] {
            cursors.follow(&channel(name), 3, 3);
        }
        cursors.lagged();
        let (first, after) = cursors.next_behind().unwrap();
        assert_eq!(after, 3);
        cursors.read_to(&first, 3);
        assert_eq!(cursors.beacon().len(), 1);
    }

    #[test]
    fn a_read_that_brings_nothing_is_repeated_when_there_is_news_or_time_has_passed() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 5, 9);
        let in_vain = |cursors: &mut Cursors| {
            assert_eq!(cursors.next_behind(), Some((c.clone(), 5)));
            cursors.read_to(&c, 5);
        };
        in_vain(&mut cursors);
        assert_eq!(cursors.next_behind(), None, "its owner has nothing");
        cursors.look_again();
        in_vain(&mut cursors);
        assert_eq!(cursors.live(&c, 7), Step::Drop);
        in_vain(&mut cursors);
        assert_eq!(cursors.live(&c, 6), Step::Send, "nothing is missing before it");
        cursors.look_again();
        assert_eq!(cursors.next_behind(), Some((c.clone(), 6)), "there is more to come");
        assert!([7, 8, 9].iter().all(|seq| cursors.read(&c, *seq)));
        cursors.read_to(&c, 9);
        cursors.look_again();
        assert_eq!(cursors.next_behind(), None);
    }

    #[test]
    fn an_event_that_comes_while_a_read_is_under_way_is_read_at_once() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 5, 5);
        cursors.lagged();
        for seq in [6, 7] {
            assert_eq!(cursors.next_behind(), Some((c.clone(), 5)));
            assert_eq!(cursors.live(&c, seq), Step::Drop);
            cursors.read_to(&c, 5);
        }
        assert_eq!(cursors.next_behind(), Some((c.clone(), 5)));
    }

    #[test]
    fn a_read_that_was_under_way_when_the_queue_was_dropped_is_not_the_last() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 5, 5);
        cursors.lagged();
        assert_eq!(cursors.next_behind(), Some((c.clone(), 5)));
        // 6 came after the read had been answered, and was dropped with the queue.
        cursors.lagged();
        cursors.read_to(&c, 5);
        assert_eq!(cursors.next_behind(), Some((c.clone(), 5)));
        assert!(cursors.read(&c, 6));
        cursors.read_to(&c, 6);
        assert_eq!(cursors.next_behind(), None);
    }

    #[test]
    fn where_a_client_stands_is_known_until_the_log_is_followed_again_or_unfollowed() {
        let (mut cursors, left, other) = (Cursors::default(), channel("C0000000001"), channel("C0000000002"));
        cursors.follow(&left, 5, 7);
        cursors.leave(&other);
        cursors.leave(&left);
        assert_eq!((cursors.further(&left, 1), cursors.further(&other, 1)), (5, 1));
        assert_eq!(cursors.further(&left, 6), 6);
        assert!(!cursors.follows(&left) && cursors.next_behind().is_none());
        cursors.unfollow(&left);
        assert_eq!(cursors.further(&left, 1), 1);
        cursors.follow(&other, 1, 1);
        cursors.came_with([(left.clone(), 9), (other.clone(), 9)]);
        assert_eq!((cursors.further(&left, 1), cursors.further(&other, 1)), (9, 1));
        cursors.follow(&left, 9, 9);
        assert_eq!(cursors.further(&left, 1), 1);
    }

    #[test]
    fn of_many_that_were_left_the_last_are_known() {
        let mut cursors = Cursors::default();
        let name = |number: usize| channel(&format!("C{number:0>10}"));
        for number in 0..=PLACES_MAX {
            cursors.follow(&name(number), 3, 3);
            cursors.leave(&name(number));
        }
        let known = [0, 1, PLACES_MAX].map(|number| cursors.further(&name(number), 1));
        assert_eq!(known, [1, 3, 3]);
    }

    #[test]
    fn what_was_put_aside_stays_so_until_a_newer_membership_or_a_question_for_it() {
        let (mut cursors, c, other) = (Cursors::default(), channel("C0000000001"), channel("C0000000002"));
        let aside =
            |cursors: &Cursors, joined: [u64; 3]| joined.map(|joined| cursors.was_put_aside(&c, joined));
        cursors.put_aside(&c);
        assert_eq!(aside(&cursors, [1, 60, 61]), [false; 3], "the user was no member");
        cursors.member_since(&c, 60);
        cursors.member_since(&other, 60);
        assert_eq!(aside(&cursors, [1, 60, 61]), [true, true, false]);
        cursors.follow(&c, 59, 70);
        cursors.put_aside(&c);
        assert_eq!(aside(&cursors, [58, 59, 60]), [true, true, false]);
        assert_eq!((cursors.was_put_aside(&other, 0), cursors.further(&c, 3)), (false, 3));
        cursors.follow(&c, 3, 70);
        assert_eq!(aside(&cursors, [58, 59, 60]), [false; 3]);
    }

    #[test]
    fn what_is_asked_for_and_cannot_be_followed_yet_goes_on_from_the_cursor_that_was_named_last() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 83, 83);
        cursors.put_aside(&c);
        assert_eq!((cursors.name(&c, 83), cursors.was_put_aside(&c, 68)), (83, false));
        assert_eq!(cursors.further(&c, 67), 83);
        assert_eq!((cursors.name(&c, 70), cursors.further(&c, 67)), (70, 70), "who asks for less gets more");
        cursors.follow(&c, 70, 83);
        cursors.leave(&c);
        assert_eq!((cursors.name(&c, 9), cursors.further(&c, 67)), (70, 70), "it was shown until there");
    }

    #[test]
    fn logs_that_are_behind_take_turns() {
        let mut cursors = Cursors::default();
        for name in ["C0000000001", "C0000000002", "C0000000003"] {
            cursors.follow(&channel(name), 1, 900);
        }
        let read: Vec<_> = (0..6).filter_map(|_| cursors.next_behind()).map(|(log, _)| log).collect();
        assert_eq!(read[..3], read[3..]);
        assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 3, "a long one keeps no other waiting");
        cursors.unfollow(&channel("C0000000002"));
        let left: BTreeSet<_> = (0..2).filter_map(|_| cursors.next_behind()).map(|(log, _)| log).collect();
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn a_log_that_begins_later_is_continued_where_it_begins() {
        let (mut cursors, c) = (Cursors::default(), channel("C0000000001"));
        cursors.follow(&c, 10, 5000);
        assert!(cursors.skip_to(&c, 4097));
        assert!(!cursors.skip_to(&c, 4097));
        assert!(cursors.read(&c, 4097));
    }
}
