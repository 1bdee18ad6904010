//! Worse days of a disk, for a real process: no room, a second process, bytes that are not what was written.

mod damage;

use crate::native::raw::Raw;
use crate::native::stage::{Person, Stage, plain};
use anyhow::{Context, Result, bail, ensure};
use proto::v1::event::Body;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tests::client::{Keys, Options};
use tests::harness::{Node, Scratch, Serve, step};

/// Posts of [`TEXT_BYTES`] each that have to be more than fits.
const POSTS_MAX: usize = 500;
const TEXT_BYTES: usize = 30_000;

fn store(data: &Scratch) -> PathBuf {
    data.path().join("store.redb")
}

/// Limits the size to which files of a process may grow; `None`: no limit. By the soft limit, which can be raised
/// again. The process is told by an error of its write, as by a full disk (`EFBIG` for `ENOSPC`).
fn limit_files(node: &Node, bytes: Option<u64>) -> Result<()> {
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let status = Command::new("prlimit")
        .args(["--pid", &node.pid.to_string(), &format!("--fsize={soft}:unlimited")])
        .status()
        .context("prlimit, of util-linux, sets the limit")?;
    ensure!(status.success(), "prlimit ended with {status}");
    Ok(())
}

/// The answer to a post under this key.
async fn post(raw: &mut Raw, channel: &str, text: &str, key: &str) -> Result<Value> {
    let post = json!({ "channel": channel, "key": key, "content": { "text": text } });
    raw.say(&json!({ "id": "7", "post": post })).await?;
    loop {
        match raw.hear().await? {
            crate::native::raw::Heard::Frame(frame) if frame["re"] == "7" => return Ok(frame),
            crate::native::raw::Heard::Frame(_) => {}
            other => bail!("no answer: {other:?}"),
        }
    }
}

/// Texts of all messages of a channel, as a fresh connection reads its log from the start.
async fn texts(stage: &Stage, person: &Person, channel: &str) -> Result<Vec<String>> {
    let cursors = vec![(channel.to_owned(), 0)];
    let options = Options { cursors, ..stage.options(person) };
    let client = crate::native::stage::connected(options).await?;
    let tail = step("a page", client.range(channel, 0, 1)).await??.tail;
    step("the log", client.applied(channel, tail)).await??;
    let posted = client.events(channel).into_iter().filter_map(|event| match event.body {
        Some(Body::Posted(posted)) => posted.content.map(|content| content.text),
        _ => None,
    });
    Ok(posted.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_full_posts_are_refused_and_reads_go_on_until_there_is_room() -> Result<()> {
    let stage = Stage::start().await?;
    let (ada, bob) = (stage.person("ada").await?, stage.person("bob").await?);
    let channel = stage.channel("general", &[&ada, &bob]).await?;
    let (patient, mut keys) = (stage.client(&ada).await?, Keys::default());
    let (mut raw, _) = Raw::welcomed(&stage.url(), &bob.token, json!([])).await?;
    let mut kept = Vec::new();
    limit_files(&stage.node, Some(fs::metadata(store(&stage.node.data))?.len()))?;
    let (text, key, refused) = loop {
        ensure!(kept.len() < POSTS_MAX, "the disk did not become full");
        let (text, key) = (format!("{} {}", kept.len(), "x".repeat(TEXT_BYTES)), keys.make());
        let answer = post(&mut raw, &channel, &text, &key).await?;
        if answer["ack"].is_null() {
            break (text, key, answer["refused"].clone());
        }
        kept.push(text);
    };
    assert_eq!((&refused["code"], &refused["state"]), (&json!("service_unavailable"), &json!("not_applied")));
    assert!(refused["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
    // Who keeps trying is answered when there is room.
    let waiting = tokio::join!(
        async { step("a post that waits for room", patient.post(&channel, "patience", &keys.make())).await },
        async {
            ensure!(texts(&stage, &ada, &channel).await? == kept, "all that was acknowledged is read");
            let page = json!({ "channel": channel, "limit": 1 });
            let shown = stage.node.ok("conversations.history", &ada.token, page).await?;
            ensure!(shown["messages"][0]["text"].as_str() == kept.last().map(String::as_str), "{shown}");
            let slack = json!({ "channel": channel, "text": text });
            let slack = stage.node.api("chat.postMessage", &bob.token, slack).await?;
            ensure!(slack["error"] == "service_unavailable", "{slack}");
            ensure!(stage.node.get("healthz").await?.status == 200, "it lives");
            limit_files(&stage.node, None)
        }
    );
    waiting.1?;
    assert!(!waiting.0??.retried, "it had not been applied");
    let again = post(&mut raw, &channel, &text, &key).await?;
    assert!(again["ack"]["retried"].is_null() && !again["ack"]["seq"].is_null(), "{again}");
    kept.extend(["patience".to_owned(), text]);
    let stage = stage.restart().await?;
    assert_eq!(texts(&stage, &ada, &channel).await?, kept);
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_at_once_and_the_first_goes_on() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let channel = stage.channel("general", &[&ada]).await?;
    let data = stage.node.data.clone();
    let second = Node::serve(Serve { data: Some(data.clone()), ..plain(&[]) }).await;
    let why = format!("{:#}", second.err().context("a second process started")?);
    assert!(why.contains(&data.path().display().to_string()), "it says where: {why}");
    assert!(why.contains("another process") || why.contains("in use"), "it says why: {why}");
    let client = stage.client(&ada).await?;
    step("an ack", client.post(&channel, "still here", &Keys::default().make())).await??;
    assert_eq!(texts(&stage, &ada, &channel).await?, ["still here"]);
    Ok(())
}
