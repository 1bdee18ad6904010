//! A store behind the wire is the store; and what a carrier or an answer does to a call has a name.

use super::*;
use crate::store::memory::MemoryStore;
use crate::store::service::StoreService;
use crate::store::wire::samples;
use futures::future::ready;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::v1::{StoreFoundToken, StoreMembership, StoreMemberships, StoreRetained};
use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Mutex;

/// A service in the same process; remembers what was said.
struct Wire {
    service: StoreService,
    calls: Mutex<Vec<Bytes>>,
    answers: Arc<Mutex<Vec<Bytes>>>,
}

impl Carry for Wire {
    fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        self.calls.lock().expect("no panic").push(call.clone());
        let answers = self.answers.clone();
        let answer = self.service.answer(call, true);
        answer.inspect(move |answer| answers.lock().expect("no panic").push(answer.clone())).map(Ok).boxed()
    }
}

fn behind_the_wire() -> (Arc<Wire>, RemoteStore) {
    let store = Arc::new(MemoryStore::new());
    let service = StoreService::new(store.clone(), store);
    let wire = Arc::new(Wire { service, calls: Mutex::default(), answers: Arc::default() });
    (wire.clone(), RemoteStore::new(wire))
}

/// The same for every call.
struct Always(Result<Bytes, CarryError>);

impl Carry for Always {
    fn carry(&self, _call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        ready(self.0.clone()).boxed()
    }
}

fn failing(error: CarryError) -> RemoteStore {
    RemoteStore::new(Arc::new(Always(Err(error))))
}

fn answering(answer: Option<store_answer::Answer>) -> RemoteStore {
    let answer = StoreAnswer { answer }.encode_to_vec();
    RemoteStore::new(Arc::new(Always(Ok(answer.into()))))
}

/// Whether every call was answered so: reads, writes, and both kinds of claims.
fn assert_all_say(store: &RemoteStore, read: &str, write: &str, claims: &str) {
    for (name, said) in samples::read(store).into_iter().chain(samples::write(store)) {
        let expected = match name {
            "claim" | "claims" => format!("Err(ClaimsError(\"{claims}"),
            "append" | "retain_log" | "retain_views" => format!("Err({write}"),
            _ => format!("Err({read}"),
        };
        assert!(said.starts_with(&expected), "{name}: {said}, not {expected}");
    }
}

#[test]
fn every_call_is_answered_behind_the_wire_as_in_front_of_it() {
    let (memory, (wire, remote)) = (MemoryStore::new(), behind_the_wire());
    let empty = samples::read(&memory);
    assert_eq!(samples::read(&remote), empty);
    assert_eq!(samples::write(&remote), samples::write(&memory));
    let full = samples::read(&memory);
    for (empty, full) in empty.iter().zip(&full) {
        assert_ne!(empty, full, "this read would not tell");
    }
    assert_eq!(samples::read(&remote), full);
    assert!(!remote.is_exclusive());

    let calls = wire.calls.lock().expect("no panic");
    let asked = calls.iter().map(|call| StoreCall::decode(&**call).expect("a call").call);
    let kinds: HashSet<_> = asked.map(|call| discriminant(&call.expect("of some kind"))).collect();
    assert_eq!(kinds.len(), 27, "kinds of calls");
    let answers = wire.answers.lock().expect("no panic");
    let told = answers.iter().map(|answer| StoreAnswer::decode(&**answer).expect("an answer").answer);
    let kinds: HashSet<_> = told.map(|answer| discriminant(&answer.expect("of some kind"))).collect();
    assert_eq!(kinds.len(), 24, "kinds of answers");
}

#[test]
fn a_lost_append_is_unknown_and_one_that_was_not_sent_is_not_available() {
    let append = || samples::append("C1", 0, 0, Vec::new());
    let outcome = |error| failing(error).append(append()).now_or_never().expect("at once");
    assert_eq!(outcome(CarryError::Lost("gone".into())), Err(StoreError::Unknown("gone".into())));
    assert_eq!(outcome(CarryError::NotSent("down".into())), Err(StoreError::Unavailable("down".into())));
}

#[test]
fn what_was_lost_leaves_writes_in_doubt_and_reads_only_unread() {
    let lost = failing(CarryError::Lost("gone".into()));
    assert_all_say(&lost, "Unavailable(\"gone\")", "Unknown(\"gone\")", "the answer did not come: gone");
    let unsent = failing(CarryError::NotSent("down".into()));
    let unavailable = "Unavailable(\"down\")";
    assert_all_say(&unsent, unavailable, unavailable, "the call was not sent: down");
}

