//! The transcript of PROTOCOL.md, played against a real node: post, ack, cut, resume. The same frames with the same
//! fields have to come; ids, times and positions differ, but one in the text is one in the run.

use super::raw::{Heard, Raw};
use super::stage::{Person, Stage};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use tests::client::{Client, Keys};
use tests::harness::step;

const PROTOCOL: &str = include_str!("../../../proto/PROTOCOL.md");

/// A line of the transcript.
enum Line {
    Connect,
    Break,
    Say(Value),
    Hear(Value),
}

fn transcript() -> Result<Vec<Line>> {
    let (_, rest) = PROTOCOL.split_once("## A transcript").context("there is a transcript")?;
    let block = rest.split("```").nth(1).context("it stands in a block")?;
    let mut lines = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        lines.push(match line.split_at(2) {
            ("> ", json) => Line::Say(serde_json::from_str(json)?),
            ("< ", json) => Line::Hear(serde_json::from_str(json)?),
            ("  ", text) if text.starts_with("GET /connect") => Line::Connect,
            ("  ", text) if text.starts_with("the connection breaks") => Line::Break,
            _ => bail!("a line that says nothing known: {line:?}"),
        });
    }
    Ok(lines)
}

/// What a value of the text is in the run, by the kind of field.
#[derive(Default)]
struct Names(BTreeMap<(&'static str, String), Value>);

/// Fields whose values differ from run to run. Everything else has to be as in the text.
fn kind(field: &str) -> Option<&'static str> {
    Some(match field {
        "channel" | "workspace" | "user" | "sender" => "id",
        "us" | "threadUs" => "us",
        "key" => "key",
        "seq" => "seq",
        "ts" => "ts",
        "epoch" => "epoch",
        "countable" => "countable",
        _ => return None,
    })
}

impl Names {
    fn set(&mut self, kind: &'static str, text: &str, run: impl Into<Value>) {
        self.0.insert((kind, text.to_owned()), run.into());
    }
    fn seq(&self, text: &str) -> Option<u64> {
        self.0.get(&("seq", text.to_owned()))?.as_str()?.parse().ok()
    }

    /// The text's frame as the client of the run says it.
    fn spoken(&self, field: &str, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::Object(map) => {
                let fields = map.iter().map(|(name, value)| Ok((name.clone(), self.spoken(name, value)?)));
                Value::Object(fields.collect::<Result<_>>()?)
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.spoken(field, item));
                Value::Array(items.collect::<Result<_>>()?)
            }
            Value::String(text) => match kind(field) {
                Some(kind) => {
                    let known = self.0.get(&(kind, text.clone()));
                    known.with_context(|| format!("{kind} {text} is not known yet"))?.clone()
                }
                None => value.clone(),
            },
            other => other.clone(),
        })
    }

    /// Compares a frame of the text with one of the run, and learns what the text's values are in the run.
    fn same(&mut self, field: &str, text: &Value, run: &Value) -> Result<()> {
        match (text, run) {
            (Value::Object(text), Value::Object(run)) => {
                let (a, b): (Vec<_>, Vec<_>) = (text.keys().collect(), run.keys().collect());
                ensure!(a == b, "{field}: the text has {a:?}, the run {b:?}");
                text.iter().try_for_each(|(name, value)| self.same(name, value, &run[name]))
            }
            (Value::Array(text), Value::Array(run)) => {
                ensure!(text.len() == run.len(), "{field}: {} items, not {}", run.len(), text.len());
                text.iter().zip(run).try_for_each(|(text, run)| self.same(field, text, run))
            }
            (Value::String(text), Value::String(_)) if kind(field).is_some() => {
                let kind = kind(field).unwrap_or_default();
                let known = self.0.entry((kind, text.clone())).or_insert_with(|| run.clone());
                ensure!(known == run, "{field}: {text} was {known}, now {run}");
                Ok(())
            }
            // The text's two nodes are one here.
            (Value::String(_), Value::String(run)) if ["node", "boot"].contains(&field) => {
                ensure!(!run.is_empty(), "{field} is empty");
                Ok(())
            }
            _ => {
                ensure!(text == run, "{field}: {run}, not {text}");
                Ok(())
            }
        }
    }
}

