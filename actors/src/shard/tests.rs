//! Tests of a shard: what it tells the relay, in which order, and whom it forgets.

use super::*;
use crate::command::Aside;
use crate::session::mailbox::{Mail, Mailbox};
use cluster::host::{Blocking, Entropy, Machine};
use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use proto::id::{ConversationId, WorkspaceId};
use proto::v1::Event;
use std::sync::Mutex;

/// A machine whose tasks run when they are told to, the newest first: no order of theirs is a promise.
#[derive(Default)]
struct Tasks(Mutex<Vec<BoxFuture<'static, ()>>>);

impl Machine for Tasks {
    fn now_us(&self) -> u64 {
        0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _delay: Duration) -> BoxFuture<'static, ()> {
        pending().boxed()
    }
    fn spawn(&self, _label: &'static str, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(task);
    }
    fn spawn_on(&self, _shard: usize, label: &'static str, task: BoxFuture<'static, ()>) {
        self.spawn(label, task);
    }
    fn shards(&self) -> usize {
        1
    }
    fn blocking(&self, _work: Blocking) -> BoxFuture<'static, ()> {
        panic!("a shard never blocks")
    }
}

/// A shard between a relay and sessions that are the test's.
struct Desk {
    shard: Shard,
    mailbox: mpsc::Receiver<ShardMessage>,
    relay: mpsc::Receiver<RelayMessage>,
    tasks: Arc<Tasks>,
    _myself: mpsc::Sender<ShardMessage>,
}

impl Desk {
    fn new() -> Self {
        let tasks = Arc::new(Tasks::default());
        let host = Host::new(tasks.clone(), Entropy::from_u64(1));
        let ((to_relay, relay), (myself, mailbox)) = (mpsc::channel(64), mpsc::channel(64));
        let shard = Shard::new(0, host, to_relay, Hops::new(0), &myself);
        Self { shard, mailbox, relay, tasks, _myself: myself }
    }
    /// A new session with a mailbox of this size: its number and its end.
    fn opens(&mut self, size: usize) -> (u32, Mailbox) {
        let (mailbox, (answer, mut number)) = (Mailbox::new(size), oneshot::channel());
        self.shard.handle(ShardMessage::Open(mailbox.listener(), answer));
        (number.try_recv().unwrap(), mailbox)
    }
    fn follows(&mut self, session: u32) -> oneshot::Receiver<Tails> {
        let (answer, tails) = oneshot::channel();
        self.shard.handle(ShardMessage::Follow(session, vec![log()], answer));
        tails
    }
    /// Runs tasks and takes mail until nothing happens; answers what the relay was told. Questions are answered at
    /// once.
    fn settle(&mut self, tail: Option<u64>) -> Vec<&'static str> {
        let mut told = Vec::new();
        for _ in 0..10 {
            let tasks = std::mem::take(&mut *self.tasks.0.lock().unwrap());
            let left: Vec<_> = tasks.into_iter().rev().filter_map(unfinished).collect();
            self.tasks.0.lock().unwrap().extend(left.into_iter().rev());
            while let Ok(message) = self.relay.try_recv() {
                match message {
                    RelayMessage::Follow(_, _, answer) => {
                        told.push("follow");
                        answer.send(tail).unwrap();
                    }
                    RelayMessage::Unfollow(..) => told.push("unfollow"),
                    _ => told.push("something else"),
                }
            }
            while let Ok(message) = self.mailbox.try_recv() {
                self.shard.handle(message);
            }
        }
        told
    }
}

