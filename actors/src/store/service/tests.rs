//! Whatever a peer sends, the store's node answers, and what makes no sense changes nothing.

use super::*;
use crate::store::memory::MemoryStore;
use crate::store::remote::{Carry, CarryError, RemoteStore};
use crate::store::wire::samples;
use crate::store::{APPEND_BYTES_MAX, APPEND_ROWS_MAX, ViewWrite};
use proptest::prelude::*;
use proptest::sample::Index;
use proto::v1::{
    Event, SlotRow, StoreAppend, StoreClaim, StoreGetActive, StoreGetClaims, StoreGetHead, StoreGetJoined,
    StoreGetMemberships, StoreGetMessages, StoreGetUser, StoreLog, StoreMember, StoreMemberGone,
    StoreSlotClaim, StoreView, TokenRow, store_view::View,
};
use std::sync::Mutex;

/// A store that has been written to, and its service.
fn written() -> (Arc<MemoryStore>, StoreService) {
    let store = Arc::new(MemoryStore::new());
    samples::write(&*store);
    (store.clone(), StoreService::new(store.clone(), store))
}

fn answer(service: &StoreService, call: Bytes) -> store_answer::Answer {
    let answer = service.answer(call, true).now_or_never().expect("nothing here waits");
    StoreAnswer::decode(answer).expect("an answer").answer.expect("of some kind")
}

fn is_malformed(answer: &store_answer::Answer) -> bool {
    matches!(answer, store_answer::Answer::Refusal(refusal) if refusal.kind() == StoreRefusalKind::Malformed)
}

fn assert_malformed(what: &str, call: &StoreCall) {
    let (store, service) = written();
    let before = samples::read(&*store);
    let answer = answer(&service, call.encode_to_vec().into());
    assert!(is_malformed(&answer), "{what}: {answer:?}");
    assert_eq!(samples::read(&*store), before, "{what}");
}

/// The next append of a log, as a peer would send it.
fn next() -> StoreAppend {
    samples::append("C1", 1, 4, Vec::new()).into()
}

fn with_events(change: impl Fn(&mut Event)) -> StoreAppend {
    let mut append = next();
    append.events.iter_mut().for_each(change);
    append
}

fn with_view(view: Option<View>) -> StoreAppend {
    StoreAppend { views: vec![StoreView { view }], ..next() }
}

fn with_log(change: impl Fn(&mut StoreLog)) -> StoreAppend {
    let mut append = next();
    append.log.iter_mut().for_each(change);
    append
}

#[test]
fn the_next_append_is_applied_and_what_is_made_of_it_below_is_what_is_wrong() {
    let (_, service) = written();
    let call = StoreCall { call: Some(Call::Append(next())) };
    let answer = answer(&service, call.encode_to_vec().into());
    assert_eq!(answer, crate::store::Appended::Applied.into_answer());
}

#[test]
fn an_append_that_no_appender_offers_is_malformed_and_not_applied() {
    let many = (0..=APPEND_ROWS_MAX as u64).map(|n| Event {
        seq: 5 + n,
        us: u64::MAX / 2 + n,
        ..Default::default()
    });
    let large = "x".repeat(APPEND_BYTES_MAX);
    let token = ViewWrite::Token { hash: "ab".into(), row: TokenRow::default() };
    let token = StoreView::from(token).view;
    let nobody = StoreMemberGone { user: "nobody".into() };
    let rowless = StoreMember { user: "U1".into(), row: None };
    let appends = [
        ("no events", StoreAppend { events: Vec::new(), ..next() }),
        ("too many events", StoreAppend { events: many.collect(), ..next() }),
        ("too many bytes", with_events(|event| event.key = large.clone())),
        ("a seq twice", with_events(|event| event.seq = 5)),
        ("a seq that is skipped", StoreAppend { tail: 3, ..next() }),
        ("no seq left", StoreAppend { tail: u64::MAX, ..with_events(|event| event.seq = 0) }),
        ("one seq left", StoreAppend { tail: u64::MAX - 1, ..with_events(|event| event.seq = u64::MAX) }),
        ("a time twice", with_events(|event| event.us = u64::MAX)),
        ("a view of another kind of log", with_view(token)),
        ("a view of no kind", with_view(None)),
        ("a view of nobody", with_view(Some(View::MemberGone(nobody)))),
        ("a view without its row", with_view(Some(View::Member(rowless)))),
        ("no such slot", StoreAppend { slot: 4096, ..next() }),
        ("no such slot", StoreAppend { slot: 65536 + 1, ..next() }),
        ("half a batch id", StoreAppend { batch: vec![1; 8], ..next() }),
        ("more than a batch id", StoreAppend { batch: vec![1; 17], ..next() }),
        ("no log", StoreAppend { log: None, ..next() }),
        ("a region that cannot be", with_log(|log| log.region = 65536)),
        ("no workspace", with_log(|log| log.workspace.clear())),
        ("a channel of no kind", with_log(|log| log.channel = "X1".into())),
    ];
    for (what, append) in appends {
        assert_malformed(what, &StoreCall { call: Some(Call::Append(append)) });
    }
}

