//! The condition of an append, as one pure function that every engine with transactions asks.
//!
//! Source: tail compare-and-set with an epoch check (ARCHITECTURE.md, ownership); the stateright model checks it.

use super::{
    APPEND_BYTES_MAX, APPEND_ROWS_MAX, Append, Appended, BatchId, INLINE_BODY_MAX, LogId, ViewWrite,
};
use prost::Message;
use proto::id::ChannelId;
use proto::ts::Micros;
use proto::v1::{Content, Event, Head, event::Body};

/// Minutes for which `active` rows are kept: 7 days. Each new row of a slot removes up to
/// [`ACTIVE_PRUNED_MAX`] older ones.
pub const ACTIVE_MINUTES_MAX: u64 = 7 * 24 * 60;
/// Expired `active` rows that one new row removes.
pub const ACTIVE_PRUNED_MAX: usize = 2;
/// So many minutes of a slot in which anything was appended count as its last ones. Two are what a node has to look at
/// that starts; one more, because a clock that is put ahead makes a minute of a moment.
pub const LAST_ACTIVE_MINUTES: usize = 3;

/// What an append that may be applied does to its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fits {
    /// Continues the newest bucket.
    Continues,
    /// Opens the next bucket, or the log.
    Opens,
}

/// Judges an append by the newest bucket of its log. `older` reads the head of the append's own bucket and is asked
/// only when a newer one exists: a closed bucket takes nothing more, but may hold this very batch.
pub fn judge<E>(
    append: &Append,
    newest: Option<(u32, Head)>,
    older: impl FnOnce() -> Result<Option<Head>, E>,
) -> Result<Result<Fits, Appended>, E> {
    let mine = |head: &Head| append.batch.wrote(head);
    let fits = |head: &Head| {
        let continues = head.tail == append.tail || cluster::planted!(TailUnchecked);
        let current = head.epoch <= append.epoch || cluster::planted!(EpochFalls);
        let later = head.last_us < first_us(append) || cluster::planted!(TimeGoesBack);
        continues && current && later
    };
    Ok(match newest {
        None if append.bucket == 0 && append.tail == 0 => Ok(Fits::Opens),
        None => Err(Appended::Refused(None)),
        Some((bucket, head)) if bucket == append.bucket => {
            if mine(&head) {
                Err(Appended::Already)
            } else if fits(&head) {
                Ok(Fits::Continues)
            } else {
                Err(Appended::Refused(Some(head)))
            }
        }
        Some((bucket, _)) if bucket > append.bucket => match older()? {
            Some(head) if mine(&head) => Err(Appended::Already),
            head => Err(Appended::Refused(head)),
        },
        Some((bucket, head)) if bucket + 1 == append.bucket && fits(&head) => Ok(Fits::Opens),
        Some(_) => Err(Appended::Refused(None)),
    })
}

/// The head that an applied append leaves.
pub fn next_head(append: &Append) -> Head {
    let last = append.events.last().expect("an append has at least one event");
    Head {
        tail: last.seq,
        epoch: append.epoch,
        last_us: last.us,
        batch: append.batch.0.to_vec(),
        countable: last.countable,
        broadcast: last.broadcast,
        followed: if cluster::planted!(FollowedTooSoon) { last.seq } else { append.followed },
    }
}

/// Time of the first event.
pub fn first_us(append: &Append) -> Micros {
    append.events.first().map_or(0, |event| event.us)
}

/// Minutes in which an append has events, in order.
pub fn minutes(append: &Append) -> Vec<u64> {
    let mut minutes: Vec<u64> = append.events.iter().map(|event| event.us / 60_000_000).collect();
    minutes.dedup();
    minutes
}

/// The content that an event carries, if any.
pub fn content(event: &Event) -> Option<&Content> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.as_ref(),
        Some(Body::Edited(edited)) => edited.content.as_ref(),
        _ => None,
    }
}

/// The content that an event carries, to change it.
pub fn content_mut(event: &mut Event) -> Option<&mut Content> {
    match &mut event.body {
        Some(Body::Posted(posted)) => posted.content.as_mut(),
        Some(Body::Edited(edited)) => edited.content.as_mut(),
        _ => None,
    }
}

/// Bytes of an event that count towards [`APPEND_BYTES_MAX`]: contents kept apart do not.
pub fn event_bytes(event: &Event) -> usize {
    let apart = content(event).map_or(0, Message::encoded_len);
    event.encoded_len() - if apart > INLINE_BODY_MAX { apart } else { 0 }
}

/// How an append is not what its appender promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// None, or more than [`APPEND_ROWS_MAX`].
    #[error("{0} events in one append")]
    Rows(usize),
    /// More than [`APPEND_BYTES_MAX`].
    #[error("{0} bytes in one append")]
    Bytes(usize),
    /// An event whose seq is not the one after that of the event before, or after the tail.
    #[error("seq {0} is out of its place")]
    NotDense(u64),
    /// An event that is not later than the one before.
    #[error("us does not rise to seq {0}")]
    NotRising(u64),
    /// A view that this kind of log may not write, by its place.
    #[error("view {0} is none of this kind of log")]
    View(usize),
}

