//! A channel with very many listeners, in which one person speaks now and then.

use super::load::spawn;
use super::within;
use crate::native::stage::{Person, Stage, connected};
use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tests::client::{Client, Keys, Options};
use tests::harness::step;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// People who listen, each at many sockets.
const PEOPLE: usize = 40;
/// Sockets that connect at a time.
const AT_ONCE: usize = 50;
/// Whoever lost its connection waits for up to so long, in ms.
const BACKOFF_MS: u64 = 100;
const REST: Duration = Duration::from_millis(500);

/// Everybody there.
pub(super) struct Square {
    channel: String,
    listeners: Vec<Client>,
    over: Arc<AtomicBool>,
    spoken: oneshot::Receiver<Result<u64>>,
    _speaking: JoinSet<()>,
}

/// What was said there, to how many, and how often they had to connect.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
pub(super) struct Said {
    tail: u64,
    listeners: usize,
    connections: u64,
}

impl Square {
    /// Connects so many listeners; somebody begins to speak.
    pub(super) async fn gather(stage: &Stage, sockets: usize) -> Result<Self> {
        let people: Vec<Person> =
            try_join_all((0..PEOPLE).map(async |n| stage.person(&format!("listener{n}")).await)).await?;
        let speaker = stage.person("speaker").await?;
        let all: Vec<&Person> = people.iter().chain([&speaker]).collect();
        let channel = stage.channel("square", &all).await?;
        let listen = |n: usize| {
            let person = &people[n % PEOPLE];
            let cursors = vec![(channel.clone(), 0)];
            let plain = Options { cursors, manual: true, keep_events: false, ..stage.options(person) };
            connected(Options { backoff_base_ms: BACKOFF_MS, name: format!("listener{n}"), ..plain })
        };
        let listeners = stream::iter(0..sockets).map(listen).buffer_unordered(AT_ONCE).try_collect().await?;
        let mouth = connected(Options { backoff_base_ms: BACKOFF_MS, ..stage.options(&speaker) }).await?;
        let (over, mut speaking) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let ((tells, spoken), is_over, to) = (oneshot::channel(), over.clone(), channel.clone());
        spawn(&mut speaking, async move {
            let _ = tells.send(speak(&mouth, &to, &is_over).await); // whoever asked may have failed before
        });
        Ok(Self { channel, listeners, over, spoken, _speaking: speaking })
    }

    /// Everybody has been shown everything, in order.
    pub(super) async fn judge(self) -> Result<Said> {
        let Self { channel, listeners, over, spoken, _speaking } = self;
        over.store(true, Relaxed);
        let tail = step("the speaker to end", spoken).await???;
        let level = try_join_all(listeners.iter().map(|listener| listener.applied(&channel, tail)));
        step("all listeners to come level", level).await??;
        let beyond = listeners.iter().find(|listener| listener.cursors()[&channel] != tail);
        ensure!(beyond.is_none(), "a listener is beyond {tail}: {:?}", beyond.map(Client::cursors));
        let connections = listeners.iter().map(|listener| listener.stats().welcomes).sum();
        Ok(Said { tail, listeners: listeners.len(), connections })
    }
}

/// Says something now and then; the place of the last word.
async fn speak(mouth: &Client, channel: &str, is_over: &AtomicBool) -> Result<u64> {
    let (mut keys, mut tail) = (Keys::default(), 0);
    while !is_over.load(Relaxed) {
        let ack = mouth.post(channel, "hear, hear", &keys.make()).await?;
        if ack.seq <= tail {
            bail!("a post was told that it stands at {} after {tail}", ack.seq);
        }
        tail = ack.seq;
        let _ = within(REST, std::future::pending::<()>()).await;
    }
    Ok(tail)
}