fn unfinished(mut task: BoxFuture<'static, ()>) -> Option<BoxFuture<'static, ()>> {
    (&mut task).now_or_never().is_none().then_some(task)
}

fn log() -> LogId {
    LogId::new(WorkspaceId::parse("T1").unwrap(), ConversationId::parse("C1").unwrap())
}

fn events(seqs: std::ops::RangeInclusive<u64>) -> ShardMessage {
    let event = |seq| Event { seq, ..Event::default() };
    let deliveries = seqs.map(|seq| Arc::new(Delivery::new(log(), event(seq), Aside::default())));
    ShardMessage::Events(deliveries.collect())
}

#[test]
fn the_relay_is_asked_once_for_all_and_told_when_the_last_one_leaves() {
    let mut desk = Desk::new();
    let (one, _one) = desk.opens(8);
    let (two, _two) = desk.opens(8);
    let (mut first, mut second) = (desk.follows(one), desk.follows(two));
    assert_eq!(desk.settle(Some(5)), ["follow"]);
    for tails in [&mut first, &mut second] {
        assert_eq!(tails.try_recv().unwrap(), [(log(), Some(5))]);
    }
    desk.shard.handle(events(6..=7));
    assert_eq!(desk.follows(two).try_recv().unwrap(), [(log(), Some(7))], "the tail is where it is now");
    desk.shard.handle(ShardMessage::Unfollow(one, log()));
    assert!(desk.settle(None).is_empty());
    desk.shard.handle(ShardMessage::Close(two, vec![log()]));
    assert_eq!(desk.settle(None), ["unfollow"]);
    assert!(desk.shard.logs.is_empty());
}

#[test]
fn a_log_that_is_followed_again_at_once_is_left_before_it_is_asked_for() {
    let mut desk = Desk::new();
    let (session, _end) = desk.opens(8);
    desk.follows(session);
    assert_eq!(desk.settle(Some(5)), ["follow"]);
    desk.shard.handle(ShardMessage::Unfollow(session, log()));
    let mut tails = desk.follows(session);
    assert_eq!(
        desk.settle(Some(9)),
        ["unfollow", "follow"],
        "the other way round nobody would hear anything"
    );
    assert_eq!(tails.try_recv().unwrap(), [(log(), Some(9))]);
}

#[test]
fn a_log_that_cannot_be_followed_now_can_be_later() {
    let mut desk = Desk::new();
    let (session, _end) = desk.opens(8);
    let mut tails = desk.follows(session);
    assert_eq!(desk.settle(None), ["follow", "unfollow"]);
    assert_eq!(tails.try_recv().unwrap(), [(log(), None)]);
    assert!(desk.shard.logs.is_empty());
    let mut tails = desk.follows(session);
    assert_eq!(desk.settle(Some(5)), ["follow"]);
    assert_eq!(tails.try_recv().unwrap(), [(log(), Some(5))]);
}

#[test]
fn a_session_that_ends_without_a_word_leaves_its_logs() {
    let mut desk = Desk::new();
    let (session, end) = desk.opens(8);
    desk.follows(session);
    assert_eq!(desk.settle(Some(5)), ["follow"]);
    drop(end);
    (0..TICK_GROUPS).for_each(|_| desk.shard.tick_group());
    assert_eq!(desk.settle(None), ["unfollow"]);
    assert!(desk.shard.sessions.is_empty() && desk.shard.logs.is_empty());
}

#[test]
fn a_session_without_room_is_marked_and_delays_nobody() {
    let mut desk = Desk::new();
    let (slow, mut slow_end) = desk.opens(2);
    let (quick, mut quick_end) = desk.opens(8);
    desk.follows(slow);
    desk.follows(quick);
    desk.settle(Some(0));
    desk.shard.handle(events(1..=5));
    let taken = |end: &mut Mailbox| {
        let mut mail = Mail::new();
        (end.try_take(&mut mail), mail.len())
    };
    assert_eq!(taken(&mut slow_end), (true, 0), "it reads all of them from the log");
    assert_eq!(taken(&mut quick_end), (false, 5));
}

#[test]
fn a_session_that_begins_while_all_others_leave_is_told_so() {
    let mut desk = Desk::new();
    let (_, mut before) = desk.opens(4);
    desk.shard.handle(ShardMessage::GoAway(GoAway { reason: "restarting", window: Duration::from_secs(1) }));
    let (_, mut after) = desk.opens(4);
    for (mailbox, messages) in [(&mut before, 1), (&mut after, 2)] {
        let mut mail = Mail::new();
        mailbox.try_take(&mut mail);
        let now = ("restarting", Duration::ZERO);
        let goes_away = |said: &ToSession| matches!(said, ToSession::GoAway(leave) if **leave == now);
        assert!(mail.first().is_some_and(goes_away) && mail.len() == messages);
        // Whoever came late is not in line: its turn is now.
        assert!(messages == 1 || matches!(mail[1], ToSession::Leave));
    }
    let mut is_welcome = |reason| {
        desk.shard.handle(ShardMessage::Welcome(reason));
        let (_, mut later) = desk.opens(4);
        let mut mail = Mail::new();
        later.try_take(&mut mail);
        mail.is_empty()
    };
    assert!(!is_welcome("cut_off"), "that is not what they left for");
    assert!(is_welcome("restarting"));
}