#[test]
fn an_answer_that_makes_no_sense_is_said_to_be_so_and_leaves_writes_in_doubt() {
    let senseless = "the answer makes no sense: ";
    let (read, write) = (format!("Unavailable(\"{senseless}"), format!("Unknown(\"{senseless}"));
    let garbage = RemoteStore::new(Arc::new(Always(Ok(Bytes::from_static(b"\xff")))));
    assert_all_say(&garbage, &read, &write, senseless);
    assert_all_say(&answering(None), &read, &write, senseless);
    let retained = answering(Some(store_answer::Answer::Retained(StoreRetained { dropped: 1 })));
    let token = answering(Some(store_answer::Answer::Token(StoreFoundToken { row: None })));
    let append = token.append(samples::append("C1", 0, 0, Vec::new())).now_or_never().expect("at once");
    let due = |what: &str| format!("{senseless}{what} was due and something else came");
    assert_eq!(append, Err(StoreError::Unknown(due("Appended"))));
    let head = retained.head(&samples::log("C1")).now_or_never().expect("at once");
    assert_eq!(head, Err(StoreError::Unavailable(due("Head"))));
}

#[test]
fn a_refusal_says_what_it_is() {
    let refusing =
        |kind: i32| answering(Some(store_answer::Answer::Refusal(StoreRefusal { kind, text: "why".into() })));
    let of = |kind: StoreRefusalKind| refusing(kind.into());
    assert_all_say(&of(StoreRefusalKind::Full), "Full(\"why\")", "Full(\"why\")", "why");
    assert_all_say(&of(StoreRefusalKind::Damaged), "Damaged(\"why\")", "Damaged(\"why\")", "why");
    assert_all_say(&of(StoreRefusalKind::Busy), "Busy", "Busy", "why");
    let unavailable = "Unavailable(\"why\")";
    assert_all_say(&of(StoreRefusalKind::Unavailable), unavailable, unavailable, "why");
    assert_all_say(&of(StoreRefusalKind::UnknownOutcome), unavailable, "Unknown(\"why\")", "why");
    let misunderstood = "Unavailable(\"it did not understand the call: why\")";
    assert_all_say(&of(StoreRefusalKind::Malformed), misunderstood, misunderstood, "why");
    for kind in [0, 7, -1] {
        let text = "(\"it refused for a reason that this build does not know: why\")";
        let (read, write) = (format!("Unavailable{text}"), format!("Unknown{text}"));
        assert_all_say(&refusing(kind), &read, &write, "why");
    }
}

#[test]
fn an_answer_with_more_or_fewer_rows_than_were_asked_for_is_none() {
    let memberships = vec![StoreMembership::default()];
    let one = answering(Some(store_answer::Answer::Memberships(StoreMemberships { memberships })));
    let asked = |count| {
        let channels = vec![samples::conversation("C1"); count];
        one.memberships(&samples::workspace(), &samples::user("U1"), channels)
            .now_or_never()
            .expect("at once")
    };
    assert_eq!(asked(1), Ok(vec![None]));
    for (count, text) in [(0, "1 rows for 0"), (2, "1 rows for 2")] {
        assert_eq!(asked(count), Err(StoreError::Unavailable(format!("the answer makes no sense: {text}"))));
    }
    let none = answering(Some(Vec::<ClaimOutcome>::new().into_answer()));
    let outcomes = none.claim(samples::claims()).now_or_never().expect("at once");
    assert_eq!(outcomes, Err(ClaimsError("the answer makes no sense: 0 rows for 2".into())));
}

#[test]
#[should_panic(expected = "is not whole: 0 events in one append")]
fn an_append_that_is_not_whole_panics_its_appender_and_is_not_carried() {
    let append = Append { events: Vec::new(), ..samples::append("C1", 0, 0, Vec::new()) };
    drop(failing(CarryError::NotSent("it was carried".into())).append(append));
}

#[test]
#[should_panic(expected = "a claim raises the epoch of slot 4095")]
fn a_claim_that_raises_nothing_panics_its_claimant() {
    let mut claims = samples::claims();
    claims[0].from_epoch = claims[0].to.epoch;
    drop(failing(CarryError::NotSent("it was carried".into())).claim(claims));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let store = RemoteStore::new(Arc::new(Always(Ok(bytes.into()))));
        samples::read(&store);
        samples::write(&store);
    }

    #[test]
    fn a_damaged_answer_to_whatever_call_never_panics(
        which in any::<Index>(), at in any::<Index>(), cut in any::<Index>(), byte: u8,
    ) {
        let (wire, remote) = behind_the_wire();
        samples::write(&remote);
        samples::read(&remote);
        let answers = wire.answers.lock().expect("no panic");
        let mut answer = which.get(&answers).to_vec();
        let at = at.index(answer.len());
        answer[at] = byte;
        answer.truncate(cut.index(answer.len() + 1).max(at + 1));
        let store = RemoteStore::new(Arc::new(Always(Ok(answer.into()))));
        samples::read(&store);
        samples::write(&store);
    }
}
