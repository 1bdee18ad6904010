//! A session's mailbox: bounded, and nearly nothing while it is empty.
//!
//! Every connection has one, so what an empty one holds is part of what an idle connection costs: about 100 bytes
//! here, 1.3 KiB in tokio's channel, which keeps a block of 32 places and padded counters (measured).

use super::ToSession;
use crate::delivery::Delivery;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Messages in order. Two have room in place: an idle connection's mailbox needs no other memory, and most of the time
/// no more come at once.
pub type Mail = SmallVec<[ToSession; 2]>;

#[derive(Default)]
struct Queue {
    mail: Mail,
    /// Places promised to answers that are under way.
    reserved: usize,
    /// Events were dropped since the session looked last.
    lagging: bool,
    closed: bool,
    waker: Option<Waker>,
}

struct Shared {
    places: usize,
    queue: Mutex<Queue>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Changes the queue, then wakes the session, in this order: a woken session must not find the lock taken.
    fn tell(&self, change: impl FnOnce(&mut Queue, usize)) {
        let waker = {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            change(&mut queue, self.places);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Queue {
    fn has_room(&self, places: usize) -> bool {
        self.mail.len() + self.reserved < places
    }
    /// Drops the events: the session reads them from the logs.
    fn lag(&mut self) {
        if !std::mem::replace(&mut self.lagging, true) {
            metrics::counter!("waggle_sessions_lagging_total").increment(1);
            self.mail.retain(|message| !matches!(message, ToSession::Event(_)));
        }
    }
}

/// The session's end. Dropping it closes the mailbox: what comes later is dropped.
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    /// An empty one for at most `places` messages, answers under way included.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Shared { places, queue: Mutex::default() }))
    }
    /// The way into it.
    pub fn listener(&self) -> Listener {
        Listener(self.0.clone())
    }
    /// Waits for mail and appends all of it to `mail`; true when events were dropped since the last time.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, mail: &mut Mail) -> Poll<bool> {
        let mut queue = self.0.lock();
        if queue.mail.is_empty() && !queue.lagging {
            if queue.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                queue.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(move_all(&mut queue, mail))
    }
    /// As [`Mailbox::poll_take`], without waiting.
    pub fn try_take(&mut self, mail: &mut Mail) -> bool {
        move_all(&mut self.0.lock(), mail)
    }
    /// A place for one message that will come; `None` when all are taken.
    pub fn reserve(&self) -> Option<Place> {
        let mut queue = self.0.lock();
        let room = queue.has_room(self.0.places);
        room.then(|| {
            queue.reserved += 1;
            Place(self.0.clone())
        })
    }
}

fn move_all(queue: &mut Queue, mail: &mut Mail) -> bool {
    if mail.is_empty() {
        // The session gives back what it does not need of either list's memory.
        std::mem::swap(mail, &mut queue.mail);
    } else {
        mail.append(&mut queue.mail);
    }
    std::mem::take(&mut queue.lagging)
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.0.lock();
            queue.closed = true;
            std::mem::take(&mut queue.mail)
        };
        drop(left); // outside the lock: a message may own a place of this mailbox
    }
}

/// The way to a session. Cheap to clone; never waits.
#[derive(Clone)]
pub struct Listener(Arc<Shared>);

impl Listener {
    /// Events of one log in order. If they do not all fit, the session lags: every event that waits is dropped.
    pub fn give_events(&self, events: &[Arc<Delivery>]) {
        self.0.tell(|queue, places| {
            for event in events {
                // While it lags it reads anyway, and this event with the rest.
                if !queue.lagging && queue.has_room(places) {
                    queue.mail.push(ToSession::Event(event.clone()));
                } else {
                    queue.lag();
                }
            }
        });
    }
    /// A message that events make room for.
    pub fn give(&self, message: ToSession) {
        self.0.tell(|queue, places| {
            if !queue.has_room(places) {
                queue.lag();
            }
            if queue.has_room(places) {
                queue.mail.push(message);
            }
        });
    }
    /// A message that nobody misses: it takes no place that an event could need.
    pub fn give_transient(&self, message: ToSession) {
        self.0.tell(|queue, places| {
            if queue.mail.len() + queue.reserved < places / 2 {
                queue.mail.push(message);
            }
        });
    }
    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

/// A place in a mailbox; dropping it gives it back.
pub struct Place(Arc<Shared>);

impl Place {
    /// Takes the place.
    pub fn send(self, message: ToSession) {
        self.0.tell(|queue, _| queue.mail.push(message));
    }
    /// The session has ended.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !cluster::planted!(PlaceLeak) {
            self.0.lock().reserved -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Aside;
    use crate::store::LogId;
    use proto::id::{ConversationId, WorkspaceId};
    use proto::v1::Event;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::Wake;

