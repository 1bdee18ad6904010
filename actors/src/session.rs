//! A session: one connection of one user.
//!
//! Owns: the connection, its cursors and what waits for it.
//! Promises: every followed channel in order without gaps; an answer to every command, only when it is durable.
//! May lose: its whole queue, when the reader is slow; it then resumes from its cursors.
//! Never does: block a channel, remember anything that cannot be rebuilt from the client's cursors.

pub mod commands;
pub mod cursors;
pub mod mailbox;
pub mod socket;
pub mod wire;

mod asking;
mod events;
mod opening;
mod pings;

use crate::command::{Command, Done};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::gateway::Seat;
use crate::limits::TokenBucket;
use crate::shard::ShardMessage;
use crate::store::{LogId, StoreError};
use crate::tickets::Login;
use bytes::Bytes;
use cursors::Cursors;
use futures::future::BoxFuture;
use mailbox::{Mail, Mailbox};
use pings::Pings;
use proto::close::{Close, CloseCode};
use proto::frame::WireForm;
use proto::id::{ChannelId, ConversationId, UserId};
use proto::refusal::Refusal;
use proto::ts::Micros;
use smallvec::SmallVec;
pub use socket::{FrameSocket, Incoming, SocketError};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Turn, Poll};
use std::time::Duration;

/// Events of one read while catching up.
const READ_EVENTS: usize = 200;
/// One conversation is told that a user types no more often than this. Source: the wire's own habit, clients show a
/// typing notice for about 5 s and renew it each 3 s.
const TYPING_EVERY: Duration = Duration::from_secs(3);
/// Own RTM posts whose echo is still to be left out.
const ECHOES_MAX: usize = 64;

/// What a session is told. Small: a full mailbox holds many.
pub enum ToSession {
    /// An event of a followed log.
    Event(Arc<Delivery>),
    /// Somebody types.
    Typing(Arc<(LogId, UserId)>),
    /// The answer to an own command, by its number.
    Answered(u32, Box<Result<Done, Refusal>>),
    /// The answer to an own command got lost.
    Lost(u32),
    /// Time to send an own command again.
    Again(u32),
    /// A frame that some other task made for this client.
    Frame(Box<Bytes>),
    /// What the user's own log would tell has to be looked up.
    Unheard,
    /// Time to ping.
    Tick,
    /// The node stops: the client is to leave after this long.
    GoAway(Box<(&'static str, Duration)>),
    /// Its turn to leave has come.
    Leave,
}

/// A command on its way.
struct Pending {
    re: u64,
    log: LogId,
    command: Command,
    /// RTM: the text, for the answer.
    text: String,
    /// When it was asked.
    at_us: Micros,
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// The peer is gone, or the socket broke.
    Gone,
    /// We close, with this code.
    Close(CloseCode),
}

struct Session {
    seat: Seat,
    number: u32,
    form: WireForm,
    login: Login,
    cursors: Cursors,
    pending: BTreeMap<u32, Pending>,
    asked: u32,
    mailbox: Mailbox,
    out: SmallVec<[Bytes; 2]>,
    own: Vec<Arc<Delivery>>,
    joins: Vec<(ChannelId, u64)>,
    leaves: Vec<ChannelId>,
    /// What the client has put aside: in which membership, the members' rows have to say.
    asides: Vec<ConversationId>,
    /// Joins, as in `joins`, of conversations in which an older membership is still being replayed.
    rejoins: Vec<(ChannelId, u64)>,
    doubts: Vec<ChannelId>,
    /// Whether the token still stands is to be looked up.
    is_unheard: bool,
    wanted: Vec<(u64, Vec<proto::v1::Cursor>)>,
    echoes: VecDeque<String>,
    /// Where and when the user was last said to be typing.
    typed: Option<(ChannelId, Duration)>,
    pings: Pings,
    rate: TokenBucket,
    ending: Option<Ending>,
}

/// What one turn of the loop saw.
enum Saw {
    Incoming(Option<Result<Incoming, SocketError>>),
    /// Mail; whether events were dropped.
    Mail(bool),
    Read(Read),
}

/// What came of reading a log that is behind.
struct Read {
    channel: ChannelId,
    /// The cursor that was read from.
    after: u64,
    replay: Result<crate::channel::replay::Replay, StoreError>,
}

type Reading = BoxFuture<'static, Read>;

/// Lives until the connection ends. Runs inside a task of the seat's shard.
///
/// What opening needs is a future of its own, gone when the session lives: a task keeps the memory of all its steps.
pub fn run<S: FrameSocket>(
    seat: Seat,
    socket: S,
    form: WireForm,
    login: Option<Login>,
) -> impl Future<Output = ()> + Send + 'static {
    let opening: BoxFuture<'static, _> = Box::pin(opening::open(seat, socket, form, login));
    async move {
        if let Some((mut session, mut socket)) = opening.await {
            let ending = session.live(&mut socket).await;
            Box::pin(session.leave(socket, ending)).await;
        }
    }
}

fn count_close(code: CloseCode) {
    metrics::counter!("waggle_sessions_closed_total", "code" => code.name()).increment(1);
}

impl Session {
    fn context(&self) -> &Context {
        self.seat.context()
    }

