//! A native client, written from `proto/PROTOCOL.md` alone: what a stranger would write, plus a record of
//! everything that was delivered, so that a test can assert on it.
//!
//! One task owns the connection and everything that outlives it: cursors, and commands that wait for their
//! answer. When the connection breaks it connects again, says hello with the cursors and sends what is
//! unanswered under the same keys. [`Client`] is a cheap handle to it; the task ends with [`Client::close`].

mod backoff;
mod commands;
mod connection;
mod key;
mod outbox;
mod receiver;
mod state;

pub use key::Keys;
pub use receiver::{HELD_MAX, RANGE_MAX, Receiver, Step};

use proto::close::Close;
use proto::frame::WireForm;
use proto::v1;
use proto::v1::server_frame::Frame as Answer;
use state::State;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How to connect and what to keep.
#[derive(Debug, Clone)]
pub struct Options {
    /// `ws://host:port/connect`; [`Client::move_to`] changes it later.
    pub url: String,
    /// The token, sent as a Bearer header, or in `hello` if `token_in_hello`.
    pub token: String,
    /// Send the token in `hello`, as browsers must.
    pub token_in_hello: bool,
    /// Protobuf or JSON.
    pub form: WireForm,
    /// Follow only what `cursors` names.
    pub manual: bool,
    /// Cursors of the first `hello`.
    pub cursors: Vec<(String, u64)>,
    /// First delay before connecting again, in ms; the product's rule is 1000.
    pub backoff_base_ms: u64,
    /// Keep every event for [`Client::events`] and [`Client::next_event`]; otherwise only positions and
    /// counts.
    pub keep_events: bool,
    /// Name sent in `hello`; also what the jitter is drawn from.
    pub name: String,
}

impl Options {
    /// The product's defaults: protobuf, Bearer, everything kept.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: token.into(),
            token_in_hello: false,
            form: WireForm::Proto,
            manual: false,
            cursors: Vec::new(),
            backoff_base_ms: 1000,
            keep_events: true,
            name: "waggle-tests".to_owned(),
        }
    }
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The server said no, for good: nothing was applied, or it is not known and there is no key to ask again
    /// with.
    #[error("refused: {} ({}), {}", .0.code, .0.detail, .0.state)]
    Refused(v1::Refused),
    /// The connection broke before the answer came, and the command has no key to send it again with.
    #[error("the connection broke before the answer came")]
    Cut,
    /// The server closed the connection and asks not to come back.
    #[error("closed for good: {}", .0.code)]
    Closed(Close),
    /// The server refused the handshake for good, with this HTTP status.
    #[error("the handshake was refused with status {0}")]
    Handshake(u16),
    /// The client was closed.
    #[error("the client is closed")]
    Gone,
    /// The answer was of another kind than the protocol says.
    #[error("unexpected answer: {0:?}")]
    Unexpected(Box<Answer>),
}

/// What happened so far, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that reached `welcome`.
    pub welcomes: u64,
    /// Commands sent again after a cut or a refusal with a delay.
    pub resent: u64,
    /// Events applied.
    pub applied: u64,
    /// Events dropped because they had been applied before.
    pub duplicates: u64,
    /// Ranges asked for to close gaps.
    pub ranges: u64,
    /// `lagging` frames.
    pub lagging: u64,
    /// `go_away` frames.
    pub go_aways: u64,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    /// Something a test may wait for has changed.
    changed: Notify,
    /// There is something to send.
    outgoing: Notify,
    /// The connection is to be dropped.
    cut: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the client when its last handle is gone.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        connection::end(&self.0, ClientError::Gone);
    }
}

/// A handle to a client; clones are the same client, which ends with the last of them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    read: usize,
    _guard: Arc<Guard>,
}

impl Client {
    /// Starts a client; it connects by itself, again and again. Call inside a tokio runtime.
    #[allow(clippy::disallowed_methods, reason = "the client stands outside of the product: it has no Host")]
    pub fn start(options: Options) -> Self {
        let state = State::new(&options);
        let shared = Arc::new(Shared {
            options,
            state: Mutex::new(state),
            changed: Notify::new(),
            outgoing: Notify::new(),
            cut: Notify::new(),
        });
        tokio::spawn(connection::run(shared.clone()));
        Self { read: 0, _guard: Arc::new(Guard(shared.clone())), shared }
    }

