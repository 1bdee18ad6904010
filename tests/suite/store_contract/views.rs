//! Every view: written with the append, read back in one read.

use super::Engine;
use super::draft::{Log, STEP_US, conversation, everything, log_id, row, text, texts, user, workspace};
use actors::store::{APPEND_ROWS_MAX, INLINE_BODY_MAX, MessageRange, REACTION_USERS_MAX, ViewWrite, fence};
use proto::id::UserId;
use proto::v1::{
    Content, ConversationKind, ConversationRow, JoinedRow, MarkRow, MemberRow, MessageRow, TokenRow, UserRow,
    WorkspaceRow,
};

fn message(us: u64, text: &str) -> MessageRow {
    let content = Some(Content { text: text.into(), ..Content::default() });
    MessageRow { us, content, ..MessageRow::default() }
}
fn reply(parent_us: u64, us: u64, text: &str) -> MessageRow {
    MessageRow { thread_us: parent_us, ..message(us, text) }
}

pub async fn a_page_of_messages_runs_across_buckets_in_both_directions(store: impl Engine) {
    let mut log = Log::new("C1");
    let first = log.next_us();
    for _ in 0..3 {
        log.fill(&store, 2).await;
        log.roll();
    }
    let within =
        MessageRange { from_us: first + STEP_US, to_us: first + 4 * STEP_US, newest_first: true, limit: 3 };
    let newest = store.messages(&log.id, within).await.expect("a page");
    assert_eq!(newest.iter().map(|row| row.seq).collect::<Vec<_>>(), [5, 4, 3]);
    let oldest =
        store.messages(&log.id, MessageRange { newest_first: false, ..within }).await.expect("a page");
    assert_eq!(oldest.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(oldest.iter().map(|row| row.bucket).collect::<Vec<_>>(), [0, 1, 1]);
    let backwards = MessageRange { from_us: 9, to_us: 3, ..within };
    assert_eq!(store.messages(&log.id, backwards).await, Ok(Vec::new()));
    assert_eq!(store.messages(&log.id, everything(0)).await, Ok(Vec::new()));
}

pub async fn a_message_is_replaced_and_taken_away(store: impl Engine) {
    let mut log = Log::new("C1");
    let us = log.next_us();
    log.post(&store, &["first form"]).await;
    let edited = MessageRow { edited_us: us + 5, edited_by: "U1".into(), ..message(us, "second form") };
    log.view(&store, vec![ViewWrite::Message(edited.clone())]).await;
    assert_eq!(store.message(&log.id, us).await, Ok(Some(edited.clone())));
    assert_eq!(store.messages(&log.id, everything(10)).await, Ok(vec![edited]));
    let gone = ViewWrite::MessageGone { bucket: 0, us };
    log.view(&store, vec![gone.clone(), gone]).await;
    assert_eq!(store.message(&log.id, us).await, Ok(None));
    assert_eq!(store.messages(&log.id, everything(10)).await, Ok(Vec::new()));
}

pub async fn replies_are_paged_by_parent_and_found_by_their_own_time(store: impl Engine) {
    let mut log = Log::new("C1");
    let parents = [log.next_us(), log.next_us() + STEP_US];
    log.post(&store, &["a parent", "another"]).await;
    let replies = [(0, 100, "a1"), (1, 101, "b1"), (0, 102, "a2"), (0, 103, "a3")];
    let rows =
        replies.map(|(parent, n, text)| ViewWrite::Reply(reply(parents[parent], log.last_us + n, text)));
    let base = log.last_us;
    log.view(&store, rows.to_vec()).await;
    let range = MessageRange { newest_first: true, ..everything(2) };
    let thread = store.thread(&log.id, parents[0], range).await.expect("a page");
    assert_eq!(texts(&thread), ["a3", "a2"]);
    let later = MessageRange { from_us: base + 101, ..everything(10) };
    assert_eq!(texts(&store.thread(&log.id, parents[0], later).await.expect("a page")), ["a2", "a3"]);
    assert_eq!(texts(&store.thread(&log.id, parents[1], everything(10)).await.expect("a page")), ["b1"]);
    let found = store.message(&log.id, base + 101).await.expect("a reply").expect("it exists");
    assert_eq!((found.thread_us, texts(&[found])), (parents[1], vec!["b1"]));
    assert_eq!(store.messages(&log.id, everything(10)).await.expect("a page").len(), 2);
    log.view(&store, vec![ViewWrite::ReplyGone { parent_us: parents[0], us: base + 102 }]).await;
    assert_eq!(store.message(&log.id, base + 102).await, Ok(None));
    let thread = store.thread(&log.id, parents[0], everything(10)).await.expect("a page");
    assert_eq!(texts(&thread), ["a1", "a3"]);
}

fn reaction(us: u64, name: &str, user: UserId, seq: u64) -> ViewWrite {
    ViewWrite::Reaction { bucket: 0, us, name: name.into(), user, seq }
}

pub async fn reactions_are_counted_in_full_and_listed_up_to_the_limit(store: impl Engine) {
    let mut log = Log::new("C1");
    let us = log.next_us();
    let users: Vec<UserId> = (0..200).map(|n| user(&format!("U{n:04}"))).collect();
    // The later the id, the earlier the reaction: the order of seq is not the order of keys.
    let mut views: Vec<ViewWrite> =
        users.iter().zip(0u64..).map(|(user, n)| reaction(us, "tada", user.clone(), 1000 - n)).collect();
    views.push(reaction(us, "+1", users[3].clone(), 7));
    views.push(reaction(us, "odd\0name", users[3].clone(), 8));
    views.push(reaction(us + 1, "tada", users[4].clone(), 9));
    for some in views.chunks(APPEND_ROWS_MAX) {
        log.view(&store, some.to_vec()).await;
    }
    let counts = store.reactions(&log.id, us, us).await.expect("counts");
    let names: Vec<_> = counts.iter().map(|count| (count.name.as_str(), count.count)).collect();
    assert_eq!(names, [("+1", 1), ("odd\0name", 1), ("tada", 200)]);
    let expected: Vec<UserId> = users.iter().rev().take(REACTION_USERS_MAX).cloned().collect();
    assert_eq!(counts[2].users, expected);
    assert_eq!(store.reactions(&log.id, us, us + 1).await.expect("counts").len(), 4);
    assert_eq!(store.reactions(&log.id, us + 1, us).await, Ok(Vec::new()));
    assert_eq!(store.reaction(&log.id, us, "tada", &users[7]).await, Ok(true));
    assert_eq!(store.reaction(&log.id, us, "+1", &users[7]).await, Ok(false));
    let gone = ViewWrite::ReactionGone { bucket: 0, us, name: "tada".into(), user: users[7].clone() };
    log.view(&store, vec![gone]).await;
    assert_eq!(store.reaction(&log.id, us, "tada", &users[7]).await, Ok(false));
    assert_eq!(store.reactions(&log.id, us, us).await.expect("counts")[2].count, 199);
}

pub async fn all_reactions_of_one_message_go_together(store: impl Engine) {
    let mut log = Log::new("C1");
    let us = log.next_us();
    let views: Vec<ViewWrite> =
        (0..9u64).map(|n| reaction(us + n / 3, &format!("emoji{}", n % 3), user("U1"), n)).collect();
    log.view(&store, views).await;
    log.view(&store, vec![ViewWrite::ReactionsGone { bucket: 0, us: us + 1 }]).await;
    let left = store.reactions(&log.id, 0, u64::MAX).await.expect("counts");
    assert_eq!(left.iter().map(|count| count.us - us).collect::<Vec<_>>(), [0, 0, 0, 2, 2, 2]);
}

pub async fn members_are_listed_by_id_in_pages(store: impl Engine) {
    let mut log = Log::new("C1");
    let names = ["U5", "U1", "W3", "U2"];
    let member = |name: &str, seq| ViewWrite::Member {
        user: user(name),
        row: MemberRow { seq, inviter: "U1".into() },
    };
    log.view(&store, names.iter().zip(1..).map(|(name, seq)| member(name, seq)).collect()).await;
    let page = store.members(&log.id, None, 3).await.expect("a page");
    let ids =
        |rows: &[(UserId, MemberRow)]| rows.iter().map(|(user, _)| user.to_string()).collect::<Vec<_>>();
    assert_eq!((ids(&page.rows), page.more), (vec!["U1".into(), "U2".into(), "U5".into()], true));
    let rest = store.members(&log.id, Some(user("U5")), 3).await.expect("a page");
    assert_eq!((ids(&rest.rows), rest.more), (vec!["W3".into()], false));
    let row = store.member(&log.id, &user("W3")).await.expect("an answer").expect("a member");
    assert_eq!((row.seq, row.inviter.as_str()), (3, "U1"));
    log.view(&store, vec![ViewWrite::MemberGone { user: user("U2") }]).await;
    assert_eq!(store.member(&log.id, &user("U2")).await, Ok(None));
    let (here, elsewhere) = (conversation("C1"), conversation("C9"));
    let asked = vec![elsewhere, here.clone(), here];
    let found = store.memberships(&log.id.workspace, &user("W3"), asked).await.expect("an answer");
    assert_eq!(found, [None, Some(row.clone()), Some(row)], "in the order in which they were asked for");
    assert_eq!(ids(&store.members(&log.id, None, 10).await.expect("a page").rows), ["U1", "U5", "W3"]);
}

pub async fn conversations_of_a_user_are_listed_with_those_left(store: impl Engine) {
    let mut log = Log::new("user:U1");
    let joined = |name: &str, left| ViewWrite::Joined {
        channel: conversation(name),
        row: JoinedRow { seq: 4, kind: ConversationKind::Public.into(), left, left_seq: 0 },
    };
    log.view(&store, vec![joined("C2", false), joined("C1", false), joined("D1", false)]).await;
    log.view(&store, vec![joined("C1", true)]).await;
    let list =
        async |after, limit| store.joined(&workspace("T1"), &user("U1"), after, limit).await.expect("a page");
    let page = list(None, 2).await;
    let seen: Vec<_> = page.rows.iter().map(|(id, row)| (id.to_string(), row.left)).collect();
    assert_eq!((seen, page.more), (vec![("C1".into(), true), ("C2".into(), false)], true));
    let rest = list(Some(conversation("C2")), 2).await;
    assert_eq!((rest.rows[0].0.to_string(), rest.rows.len(), rest.more), ("D1".into(), 1, false));
    let other = store.joined(&workspace("T1"), &user("U11"), None, 9).await.expect("a page");
    assert!(other.rows.is_empty());
}

pub async fn marks_go_forward_and_back(store: impl Engine) {
    let mut log = Log::new("user:U1");
    let mark = |channel: &str, us| ViewWrite::Mark {
        channel: conversation(channel),
        row: MarkRow { us, seq: us / 10, countable: 3, broadcast: 1 },
    };
    log.view(&store, vec![mark("C1", 500), mark("C2", 600)]).await;
    log.view(&store, vec![mark("C1", 100)]).await;
    let marks = store.marks(&workspace("T1"), &user("U1")).await.expect("marks");
    let seen: Vec<_> = marks.iter().map(|(id, row)| (id.to_string(), row.us, row.seq)).collect();
    assert_eq!(seen, [("C1".into(), 100, 10), ("C2".into(), 600, 60)]);
    assert_eq!(store.marks(&workspace("T2"), &user("U1")).await, Ok(Vec::new()));
}

pub async fn users_conversations_and_workspaces_are_kept_by_the_workspace(store: impl Engine) {
    let mut log = Log::new("ws:T1");
    let person = UserRow { name: "ann".into(), email: "ann@example.org".into(), ..UserRow::default() };
    let general = ConversationRow { name: "general".into(), members: 2, ..ConversationRow::default() };
    let home = WorkspaceRow { name: "Home".into(), domain: "home".into(), created_us: 5 };
    let views = vec![
        ViewWrite::User { user: user("U2"), row: UserRow { name: "bob".into(), ..UserRow::default() } },
        ViewWrite::User { user: user("U1"), row: person.clone() },
        ViewWrite::Conversation { channel: conversation("C1"), row: general.clone() },
        ViewWrite::Workspace(home.clone()),
    ];
    log.view(&store, views).await;
    let here = workspace("T1");
    assert_eq!(store.user(&here, &user("U1")).await, Ok(Some(person)));
    assert_eq!(store.conversation(&here, &conversation("C1")).await, Ok(Some(general.clone())));
    let users = store.users(&here, None, 1).await.expect("a page");
    assert_eq!((users.rows[0].0.as_str(), users.more), ("U1", true));
    let users = store.users(&here, Some(user("U1")), 1).await.expect("a page");
    assert_eq!((users.rows[0].1.name.as_str(), users.more), ("bob", false));
    let renamed = ConversationRow { name: "main".into(), previous_names: vec!["general".into()], ..general };
    log.view(&store, vec![ViewWrite::Conversation { channel: conversation("C1"), row: renamed.clone() }])
        .await;
    let listed = store.conversations(&here, None, 10).await.expect("a page");
    assert_eq!((listed.rows, listed.more), (vec![(conversation("C1"), renamed)], false));
    let mut other = Log::of("T2", "ws:T2");
    other.view(&store, vec![ViewWrite::Workspace(home.clone())]).await;
    let all = store.workspaces().await.expect("workspaces");
    assert_eq!(all, [(workspace("T1"), home.clone()), (workspace("T2"), home)]);
}

pub async fn a_token_is_found_by_its_hash_alone(store: impl Engine) {
    let mut log = Log::new("user:U1");
    let hash = "ab".repeat(32);
    let row = TokenRow { workspace: "T1".into(), user: "U1".into(), ..TokenRow::default() };
    log.view(&store, vec![ViewWrite::Token { hash: hash.clone(), row: row.clone() }]).await;
    assert_eq!(store.token(&hash).await, Ok(Some(row.clone())));
    assert_eq!(store.token(&hash[..63]).await, Ok(None));
    let revoked = TokenRow { revoked: true, ..row };
    log.view(&store, vec![ViewWrite::Token { hash: hash.clone(), row: revoked.clone() }]).await;
    assert_eq!(store.token(&hash).await, Ok(Some(revoked)));
}

pub async fn large_contents_come_back_whole_wherever_they_are_read(store: impl Engine) {
    let mut log = Log::new("C1");
    let large = ["x".repeat(INLINE_BODY_MAX + 1), "y".repeat(40_000)];
    let us = log.next_us();
    log.post(&store, &[&large[0], "small", &large[1]]).await;
    let page = store.log(&log.id, 0, 10).await.expect("a page");
    assert_eq!(page.events.iter().map(text).collect::<Vec<_>>(), [&large[0], "small", &large[1]]);
    let shown = store.messages(&log.id, everything(10)).await.expect("a page");
    assert_eq!(texts(&shown), [&large[0], "small", &large[1]]);
    assert_eq!(store.keys(&log.id, 0).await.expect("keys").len(), 3);
    let edit = ViewWrite::Message(message(us, "short now"));
    let parent_us = us + STEP_US;
    let answer = ViewWrite::Reply(reply(parent_us, log.next_us(), &large[0]));
    let reply_us = log.next_us();
    log.view(&store, vec![edit, answer]).await;
    let shown = store.messages(&log.id, everything(10)).await.expect("a page");
    assert_eq!(texts(&shown), ["short now", "small", &large[1]]);
    let found = store.message(&log.id, reply_us).await.expect("a reply").expect("it exists");
    assert_eq!(texts(&[found]), [&large[0]]);
    assert_eq!(text(&store.log(&log.id, 0, 1).await.expect("a page").events[0]), large[0]);
}

pub async fn a_redaction_takes_the_content_and_leaves_the_rest(store: impl Engine) {
    let mut log = Log::new("C1");
    let large = "x".repeat(INLINE_BODY_MAX * 2);
    let append = log.shown(&["keep", &large, "gone"]);
    log.apply(&store, append.clone()).await;
    let gone = ViewWrite::MessageGone { bucket: 0, us: append.events[1].us };
    log.view(&store, vec![gone, ViewWrite::Redact { rows: vec![(0, 2), (0, 3), (0, 77)] }]).await;
    let page = store.log(&log.id, 0, 3).await.expect("a page");
    assert_eq!(page.events[0], append.events[0]);
    for (after, before) in page.events[1..].iter().zip(&append.events[1..]) {
        let content = fence::content(after).expect("a content");
        assert_eq!(content, &Content { redacted: true, ..Content::default() });
        let mut expected = before.clone();
        actors::store::redact(&mut expected);
        assert_eq!(*after, expected);
        assert_eq!((after.seq, after.us, &after.key), (before.seq, before.us, &before.key));
    }
    assert_eq!(store.keys(&log.id, 0).await.expect("keys").len(), 4);
    let shown = store.messages(&log.id, everything(10)).await.expect("a page");
    assert_eq!(texts(&shown), ["keep", "gone"]);
}

pub async fn a_row_can_be_redacted_by_the_append_that_brings_it(store: impl Engine) {
    let mut log = Log::new("C1");
    let mut append = log.posts(&["never read", "kept"]);
    let shown = row(&append.events[1], 0);
    append.views = vec![ViewWrite::Redact { rows: vec![(0, 1)] }, ViewWrite::Message(shown)];
    log.apply(&store, append).await;
    let page = store.log(&log.id, 0, 3).await.expect("a page");
    assert_eq!(page.events.iter().map(text).collect::<Vec<_>>(), ["", "kept"]);
    assert_eq!(store.head(&log_id("T1", "C1")).await.expect("a head").map(|(_, head)| head.tail), Some(2));
}