    async fn live<S: FrameSocket>(&mut self, socket: &mut S) -> Ending {
        let mut mail = Mail::new();
        let mut reading: Option<Reading> = None;
        let mut mail_first = true;
        loop {
            if let Err(ending) = self.flush(socket).await {
                return ending;
            }
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            if reading.is_none() {
                reading = self.next_read();
            }
            let saw = {
                let mut next = pin!(socket.next());
                poll_fn(|cx| self.look(cx, &mut reading, next.as_mut(), &mut mail, &mut mail_first)).await
            };
            let lagged = match saw {
                Saw::Incoming(None | Some(Err(SocketError::Io(_)))) => return Ending::Gone,
                Saw::Incoming(Some(Err(error))) => return Ending::Close(code_of(&error)),
                Saw::Incoming(Some(Ok(incoming))) => {
                    self.incoming(incoming);
                    // A client that talks all the time still hears: its turn is one frame long.
                    self.mailbox.try_take(&mut mail)
                }
                Saw::Mail(lagged) => lagged,
                Saw::Read(read) => {
                    reading = None;
                    self.replayed(read);
                    false
                }
            };
            if lagged {
                self.lagged();
            }
            let count = mail.len();
            mail.drain(..).for_each(|message| self.mail(message));
            give_back(&mut mail, count);
            if self.has_errands() {
                Box::pin(self.errands()).await;
            }
        }
    }

    /// What happens next. A read is away for a while each time, so that it comes first and yet crowds nobody out. Mail
    /// and the client take turns; most often it is mail that wakes a session, and then nothing else needs a look.
    fn look<'a>(
        &mut self,
        cx: &mut Turn<'_>,
        reading: &mut Option<Reading>,
        incoming: Pin<&mut (impl Future<Output = Option<Result<Incoming, SocketError>>> + 'a)>,
        mail: &mut Mail,
        mail_first: &mut bool,
    ) -> Poll<Saw> {
        if let Some(read) = reading
            && let Poll::Ready(read) = read.as_mut().poll(cx)
        {
            return Poll::Ready(Saw::Read(read));
        }
        if std::mem::take(mail_first)
            && let Poll::Ready(lagged) = self.mailbox.poll_take(cx, mail)
        {
            return Poll::Ready(Saw::Mail(lagged));
        }
        if let Poll::Ready(incoming) = incoming.poll(cx) {
            return Poll::Ready(Saw::Incoming(incoming));
        }
        let mailed = self.mailbox.poll_take(cx, mail);
        *mail_first = mailed.is_pending();
        mailed.map(Saw::Mail)
    }

    /// Writes what is ready. A write that does not finish in time ends the session: its client resumes by cursor.
    async fn flush<S: FrameSocket>(&mut self, socket: &mut S) -> Result<(), Ending> {
        if self.out.is_empty() {
            return Ok(());
        }
        let limit = Duration::from_millis(self.context().config.write_timeout_ms);
        let result = {
            let mut send = pin!(socket.send(&self.out));
            match futures::poll!(send.as_mut()) {
                Poll::Ready(result) => Ok(result),
                Poll::Pending => self.context().host.timeout(limit, send).await,
            }
        };
        let count = self.out.len();
        self.out.clear();
        give_back(&mut self.out, count);
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending::Gone),
            Err(_) => Err(Ending::Close(CloseCode::SlowConsumer)),
        }
    }

    /// The next read of a log that is behind.
    fn next_read(&mut self) -> Option<Reading> {
        let (channel, after) = self.cursors.next_behind()?;
        let log = LogId::new(self.login.workspace.clone(), channel.clone());
        let context = self.context().clone();
        Some(Box::pin(async move {
            let mut replay = context.router.read(&log, after, READ_EVENTS).await;
            for tries in 0..crate::router::RESENDS_MAX {
                if replay.is_ok() {
                    break;
                }
                context.host.sleep(crate::router::back_off(tries + 3)).await;
                replay = context.router.read(&log, after, READ_EVENTS).await;
            }
            Read { channel, after, replay }
        }))
    }

    /// Out of the shard's index.
    async fn leave_shard(&self) {
        let _ = self.seat.shard_mailbox().send(ShardMessage::Close(self.number, self.logs())).await;
    }

    /// Out of the shard's index, and the reason to the client.
    async fn leave<S: FrameSocket>(self: Box<Self>, mut socket: S, ending: Ending) {
        if !cluster::planted!(EndNotTold) {
            self.leave_shard().await;
        }
        if let Ending::Close(code) = ending {
            count_close(code);
            let close = Close { code, delay_ms: None, address: None };
            socket.close(code.number(), &close.reason()).await;
        }
    }

    /// All logs that the shard may listen to for this session.
    fn logs(&self) -> Vec<LogId> {
        let workspace = &self.login.workspace;
        let channels = self.cursors.channels().chain(&self.leaves);
        channels.map(|channel| LogId::new(workspace.clone(), channel.clone())).collect()
    }
}

/// Gives the memory of an earlier burst back once the last `count` items would have had room in place.
fn give_back<A: smallvec::Array>(empty: &mut SmallVec<A>, count: usize) {
    if empty.spilled() && count <= empty.inline_size() {
        empty.shrink_to_fit();
    }
}

fn code_of(error: &SocketError) -> CloseCode {
    match error {
        SocketError::TooLarge => CloseCode::FrameTooLarge,
        SocketError::NotUtf8 => CloseCode::BadFrame,
        SocketError::Protocol(_) | SocketError::Io(_) => CloseCode::ProtocolError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_burst_is_given_back_by_what_fits_in_place_and_not_before() {
        let mut burst: SmallVec<[u64; 2]> = (0..100).collect();
        burst.clear();
        give_back(&mut burst, 3);
        assert!(burst.spilled() && burst.capacity() >= 100, "the next burst needs it again");
        give_back(&mut burst, 2);
        assert!(!burst.spilled());
        let mut few: SmallVec<[u64; 2]> = SmallVec::new();
        give_back(&mut few, 100);
        assert_eq!(few.capacity(), 2);
    }
}