    /// Starts a client and waits for its first `welcome`.
    pub async fn connect(options: Options) -> Result<Self, ClientError> {
        let client = Self::start(options);
        client.until(|state| state.online.then_some(())).await?;
        Ok(client)
    }

    /// The next event in the order in which this client applied them, whatever its channel; each clone has
    /// its own place. Waits until there is one. Needs `keep_events`.
    pub async fn next_event(&mut self) -> Result<(String, v1::Event), ClientError> {
        let read = self.read;
        let next = self.until(|state| state.log.get(read).cloned()).await?;
        self.read += 1;
        Ok(next)
    }
    /// Everything applied of one channel, in order, without gaps.
    pub fn events(&self, channel: &str) -> Vec<v1::Event> {
        let state = self.shared.state();
        state.log.iter().filter(|(name, _)| name == channel).map(|(_, event)| event.clone()).collect()
    }
    /// Up to where each channel was applied.
    pub fn cursors(&self) -> BTreeMap<String, u64> {
        self.shared.state().receiver.cursors().into_iter().map(|c| (c.channel, c.seq)).collect()
    }
    /// Waits until this many public conversations are followed (joins are follow-ups: they may come after the
    /// welcome), and names them.
    pub async fn following(&self, count: usize) -> Result<Vec<String>, ClientError> {
        self.until(|state| {
            let channels = state.receiver.cursors().into_iter().map(|cursor| cursor.channel);
            let public: Vec<String> = channels.filter(|channel| channel.starts_with('C')).collect();
            (public.len() >= count).then_some(public)
        })
        .await
    }
    /// Waits until a channel was applied up to `seq`.
    pub async fn applied(&self, channel: &str, seq: u64) -> Result<(), ClientError> {
        self.until(|state| (state.receiver.last(channel)? >= seq).then_some(())).await
    }
    /// Waits until `count` frames matched `wanted` among those that are no deliveries and no answers
    /// (welcome, beacon, go_away, lagging, skip_to, typed …), and returns them.
    pub async fn notices(
        &self,
        count: usize,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Result<Vec<Answer>, ClientError> {
        self.until(|state| {
            let found: Vec<Answer> = state.notices.iter().filter(|frame| wanted(frame)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }
    /// Counts so far.
    pub fn stats(&self) -> Stats {
        let state = self.shared.state();
        Stats { duplicates: state.receiver.duplicates(), resent: state.outbox.resent(), ..state.stats }
    }
    /// Who the server says this is; empty before the first `welcome`.
    pub fn user(&self) -> String {
        self.shared.state().user.clone()
    }
    /// Where the last `welcome` says that this user is at home; empty before and for anywhere.
    pub fn home(&self) -> String {
        self.shared.state().home.clone()
    }
    /// The limits of the last `welcome`.
    pub fn limits(&self) -> v1::Limits {
        self.shared.state().limits
    }
    /// Commands that wait for an answer.
    pub fn unanswered(&self) -> usize {
        self.shared.state().outbox.len()
    }
    /// Commands that were sent on this connection and wait for their answer.
    pub fn in_flight(&self) -> usize {
        let state = self.shared.state();
        if state.online { state.outbox.in_flight() } else { 0 }
    }

    /// Drops the connection without a word, as a network would; the client comes back by itself.
    pub fn cut(&self) {
        if self.shared.state().online {
            self.shared.cut.notify_one();
        }
    }
    /// Connects to another address from the next time on (a restarted server has another port).
    pub fn move_to(&self, url: impl Into<String>) {
        self.shared.state().url = url.into();
    }
    /// Ends the client. What is unanswered stays unknown.
    pub fn close(&self) {
        connection::end(&self.shared, ClientError::Gone);
    }
    /// Why the client ended, once it has.
    pub async fn ended(&self) -> ClientError {
        match self.until(|_| None::<()>).await {
            Err(why) => why,
            Ok(()) => ClientError::Gone,
        }
    }

    /// Waits until `wanted` finds something, or the client ended.
    async fn until<T>(&self, mut wanted: impl FnMut(&State) -> Option<T>) -> Result<T, ClientError> {
        loop {
            let changed = self.shared.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.shared.state();
                if let Some(found) = wanted(&state) {
                    return Ok(found);
                }
                if let Some(why) = &state.ended {
                    return Err(why.clone());
                }
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests;
