//! Good logs, and each way in which a log can be wrong, bent once.

use super::samples::*;
use super::*;
use proto::v1::event::Body;
use proto::v1::{self, Content, ConversationKind, MessageKind};

/// What is said of a log in which one event has another body.
fn bent<T>(
    of: impl Fn(&[Event]) -> Result<T, String>,
    mut events: Vec<Event>,
    seq: usize,
    sender: &str,
    body: Body,
) -> String {
    let event = &mut events[seq - 1];
    (event.sender, event.body) = (sender.to_owned(), Some(body));
    of(&events).err().expect("a bent log is found")
}

#[test]
fn a_good_conversation_is_folded_to_what_one_would_see() {
    let events = talk();
    let fold = Fold::of(&events).unwrap();
    assert_eq!(fold.redactions(&events), Ok(()));
    let row = &fold.row;
    assert_eq!((row.name.as_str(), &row.previous_names[..]), ("lounge", &["general".to_owned()][..]));
    assert_eq!((row.topic.as_str(), row.topic_us, row.purpose_by.as_str()), ("tea", us(14), "UANN"));
    assert!(!row.archived);
    assert_eq!(fold.members.keys().collect::<Vec<_>>(), [&who("UANN"), &who("UBOB")]);
    assert_eq!(fold.moves[&who("UEVE")], (9, Some(16)));
    assert_eq!(fold.redacted.iter().copied().collect::<Vec<_>>(), [11, 19]);
    assert_eq!(fold.tail(), 21);
    let shown: Vec<u64> = fold.shown().iter().map(|row| row.seq).collect();
    assert_eq!(shown, [2, 4, 9, 10, 13, 14, 15, 16, 17, 18, 19]);
    let first = fold.message(us(2)).unwrap();
    assert_eq!((first.content, first.reply_count, first.latest_reply_us), (content("hello all"), 2, us(4)));
    assert_eq!(first.body_seqs, [2, 8]);
    assert_eq!(fold.thread(us(2)).iter().map(|row| row.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(fold.reactions(us(2))["tada"], [who("UBOB")]);
    assert_eq!(fold.message(us(19)).unwrap().kind(), MessageKind::Tombstone);
    assert_eq!(fold.message(us(11)), None);
}

#[test]
fn unread_is_what_the_channel_showed_after_a_position_deleted_or_not() {
    let fold = Fold::of(&talk()).unwrap();
    let counted = |seq| (unread(&fold, seq), broadcasts(&fold, seq));
    assert_eq!(
        [0, 2, 3, 4, 10, 11, 21].map(counted),
        [(5, 3), (4, 3), (4, 3), (3, 2), (2, 1), (1, 0), (0, 0)]
    );
}

#[test]
fn a_log_out_of_order_is_found() {
    let broken = |bend: fn(&mut Vec<Event>)| {
        let mut events = talk();
        bend(&mut events);
        Fold::of(&events).unwrap_err()
    };
    assert_eq!(broken(|events| drop(events.remove(4))), "seq 6 stands where 5 should be");
    assert_eq!(broken(|events| events[5].us = 1005), "seq 6 is of 1005 and comes after 1005");
    assert_eq!(broken(|events| events[5].body = None), "seq 6 does not say what happened");
    assert_eq!(broken(|events| events[3].countable = 1), "seq 4 has counted 1 messages, and there are 2");
    assert_eq!(broken(|events| events[3].broadcast = 0), "seq 4 has counted 0 mentions of everyone, not 1");
    assert_eq!(broken(|events| events[10].broadcast = 4), "seq 11 has counted 4 mentions of everyone, not 3");
}

#[test]
fn whoever_may_not_do_what_a_conversation_says_is_found() {
    let bent = |seq, sender, body| bent(Fold::of, talk(), seq, sender, body);
    assert_eq!(bent(2, "UEVE", post("x", 0, false)), "seq 2 is by UEVE, a stranger");
    assert_eq!(bent(9, "UEVE", join("UTOM", "UEVE")), "seq 9 is by UEVE, a stranger");
    assert_eq!(bent(18, "UANN", react(2)), "seq 18 is by UANN and comes after the archiving");
    assert_eq!(bent(18, "UANN", leave("UBOB")), "seq 18 is by UANN and comes after the archiving");
    assert_eq!(bent(2, "", post("x", 0, false)), "seq 2 is a message by nobody");
    assert_eq!(bent(8, "UBOB", edit(2, "x")), "seq 8 edits, by UBOB, what UANN wrote");
    assert_eq!(bent(12, "UBOB", delete(11)), "seq 12 deletes, by UBOB, what UANN wrote");
    let mut kicked = talk()[..15].to_vec();
    kicked.extend(log(vec![("UANN", leave("UEVE"))], &[]));
    (kicked[15].seq, kicked[15].us, kicked[15].countable, kicked[15].broadcast) = (16, us(16), 4, 3);
    assert!(Fold::of(&kicked).is_ok(), "a member may take another out");
    let nobody = bent(9, "", join("eve", ""));
    assert!(nobody.starts_with("seq 9 names a user wrongly: \"eve\" is not a user id"), "{nobody}");
    let mut closed = talk();
    let Some(Body::Created(created)) = &mut closed[0].body else { panic!("it begins") };
    created.kind = ConversationKind::Private.into();
    assert_eq!(Fold::of(&closed).unwrap_err(), "seq 9 is by UEVE, a stranger");
}

#[test]
fn what_cannot_happen_in_a_conversation_is_found() {
    let bent = |seq, sender, body| bent(Fold::of, talk(), seq, sender, body);
    let again = Body::Created(v1::Created::default());
    assert_eq!(bent(5, "", again), "seq 5 makes the conversation again, or comes before it");
    assert_eq!(bent(1, "", react(2)), "seq 1 makes the conversation again, or comes before it");
    assert_eq!(bent(3, "UBOB", post("x", 1, false)), "seq 3 replies to what is not there");
    assert_eq!(bent(4, "UBOB", post("x", 3, true)), "seq 4 hangs on a reply, not on a message");
    assert_eq!(bent(13, "UANN", edit(11, "x")), "seq 13 edits what is not there");
    assert_eq!(bent(13, "UEVE", edit(9, "x")), "seq 13 edits what nobody wrote");
    assert_eq!(bent(13, "UANN", delete(11)), "seq 13 deletes what is not there");
    assert_eq!(bent(13, "UANN", react(11)), "seq 13 reacts to what is not there");
    assert_eq!(bent(7, "UBOB", react(2)), "seq 7 is the same reaction by UBOB again");
    assert_eq!(bent(8, "UANN", unreact(2)), "seq 8 takes back what was never given");
    assert_eq!(bent(8, "UANN", unreact(3)), "seq 8 takes back what was never given");
    assert_eq!(bent(9, "UANN", join("UBOB", "UANN")), "seq 9 lets UBOB in, a member");
    assert_eq!(bent(16, "", leave("UTOM")), "seq 16 lets UTOM leave, a stranger");
    assert_eq!(bent(18, "", Body::Archived(v1::Archived {})), "seq 18 archives what is archived");
    assert_eq!(bent(16, "", Body::Unarchived(v1::Unarchived {})), "seq 16 unarchives what is not archived");
    assert_eq!(bent(16, "", mark(1, 0, 0)), "seq 16 does not belong into a conversation");
    let mut late = talk();
    late.extend(log(vec![("UANN", post("x", 19, false)), ("UANN", delete(19))], &[]));
    (late[21].seq, late[21].us) = (22, us(22));
    assert_eq!(Fold::of(&late[..22]).unwrap_err(), "seq 22 replies to a tombstone");
    late.remove(21);
    (late[21].seq, late[21].us, late[21].sender) = (22, us(22), "UBOB".into());
    assert_eq!(Fold::of(&late).unwrap_err(), "seq 22 deletes what is not there");
}

#[test]
fn contents_that_are_gone_without_a_deletion_or_there_after_one_are_found() {
    let mut events = talk();
    let fold = Fold::of(&events).unwrap();
    events[10].body = Some(post("oops", 0, false));
    assert_eq!(fold.redactions(&events).unwrap_err(), "seq 11 still says what was deleted");
    let mut events = talk();
    let gone = Some(Content { redacted: true, ..Content::default() });
    events[7].body = Some(Body::Edited(v1::Edited { target_us: us(2), content: gone }));
    assert_eq!(fold.redactions(&events).unwrap_err(), "seq 8 is redacted and was not deleted");
}

#[test]
fn a_good_diary_is_folded_to_where_its_user_is_and_has_read() {
    let inbox = Inbox::of(&diary()).unwrap();
    assert_eq!(inbox.owner.as_deref(), Some("UANN"));
    let (first, second) = (inbox.joined[&channel("C1")], inbox.joined[&channel("C2")]);
    assert_eq!((first.seq, first.left, first.left_seq), (20, false, 0));
    assert_eq!((second.seq, second.left, second.left_seq), (7, true, 7));
    assert_eq!(inbox.marks[&channel("C1")].seq, 4);
    assert_eq!(inbox.mentions[&channel("C1")].iter().collect::<Vec<_>>(), [&us(10)]);
    assert_eq!((inbox.tokens["h"].revoked, inbox.tokens["i"].revoked), (true, false));
}

#[test]
fn what_cannot_happen_in_a_diary_is_found() {
    let events = diary();
    let of = |seq: usize| events[seq - 1].body.clone().unwrap();
    let bent = |seq, sender, body| bent(Inbox::of, diary(), seq, sender, body);
    assert_eq!(bent(3, "UBOB", of(3)), "seq 3 is by UBOB in the log of UANN");
    assert_eq!(bent(7, "", of(1)), "seq 7 joins C1 at 1, and 16 is noted");
    assert_eq!(bent(7, "", of(5)), "seq 7 leaves C1, which was left");
    let early = Body::ConversationLeft(v1::ConversationLeft { channel: "C1".into(), seq: 1 });
    assert_eq!(bent(5, "", early), "seq 5 leaves C1 at 1, before the join at 1");
    assert_eq!(bent(1, "", of(2)), "seq 1 marks C1, where the user is not");
    assert_eq!(bent(6, "UANN", of(2)), "seq 6 marks C1, where the user is not");
    assert_eq!(bent(3, "UANN", of(2)), "seq 3 marks C1 where it is marked");
    assert_eq!(bent(4, "", of(3)), "seq 4 notes the mention at 1010 of C1 again");
    assert_eq!(bent(5, "", of(4)), "seq 5 issues a token that was issued");
    assert_eq!(bent(2, "UANN", of(8)), "seq 2 revokes a token that was never issued");
    assert_eq!(bent(2, "UANN", react(1)), "seq 2 does not belong into a user's log");
    let nowhere = Body::Mentioned(v1::Mentioned { channel: "c1".into(), target_us: 1 });
    assert!(bent(3, "", nowhere).starts_with("seq 3 names a conversation wrongly"));
    let mut counted = diary();
    counted[2].countable = 1;
    assert_eq!(Inbox::of(&counted).unwrap_err(), "seq 3 counts (1, 0) where nothing counts");
}

#[test]
fn a_good_founding_is_folded_to_who_is_there_and_what_is_called_how() {
    let roster = Roster::of(&founding()).unwrap();
    assert_eq!(roster.workspace.as_ref().map(|row| row.name.as_str()), Some("Test"));
    assert_eq!(roster.users.len(), 2);
    let names: Vec<(&str, &str)> =
        roster.names.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    assert_eq!(names, [("general", "C3"), ("lounge", "C1"), ("random", "C2")]);
    let first = &roster.conversations[&channel("C1")];
    assert_eq!((first.name(), first.creator.as_str(), first.created_us), ("lounge", "UANN", us(4)));
    for (followed, names) in [(0, &["general", "lounge"][..]), (5, &["general", "lounge"]), (6, &["lounge"])]
    {
        assert_eq!(first.names_after(followed).collect::<Vec<_>>(), names, "after {followed}");
    }
}

#[test]
fn what_cannot_happen_in_a_workspace_is_found() {
    let events = founding();
    let of = |seq: usize| events[seq - 1].body.clone().unwrap();
    let bent = |seq, body| bent(Roster::of, founding(), seq, "", body);
    assert_eq!(bent(2, of(1)), "seq 2 makes the workspace again, or comes before it");
    assert_eq!(bent(1, of(2)), "seq 1 makes the workspace again, or comes before it");
    assert_eq!(bent(3, added("UANN", "tom", "")), "seq 3 adds UANN again");
    assert_eq!(bent(3, added("UBOB", "Ann", "")), "seq 3 gives UBOB the name Ann of UANN");
    assert_eq!(bent(3, added("UBOB", "bob", "ANN@example.org")), "seq 3 gives UBOB the address of UANN");
    let stranger = opened("C2", "random", PUBLIC, "UEVE");
    assert_eq!(bent(5, stranger), "seq 5 puts UEVE into C2, who is not of the workspace");
    assert_eq!(bent(5, opened("C1", "random", PUBLIC, "UANN")), "seq 5 adds C1 again");
    let taken = opened("C2", "general", PUBLIC, "UANN");
    assert_eq!(bent(5, taken), "seq 5 gives C2 the name \"general\" of C1");
    let taken = renamed("C1", "random", PUBLIC);
    assert_eq!(bent(6, taken), "seq 6 gives C1 the name \"random\" of C2");
    assert_eq!(bent(6, renamed("C9", "x", PUBLIC)), "seq 6 renames C9, unknown");
    assert_eq!(bent(6, renamed("C1", "general", PUBLIC)), "seq 6 renames C1 to its own name general");
    let closed = renamed("C1", "x", ConversationKind::Private);
    assert_eq!(bent(6, closed), "seq 6 calls C1 Private, which is Public");
    assert_eq!(bent(6, react(1)), "seq 6 does not belong into a workspace's log");
}
