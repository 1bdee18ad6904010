//! Slow readers: what was queued for them is dropped, they resume by cursor, nobody else is slowed.

use super::raw::{Heard, Raw};
use super::stage::{Person, Stage};
use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use serde_json::json;
use tests::client::Keys;
use tests::harness::step;

/// Posts of one round, and the length of their texts: a round is more than the kernel keeps for one socket.
const ROUND: usize = 400;
const TEXT_BYTES: usize = 30_000;
/// Rounds until a reader who reads nothing has to be found out.
const ROUNDS_MAX: usize = 20;

/// Bob, who was welcomed and has read nothing since.
struct Ignorant {
    bob: Person,
    raw: Raw,
    channel: String,
    /// Where he begins.
    from: u64,
    /// What Ada posted last.
    last: u64,
}

/// Ada posts while Bob reads nothing, until `metric` says that it was noticed.
async fn ignored(stage: &Stage, metric: &str) -> Result<Ignorant> {
    let (ada, bob) = (stage.person("ada").await?, stage.person("bob").await?);
    let channel = stage.channel("general", &[&ada, &bob]).await?;
    let ada = stage.client(&ada).await?;
    let (raw, welcome) = Raw::welcomed(&stage.url(), &bob.token, json!([])).await?;
    let following = welcome["following"].as_array().context("what is followed")?;
    let cursor = following.iter().find(|cursor| cursor["channel"] == channel).context("the channel")?;
    let from = cursor["seq"].as_str().unwrap_or_default().parse()?;
    let text = "x".repeat(TEXT_BYTES);
    let mut keys = Keys::default();
    for _ in 0..ROUNDS_MAX {
        let round: Vec<String> = (0..ROUND).map(|_| keys.make()).collect();
        let posts = round.iter().map(|key| ada.post(&channel, &text, key));
        let acks = step("a round of posts", try_join_all(posts)).await??;
        let last = acks.iter().map(|ack| ack.seq).max().unwrap_or_default();
        if stage.metric(metric).await? >= 1.0 {
            // Ada read all the while and was not held up.
            step("ada's own events", ada.applied(&channel, last)).await??;
            return Ok(Ignorant { bob, raw, channel, from, last });
        }
    }
    bail!("{metric} did not move")
}

/// Reads events of a channel up to `last`: they have to be dense from `from` on. How often `lagging` came.
async fn read_to(raw: &mut Raw, channel: &str, mut from: u64, last: u64) -> Result<(u64, usize)> {
    let mut lagging = 0;
    while from < last {
        match raw.hear().await? {
            Heard::Frame(frame) => {
                lagging += usize::from(!frame["lagging"].is_null());
                let deliver = &frame["deliver"];
                for event in deliver["events"].as_array().into_iter().flatten() {
                    if deliver["channel"] == channel {
                        let seq: u64 = event["seq"].as_str().unwrap_or_default().parse()?;
                        anyhow::ensure!(seq == from + 1, "{seq} after {from}");
                        from = seq;
                    }
                }
            }
            _ => break,
        }
    }
    Ok((from, lagging))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_told_that_it_lags_and_misses_nothing() -> Result<()> {
    // Nobody is closed for being slow here.
    let stage = Stage::with(&[("WAGGLE_ACTORS__WRITE_TIMEOUT_MS", "600000")]).await?;
    let Ignorant { mut raw, channel, from, last, .. } =
        ignored(&stage, "waggle_sessions_lagging_total").await?;
    let (seen, lagging) = read_to(&mut raw, &channel, from, last).await?;
    assert_eq!(seen, last);
    assert!(lagging >= 1, "no lagging frame");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_is_closed_as_slow_and_resumes_by_cursor() -> Result<()> {
    let stage = Stage::with(&[("WAGGLE_ACTORS__WRITE_TIMEOUT_MS", "100")]).await?;
    let slow = "waggle_sessions_closed_total{code=\"slow_consumer\"}";
    let Ignorant { bob, mut raw, channel, from, last } = ignored(&stage, slow).await?;
    let (seen, _) = read_to(&mut raw, &channel, from, last).await?;
    assert!(seen < last, "the connection was closed before its end");
    // So short a timeout also meets a reader who waits for a processor: closed again, he resumes again, further on.
    let mut heard = seen;
    while heard < last {
        let cursors = json!([{ "channel": channel, "seq": heard.to_string() }]);
        let (mut raw, _) = Raw::welcomed(&stage.url(), &bob.token, cursors).await?;
        let (to, _) = read_to(&mut raw, &channel, heard, last).await?;
        assert!(to > heard, "resumed at {heard} and heard nothing");
        heard = to;
    }
    Ok(())
}