    fn event(seq: u64) -> Arc<Delivery> {
        let log = LogId::new(WorkspaceId::parse("T1").unwrap(), ConversationId::parse("C1").unwrap());
        Arc::new(Delivery::new(log, Event { seq, ..Event::default() }, Aside::default()))
    }
    fn events(seqs: std::ops::RangeInclusive<u64>) -> Vec<Arc<Delivery>> {
        seqs.map(event).collect()
    }
    /// What waits, in words.
    fn taken(mailbox: &mut Mailbox) -> (Vec<String>, bool) {
        let mut mail = Mail::new();
        let lagged = mailbox.try_take(&mut mail);
        let say = |message: &ToSession| match message {
            ToSession::Event(delivery) => delivery.event.seq.to_string(),
            ToSession::Tick => "tick".to_owned(),
            ToSession::Lost(number) => format!("lost {number}"),
            _ => "other".to_owned(),
        };
        (mail.iter().map(say).collect(), lagged)
    }

    #[test]
    fn a_message_is_small() {
        assert_eq!(size_of::<ToSession>(), 16);
    }

    #[test]
    fn messages_come_out_in_order_and_a_waiting_session_is_woken() {
        let mut mailbox = Mailbox::new(4);
        let (listener, mut mail) = (mailbox.listener(), Mail::new());
        let woken = futures::task::noop_waker();
        let mut cx = Context::from_waker(&woken);
        assert!(mailbox.poll_take(&mut cx, &mut mail).is_pending());
        assert!(listener.0.lock().waker.is_some());
        listener.give_events(&events(1..=2));
        assert!(listener.0.lock().waker.is_none(), "it was woken");
        listener.give(ToSession::Tick);
        assert_eq!(taken(&mut mailbox), (vec!["1".into(), "2".into(), "tick".into()], false));
    }

    /// Remembers that it was woken.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn a_session_that_moved_to_another_task_is_woken_there() {
        let mut mailbox = Mailbox::new(4);
        let [before, now] = [(); 2].map(|()| Arc::new(Woken::default()));
        for task in [&before, &now] {
            let waker = Waker::from(task.clone());
            assert!(mailbox.poll_take(&mut Context::from_waker(&waker), &mut Mail::new()).is_pending());
        }
        mailbox.listener().give(ToSession::Tick);
        assert_eq!([before, now].map(|task| task.0.load(Relaxed)), [false, true]);
    }

    #[test]
    fn one_event_too_many_drops_those_that_wait() {
        let mut mailbox = Mailbox::new(4);
        mailbox.listener().give_events(&events(1..=5));
        assert_eq!(taken(&mut mailbox), (vec![], true));
    }

    #[test]
    fn what_does_not_fit_drops_the_events_and_nothing_else() {
        let mut mailbox = Mailbox::new(4);
        let listener = mailbox.listener();
        listener.give(ToSession::Tick);
        listener.give_events(&events(1..=9));
        listener.give_events(&events(10..=10));
        listener.give(ToSession::Tick);
        assert_eq!(taken(&mut mailbox), (vec!["tick".into(), "tick".into()], true));
        listener.give_events(&events(11..=11));
        assert_eq!(taken(&mut mailbox), (vec!["11".into()], false), "it told once that it lagged");
    }

    #[test]
    fn a_session_that_only_lags_is_woken_too() {
        let mut mailbox = Mailbox::new(2);
        mailbox.listener().give_events(&events(1..=3));
        let mut cx = Context::from_waker(futures::task::noop_waker_ref());
        assert_eq!(mailbox.poll_take(&mut cx, &mut Mail::new()), Poll::Ready(true));
    }

    #[test]
    fn a_reserved_place_is_kept_for_its_answer() {
        let mut mailbox = Mailbox::new(2);
        let (one, two) = (mailbox.reserve().unwrap(), mailbox.reserve().unwrap());
        assert!(mailbox.reserve().is_none());
        mailbox.listener().give(ToSession::Tick);
        one.send(ToSession::Lost(7));
        drop(two);
        assert_eq!(taken(&mut mailbox), (vec!["lost 7".into()], true));
        assert!(mailbox.reserve().is_some(), "places that are given back can be taken again");
    }

    #[test]
    fn transient_messages_leave_half_of_the_places_to_events() {
        let mut mailbox = Mailbox::new(4);
        (0..9).for_each(|_| mailbox.listener().give_transient(ToSession::Tick));
        assert_eq!(taken(&mut mailbox).0.len(), 2);
    }

    #[test]
    fn a_closed_mailbox_takes_nothing() {
        let mailbox = Mailbox::new(4);
        let listener = mailbox.listener();
        listener.give_events(&events(1..=2));
        assert!(!listener.is_closed());
        drop(mailbox);
        listener.give(ToSession::Tick);
        assert!(listener.is_closed() && listener.0.lock().mail.is_empty());
    }
}
