//! Who hears what: an event reaches only who was a member at its seq, and what was deleted nobody any more.

use super::rig::{Rig, user_id};
use actors::command::{Command, Verb};
use actors::context::Context;
use actors::opening::{self, Plan};
use actors::store::memory::MemoryStore;
use proto::id::{ChannelId, ConversationId};
use proto::v1::event::Body;
use proto::v1::{Content, ConversationKind, Event};
use simulations::world::through::{Held, Order, Through};

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
        let rows = async || rig.store.joined(&rig.workspace, &user_id("bob"), None, 10).await.unwrap().rows;
        rig.until("bob's own log knows of the leave", async || rows().await.iter().any(|(_, row)| row.left))
            .await;
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
    Rig::run_on(
        Rig::config(),
        |_| Through::new(MemoryStore::new(), held.clone()),
        async |rig| {
            let channel = rig.channel("general", &["ann", "bob"]).await;
            let fence = rig.channel("fence", &["ann", "bob"]).await;
            rig.connect("bob", &[]).await; // bob's own log knows of both
            held.order(Order::Wait);
            let left = rig.does("bob", &channel, Verb::Leave).await.unwrap();
            let mut bob = rig.connect("bob", &[(&channel, left.seq)]).await;
            assert!(
                !bob.follows(&channel),
                "the members' rows decide, though bob's own log does not know yet"
            );
            held.order(Order::Pass);
            let own = Context::user(&rig.workspace, &user_id("bob"));
            let rows =
                async || rig.store.joined(&rig.workspace, &user_id("bob"), None, 10).await.unwrap().rows;
            rig.until("bob's own log knows of the leave", async || {
                rows().await.iter().any(|(_, row)| row.left)
            })
            .await;
            let known = rig.store.head(&own).await.unwrap().unwrap().1.tail;
            bob.events(&own.channel.to_string(), known).await;
            let mut ann = rig.connect("ann", &[]).await;
            let secret = rig.posts("ann", &channel, "not for bob").await;
            ann.events(&channel, secret.seq).await;
            let last = rig.posts("ann", &fence, "heard later than the other").await;
            bob.events(&fence, last.seq).await;
            assert_eq!(bob.heard(&channel), []);
        },
    );
}
