//! Coming back: after a cut, from far behind, after a restart; a retry finds what became of the first attempt.

use super::stage::{Stage, connected, plain};
use super::talk::Pair;
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use proto::frame::WireForm;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use std::sync::Arc;
use std::time::Duration;
use tests::client::{Client, ClientError, Keys, Options};
use tests::harness::{Scratch, step};

/// How far behind the far-behind client is, in events.
const FAR: usize = 100_000;
/// Events of one read of the store while a session catches up.
const READ_EVENTS: usize = 200;
/// Reads beyond the least: the ends of the log, and what beacons make a client ask.
const READS_SPARE: f64 = 20.0;
/// Events of a bucket of a log, and buckets that are filled so that the oldest can be dropped.
const BUCKET_EVENTS: usize = 4096;
const BUCKETS: usize = 3;
const READS: &str = "waggle_replay_store_reads_total";
const RETURNS: &str = "reconnection_rate";

#[tokio::test]
async fn a_client_that_was_cut_off_misses_nothing_and_gets_nothing_twice() -> Result<()> {
    let mut pair = Pair::start().await?;
    let posts: Vec<_> = (0..300).map(|n| (format!("post {n}"), pair.keys.make())).collect();
    let talk = async {
        let mut last = 0;
        for (n, (text, key)) in posts.iter().enumerate() {
            last = pair.ada_client.post(&pair.channel, text, key).await?.seq;
            if n % 50 == 25 {
                pair.bob_client.cut();
                // The next cut has to meet a connection.
                let welcomes = n / 50 + 2;
                pair.bob_client.notices(welcomes, |notice| matches!(notice, Say::Welcome(_))).await?;
            }
        }
        pair.bob_client.applied(&pair.channel, last).await?;
        anyhow::Ok(())
    };
    step("300 posts and six cuts", talk).await??;
    let seqs: Vec<u64> = pair.bob_client.events(&pair.channel).iter().map(|event| event.seq).collect();
    assert_eq!(seqs.len(), 300);
    assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1));
    assert_eq!((pair.bob_client.stats().duplicates, pair.bob_client.stats().welcomes), (0, 7));
    Ok(())
}

#[tokio::test]
async fn a_sender_that_is_cut_off_resends_and_every_post_has_one_place() -> Result<()> {
    let mut pair = Pair::start().await?;
    let posts: Vec<_> = (0..400).map(|n| (format!("post {n}"), pair.keys.make())).collect();
    let send = try_join_all(posts.iter().map(|(text, key)| pair.ada_client.post(&pair.channel, text, key)));
    let cuts = async {
        for seen in [40, 120, 240] {
            let first = pair.bob_client.cursors()[&pair.channel];
            pair.bob_client.applied(&pair.channel, first + seen / 10).await?;
            pair.ada_client.cut();
        }
        anyhow::Ok(())
    };
    let (acks, cuts) = step("400 posts and three cuts", async { futures::join!(send, cuts) }).await?;
    let acks = acks?;
    cuts?;
    let mut seqs: Vec<u64> = acks.iter().map(|ack| ack.seq).collect();
    seqs.sort_unstable();
    let last = *seqs.last().expect("400 acks");
    step("the last event", pair.bob_client.applied(&pair.channel, last)).await??;
    let events = pair.bob_client.events(&pair.channel);
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), seqs);
    for (ack, (_, key)) in acks.iter().zip(&posts) {
        let found = events.iter().filter(|event| event.key == *key).map(|event| event.seq);
        assert_eq!(found.collect::<Vec<_>>(), [ack.seq]);
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_after_a_restart_finds_its_place_and_other_content_is_refused() -> Result<()> {
    let Pair { stage, channel, ada, ada_client, bob_client, mut keys, .. } = Pair::start().await?;
    let key = keys.make();
    let first = step("an ack", ada_client.post(&channel, "once", &key)).await??;
    let again = step("an ack", ada_client.post(&channel, "once", &key)).await??;
    assert_eq!((again.seq, again.us, again.retried), (first.seq, first.us, true));
    let stage = stage.restart().await?;
    let client = stage.client_in(&ada, WireForm::Json).await?;
    let again = step("an ack", client.post(&channel, "once", &key)).await??;
    assert_eq!((again.seq, again.us, again.retried), (first.seq, first.us, true));
    let other = step("a refusal", client.post(&channel, "twice", &key)).await?;
    let Err(ClientError::Refused(refused)) = other else { panic!("not refused: {other:?}") };
    assert_eq!((&refused.code[..], &refused.state[..]), ("idempotency_key_reused", "not_applied"));
    let edit = step("a refusal", client.edit(&channel, first.us, "once", &key)).await?;
    assert!(matches!(&edit, Err(ClientError::Refused(r)) if r.code == "idempotency_key_reused"), "{edit:?}");
    // The key is the sender's own: Bob's post under the same one is another post.
    bob_client.move_to(stage.url());
    let bobs = step("an ack", bob_client.post(&channel, "once", &key)).await??;
    assert_eq!((bobs.seq, bobs.retried), (first.seq + 1, false));
    Ok(())
}

#[tokio::test]
async fn a_client_resumes_over_a_restart_by_its_cursors() -> Result<()> {
    let Pair { stage, channel, ada_client, bob_client, mut keys, .. } = Pair::start().await?;
    let first = step("an ack", ada_client.post(&channel, "before", &keys.make())).await??;
    step("the first event", bob_client.applied(&channel, first.seq)).await??;
    let stage = stage.restart().await?;
    ada_client.move_to(stage.url());
    bob_client.move_to(stage.url());
    let last = step("an ack", ada_client.post(&channel, "after", &keys.make())).await??;
    assert_eq!(last.seq, first.seq + 1);
    step("the last event", bob_client.applied(&channel, last.seq)).await??;
    let events = bob_client.events(&channel);
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [first.seq, last.seq]);
    assert!(events[0].us < events[1].us && events[0].epoch < events[1].epoch, "{events:?}");
    Ok(())
}

