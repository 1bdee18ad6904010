//! Who hears what: an event reaches only who was a member at its seq, and what was deleted nobody any more.

use super::rig::{Rig, user_id};
use super::{follow, unfollow};
use actors::command::{Command, Verb};
use actors::config::Config;
use actors::context::Context;
use actors::opening::{self, Plan};
use actors::store::StoreError;
use futures::FutureExt;
use futures::future::{BoxFuture, join};
use proto::id::{ChannelId, ConversationId};
use proto::v1::client_frame::Frame as Ask;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Content, ConversationKind, Event, JoinedRow, Ping};
use simulations::world::through::{Held, Hook, Order};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::watch;

fn content_of(event: &Event) -> Option<Content> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.clone(),
        Some(Body::Edited(edited)) => edited.content.clone(),
        _ => None,
    }
}

#[test]
fn a_deleted_message_is_not_replayed_though_its_channel_is_hot() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let secret = rig.posts("ann", &channel, "secret").await;
        let content = Content { text: "still secret".into(), ..Content::default() };
        rig.does("ann", &channel, Verb::Edit { target_us: secret.us, content }).await.unwrap();
        rig.posts("ann", &channel, "no secret").await;
        let gone = rig.does("ann", &channel, Verb::Delete { target_us: secret.us }).await.unwrap();
        let mut bob = rig.connect("bob", &[(&channel, 1)]).await;
        let events = bob.events(&channel, gone.seq).await;
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, [2, 3, 4, 5], "what happened stays in its place");
        let contents: Vec<_> = events.iter().filter_map(content_of).collect();
        let redacted = Content { redacted: true, ..Content::default() };
        assert_eq!(contents[..2], [redacted.clone(), redacted]);
        assert_eq!(contents[2].text, "no secret");
    });
}

/// Waits until bob's own log knows of such a membership; its name and its tail.
async fn knows(rig: &Rig, of: impl Fn(&JoinedRow) -> bool) -> (String, u64) {
    let (bob, own) = (user_id("bob"), Context::user(&rig.workspace, &user_id("bob")));
    let rows = async || rig.store.joined(&rig.workspace, &bob, None, 10).await.unwrap().rows;
    rig.until("bob's own log knows of it", async || rows().await.iter().any(|(_, row)| of(row))).await;
    let (_, head) = rig.store.head(&own).await.unwrap().unwrap();
    (own.channel.to_string(), head.tail)
}
async fn knows_of_the_leave(rig: &Rig) -> (String, u64) {
    knows(rig, |row| row.left).await
}

#[test]
fn who_left_replays_only_their_own_time() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        rig.posts("ann", &channel, "before").await;
        let joined = rig.does("ann", &channel, Verb::Invite { user: user_id("bob") }).await.unwrap();
        rig.posts("ann", &channel, "with bob").await;
        let left = rig.does("bob", &channel, Verb::Leave).await.unwrap();
        rig.posts("ann", &channel, "after").await;
        knows_of_the_leave(rig).await;
        let mut bob = rig.connect("bob", &[(&channel, 0)]).await;
        let seqs: Vec<u64> = bob.events(&channel, left.seq).await.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (joined.seq..=left.seq).collect::<Vec<_>>());
        let mut ann = rig.connect("ann", &[]).await;
        let secret = rig.posts("ann", &channel, "long after").await;
        ann.events(&channel, secret.seq).await;
        let last = rig.posts("ann", &fence, "heard later than the other").await;
        bob.events(&fence, last.seq).await;
        assert_eq!(bob.heard(&channel).last().map(|event| event.seq), Some(left.seq));
    });
}

#[test]
fn who_left_and_came_back_while_far_behind_is_shown_both_of_their_times_and_nothing_between() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut bob = rig.connect("bob", &[]).await;
        bob.stop_reading();
        for _ in 0..1000 {
            rig.posts("ann", &channel, "flood").await;
        }
        let left = rig.does("bob", &channel, Verb::Leave).await.unwrap();
        rig.posts("ann", &channel, "not for bob").await;
        let back = rig.does("bob", &channel, Verb::Join).await.unwrap();
        let last = rig.posts("ann", &channel, "for bob").await;
        knows(rig, |row| !row.left && row.seq == back.seq).await;
        bob.read_again();
        let seqs: Vec<u64> = bob.events(&channel, last.seq).await.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (2..=left.seq).chain(back.seq..=last.seq).collect::<Vec<_>>());
        assert!(bob.lagged > 0, "the queue was bounded, so it must have overflowed");
    });
}