/// Frames of one connection: how a log's events are spread over `deliver` frames, and whether an answer comes before
/// them, is not promised, so each event stands alone, after the answers.
fn sorted(frames: Vec<Value>) -> Vec<Value> {
    let (mut answers, mut events) = (Vec::new(), Vec::new());
    for frame in frames {
        match frame["deliver"]["events"].as_array() {
            None => answers.push(frame),
            Some(of_it) => events.extend(of_it.iter().map(|event| {
                let mut one = frame.clone();
                one["deliver"]["events"] = Value::Array(vec![event.clone()]);
                one
            })),
        }
    }
    answers.extend(events);
    answers
}

/// Hears as many frames as the text has, beacons apart, and compares.
async fn compare(raw: &mut Raw, expected: &mut Vec<Value>, names: &mut Names) -> Result<()> {
    let text = sorted(std::mem::take(expected));
    let mut heard = Vec::new();
    while heard.len() < text.len() {
        match raw.hear().await? {
            Heard::Frame(frame) if frame["beacon"].is_null() => heard.extend(sorted(vec![frame])),
            Heard::Frame(_) => {}
            other => bail!("{other:?}"),
        }
    }
    for (text, run) in text.iter().zip(sorted(heard)) {
        names.same("frame", text, &run).with_context(|| format!("the text says {text}, the run {run}"))?;
    }
    Ok(())
}

struct Play {
    stage: Stage,
    ada: Person,
    bob: Client,
    channel: String,
    names: Names,
}

impl Play {
    async fn set() -> Result<Self> {
        let stage = Stage::start().await?;
        let (ada, bob) = (stage.person("ada").await?, stage.person("bob").await?);
        let channel = stage.channel("general", &[&ada, &bob]).await?;
        let bob_client = stage.client(&bob).await?;
        let mut names = Names::default();
        let (_, welcome) = Raw::welcomed(&stage.url(), &ada.token, Value::Array(Vec::new())).await?;
        let workspace = welcome["workspace"].as_str().context("a workspace")?.to_owned();
        names.set("id", "C0000000001", channel.clone());
        names.set("id", "U0000000ADA", ada.id.clone());
        names.set("id", "U0000000BOB", bob.id.clone());
        names.set("id", "user:U0000000ADA", format!("user:{}", ada.id));
        names.set("id", "ws:T0000000001", format!("ws:{workspace}"));
        names.set("id", "T0000000001", workspace);
        Ok(Self { stage, ada, bob: bob_client, channel, names })
    }

    /// The second post is in the log, its answer unread; Bob posts.
    async fn meanwhile(&mut self, keys: &mut Keys) -> Result<()> {
        let tail = self.names.seq("42").context("the first post was acknowledged")?;
        step("the second post", self.bob.applied(&self.channel, tail + 1)).await??;
        step("bob's post", self.bob.post(&self.channel, "Good morning, Ada", &keys.make())).await??;
        Ok(())
    }
}

#[tokio::test]
async fn the_transcript_of_the_protocol_is_what_a_real_node_says() -> Result<()> {
    let mut play = Play::set().await?;
    let (mut keys, mut expected, mut raw) = (Keys::default(), Vec::new(), None);
    for line in transcript()? {
        match line {
            Line::Connect => {
                raw = Some(Raw::json(&play.stage.url(), &play.ada.token).await?);
            }
            Line::Hear(frame) => expected.push(frame),
            Line::Say(frame) => {
                let raw = raw.as_mut().context("a connection")?;
                compare(raw, &mut expected, &mut play.names).await?;
                if let Some(key) = frame["post"]["key"].as_str() {
                    play.names.0.entry(("key", key.to_owned())).or_insert_with(|| keys.make().into());
                }
                raw.say(&play.names.spoken("frame", &frame)?).await?;
            }
            Line::Break => {
                play.meanwhile(&mut keys).await?;
                raw = None;
            }
        }
    }
    compare(raw.as_mut().context("a connection")?, &mut expected, &mut play.names).await?;
    let seqs = ["41", "42", "43", "44"].map(|seq| play.names.seq(seq));
    let first = seqs[0].context("the first position")?;
    assert_eq!(seqs, [0, 1, 2, 3].map(|step| Some(first + step)), "positions are dense");
    Ok(())
}
