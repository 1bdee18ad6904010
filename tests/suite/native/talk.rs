//! Two native clients talk over a real server: one speaks protobuf, the other JSON, and both see the same.

use super::stage::{Person, Stage};
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use proto::frame::WireForm;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Content, Event};
use tests::client::{Client, ClientError, Keys};
use tests::harness::step;

/// Ada speaks protobuf, Bob JSON, and both are in one channel.
pub(super) struct Pair {
    pub(super) stage: Stage,
    pub(super) channel: String,
    pub(super) ada: Person,
    pub(super) bob: Person,
    pub(super) ada_client: Client,
    pub(super) bob_client: Client,
    pub(super) keys: Keys,
}

impl Pair {
    pub(super) async fn start() -> Result<Self> {
        let stage = Stage::start().await?;
        let (ada, bob) = (stage.person("ada").await?, stage.person("bob").await?);
        let channel = stage.channel("general", &[&ada, &bob]).await?;
        let ada_client = stage.client_in(&ada, WireForm::Proto).await?;
        let bob_client = stage.client_in(&bob, WireForm::Json).await?;
        Ok(Self { stage, channel, ada, bob, ada_client, bob_client, keys: Keys::default() })
    }

    /// What both have seen of a channel up to `seq`: the same.
    async fn seen(&self, channel: &str, seq: u64) -> Result<Vec<Event>> {
        let clients = [&self.ada_client, &self.bob_client];
        for client in clients {
            step("events to arrive", client.applied(channel, seq)).await??;
        }
        let [ada, bob] = clients.map(|client| client.events(channel));
        ensure!(ada == bob, "ada saw {ada:#?}, bob saw {bob:#?}");
        Ok(ada)
    }
}