#[test]
fn who_asks_twice_for_the_time_until_their_leave_is_shown_it_once() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        let mut bob = rig.connect("bob", &[]).await;
        let began = rig.posts("ann", &channel, "heard at once").await.seq;
        bob.events(&channel, began).await;
        bob.say(unfollow(&channel)).await;
        bob.ask(Ask::Ping(Ping::default())).await;
        rig.posts("ann", &channel, "missed").await;
        let left = rig.does("bob", &channel, Verb::Leave).await.unwrap().seq;
        knows_of_the_leave(rig).await;
        bob.ask(follow(&channel, began)).await;
        bob.events(&channel, left).await;
        let again = bob.ask(follow(&channel, began)).await;
        assert!(matches!(&again, Say::Following(following) if following.tails.is_empty()), "{again:?}");
        let last = rig.posts("ann", &fence, "heard later than anything of the other").await;
        bob.events(&fence, last.seq).await;
        let seqs: Vec<u64> = bob.heard(&channel).iter().map(|event| event.seq).collect();
        assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
        // Who says that it follows no more may have it again.
        bob.say(unfollow(&channel)).await;
        bob.ask(follow(&channel, began)).await;
        rig.until("it is shown again", async || {
            bob.ask(Ask::Ping(Ping::default())).await;
            bob.heard(&channel).iter().filter(|event| event.seq == left).count() == 2
        })
        .await;
    });
}

#[test]
fn a_mention_reaches_members_only() {
    Rig::run(async |rig| {
        // Follow-ups of an event are done in the order of the users' ids: abe would be told before bob.
        rig.found(&rig.workspace, &["abe"]).await;
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let text = format!("<@{}> <@{}>", user_id("abe"), user_id("bob"));
        let posted = rig.posts("ann", &channel, &text).await;
        let log = |name: &str| Context::user(&rig.workspace, &user_id(name));
        let told = async |name: &str| {
            let events = rig.store.log(&log(name), 0, 100).await.unwrap().events;
            events.into_iter().any(|event| match event.body {
                Some(Body::Mentioned(mentioned)) => mentioned.target_us == posted.us,
                _ => false,
            })
        };
        rig.until("bob is told", async || told("bob").await).await;
        assert!(!told("abe").await, "abe is not in the channel");
    });
}

#[test]
fn the_names_of_a_closed_conversation_stay_with_its_members() {
    Rig::run(async |rig| {
        let channel = ConversationId::parse(&rig.context.mint('C')).unwrap();
        let plan = Plan {
            channel: channel.clone(),
            name: "takeover".into(),
            kind: ConversationKind::Private,
            members: vec![user_id("ann")],
        };
        opening::open(&rig.context, &rig.workspace, None, plan).await.unwrap();
        let log = Context::workspace(&rig.workspace);
        let rename = Verb::RenameConversation { channel: channel.clone(), name: "takeover-2".into() };
        let renamed = rig.context.execute(log.clone(), Command::system("", rename)).await.unwrap();
        opening::follow_up(&rig.context, log.clone(), renamed.clone()).await.unwrap();
        let own = log.channel.to_string();
        let mut bob = rig.connect("bob", &[(&own, 0)]).await;
        let events = bob.events(&own, renamed.seq).await;
        assert_eq!(events.len() as u64, renamed.seq - 1, "the log stays dense for everybody");
        let said = format!("{events:?}");
        assert!(!said.contains("takeover") && !said.contains(channel.as_str()), "{said}");
        let mut ann = rig.connect("ann", &[(channel.as_str(), 0)]).await;
        let events = ann.events(channel.as_str(), 2).await;
        assert!(matches!(&events[0].body, Some(Body::Renamed(renamed)) if renamed.name == "takeover-2"));
    });
}

#[test]
fn a_connection_that_begins_before_the_users_own_log_knows_of_a_leave_is_not_let_in() {
    let held = Held::new(|log| matches!(log.channel, ChannelId::User(_)));
    Rig::run_behind(Rig::config(), &held, async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        rig.connect("bob", &[]).await; // bob's own log knows of both
        held.order(Order::Wait);
        let left = rig.does("bob", &channel, Verb::Leave).await.unwrap();
        let mut bob = rig.connect("bob", &[(&channel, left.seq)]).await;
        assert!(!bob.follows(&channel), "the members' rows decide, though bob's own log does not know yet");
        held.order(Order::Pass);
        let (own, known) = knows_of_the_leave(rig).await;
        bob.events(&own, known).await;
        let mut ann = rig.connect("ann", &[]).await;
        let secret = rig.posts("ann", &channel, "not for bob").await;
        ann.events(&channel, secret.seq).await;
        let last = rig.posts("ann", &fence, "heard later than the other").await;
        bob.events(&fence, last.seq).await;
        assert_eq!(bob.heard(&channel), []);
    });
}

/// A store that answers one kind of question late, while it is told to.
#[derive(Clone)]
struct Late {
    question: &'static str,
    late: watch::Sender<bool>,
    asked: Arc<AtomicBool>,
}

impl Late {
    fn to(question: &'static str) -> Self {
        Self { question, late: watch::channel(false).0, asked: Arc::default() }
    }
}

impl Hook for Late {
    fn delay(&self, name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let mut late = self.late.subscribe();
        (name == self.question && *late.borrow_and_update()).then(|| {
            self.asked.store(true, Relaxed);
            async move {
                late.wait_for(|late| !late).await.expect("the test goes on");
                Ok(())
            }
            .boxed()
        })
    }
}