#[test]
fn a_call_that_no_store_could_do_is_malformed() {
    let to = Some(SlotRow { epoch: 2, ..SlotRow::default() });
    let claim = |slot, from_epoch, to| {
        let fine =
            StoreSlotClaim { slot: 1, from_epoch: 0, to: Some(SlotRow { epoch: 1, ..Default::default() }) };
        Call::Claim(StoreClaim { claims: vec![fine, StoreSlotClaim { slot, from_epoch, to }] })
    };
    let (workspace, user) = (String::from("T1"), String::from("U1"));
    let joined = StoreGetJoined { workspace: workspace.clone(), user, after: "U1".into(), limit: 1 };
    let channels = vec!["C1".into(), "T1".into()];
    let calls = [
        ("a slot that is none", claim(4096, 0, to.clone())),
        ("a claim that keeps the epoch", claim(2, 2, to)),
        ("a claim without a row", claim(2, 0, None)),
        ("no such partition", Call::Claims(StoreGetClaims { partition: 64 })),
        ("no such partition", Call::Claims(StoreGetClaims { partition: 65536 })),
        ("no such slot", Call::Active(StoreGetActive { slot: u32::MAX, minute: 1 })),
        ("no log", Call::Head(StoreGetHead { log: None })),
        ("no range", Call::Messages(StoreGetMessages { log: next().log, range: None })),
        ("after something of another kind", Call::Joined(joined)),
        (
            "one that is no conversation",
            Call::Memberships(StoreGetMemberships {
                workspace: workspace.clone(),
                user: "U1".into(),
                channels,
            }),
        ),
        ("no user", Call::User(StoreGetUser { workspace, user: String::new() })),
    ];
    for (what, call) in calls {
        assert_malformed(what, &StoreCall { call: Some(call) });
    }
}

#[test]
fn nothing_and_a_call_of_a_later_build_are_malformed() {
    assert_malformed("nothing", &StoreCall { call: None });
    let (_, service) = written();
    let number_99 = Bytes::from_static(&[0x9a, 0x06, 0x00]);
    assert!(is_malformed(&answer(&service, number_99)));
}

/// The same answer to every call.
struct Answers(Bytes);

impl Carry for Answers {
    fn carry(&self, _call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        ready(Ok(self.0.clone())).boxed()
    }
}

#[test]
fn an_error_of_the_store_comes_out_as_it_went_in() {
    let why = || String::from("why");
    let errors = [
        StoreError::Unknown(why()),
        StoreError::Full(why()),
        StoreError::Damaged(why()),
        StoreError::Busy,
        StoreError::Unavailable(why()),
    ];
    for error in errors {
        let answer = StoreAnswer { answer: Some(refused(error.clone())) };
        let remote = RemoteStore::new(Arc::new(Answers(answer.encode_to_vec().into())));
        let outcome = remote.append(samples::append("C1", 0, 0, Vec::new())).now_or_never();
        assert_eq!(outcome, Some(Err(error)));
    }
    let claims = ready(Err::<Vec<_>, _>(ClaimsError(why()))).boxed();
    let answer = told_of_claims::<Vec<cluster::claims::ClaimOutcome>>(claims).now_or_never();
    let answer = StoreAnswer { answer }.encode_to_vec();
    let remote = RemoteStore::new(Arc::new(Answers(answer.into())));
    assert_eq!(remote.claim(samples::claims()).now_or_never(), Some(Err(ClaimsError(why()))));
}

/// Remembers calls, and carries none.
#[derive(Default)]
struct Listener(Mutex<Vec<Bytes>>);

impl Carry for Listener {
    fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        self.0.lock().expect("no panic").push(call);
        ready(Err(CarryError::NotSent("only listening".into()))).boxed()
    }
}

fn calls() -> Vec<Bytes> {
    let listener = Arc::new(Listener::default());
    let remote = RemoteStore::new(listener.clone());
    samples::write(&remote);
    samples::read(&remote);
    std::mem::take(&mut *listener.0.lock().expect("no panic"))
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (store, service) = written();
        let before = samples::read(&*store);
        if is_malformed(&answer(&service, bytes.into())) {
            prop_assert_eq!(samples::read(&*store), before);
        }
    }

    #[test]
    fn a_damaged_call_is_answered_and_changes_nothing_if_it_is_malformed(
        which in any::<Index>(), at in any::<Index>(), cut in any::<Index>(), byte: u8, whole: bool,
    ) {
        let (store, service) = written();
        let before = samples::read(&*store);
        let mut call = which.get(&calls()).to_vec();
        let at = at.index(call.len());
        call[at] = byte;
        if !whole {
            call.truncate(cut.index(call.len()) + 1);
        }
        if is_malformed(&answer(&service, call.into())) {
            prop_assert_eq!(samples::read(&*store), before);
        }
    }
}
