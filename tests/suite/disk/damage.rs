//! A damaged store file: refused with what and where, and left byte for byte as it is.

use super::{store, texts};
use crate::native::stage::{Person, Stage, plain};
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::sync::Arc;
use tests::client::Keys;
use tests::harness::{Node, Scratch, Serve, step};

const NEEDLE: &str = "needle in the haystack";

/// A killed node's data: a channel with a few messages, one of them the needle, and another channel.
struct Left {
    data: Arc<Scratch>,
    bytes: Vec<u8>,
    ada: Person,
    channels: [String; 2],
}

async fn left() -> Result<Left> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let channels = [stage.channel("general", &[&ada]).await?, stage.channel("random", &[&ada]).await?];
    let (client, mut keys) = (stage.client(&ada).await?, Keys::default());
    for (channel, text) in [(0, "before"), (0, NEEDLE), (0, "after"), (1, "elsewhere")] {
        step("an ack", client.post(&channels[channel], text, &keys.make())).await??;
    }
    let data = stage.node.kill().await?;
    let bytes = fs::read(store(&data))?;
    Ok(Left { data, bytes, ada, channels })
}

/// The file with every copy of the needle damaged.
fn without_needle(bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(NEEDLE.len())
        .enumerate()
        .filter(|(_, w)| *w == NEEDLE.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the text is in the file");
    places.into_iter().for_each(|at| damaged[at] ^= 0x20);
    damaged
}

/// Tries to start on these bytes: why it was not, and the file is as it was.
async fn refused(left: &Left, bytes: &[u8], settings: &[(&str, &str)]) -> Result<String> {
    fs::write(store(&left.data), bytes)?;
    let started = Node::serve(Serve { data: Some(left.data.clone()), ..plain(settings) }).await;
    let why = format!("{:#}", started.err().context("it started on a damaged store")?);
    assert!(why.contains(&store(&left.data).display().to_string()), "it says where: {why}");
    assert!(fs::read(store(&left.data))? == bytes, "the file was changed");
    Ok(why)
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_what_and_where_and_left_as_it_is() -> Result<()> {
    let left = left().await?;
    let whole = &left.bytes;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    let zeroed = |to: usize| {
        let mut bytes = whole.clone();
        bytes[..to].fill(0);
        bytes
    };
    let text = b"this was never a database".repeat(1000);
    let cases = [
        ("magic number", flipped(0)),
        ("header", zeroed(4096)),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("another file", text),
    ];
    for (name, bytes) in cases {
        let why = refused(&left, &bytes, &[]).await.context(name)?;
        assert!(why.contains("damaged"), "{name}: {why}");
    }
    let verify = [("WAGGLE_STORAGE__VERIFY_ON_OPEN", "true")];
    let why = refused(&left, &without_needle(whole), &verify).await?;
    assert!(why.contains("damaged"), "{why}");
    // Nothing had been wrong but the bytes.
    fs::write(store(&left.data), whole)?;
    let stage = reopened(&left).await?;
    assert_eq!(texts(&stage, &left.ada, &left.channels[0]).await?, ["before", NEEDLE, "after"]);
    Ok(())
}

async fn reopened(left: &Left) -> Result<Stage> {
    let serve = Serve { data: Some(left.data.clone()), ..plain(&[]) };
    Stage::reopen(serve).await
}

#[tokio::test]
async fn a_damaged_row_is_refused_when_it_is_read_and_other_channels_go_on() -> Result<()> {
    let left = left().await?;
    fs::write(store(&left.data), without_needle(&left.bytes))?;
    let stage = reopened(&left).await?;
    let history = |channel: &str| {
        let args = json!({ "channel": channel });
        let (node, token) = (&stage.node, &left.ada.token);
        async move { node.api("conversations.history", token, args).await }
    };
    let damaged = history(&left.channels[0]).await?;
    assert_eq!((&damaged["ok"], &damaged["error"]), (&json!(false), &json!("service_unavailable")));
    let other = history(&left.channels[1]).await?;
    assert_eq!(other["messages"][0]["text"], "elsewhere");
    let client = stage.client(&left.ada).await?;
    let key = Keys::default().make();
    step("an ack", client.post(&left.channels[1], "goes on", &key)).await??;
    assert_eq!(texts(&stage, &left.ada, &left.channels[1]).await?, ["elsewhere", "goes on"]);
    Ok(())
}