/// Bob connects with such cursors and leaves while the members' rows are read; what he hears, from where on, and where
/// the leave stands.
fn leaves_while_the_connection_begins(
    cursors: &'static [u64],
    judge: impl AsyncFn(&[Event], Option<u64>, u64),
) {
    let late = Late::to("memberships");
    Rig::run_behind(Rig::config(), &late, async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        rig.connect("bob", &[]).await; // bob's own log knows of both
        late.late.send_replace(true);
        let leaves = async {
            rig.until("the rows are read", async || late.asked.load(Relaxed)).await;
            let left = rig.does("bob", &channel, Verb::Leave).await.unwrap();
            let known = knows_of_the_leave(rig).await;
            late.late.send_replace(false);
            (left.seq, known)
        };
        let cursors: Vec<_> = cursors.iter().map(|seq| (channel.as_str(), *seq)).collect();
        let (mut bob, (left, (own, known))) = join(rig.connect("bob", &cursors), leaves).await;
        bob.events(&own, known).await;
        // What the event asks for is done before the next question is answered.
        bob.ask(Ask::Ping(Ping::default())).await;
        rig.posts("ann", &channel, "not for bob").await;
        let last = rig.posts("ann", &fence, "heard later than the other").await;
        bob.events(&fence, last.seq).await;
        judge(&bob.heard(&channel), bob.began(&channel), left).await;
    });
}

#[test]
fn who_leaves_while_their_connection_begins_is_shown_the_leave_and_nothing_after_it() {
    leaves_while_the_connection_begins(&[], async |heard, began, left| {
        assert_eq!(began, Some(left - 1), "the rows are read when the tail is known");
        assert_eq!(heard.iter().map(|event| event.seq).collect::<Vec<_>>(), [left]);
    });
}

#[test]
fn who_comes_with_a_cursor_beyond_the_end_is_shown_their_leave_and_nothing_after_it() {
    leaves_while_the_connection_begins(&[1000], async |heard, began, left| {
        assert_eq!(began, Some(left - 1), "the end is read before the rows");
        assert_eq!(heard.iter().map(|event| event.seq).collect::<Vec<_>>(), [left]);
    });
}

#[test]
fn what_was_put_aside_is_not_followed_again_when_the_client_is_told_late_of_having_joined() {
    let late = Late::to("log");
    let config = Config { channel_recent_max: 1, ..Rig::config() };
    Rig::run_behind(config, &late, async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        let (own, known) = knows(rig, |row| row.seq > 0).await;
        late.late.send_replace(true);
        let mut bob = rig.connect("bob", &[(&own, 0)]).await;
        rig.until("bob's own log is read", async || late.asked.load(Relaxed)).await;
        bob.say(unfollow(&channel)).await;
        bob.ask(Ask::Ping(Ping::default())).await;
        late.late.send_replace(false);
        bob.events(&own, known).await;
        bob.ask(Ask::Ping(Ping::default())).await;
        rig.posts("ann", &channel, "put aside").await;
        let last = rig.posts("ann", &fence, "heard later than the other").await;
        bob.events(&fence, last.seq).await;
        assert_eq!(bob.heard(&channel), []);
        // A newer membership is followed.
        rig.does("bob", &channel, Verb::Leave).await.unwrap();
        let back = rig.does("bob", &channel, Verb::Join).await.unwrap();
        assert_eq!(bob.events(&channel, back.seq).await.len(), 1);
    });
}

#[test]
fn what_was_put_aside_before_the_client_is_told_of_having_joined_is_not_followed() {
    let late = Late::to("log");
    let config = Config { channel_recent_max: 1, ..Rig::config() };
    Rig::run_behind(config, &late, async |rig| {
        let fence = rig.channel("fence", &["ann", "bob"]).await;
        let channel = rig.channel("general", &["ann"]).await;
        rig.channel("other", &["ann", "bob"]).await;
        let heads = async || knows(rig, |row| row.seq > 0).await;
        rig.until("bob's own log knows of both", async || heads().await.1 == 2).await;
        let (own, _) = heads().await;
        late.late.send_replace(true);
        let mut bob = rig.connect("bob", &[(&own, 0)]).await;
        rig.until("bob's own log is read", async || late.asked.load(Relaxed)).await;
        rig.does("bob", &channel, Verb::Join).await.unwrap();
        bob.say(unfollow(&channel)).await;
        bob.ask(Ask::Ping(Ping::default())).await;
        let (own, known) = knows(rig, |row| row.seq > 1).await;
        late.late.send_replace(false);
        bob.events(&own, known).await;
        bob.ask(Ask::Ping(Ping::default())).await;
        rig.posts("ann", &channel, "put aside").await;
        let last = rig.posts("ann", &fence, "heard later than the other").await;
        bob.events(&fence, last.seq).await;
        assert_eq!(bob.heard(&channel), []);
    });
}
