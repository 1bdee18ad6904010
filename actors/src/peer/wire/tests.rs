//! What is said arrives, whatever it is; what was not said is an error, and nothing panics.

use super::verb::tests::verbs;
use super::*;
use crate::command::{Aside, Verb};
use crate::delivery::Delivery;
use crate::peer::deliver_bytes;
use crate::store::StoreError;
use bytes::Bytes;
use cluster::node::{CellId, Node, NodeId};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use proto::refusal::Refusal;
use proto::v1::{ConversationAdded, ConversationKind, Event, MessageRow, PeerEvent, PeerEvents, event::Body};
use std::fmt::Debug;

/// A log none of whose parts is what another one, or a default, would be.
fn log(channel: &str) -> LogId {
    let (workspace, channel) = (WorkspaceId::parse("T024BE7LD"), ChannelId::parse(channel));
    let (workspace, channel) = (workspace.expect("a workspace"), channel.expect("a channel"));
    LogId { workspace, region: u16::MAX, generation: u32::MAX - 1, channel }
}

fn ann() -> UserId {
    UserId::parse("U061F7AUR").expect("a user")
}

fn row(text: &str) -> Option<Arc<MessageRow>> {
    Some(Arc::new(MessageRow { sender: text.into(), us: 7, ..MessageRow::default() }))
}

/// Two events: one with all that it changed, one that its followers see without its names.
fn events(channel: &str) -> Vec<Arc<Delivery>> {
    let aside = Aside { message: row("after"), previous: row("before"), parent: row("parent") };
    let hidden = Body::ConversationAdded(ConversationAdded {
        name: "secret".into(),
        kind: ConversationKind::Private.into(),
        ..ConversationAdded::default()
    });
    let event =
        |seq, body| Event { seq, us: 1_795_305_169_000_000 + seq, epoch: 300, body, ..Event::default() };
    let of = |event, aside| Arc::new(Delivery::new(log(channel), event, aside));
    vec![of(event(41, None), aside), of(event(42, Some(hidden)), Aside::default())]
}

fn call(call: Option<&PeerCall>) -> Option<PeerCall> {
    let (log, epoch, hops) = (log("C0EAQDV4Z"), 1 << 40, 3);
    let command = Command { sender: Some(ann()), key: "key".into(), attempt: 2, verb: Arc::new(Verb::Leave) };
    match call {
        None => Some(PeerCall::Do { log, epoch, hops, command }),
        Some(PeerCall::Do { .. }) => Some(PeerCall::Read { log, epoch, after: u64::MAX, limit: 1000 }),
        Some(PeerCall::Read { .. }) => Some(PeerCall::Subscribe { log, epoch, hops, boot: BootId(u64::MAX) }),
        Some(PeerCall::Subscribe { .. }) => None,
    }
}

fn answer(answer: Option<&PeerAnswer>) -> Option<PeerAnswer> {
    let (id, cell) = (NodeId::parse("n-1").expect("a node"), CellId::parse("eu").expect("a cell"));
    let owner = Some(Owner { node: Arc::new(Node { id, boot: BootId(9), cell }), epoch: 17 });
    let slot = Slot::new(4095).expect("a slot");
    let event = Some(Arc::new(Event { seq: 5, fingerprint: u64::MAX, ..Event::default() }));
    match answer {
        None => Some(PeerAnswer::Done(Done { seq: 5, us: 6, retried: true, event, message: row("now") })),
        Some(PeerAnswer::Done(_)) => Some(PeerAnswer::Refused(Refusal::Busy { retry_after_ms: 200 })),
        Some(PeerAnswer::Refused(_)) => {
            Some(PeerAnswer::Replay(Replay { events: events("C0EAQDV4Z"), first: 40, tail: 42 }))
        }
        Some(PeerAnswer::Replay(_)) => Some(PeerAnswer::StoreError(StoreError::Damaged("row".into()))),
        Some(PeerAnswer::StoreError(_)) => Some(PeerAnswer::Tail(1 << 40)),
        Some(PeerAnswer::Tail(_)) => Some(PeerAnswer::NotOwner { slot, owner }),
        Some(PeerAnswer::NotOwner { .. }) => Some(PeerAnswer::Lost),
        Some(PeerAnswer::Lost) => None,
    }
}

