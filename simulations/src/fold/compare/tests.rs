//! Views as the product writes them, and each of them bent once.

use super::*;
use crate::fold::samples::{channel, diary, founding, talk, us, who};
use crate::fold::{Inbox, Roster};
use actors::conversation::{Conversation, Limits};
use actors::store::memory::MemoryStore;
use actors::store::{Append, Appended, BatchId, ViewWrite};
use actors::{inbox::Inbox as Own, roster::Roster as Workspace, subject::Subject};
use cluster::slots::Slot;
use futures::future::FutureExt;
use proto::id::{ChannelId, WorkspaceId};
use proto::v1::{
    ConversationRow, Event, JoinedRow, MarkRow, MemberRow, MessageRow, TokenRow, UserRow, WorkspaceRow,
};
use std::collections::BTreeSet;

fn workspace() -> WorkspaceId {
    WorkspaceId::parse("T1").unwrap()
}

fn log(channel: ChannelId) -> LogId {
    LogId::new(workspace(), channel)
}

fn conversation_log() -> LogId {
    log(channel("C1").into())
}

/// Writes a log with the views that the product makes of it, and then these.
fn keep(store: &MemoryStore, log: &LogId, events: Vec<Event>, followed: u64, bent: Vec<ViewWrite>) {
    let limits = Limits { text_chars_max: 99, json_bytes_max: 99, message_edits_max: 9, rows_max: 99 };
    let mut subject = match &log.channel {
        ChannelId::Conversation(id) => {
            let conversation = Conversation::new(id.clone(), false, None, BTreeSet::new(), limits);
            Subject::Conversation(Box::new(conversation))
        }
        ChannelId::User(user) => {
            let own = Own::new(workspace(), user.clone(), BTreeMap::new(), BTreeMap::new());
            Subject::User(Box::new(own))
        }
        ChannelId::Workspace(_) => Subject::Workspace(Box::<Workspace>::default()),
    };
    let mut views: Vec<ViewWrite> = events.iter().flat_map(|event| subject.apply(event).views).collect();
    views.extend(bent);
    let (slot, batch) = (Slot::new(1).unwrap(), BatchId([7; 16]));
    let log = log.clone();
    let append = Append { log, slot, bucket: 0, tail: 0, epoch: 1, batch, followed, events, views };
    assert_eq!(now(store.append(append)), Ok(Appended::Applied));
}

/// The reference store answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("nothing to wait for")
}

fn both_efforts(bent: &[ViewWrite]) -> [Result<(), String>; 2] {
    let (store, log) = (MemoryStore::new(), conversation_log());
    keep(&store, &log, talk(), 0, bent.to_vec());
    let fold = Fold::of(&talk()).unwrap();
    let chance = Entropy::from_u64(7);
    [Effort::Pass, Effort::Exhaustive].map(|effort| now(conversation(&store, &log, &fold, &chance, effort)))
}

/// What is said of a conversation's views when one of them is bent, by either effort.
fn bent(view: ViewWrite) -> String {
    let [pass, exhaustive] = both_efforts(&[view]);
    let pass = pass.expect_err("one pass finds it");
    assert!(exhaustive.is_err(), "many passes find it");
    pass
}

fn message(seq: u64, bend: impl FnOnce(&mut MessageRow)) -> MessageRow {
    let mut row = Fold::of(&talk()).unwrap().message(us(seq)).unwrap();
    bend(&mut row);
    row
}