/// Posts `count` messages as fast as the node takes them, by clients that hear nothing; the last seq.
async fn fill(stage: &Stage, channel: &str, count: usize) -> Result<u64> {
    const SENDERS: usize = 4;
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        let person = stage.person(&format!("sender{n}")).await?;
        stage.join(channel, &person).await?;
        senders.push(connected(Options { manual: true, ..stage.options(&person) }).await?);
    }
    let mut tail = 0;
    let mut sent = 0;
    while sent < count {
        // One step is one batch: what hangs is found early.
        let batch = (count - sent).min(2000);
        let posts = (0..batch).map(|n| {
            let client = senders[n % SENDERS].clone();
            let key = Keys::default().make();
            async move { client.post(channel, &format!("post {}", sent + n), &key).await }
        });
        let acks = step("a batch of posts", try_join_all(posts)).await??;
        tail = acks.iter().map(|ack| ack.seq).max().unwrap_or(tail);
        sent += batch;
    }
    Ok(tail)
}

/// Resumes a client from `from` and checks what it is given, and how often the store was read for it.
async fn catch_up(stage: &Stage, options: Options, channel: &str, from: u64, tail: u64) -> Result<()> {
    let (before, returns) = (stage.metric(READS).await?, stage.metric(RETURNS).await?);
    let cursors = vec![(channel.to_owned(), from)];
    let client: Client = connected(Options { cursors, ..options }).await?;
    let mut next = from;
    while next < tail {
        next = (next + 2000).min(tail);
        step("the next events", client.applied(channel, next)).await??;
    }
    let events = client.events(channel);
    let dense = events.iter().zip(from + 1..).all(|(event, seq)| event.seq == seq);
    ensure!(dense && events.len() as u64 == tail - from, "{} events", events.len());
    ensure!(client.stats().duplicates == 0, "{:?}", client.stats());
    ensure!(stage.metric(RETURNS).await? == returns + 1.0, "who comes with a cursor comes back");
    let reads = stage.metric(READS).await? - before;
    let least = (tail - from).div_ceil(READ_EVENTS as u64) as f64;
    println!("{} events by {reads} reads of the store", events.len());
    ensure!(reads <= least + READS_SPARE, "{reads} reads, at least {least} are needed");
    let posts = events.iter().filter(|event| matches!(event.body, Some(Body::Posted(_)))).count();
    ensure!(posts == FAR, "{posts} posts");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_resumes_from_100k_events_back_also_after_a_restart_by_bounded_reads() -> Result<()> {
    let stage = Stage::open(plain(&[])).await?;
    let reader = stage.person("reader").await?;
    let channel = stage.channel("far", &[&reader]).await?;
    let client = stage.client(&reader).await?;
    let from = client.cursors()[&channel];
    client.close();
    let tail = fill(&stage, &channel, FAR).await?;
    catch_up(&stage, stage.options(&reader), &channel, from, tail).await?;
    let stage = stage.restart().await?;
    let json = Options { form: WireForm::Json, ..stage.options(&reader) };
    catch_up(&stage, json, &channel, from, tail).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_from_before_the_log_is_told_where_it_goes_on_and_history_has_the_rest() -> Result<()> {
    // Kept are the newest two buckets alone.
    let stage = Stage::with(&[("WAGGLE_ACTORS__RESUME_WINDOW_HOURS", "0")]).await?;
    let reader = stage.person("reader").await?;
    let channel = stage.channel("old", &[&reader]).await?;
    let client = stage.client(&reader).await?;
    let from = client.cursors()[&channel];
    client.close();
    let tail = fill(&stage, &channel, BUCKETS * BUCKET_EVENTS).await?;
    let asking =
        connected(Options { manual: true, cursors: vec![(channel.clone(), tail)], ..stage.options(&reader) });
    let asking = asking.await?;
    // The newest bucket and the one before it stay; buckets are dropped one after the other.
    let bucket = BUCKET_EVENTS as u64;
    let kept_from = ((tail - 1) / bucket - 1) * bucket + 1;
    let dropped = async {
        while asking.range(&channel, from, 1).await?.events[0].seq < kept_from {}
        anyhow::Ok(())
    };
    step("the oldest rows to be dropped", dropped).await??;
    let cursors = vec![(channel.clone(), from)];
    let client = connected(Options { cursors, ..stage.options(&reader) }).await?;
    step("the tail", client.applied(&channel, tail)).await??;
    let skips = client.notices(1, |notice| matches!(notice, Say::SkipTo(_))).await?;
    let [Say::SkipTo(skip)] = &skips[..] else { panic!("one skip_to: {skips:?}") };
    assert!(skip.channel == channel && skip.seq > from + 1 && skip.seq == kept_from, "{skip:?}");
    let seqs: Vec<u64> = client.events(&channel).iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (skip.seq..=tail).collect::<Vec<_>>());
    let page = serde_json::json!({ "channel": channel, "oldest": "0.000001", "limit": 20 });
    let oldest = stage.node.ok("conversations.history", &reader.token, page).await?;
    let first_us = client.events(&channel)[0].us;
    let older = |message: &&serde_json::Value| {
        let us = message["ts"].as_str().and_then(proto::ts::parse);
        message["subtype"].is_null() && us.is_some_and(|us| us < first_us)
    };
    let older = oldest["messages"].as_array().into_iter().flatten().filter(older).count();
    assert_eq!(older, 15, "what the log has no longer, the views have: five joins, then posts");
    Ok(())
}

#[tokio::test]
async fn clients_find_a_node_that_stops_and_comes_back() -> Result<()> {
    let Pair { stage, channel, ada, ada_client, mut keys, .. } = Pair::start().await?;
    let first = step("an ack", ada_client.post(&channel, "before", &keys.make())).await??;
    let data: Arc<Scratch> = stage.node.data.clone();
    let patient = Options { backoff_base_ms: 1, ..stage.options(&ada) };
    let told = connected(patient).await?;
    let stopping = stage.node.stop();
    let gone = told.notices(1, |notice| matches!(notice, Say::GoAway(_)));
    let (gone, code) = step("a stop", async { futures::join!(gone, stopping) }).await?;
    let [Say::GoAway(away)] = &gone?[..] else { panic!("one go_away") };
    assert!(Duration::from_millis(away.delay_ms.into()) <= Duration::from_secs(15), "{away:?}");
    assert_eq!(code?, 0);
    let serve = tests::harness::Serve { data: Some(data), ..plain(&[]) };
    let node = tests::harness::Node::serve(serve).await?;
    let url = super::stage::connect_url(&node);
    ada_client.move_to(&url);
    let last = step("an ack", ada_client.post(&channel, "after", &keys.make())).await??;
    assert_eq!(last.seq, first.seq + 1);
    Ok(())
}