fn notice(notice: Option<&PeerNotice>) -> Option<PeerNotice> {
    let (log, other) = (log("user:U061F7AUR"), log("G1"));
    match notice {
        None => Some(PeerNotice::Deliver(events("ws:T024BE7LD").into())),
        Some(PeerNotice::Deliver(_)) => Some(PeerNotice::Beacon([(log, 8), (other, 9)].into())),
        Some(PeerNotice::Beacon(_)) => Some(PeerNotice::Typed(log, ann())),
        Some(PeerNotice::Typed(..)) => {
            Some(PeerNotice::SlotsAnew([0, 4095].into_iter().filter_map(Slot::new).collect()))
        }
        Some(PeerNotice::SlotsAnew(_)) => Some(PeerNotice::Typing(log, ann())),
        Some(PeerNotice::Typing(..)) => Some(PeerNotice::Unsubscribe(log, BootId(9))),
        Some(PeerNotice::Unsubscribe(..)) => Some(PeerNotice::TailSeen(log, 1 << 40)),
        Some(PeerNotice::TailSeen(..)) => None,
    }
}

/// One of each, from the first on; a new arm does not compile until it has its place in the row.
fn all<T>(next: fn(Option<&T>) -> Option<T>) -> Vec<T> {
    std::iter::successors(next(None), |before| next(Some(before))).collect()
}

/// The bytes of all that can be said, with every verb.
fn bytes() -> Vec<Bytes> {
    let does = verbs().map(|verb| {
        let command = Command::by(&ann(), verb);
        PeerCall::Do { log: log("C0EAQDV4Z"), epoch: 300, hops: 1, command }.encode()
    });
    let calls = all(call).into_iter().map(|call| call.encode());
    let answers = all(answer).into_iter().map(|answer| answer.encode());
    let notices = all(notice).into_iter().map(|notice| notice.encode());
    does.chain(calls).chain(answers).chain(notices).collect()
}

/// The text that shows each field, but for a log's region and generation.
fn shown<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

/// What was shown before and after the wire, and whether the bytes are the same again.
fn arrives<T: Debug>(was: &T, encode: fn(&T) -> Bytes, decode: fn(Bytes) -> Result<T, PeerError>) {
    let bytes = encode(was);
    let arrived = decode(bytes.clone()).expect("what was encoded parses");
    assert_eq!(shown(&arrived), shown(was));
    assert_eq!(encode(&arrived), bytes);
}

#[test]
fn every_call_arrives_as_it_was() {
    all(call).iter().for_each(|was| arrives(was, PeerCall::encode, PeerCall::decode));
    assert_eq!(all(call).len(), 3);
}

#[test]
fn every_answer_arrives_as_it_was() {
    all(answer).iter().for_each(|was| arrives(was, PeerAnswer::encode, PeerAnswer::decode));
    assert_eq!(all(answer).len(), 7);
}

#[test]
fn every_notice_arrives_as_it_was() {
    all(notice).iter().for_each(|was| arrives(was, PeerNotice::encode, PeerNotice::decode));
    assert_eq!(all(notice).len(), 7);
}

#[test]
fn a_log_arrives_with_its_region_and_generation() {
    for channel in ["C0EAQDV4Z", "D1", "ws:T024BE7LD", "user:W1"] {
        let decoded = PeerNotice::decode(PeerNotice::TailSeen(log(channel), 1).encode());
        let Ok(PeerNotice::TailSeen(arrived, 1)) = decoded else { panic!("{decoded:?}") };
        assert_eq!(arrived, log(channel));
    }
}

#[test]
fn what_may_be_absent_arrives_absent() {
    let slot = Slot::new(0).expect("a slot");
    let done = Done { seq: 0, us: 0, retried: false, event: None, message: None };
    for was in [
        PeerAnswer::Done(done),
        PeerAnswer::Replay(Replay { events: Vec::new(), first: 1, tail: 0 }),
        PeerAnswer::NotOwner { slot, owner: None },
    ] {
        arrives(&was, PeerAnswer::encode, PeerAnswer::decode);
    }
    let command = Command::system("", Verb::Join);
    let call = PeerCall::Do { log: log("C1"), epoch: 0, hops: 0, command };
    arrives(&call, PeerCall::encode, PeerCall::decode);
    arrives(&PeerNotice::Deliver([].into()), PeerNotice::encode, PeerNotice::decode);
}

#[test]
fn a_limit_beyond_the_wires_is_its_highest() {
    let read = PeerCall::Read { log: log("C1"), epoch: 1, after: 0, limit: usize::MAX };
    let decoded = PeerCall::decode(read.encode());
    let Ok(PeerCall::Read { limit, .. }) = decoded else { panic!("{decoded:?}") };
    assert_eq!(limit, u32::MAX as usize);
}