/// Checks what the appender promises: 1 to [`APPEND_ROWS_MAX`] events, at most [`APPEND_BYTES_MAX`], `seq` dense from
/// the tail, `us` rising, views that the kind of log may write.
pub fn check_whole(append: &Append) -> Result<(), NotWhole> {
    let rows = append.events.len();
    if !(1..=APPEND_ROWS_MAX).contains(&rows) {
        return Err(NotWhole::Rows(rows));
    }
    let bytes: usize = append.events.iter().map(event_bytes).sum();
    if bytes > APPEND_BYTES_MAX {
        return Err(NotWhole::Bytes(bytes));
    }
    let due = (1..).map(|n| append.tail.checked_add(n));
    if let Some((event, _)) = append.events.iter().zip(due).find(|(event, due)| Some(event.seq) != *due) {
        return Err(NotWhole::NotDense(event.seq));
    }
    if let Some(pair) = append.events.windows(2).find(|pair| pair[0].us >= pair[1].us) {
        return Err(NotWhole::NotRising(pair[1].seq));
    }
    match append.views.iter().position(|view| !may_write(&append.log, view)) {
        Some(view) => Err(NotWhole::View(view)),
        None => Ok(()),
    }
}

/// Asserts that an append is whole. One that is not is a bug of the appender, and it is the appender that panics.
pub fn assert_whole(append: &Append) {
    if let Err(why) = check_whole(append) {
        panic!("an append to {:?} is not whole: {why}", append.log);
    }
}

fn may_write(log: &LogId, view: &ViewWrite) -> bool {
    match view {
        ViewWrite::Joined { .. } | ViewWrite::Mark { .. } | ViewWrite::Token { .. } => {
            matches!(log.channel, ChannelId::User(_))
        }
        ViewWrite::User { .. } | ViewWrite::Workspace(_) => matches!(log.channel, ChannelId::Workspace(_)),
        // The workspace's log begins a conversation's row, the conversation's own log changes it from then on.
        ViewWrite::Conversation { channel, .. } => match &log.channel {
            ChannelId::Conversation(own) => own == channel,
            ChannelId::Workspace(_) => true,
            ChannelId::User(_) => false,
        },
        _ => true,
    }
}

