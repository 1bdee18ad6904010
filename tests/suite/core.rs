//! One node's actors over the reference store and sockets made of channels: what people see of each other.

mod beats;
mod beyond;
mod early;
mod follow_ups;
mod limits;
mod long;
mod passive;
mod privacy;
pub(crate) mod rig;
mod typing;
mod unhappy;
mod unsaid;

use actors::channel::audience::GatewaySink;
use actors::command::{Command, Verb};
use actors::context::Context;
use actors::relay::RelayMessage;
use proto::refusal::Refusal;
use proto::v1::client_frame::Frame as Ask;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{self, Content};
use rig::{Client, Rig, text_of};
use tokio::sync::mpsc;

fn post(channel: &str, key: &str, text: &str) -> Ask {
    let content = Some(Content { text: text.into(), ..Content::default() });
    Ask::Post(v1::Post { channel: channel.into(), key: key.into(), content, ..v1::Post::default() })
}

fn follow(channel: &str, seq: u64) -> Ask {
    Ask::Follow(v1::Follow { cursors: vec![v1::Cursor { channel: channel.into(), seq }] })
}

fn unfollow(channel: &str) -> Ask {
    Ask::Unfollow(v1::Unfollow { channels: vec![channel.into()] })
}

async fn acked(client: &mut Client, ask: Ask) -> v1::Ack {
    match client.ask(ask).await {
        Say::Ack(ack) => ack,
        other => panic!("expected an ack, got {other:?}"),
    }
}

async fn refused(client: &mut Client, ask: Ask) -> String {
    match client.ask(ask).await {
        Say::Refused(refused) => refused.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_post_reaches_every_member_in_the_same_order_and_once() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let mut bob = rig.connect("bob", &[]).await;
        for number in 0..20 {
            let client = if number % 2 == 0 { &mut ann } else { &mut bob };
            let ack = acked(client, post(&channel, &format!("k{number}"), &format!("m{number}"))).await;
            assert_eq!(ack.seq, number + 2, "seq is dense after `created`");
        }
        let expected: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
        for client in [&mut ann, &mut bob] {
            let events = client.events(&channel, 21).await;
            assert_eq!(events.iter().filter_map(text_of).collect::<Vec<_>>(), expected);
            assert!(events.windows(2).all(|two| two[1].seq == two[0].seq + 1 && two[1].us > two[0].us));
        }
    });
}

#[test]
fn a_retry_is_neither_stored_nor_delivered_twice_and_a_reused_key_is_an_error() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let first = acked(&mut ann, post(&channel, "key", "once")).await;
        let again = acked(&mut ann, post(&channel, "key", "once")).await;
        assert_eq!((again.seq, again.us, again.retried), (first.seq, first.us, true));
        assert_eq!(refused(&mut ann, post(&channel, "key", "twice")).await, "idempotency_key_reused");
        let last = acked(&mut ann, post(&channel, "other", "next")).await;
        assert_eq!(last.seq, first.seq + 1);
    });
}

#[test]
fn a_client_resumes_from_its_cursor_and_meets_live_events_without_a_gap() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        for number in 0..3000 {
            acked(&mut ann, post(&channel, &format!("k{number}"), &format!("m{number}"))).await;
        }
        let mut bob = rig.connect("bob", &[(&channel, 1)]).await;
        for number in 3000..3050 {
            acked(&mut ann, post(&channel, &format!("k{number}"), &format!("m{number}"))).await;
        }
        let events = bob.events(&channel, 3051).await;
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (2..=3051).collect::<Vec<_>>());
    });
}

#[test]
fn a_panic_in_one_channel_touches_no_other_and_loses_nothing() {
    Rig::run(async |rig| {
        let sick = rig.channel("sick", &["ann"]).await;
        let well = rig.channel("well", &["ann"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        for round in 0..5 {
            acked(&mut ann, post(&sick, &format!("s{round}"), "before")).await;
            rig.panic(&sick);
            let ack = acked(&mut ann, post(&sick, &format!("t{round}"), "after")).await;
            assert_eq!(ack.seq, 3 + 2 * round, "nothing lost, nothing doubled");
            acked(&mut ann, post(&well, &format!("w{round}"), "meanwhile")).await;
        }
        let events = ann.events(&sick, 11).await;
        assert_eq!(events.len(), 10);
    });
}

#[test]
fn who_left_gets_nothing_more_and_who_joins_starts_at_the_join() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let mut bob = rig.connect("bob", &[]).await;
        acked(&mut ann, post(&channel, "k1", "to both")).await;
        let leave = Ask::Leave(v1::Leave { channel: channel.clone(), key: "leave".into() });
        let left = acked(&mut bob, leave).await;
        acked(&mut ann, post(&channel, "k2", "to ann")).await;
        assert_eq!(refused(&mut bob, post(&channel, "k3", "not a member")).await, "not_in_channel");
        let join = Ask::Join(v1::Join { channel: channel.clone(), key: "join".into() });
        let joined = acked(&mut bob, join).await;
        acked(&mut ann, post(&channel, "k4", "to both again")).await;
        let seen: Vec<u64> =
            bob.events(&channel, joined.seq + 1).await.iter().map(|event| event.seq).collect();
        assert_eq!(seen, vec![2, left.seq, joined.seq, joined.seq + 1]);
    });
}