fn text(event: &Event) -> Option<&str> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.as_ref().map(|content| content.text.as_str()),
        _ => None,
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Result<(String, String)> {
    match result {
        Err(ClientError::Refused(refused)) => Ok((refused.code, refused.state)),
        other => anyhow::bail!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn two_people_who_post_at_once_see_one_dense_order() -> Result<()> {
    let mut pair = Pair::start().await?;
    let posts: Vec<_> = (0..200).map(|n| (n, format!("post {n}"), pair.keys.make())).collect();
    let acks = try_join_all(posts.iter().map(|(n, text, key)| {
        let client = if n % 2 == 0 { &pair.ada_client } else { &pair.bob_client };
        client.post(&pair.channel, text, key)
    }));
    let acks = step("200 acks", acks).await??;
    let last = acks.iter().map(|ack| ack.seq).max().unwrap_or_default();
    let events = pair.seen(&pair.channel, last).await?;
    assert_eq!(events.len(), 200);
    assert!(events.windows(2).all(|two| two[1].seq == two[0].seq + 1 && two[1].us > two[0].us));
    for (ack, (n, said, key)) in acks.iter().zip(&posts) {
        let event = events.iter().find(|event| event.seq == ack.seq).expect("an acknowledged post is seen");
        let sender = if n % 2 == 0 { &pair.ada.id } else { &pair.bob.id };
        assert_eq!((event.us, &event.key, &event.sender), (ack.us, key, sender));
        assert_eq!(
            (text(event), ack.ts.clone(), ack.retried),
            (Some(&said[..]), proto::ts::format(ack.us), false)
        );
    }
    Ok(())
}

#[tokio::test]
async fn replies_edits_reactions_and_deletions_are_seen_by_both_in_the_order_they_were_made() -> Result<()> {
    let mut pair = Pair::start().await?;
    let (ada, bob, c) = (pair.ada_client.clone(), pair.bob_client.clone(), pair.channel.clone());
    let mut key = || pair.keys.make();
    let talk = async {
        let post = ada.post(&c, "Good morning", &key()).await?;
        let reply = bob.reply(&c, post.us, "Morning!", &key()).await?;
        ada.edit(&c, post.us, "Good morning, Bob", &key()).await?;
        bob.react(&c, post.us, "wave", &key()).await?;
        bob.unreact(&c, post.us, "wave", &key()).await?;
        bob.delete(&c, reply.us, &key()).await?;
        let foreign = refused(bob.edit(&c, post.us, "mine now", &key()).await)?;
        let missing = refused(ada.delete(&c, reply.us, &key()).await)?;
        anyhow::Ok((post, reply, foreign, missing))
    };
    let (post, reply, foreign, missing) = step("the talk", talk).await??;
    assert_eq!(foreign, ("cant_update_message".to_owned(), "not_applied".to_owned()));
    assert_eq!(missing, ("message_not_found".to_owned(), "not_applied".to_owned()));
    let events = pair.seen(&c, post.seq + 5).await?;
    let content = |text: &str| Some(Content { text: text.into(), ..Content::default() });
    let bodies: Vec<_> = events.iter().filter_map(|event| event.body.clone()).collect();
    let posted =
        |text, thread_us| proto::v1::Posted { content: content(text), thread_us, ..Default::default() };
    let reacted = proto::v1::Reacted { target_us: post.us, name: "wave".into() };
    let unreacted = proto::v1::Unreacted { target_us: post.us, name: "wave".into() };
    let edited = proto::v1::Edited { target_us: post.us, content: content("Good morning, Bob") };
    let expected = [
        Body::Posted(posted("Good morning", 0)),
        Body::Posted(posted("Morning!", post.us)),
        Body::Edited(edited),
        Body::Reacted(reacted),
        Body::Unreacted(unreacted),
        Body::Deleted(proto::v1::Deleted { target_us: reply.us }),
    ];
    assert_eq!(bodies, expected);
    Ok(())
}

#[tokio::test]
async fn a_direct_conversation_is_one_for_both_and_nobody_elses() -> Result<()> {
    let mut pair = Pair::start().await?;
    let carol = pair.stage.person("carol").await?;
    let carol_client = pair.stage.client(&carol).await?;
    let talk = async {
        let by_ada = pair.ada_client.open(&[&pair.bob.id]).await?.channel;
        let by_bob = pair.bob_client.open(&[&pair.ada.id]).await?.channel;
        ensure!(by_ada == by_bob && by_ada.starts_with('D'), "{by_ada} {by_bob}");
        let first = pair.ada_client.post(&by_ada, "just us", &pair.keys.make()).await?;
        let last = pair.bob_client.post(&by_ada, "yes", &pair.keys.make()).await?;
        let seen = pair.seen(&by_ada, last.seq).await?;
        let texts: Vec<_> = seen.iter().filter_map(text).collect();
        ensure!(texts == ["just us", "yes"] && first.seq < last.seq, "{texts:?}");
        let tried = [
            refused(carol_client.post(&by_ada, "hello?", &pair.keys.make()).await)?,
            refused(carol_client.range(&by_ada, 0, 10).await)?,
        ];
        let nothing = carol_client.follow(&[(&by_ada, 0)]).await?;
        ensure!(nothing.tails.is_empty(), "{nothing:?}");
        ensure!(carol_client.events(&by_ada).is_empty(), "carol saw something");
        anyhow::Ok(tried.map(|(code, _)| code))
    };
    let codes = step("the talk", talk).await??;
    for code in codes {
        assert!(["channel_not_found", "not_in_channel"].contains(&&code[..]), "{code}");
    }
    Ok(())
}

#[tokio::test]
async fn typing_is_seen_by_others_and_leaves_no_trace() -> Result<()> {
    let pair = Pair::start().await?;
    (0..5).for_each(|_| pair.ada_client.typing(&pair.channel));
    let typed = |frame: &Say| matches!(frame, Say::Typed(_));
    let seen = step("typed", pair.bob_client.notices(1, typed)).await??;
    let expected = proto::v1::Typed { channel: pair.channel.clone(), user: pair.ada.id.clone() };
    assert_eq!(seen, [Say::Typed(expected)]);
    let own = step("a pong", pair.ada_client.ping("after")).await;
    assert_eq!(own??, "after");
    let again = step("a pong", pair.bob_client.ping("after")).await;
    assert_eq!(again??, "after");
    let all = pair.bob_client.notices(1, typed).await?;
    assert_eq!(all.len(), 1, "the other four came too soon after the first");
    let none = pair.ada_client.range(&pair.channel, 0, 100).await?;
    assert!(none.events.iter().all(|event| matches!(event.body, Some(Body::Joined(_) | Body::Created(_)))));
    let own = pair.ada_client.notices(0, typed).await?;
    assert_eq!(own, [], "nobody is told of their own typing");
    Ok(())
}

#[tokio::test]
async fn a_read_mark_reaches_every_device_of_its_user_and_nobody_else() -> Result<()> {
    let mut pair = Pair::start().await?;
    let phone = pair.stage.client_in(&pair.ada, WireForm::Json).await?;
    let own_log = format!("user:{}", pair.ada.id);
    let (one, two) = (pair.keys.make(), pair.keys.make());
    let mark = async {
        let post = pair.bob_client.post(&pair.channel, "read me", &one).await?;
        pair.ada_client.mark(&pair.channel, post.us, &two).await?;
        let marked = |events: Vec<Event>| {
            events.into_iter().find_map(|event| match event.body {
                Some(Body::Marked(marked)) => Some(marked),
                _ => None,
            })
        };
        let mut devices = [phone.clone(), pair.ada_client.clone()];
        for device in &mut devices {
            while marked(device.events(&own_log)).is_none() {
                device.next_event().await?;
            }
            let marked = marked(device.events(&own_log));
            let place = marked.map(|marked| (marked.channel, marked.target_us, marked.seq));
            ensure!(place == Some((pair.channel.clone(), post.us, post.seq)), "{place:?}");
        }
        pair.seen(&pair.channel, post.seq).await?;
        anyhow::Ok(())
    };
    step("the mark", mark).await??;
    assert_eq!(pair.bob_client.events(&own_log), []);
    Ok(())
}

#[tokio::test]
async fn who_joins_later_sees_what_comes_from_the_join_on_and_who_leaves_sees_no_more() -> Result<()> {
    let mut pair = Pair::start().await?;
    let carol = pair.stage.person("carol").await?;
    let carol_client = pair.stage.client(&carol).await?;
    let mut key = || pair.keys.make();
    let (ada, c) = (&pair.ada_client, &pair.channel);
    let talk = async {
        let before = ada.post(c, "before", &key()).await?;
        let joined = carol_client.join(c, &key()).await?;
        let during = ada.post(c, "during", &key()).await?;
        carol_client.applied(c, during.seq).await?;
        let left = carol_client.leave(c, &key()).await?;
        ada.post(c, "after", &key()).await?;
        carol_client.applied(c, left.seq).await?;
        // What was sent before the answer to this has arrived.
        carol_client.ping("that was all").await?;
        ensure!(before.seq + 1 == joined.seq, "{} {}", before.seq, joined.seq);
        let seqs: Vec<u64> = carol_client.events(c).iter().map(|event| event.seq).collect();
        ensure!(seqs == [joined.seq, during.seq, left.seq], "carol saw {seqs:?}");
        let again = refused(carol_client.post(c, "let me in", &key()).await)?;
        ensure!(again.0 == "not_in_channel", "{again:?}");
        anyhow::Ok(())
    };
    step("the talk", talk).await?
}

#[tokio::test]
async fn commands_that_the_rules_forbid_are_refused_by_name_and_change_nothing() -> Result<()> {
    let mut pair = Pair::start().await?;
    let (ada, c) = (&pair.ada_client, &pair.channel);
    let tail = step("a page", ada.range(c, 0, 1)).await??.tail;
    let long = "x".repeat(40_001);
    let spaced = "a key with spaces";
    let old = pair.keys.at(1_600_000_000_000);
    let (one, two, three) = (pair.keys.make(), pair.keys.make(), pair.keys.make());
    let tried = [
        (ada.post(c, &long, &one).await, "msg_too_long"),
        (ada.post(c, "", &two).await, "no_text"),
        (ada.post("C0NOWHERE00", "hi", &three).await, "channel_not_found"),
        (ada.post("nonsense", "hi", &three).await, "channel_not_found"),
        (ada.post(c, "hi", spaced).await, "invalid_idempotency_key"),
        (ada.post(c, "hi", &old).await, "idempotency_key_too_old"),
        (ada.reply(c, 12, "hi", &three).await, "thread_not_found"),
        (ada.react(c, 12, "wave", &three).await, "message_not_found"),
    ];
    for (result, code) in tried {
        assert_eq!(refused(result)?, (code.to_owned(), "not_applied".to_owned()));
    }
    assert_eq!(step("a page", ada.range(c, 0, 1)).await??.tail, tail);
    Ok(())
}