#[test]
fn deliveries_that_were_encoded_once_are_the_notice() {
    let events = events("C0EAQDV4Z");
    assert_eq!(deliver_bytes(&events), PeerNotice::Deliver(events.into()).encode());
}

#[test]
#[should_panic(expected = "events of two logs went under the name of")]
fn events_of_two_logs_do_not_go_under_one_name() {
    deliver_bytes(&[events("C1"), events("C2")].concat());
}

/// Bytes of a notice with these events, of a log.
fn with_events(events: Vec<PeerEvent>) -> Bytes {
    let events = PeerEvents { log: Some((&log("C1")).into()), events };
    v1::PeerNotice { what: Some(peer_notice::What::Deliver(events)) }.encode_to_vec().into()
}

#[test]
fn an_event_that_no_log_has_is_not_taken() {
    let error = PeerNotice::decode(with_events(vec![PeerEvent::default()])).map(shown);
    assert_eq!(error, Err(PeerError::Absent("event")));
    let zero = PeerEvent { event: Some(Event::default()), ..PeerEvent::default() };
    assert_eq!(PeerNotice::decode(with_events(vec![zero])).map(shown), Err(PeerError::Impossible("seq", 0)));
}

#[test]
fn what_a_peer_must_not_see_is_taken_out_again() {
    let body = Body::ConversationAdded(ConversationAdded { name: "secret".into(), ..Default::default() });
    let event = Event { seq: 1, fingerprint: 7, body: Some(body), ..Event::default() };
    let notice =
        PeerNotice::decode(with_events(vec![PeerEvent { event: Some(event), ..Default::default() }]));
    let text = shown(notice.expect("a notice"));
    assert!(text.contains("fingerprint: 0") && !text.contains("secret"), "{text}");
}

#[test]
fn what_names_nothing_is_an_error_that_says_so() {
    let says = |error: PeerError| error.to_string();
    let call = |what| PeerCall::decode(v1::PeerCall { what }.encode_to_vec().into()).map(shown).map_err(says);
    let answer = |row| {
        let what = Some(peer_answer::What::NotOwner(row));
        PeerAnswer::decode(v1::PeerAnswer { what }.encode_to_vec().into()).map(shown).map_err(says)
    };
    assert_eq!(call(None), Err("there is no call, or one of a later build".into()));
    let read = |log| call(Some(peer_call::What::Read(PeerRead { log, ..PeerRead::default() })));
    assert_eq!(read(None), Err("there is no log, or one of a later build".into()));
    let far = PeerLog { region: 65_536, ..(&log("C1")).into() };
    assert_eq!(read(Some(far)), Err("65536 is no region".into()));
    let strange = PeerLog { channel: "X1".into(), ..(&log("C1")).into() };
    assert!(read(Some(strange)).is_err_and(|why| why.starts_with("\"X1\" is not a conversation id")));
    assert_eq!(answer(PeerNotOwner { slot: 4096, row: None }), Err("4096 is no slot".into()));
    let nobody = SlotRow { epoch: 1, ..SlotRow::default() };
    let damaged = answer(PeerNotOwner { slot: 3, row: Some(nobody) });
    assert!(damaged.is_err_and(|why| why.starts_with("the row of slot 3 is damaged")));
    let cut = PeerCall::decode(Bytes::from_static(&[0x0a, 5, 1])).map_err(says);
    assert!(cut.is_err_and(|why| why.starts_with("the bytes do not parse")));
}

/// Whatever parses is stable: said again, it is the same.
fn stable_or_refused(bytes: &Bytes) {
    if let Ok(call) = PeerCall::decode(bytes.clone()) {
        arrives(&call, PeerCall::encode, PeerCall::decode);
    }
    if let Ok(answer) = PeerAnswer::decode(bytes.clone()) {
        arrives(&answer, PeerAnswer::encode, PeerAnswer::decode);
    }
    if let Ok(notice) = PeerNotice::decode(bytes.clone()) {
        arrives(&notice, PeerNotice::encode, PeerNotice::decode);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_said_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        stable_or_refused(&bytes.into());
    }

    #[test]
    fn damaged_bytes_are_said_or_refused(
        which in any::<Index>(), cut in any::<Index>(), damage in prop::collection::vec(any::<(Index, u8)>(), 0..4),
    ) {
        let mut bytes = which.get(&bytes()).to_vec();
        bytes.truncate(cut.index(bytes.len() + 1));
        if !bytes.is_empty() {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        stable_or_refused(&bytes.into());
    }
}