#[test]
fn edits_reactions_threads_and_deletions_follow_the_rules() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let mut bob = rig.connect("bob", &[]).await;
        let parent = acked(&mut ann, post(&channel, "p", "parent")).await;
        let content = Some(Content { text: "reply".into(), ..Content::default() });
        let reply = |key: &str| {
            Ask::Post(v1::Post {
                channel: channel.clone(),
                key: key.into(),
                content: content.clone(),
                thread_us: parent.us,
                reply_broadcast: false,
            })
        };
        let first = acked(&mut bob, reply("r1")).await;
        let second = acked(&mut bob, reply("r2")).await;
        let edit = |us: u64| {
            let content = Some(Content { text: "edited".into(), ..Content::default() });
            Ask::Edit(v1::Edit { channel: channel.clone(), key: String::new(), target_us: us, content })
        };
        assert_eq!(refused(&mut bob, edit(parent.us)).await, "cant_update_message");
        acked(&mut ann, edit(parent.us)).await;
        let react = || {
            let (channel, name) = (channel.clone(), "tada".to_owned());
            Ask::React(v1::React { channel, key: String::new(), target_us: parent.us, name })
        };
        acked(&mut bob, react()).await;
        assert_eq!(refused(&mut bob, react()).await, "already_reacted");
        let delete =
            |us: u64| Ask::Delete(v1::Delete { channel: channel.clone(), key: String::new(), target_us: us });
        acked(&mut bob, delete(second.us)).await;
        let log = rig.log(&channel);
        let row = rig.store.message(&log, parent.us).await.unwrap().unwrap();
        assert_eq!((row.reply_count, row.latest_reply_us), (1, first.us));
        assert_eq!(row.content.unwrap().text, "edited");
        acked(&mut ann, delete(parent.us)).await;
        let stone = rig.store.message(&log, parent.us).await.unwrap().unwrap();
        assert_eq!((stone.kind(), stone.content), (v1::MessageKind::Tombstone, None));
        let events = rig.store.log(&log, 0, 100).await.unwrap().events;
        let redacted = events.iter().filter(|event| match &event.body {
            Some(Body::Posted(posted)) => posted.content.as_ref().is_some_and(|content| content.redacted),
            Some(Body::Edited(edited)) => edited.content.as_ref().is_some_and(|content| content.redacted),
            _ => false,
        });
        assert_eq!(redacted.count(), 3, "the parent's post and edit, and the deleted reply");
    });
}

#[test]
fn a_slow_reader_is_dropped_to_its_cursor_and_misses_nothing() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let mut bob = rig.connect("bob", &[]).await;
        bob.stop_reading();
        for number in 0..2000 {
            acked(&mut ann, post(&channel, &format!("k{number}"), "flood")).await;
        }
        bob.read_again();
        let events = bob.events(&channel, 2001).await;
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (2..=2001).collect::<Vec<_>>());
        assert!(bob.lagged > 0, "the queue was bounded, so it must have overflowed");
    });
}

#[test]
fn another_workspaces_conversation_does_not_exist() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let stranger = rig.stranger().await;
        let log = actors::store::LogId::new(stranger.0.clone(), rig.log(&channel).channel);
        let verb = Verb::Post {
            content: Content { text: "hello?".into(), ..Content::default() },
            thread_us: 0,
            reply_broadcast: false,
            client_msg_id: String::new(),
        };
        let refused = rig.context.execute(log, Command::by(&stranger.1, verb)).await.unwrap_err();
        assert_eq!(refused, Refusal::Named("channel_not_found"));
        let _: &Context = &rig.context;
    });
}

#[test]
fn a_subscription_that_waited_longer_than_its_gateway_lived_is_refused_and_does_not_replace_a_later_one() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let (log, router) = (rig.log(&channel), &rig.context.router);
        let (relay, mut heard) = mpsc::channel(16);
        let (gone, back) = (GatewaySink::new("g", relay.clone()), GatewaySink::new("g", relay));
        gone.end();
        assert!(router.subscribe(&log, &gone).await.is_err());
        rig.posts("ann", &channel, "one").await;
        assert!(heard.try_recv().is_err(), "nobody listens");
        router.subscribe(&log, &back).await.unwrap();
        assert!(router.subscribe(&log, &gone).await.is_err());
        rig.posts("ann", &channel, "two").await;
        assert!(matches!(heard.recv().await, Some(RelayMessage::Deliver(_))));
    });
}