fn begins(said: &str, with: &[&str]) {
    let mut rest = said;
    for part in with {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} where it is due in {said:?}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_comparison_may_run_in_a_task() {
    fn task(_: impl Future<Output = Result<(), String>> + Send) {}
    let (store, log, user, chance) =
        (MemoryStore::new(), conversation_log(), who("UANN"), Entropy::from_u64(7));
    let (fold, inbox_fold, roster_fold) = (Fold::default(), Inbox::default(), Roster::default());
    task(conversation(&store, &log, &fold, &chance, Effort::Pass));
    task(joined(&store, &log, &fold));
    task(unread(&store, &log, &user, &fold));
    task(inbox(&store, &workspace(), &user, &inbox_fold));
    task(roster(&store, &workspace(), &roster_fold));
    task(names(&store, &workspace(), &roster_fold));
}

#[test]
fn what_the_product_writes_is_what_its_log_says() {
    assert_eq!(both_efforts(&[]), [Ok(()), Ok(())]);
}

#[test]
fn nothing_of_a_conversation_that_was_never_made_is_found_wrong() {
    let (store, fold) = (MemoryStore::new(), Fold::of(&[]).unwrap());
    let chance = Entropy::from_u64(7);
    let said = now(conversation(&store, &conversation_log(), &fold, &chance, Effort::Exhaustive));
    assert_eq!(said, Ok(()));
}

#[test]
fn a_bent_message_is_named() {
    let edited = message(2, |row| row.content = Some(Default::default()));
    let said = bent(ViewWrite::Message(edited));
    begins(
        &said,
        &["messages of C1", "first, row ", "the store has Some(MessageRow", "the log says Some(MessageRow"],
    );
    let said = bent(ViewWrite::MessageGone { bucket: 0, us: us(10) });
    begins(&said, &["messages of C1", "the store has", "the log says", "it is me"]);
    let back = MessageRow { us: us(11), seq: 11, ..MessageRow::default() };
    let said = bent(ViewWrite::Message(back));
    begins(&said, &["messages of C1", "the store has", "1011", "the log says"]);
    let summary = message(2, |row| row.reply_count = 3);
    let said = bent(ViewWrite::Message(summary));
    begins(&said, &["messages of C1", "reply_count: 3", "reply_count: 2"]);
}

#[test]
fn a_bent_thread_is_named() {
    let said = bent(ViewWrite::Reply(message(3, |row| row.edited_us = 5)));
    begins(&said, &["thread 1002 of C1", "edited_us: 5", "edited_us: 0"]);
    let said = bent(ViewWrite::ReplyGone { parent_us: us(19), us: us(20) });
    begins(&said, &["thread 1019 of C1", "row 0 of", "the store has None, the log says Some"]);
}

#[test]
fn a_reply_that_nothing_leads_to_is_named() {
    let stray = message(3, |row| (row.us, row.thread_us) = (us(11), us(14)));
    let [_, exhaustive] = both_efforts(&[ViewWrite::Reply(stray)]);
    begins(&exhaustive.unwrap_err(), &["thread 1014 of C1", "row 0 of", "the log says None"]);
    let stray = message(3, |row| (row.us, row.thread_us) = (us(12), us(11)));
    let [pass, exhaustive] = both_efforts(&[ViewWrite::Reply(stray)]);
    for said in [pass, exhaustive] {
        begins(&said.unwrap_err(), &["message 1012 of C1", "the log says None"]);
    }
}

#[test]
fn bent_reactions_are_named() {
    let reaction = |target, name: &str| {
        let name = name.to_owned();
        ViewWrite::Reaction { bucket: 0, us: us(target), name, user: who("UANN"), seq: 9 }
    };
    begins(&bent(reaction(2, "tada")), &["reactions to 1002 of C1, \"tada\"", "(2, ", "(1, "]);
    begins(&bent(reaction(2, "wave")), &["reactions to 1002 of C1, \"wave\"", "the log says None"]);
    begins(&bent(reaction(11, "tada")), &["reactions of C1, 1011", "the log says None"]);
    let gone = ViewWrite::ReactionsGone { bucket: 0, us: us(2) };
    begins(&bent(gone), &["reactions to 1002 of C1", "the store has None"]);
}

#[test]
fn bent_members_and_rows_are_named() {
    let member =
        |user: &str, seq| ViewWrite::Member { user: who(user), row: MemberRow { seq, inviter: "".into() } };
    begins(&bent(member("UEVE", 9)), &["members of C1, UEVE: the store has Some", "the log says None"]);
    begins(&bent(member("UANN", 2)), &["members of C1, UANN", "seq: 2", "seq: 1"]);
    let gone = ViewWrite::MemberGone { user: who("UBOB") };
    begins(&bent(gone), &["members of C1, UBOB: the store has None", "the log says Some"]);
    let row = |bend: fn(&mut ConversationRow)| {
        let mut row = Fold::of(&talk()).unwrap().row;
        row.members = 2;
        bend(&mut row);
        ViewWrite::Conversation { channel: channel("C1"), row }
    };
    assert_eq!(
        bent(row(|row| row.members = 3)),
        "the row of C1, its members: the store has 3, the log says 2"
    );
    begins(&bent(row(|row| row.archived = true)), &["the row of C1", "archived: true", "archived: false"]);
}

#[test]
fn bent_views_of_a_user_are_named() {
    let (user, fold) = (who("UANN"), Inbox::of(&diary()).unwrap());
    let said = |view: Option<ViewWrite>| {
        let store = MemoryStore::new();
        keep(&store, &log(ChannelId::User(user.clone())), diary(), 0, view.into_iter().collect());
        now(inbox(&store, &workspace(), &user, &fold))
    };
    let bent = |view| said(Some(view)).expect_err("it is found");
    assert_eq!(said(None), Ok(()));
    let joined = |id: &str| ViewWrite::Joined { channel: channel(id), row: JoinedRow::default() };
    begins(&bent(joined("C1")), &["conversations of UANN, C1: ", "seq: 0", "seq: 20"]);
    begins(&bent(joined("C3")), &["conversations of UANN, C3: ", "the log says None"]);
    let mark = ViewWrite::Mark { channel: channel("C1"), row: MarkRow::default() };
    begins(&bent(mark), &["marks of UANN, C1: ", "us: 0", "us: 1004"]);
    let token = |hash: &str| ViewWrite::Token { hash: hash.into(), row: TokenRow::default() };
    begins(&bent(token("h")), &["the token h of UANN", "revoked: false", "revoked: true"]);
    begins(&bent(token("i")), &["the token i of UANN", "workspace: \"\"", "workspace: \"T1\""]);
    let store = MemoryStore::new();
    keep(&store, &log(ChannelId::User(who("UBOB"))), diary(), 0, Vec::new());
    let said = now(inbox(&store, &workspace(), &who("UBOB"), &fold));
    begins(&said.unwrap_err(), &["the log of UBOB", "UANN wrote there"]);
}

#[test]
fn bent_views_of_a_workspace_are_named() {
    let fold = Roster::of(&founding()).unwrap();
    let said = |followed, views: Vec<ViewWrite>| {
        let store = MemoryStore::new();
        keep(&store, &log(ChannelId::Workspace(workspace())), founding(), followed, views);
        [now(roster(&store, &workspace(), &fold)), now(names(&store, &workspace(), &fold))]
    };
    let bent = |view| said(0, vec![view]).into_iter().next().unwrap().expect_err("it is found");
    let row = |name: &str, created_us| {
        let (name, creator, kind) = (name.to_owned(), "UANN".to_owned(), 1);
        let row = ConversationRow { name, kind, creator, created_us, ..ConversationRow::default() };
        ViewWrite::Conversation { channel: channel("C1"), row }
    };
    let late = "conversations of T1, the name of C1: the store has \"general\", the log says \"lounge\"";
    assert_eq!(said(0, Vec::new()), [Ok(()), Err(late.to_owned())], "what follows may not be done");
    assert_eq!(said(6, Vec::new()), [Err(late.to_owned()), Err(late.to_owned())], "it is known to be done");
    assert_eq!(said(6, vec![row("lounge", us(4))]), [Ok(()), Ok(())]);
    begins(&bent(row("bar", us(4))), &["the name of C1", "\"bar\"", "\"lounge\""]);
    begins(&bent(row("general", us(5))), &["conversations of T1, C1: ", "1005", "1004"]);
    let other = ViewWrite::Conversation { channel: channel("C9"), row: ConversationRow::default() };
    begins(&bent(other), &["conversations of T1, C9: ", "the log says None"]);
    let user = ViewWrite::User { user: who("UANN"), row: UserRow::default() };
    begins(&bent(user), &["users of T1, UANN: ", "the log says"]);
    begins(&bent(ViewWrite::Workspace(WorkspaceRow::default())), &["workspace T1: ", "the log says"]);
}

#[test]
fn unread_counts_that_a_user_is_shown_wrong_are_named() {
    let (user, fold) = (who("UANN"), Fold::of(&talk()).unwrap());
    let said = |view: Vec<ViewWrite>, fold: &Fold| {
        let store = MemoryStore::new();
        keep(&store, &conversation_log(), talk(), 0, Vec::new());
        keep(&store, &log(ChannelId::User(user.clone())), diary(), 0, view);
        now(unread(&store, &conversation_log(), &user, fold))
    };
    let bent = |seq, countable, broadcast| {
        let row = MarkRow { us: us(4), seq, countable, broadcast };
        said(vec![ViewWrite::Mark { channel: channel("C1"), row }], &fold).expect_err("it is found")
    };
    assert_eq!(said(Vec::new(), &fold), Ok(()));
    begins(&bent(4, 3, 1), &["the mark of UANN in C1, unread after 4", "Some(2), the log says Some(3)"]);
    begins(&bent(4, 9, 1), &["the mark of UANN in C1, unread after 4", "None, the log says Some(3)"]);
    begins(
        &bent(4, 2, 0),
        &["the mark of UANN in C1, mentions of all after 4", "Some(3), the log says Some(2)"],
    );
    begins(&bent(5, 2, 1), &["the mark of UANN in C1, the time at 5", "Some(1004), the log says Some(1005)"]);
    begins(&bent(0, 0, 0), &["the mark of UANN in C1, the time at 0", "the log says None"]);
    let shorter = Fold::of(&talk()[..20]).unwrap();
    begins(&said(Vec::new(), &shorter).unwrap_err(), &["the head of C1, its tail", "21", "20"]);
}

#[test]
fn a_membership_that_a_users_own_log_has_not_heard_of_is_named() {
    let fold = Fold::of(&talk()).unwrap();
    let store = MemoryStore::new();
    let row = |seq| JoinedRow { seq, kind: 1, ..JoinedRow::default() };
    let tell = |user: &str, row| {
        let bent = vec![ViewWrite::Joined { channel: channel("C1"), row }];
        keep(&store, &log(ChannelId::User(who(user))), diary()[..1].to_vec(), 0, bent);
    };
    let said = || now(joined(&store, &conversation_log(), &fold));
    tell("UANN", row(1));
    begins(
        &said().unwrap_err(),
        &["conversations of UBOB, C1", "the store has None, the log says Some((1, None))"],
    );
    tell("UBOB", row(1));
    tell("UEVE", row(9));
    begins(&said().unwrap_err(), &["conversations of UEVE, C1", "Some((9, None))", "Some((9, Some(16)))"]);
    let store = MemoryStore::new();
    for (user, row) in
        [("UANN", row(1)), ("UBOB", row(1)), ("UEVE", JoinedRow { left: true, left_seq: 16, ..row(9) })]
    {
        let bent = vec![ViewWrite::Joined { channel: channel("C1"), row }];
        keep(&store, &log(ChannelId::User(who(user))), diary()[..1].to_vec(), 0, bent);
    }
    assert_eq!(now(joined(&store, &conversation_log(), &fold)), Ok(()));
}
