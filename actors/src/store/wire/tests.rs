//! What goes into a message comes out of its bytes.

use super::samples::{
    self, append, claims, conversation, user, views_of_a_conversation, views_of_a_user, views_of_a_workspace,
    workspace,
};
use super::*;
use crate::store::{Appended, KeySeen, Listed, LogPage, ReactionCount};
use cluster::claims::ClaimOutcome;
use prost::Message;
use proto::id::UserId;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, StoreAnswer,
    TokenRow, UserRow, WorkspaceRow,
};
use std::collections::HashSet;
use std::fmt::Debug;
use std::mem::discriminant;

fn over_the_wire<M: Message + Default>(message: M) -> M {
    M::decode(&*message.encode_to_vec()).expect("what was encoded parses")
}

#[test]
fn every_kind_of_view_comes_out_as_it_went_in_and_so_does_its_append() {
    let appends = [
        append("C1", 1, 2, views_of_a_conversation()),
        append("user:U1", 0, 0, views_of_a_user()),
        append("ws:T1", 0, 0, views_of_a_workspace()),
    ];
    let mut kinds = HashSet::new();
    for append in appends {
        let (region, generation) = (u16::MAX, u32::MAX);
        let append = Append { log: LogId { region, generation, ..append.log.clone() }, ..append };
        let message = over_the_wire(StoreAppend::from(append.clone()));
        kinds.extend(message.views.iter().map(|view| view.view.as_ref().map(discriminant)));
        assert_eq!(Append::try_from(message), Ok(append));
    }
    assert_eq!(kinds.len(), 16, "kinds of views");
}

#[test]
fn claims_come_out_as_they_went_in() {
    for sample in claims() {
        assert_eq!(claim(over_the_wire(claim_message(sample.clone()))), Ok(sample));
    }
}

#[test]
fn a_count_beyond_what_the_machine_counts_is_its_highest() {
    assert_eq!(narrow(u64::MAX), usize::MAX);
    assert_eq!((narrow(wide(usize::MAX)), narrow(wide(5))), (usize::MAX, 5));
}

/// Whether each comes out of the bytes of its answer.
fn all_again<T: Carried + Clone + PartialEq + Debug>(results: impl IntoIterator<Item = T>) {
    for result in results {
        let answer = over_the_wire(StoreAnswer { answer: Some(result.clone().into_answer()) });
        assert_eq!(T::from_answer(answer.answer.expect("an answer")), Ok(result));
    }
}

#[test]
fn every_result_comes_out_as_it_went_in() {
    let head = Head { tail: 9, batch: vec![1; 16], ..Head::default() };
    all_again([
        Appended::Applied,
        Appended::Already,
        Appended::Refused(None),
        Appended::Refused(Some(Head::default())),
        Appended::Refused(Some(head.clone())),
    ]);
    all_again([0, 300, usize::MAX]);
    let row = SlotRow { epoch: 3, node: "n".into(), ..SlotRow::default() };
    let refused = [SlotRow::default(), row.clone()].map(ClaimOutcome::Refused);
    all_again([vec![], [vec![ClaimOutcome::Applied], refused.to_vec()].concat()]);

    all_again([None, Some((0, Head::default())), Some((u32::MAX, head))]);
    let events = append("C1", 0, 0, vec![]).events;
    all_again([LogPage::default(), LogPage { events, first: 1, tail: u64::MAX }]);
    all_again([vec![], vec![KeySeen { key: 1 << 100, seq: 2, us: 3, body: u64::MAX }]]);
    all_again([
        vec![],
        vec![(0, BucketRow::default()), (7, BucketRow { first_seq: 1, ..Default::default() })],
    ]);
    all_again([vec![], ["C1", "user:U1", "ws:T1"].map(samples::log).to_vec()]);
    all_again([vec![], vec![(Slot::new(4095).expect("a slot"), row)]]);
}

#[test]
fn every_result_of_the_views_comes_out_as_it_went_in() {
    let shown = MessageRow { us: 5, ..MessageRow::default() };
    all_again([vec![], vec![MessageRow::default(), shown.clone()]]);
    all_again([None, Some(MessageRow::default()), Some(shown)]);
    let users = vec![user("U2"), user("U1")];
    all_again([vec![], vec![ReactionCount { us: 5, name: "a\0b".into(), count: 70, users }]]);
    all_again([true, false]);
    let member = MemberRow { seq: 4, ..MemberRow::default() };
    all_again([None, Some(MemberRow::default()), Some(member.clone())]);
    all_again([vec![], vec![None, Some(member.clone()), None, Some(MemberRow::default())]]);
    all_again([
        Listed { rows: vec![(user("U1"), member), (user("W2"), MemberRow::default())], more: true },
        Listed { rows: vec![], more: false },
    ]);
    let joined = (conversation("D1"), JoinedRow { seq: 1, left: true, ..JoinedRow::default() });
    all_again([Listed { rows: vec![joined], more: true }]);
    all_again([vec![], vec![(conversation("G1"), MarkRow { us: 5, ..MarkRow::default() })]]);
    let person = UserRow { name: "ann".into(), ..UserRow::default() };
    all_again([None, Some(person.clone())]);
    all_again([Listed { rows: vec![(user("U1"), person)], more: false }]);
    let place = ConversationRow { name: "general".into(), ..ConversationRow::default() };
    all_again([None, Some(place.clone())]);
    all_again([Listed { rows: vec![(conversation("C1"), place)], more: true }]);
    all_again([vec![], vec![(workspace(), WorkspaceRow { name: "home".into(), ..Default::default() })]]);
    all_again([None, Some(TokenRow { revoked: true, ..TokenRow::default() })]);
}

#[test]
fn an_answer_of_another_kind_or_with_a_part_missing_is_none() {
    use proto::v1::store_answer::Answer;
    use proto::v1::{
        StoreAppended, StoreClaimOutcome, StoreClaimed, StoreKey, StoreKeys, StoreUser, StoreUsers,
    };
    assert_eq!(Appended::from_answer(false.into_answer()), Err(Malformed::OtherKind("Appended")));
    assert_eq!(bool::from_answer(Appended::Applied.into_answer()), Err(Malformed::OtherKind("Reacted")));
    for outcome in [0, 4, -1] {
        let answer = Answer::Appended(StoreAppended { outcome, head: None });
        assert_eq!(Appended::from_answer(answer), Err(Malformed::Missing("outcome of the append")));
    }
    let claimed = |outcome, row| {
        let outcomes = vec![StoreClaimOutcome { outcome, row }];
        Vec::<ClaimOutcome>::from_answer(Answer::Claimed(StoreClaimed { outcomes }))
    };
    assert_eq!(claimed(3, None), Err(Malformed::Missing("row that refused")));
    assert_eq!(claimed(2, Some(SlotRow::default())), Err(Malformed::Missing("outcome of the claim")));
    let key = StoreKey { key: vec![0; 15], ..StoreKey::default() };
    let keys = Vec::<KeySeen>::from_answer(Answer::Keys(StoreKeys { keys: vec![key] }));
    assert_eq!(keys, Err(Malformed::NotSixteen("key's hash", 15)));
    let listed = |user: &str, row| {
        let rows = vec![StoreUser { user: user.into(), row }];
        Listed::<UserId, UserRow>::from_answer(Answer::Users(StoreUsers { rows, more: false }))
    };
    assert_eq!(listed("U1", None), Err(Malformed::Missing("user")));
    assert!(matches!(listed("C1", Some(UserRow::default())), Err(Malformed::Id(_))));
}