impl BatchId {
    /// Whether this batch wrote the head.
    pub fn wrote(&self, head: &Head) -> bool {
        head.batch == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::slots::Slot;
    use proto::id::{ConversationId, WorkspaceId};

    fn append(bucket: u32, tail: u64, epoch: u64, us: Micros) -> Append {
        let workspace = WorkspaceId::parse("T1").expect("an id");
        let channel = ConversationId::parse("C1").expect("an id");
        Append {
            log: LogId::new(workspace, channel),
            slot: Slot::new(1).expect("a slot"),
            bucket,
            tail,
            epoch,
            batch: BatchId([7; 16]),
            followed: 0,
            events: vec![Event { seq: tail + 1, us, epoch, ..Event::default() }],
            views: Vec::new(),
        }
    }

    fn head(tail: u64, epoch: u64, last_us: Micros) -> Head {
        Head { tail, epoch, last_us, ..Head::default() }
    }

    fn ask(append: &Append, newest: Option<(u32, Head)>, older: Option<Head>) -> Result<Fits, Appended> {
        judge(append, newest, || Ok::<_, ()>(older)).expect("nothing was read")
    }

    #[test]
    fn a_log_opens_at_bucket_zero_and_tail_zero_only() {
        assert_eq!(ask(&append(0, 0, 1, 5), None, None), Ok(Fits::Opens));
        assert_eq!(ask(&append(0, 1, 1, 5), None, None), Err(Appended::Refused(None)));
        assert_eq!(ask(&append(1, 0, 1, 5), None, None), Err(Appended::Refused(None)));
    }

    #[test]
    fn the_head_must_have_the_tail_no_higher_epoch_and_an_earlier_time() {
        let fits = |there: Head| ask(&append(0, 9, 3, 50), Some((0, there.clone())), None);
        assert_eq!(fits(head(9, 3, 49)), Ok(Fits::Continues));
        for wrong in [head(8, 3, 49), head(10, 3, 49), head(9, 4, 49), head(9, 3, 50)] {
            assert_eq!(fits(wrong.clone()), Err(Appended::Refused(Some(wrong))));
        }
        let mine = Head { batch: vec![7; 16], ..head(10, 3, 50) };
        assert_eq!(fits(mine), Err(Appended::Already));
    }

    #[test]
    fn the_next_bucket_opens_on_the_tail_of_the_one_before() {
        let opening = append(1, 9, 3, 50);
        assert_eq!(ask(&opening, Some((0, head(9, 3, 49))), None), Ok(Fits::Opens));
        for wrong in [head(8, 3, 49), head(9, 4, 49), head(9, 3, 50)] {
            assert_eq!(ask(&opening, Some((0, wrong)), None), Err(Appended::Refused(None)));
        }
        assert_eq!(ask(&append(2, 9, 3, 50), Some((0, head(9, 3, 49))), None), Err(Appended::Refused(None)));
    }

    #[test]
    fn a_closed_bucket_takes_nothing_more_but_knows_its_last_batch() {
        let closed = head(9, 3, 49);
        let newest = Some((1, head(12, 3, 60)));
        let late = ask(&append(0, 9, 3, 50), newest.clone(), Some(closed.clone()));
        assert_eq!(late, Err(Appended::Refused(Some(closed.clone()))));
        let mine = Head { batch: vec![7; 16], ..closed };
        assert_eq!(ask(&append(0, 8, 3, 49), newest, Some(mine)), Err(Appended::Already));
    }

    /// Whether an appender that offers this is told that it is wrong.
    fn is_a_bug(append: &Append) -> bool {
        std::panic::catch_unwind(|| assert_whole(append)).is_err()
    }

    fn with_events(places: impl IntoIterator<Item = (u64, Micros)>) -> Append {
        let events =
            places.into_iter().map(|(seq, us)| Event { seq, us, epoch: 1, ..Event::default() }).collect();
        Append { events, ..append(0, 9, 1, 1) }
    }

    #[test]
    fn an_append_is_dense_rising_and_no_longer_than_the_limit() {
        assert!(!is_a_bug(&with_events([(10, 1), (11, 2), (12, 4)])));
        assert!(!is_a_bug(&with_events((0..APPEND_ROWS_MAX as u64).map(|n| (10 + n, 1 + n)))));
        assert!(is_a_bug(&with_events((0..=APPEND_ROWS_MAX as u64).map(|n| (10 + n, 1 + n)))));
        assert!(is_a_bug(&with_events([])));
        for (seq, us) in [(9, 2), (10, 2), (12, 2), (11, 1), (11, 0)] {
            assert!(is_a_bug(&with_events([(10, 1), (seq, us)])), "{seq} at {us} after 10 at 1");
        }
    }

    fn posted(bytes: usize) -> Event {
        let with = |text: usize| Content { text: "x".repeat(text), ..Content::default() };
        let around = with(bytes).encoded_len() - bytes;
        let content = Some(with(bytes - around));
        assert_eq!(content.as_ref().map(Message::encoded_len), Some(bytes));
        Event {
            body: Some(Body::Posted(proto::v1::Posted { content, ..Default::default() })),
            ..Event::default()
        }
    }

    #[test]
    fn a_content_that_is_kept_apart_does_not_count_and_the_largest_of_the_others_does() {
        assert!(event_bytes(&posted(INLINE_BODY_MAX)) > INLINE_BODY_MAX);
        assert!(event_bytes(&posted(INLINE_BODY_MAX + 1)) < 64);
    }

    #[test]
    fn an_append_has_at_most_the_bytes_of_the_limit() {
        let of = |bytes: usize| {
            let key = "k".repeat(APPEND_BYTES_MAX / 2 - 16);
            let event = |seq, key: String| Event { seq, us: seq, epoch: 1, key, ..Event::default() };
            let first = event(10, key);
            let around = event_bytes(&first) + event_bytes(&event(11, "k".repeat(100_000))) - 100_000;
            Append { events: vec![first, event(11, "k".repeat(bytes - around))], ..append(0, 9, 1, 1) }
        };
        let bytes = |append: &Append| append.events.iter().map(event_bytes).sum::<usize>();
        let (most, more) = (of(APPEND_BYTES_MAX), of(APPEND_BYTES_MAX + 1));
        assert_eq!((bytes(&most), bytes(&more)), (APPEND_BYTES_MAX, APPEND_BYTES_MAX + 1));
        assert!(!is_a_bug(&most) && is_a_bug(&more));
    }

    #[test]
    fn a_log_writes_the_views_of_its_kind_only() {
        let workspace = WorkspaceId::parse("T1").expect("an id");
        let (c1, c2) = ["C1", "C2"].map(|id| ConversationId::parse(id).expect("an id")).into();
        let user = proto::id::UserId::parse("U1").expect("an id");
        let places: [ChannelId; 3] =
            [c1.clone().into(), ChannelId::User(user.clone()), ChannelId::Workspace(workspace.clone())];
        let may = |view: ViewWrite| {
            places.clone().map(|place| {
                let log = LogId::new(workspace.clone(), place);
                !is_a_bug(&Append { log, views: vec![view.clone()], ..append(0, 0, 1, 1) })
            })
        };
        let token = ViewWrite::Token { hash: "h".into(), row: Default::default() };
        assert_eq!(may(token), [false, true, false]);
        assert_eq!(may(ViewWrite::Workspace(Default::default())), [false, false, true]);
        let conversation = |channel| ViewWrite::Conversation { channel, row: Default::default() };
        assert_eq!(may(conversation(c1)), [true, false, true]);
        assert_eq!(may(conversation(c2)), [false, false, true]);
        assert_eq!(may(ViewWrite::Redact { rows: vec![(0, 1)] }), [true; 3]);
    }
}
