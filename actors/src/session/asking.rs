//! What a session does with what its client says.

use super::commands::{Asked, asked, sign};
use super::mailbox::Place;
use super::opening::Wanted;
use super::{ECHOES_MAX, Incoming, Pending, Session, TYPING_EVERY, ToSession, wire};
use crate::channel::replay::Replay;
use crate::command::{Command, Done, Reply, Verb};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::rtm::{self, RtmIn};
use crate::store::LogId;
use bytes::Bytes;
use prost::Message;
use proto::close::CloseCode;
use proto::frame::{self, WireForm};
use proto::id::{ChannelId, ConversationId};
use proto::refusal::Refusal;
use proto::ts;
use proto::v1::client_frame::Frame;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Content, Cursor, Event, Following, Page, Pong};
use std::sync::Arc;
use std::time::Duration;

/// Events of one `range` answer.
const RANGE_EVENTS_MAX: usize = 500;
/// Bytes of one `range` answer's events in protobuf; a single event may be larger.
const PAGE_BYTES_MAX: usize = 256 * 1024;

/// The way back for a command's answer: a place in the session's mailbox, reserved when the command was taken.
struct SessionReply {
    place: Option<Place>,
    number: u32,
}

impl Reply for SessionReply {
    fn answer(mut self: Box<Self>, result: Result<Done, Refusal>) {
        if let Some(place) = self.place.take() {
            place.send(ToSession::Answered(self.number, Box::new(result)));
        }
    }
    fn is_abandoned(&self) -> bool {
        self.place.as_ref().is_none_or(Place::is_closed)
    }
}

impl Drop for SessionReply {
    fn drop(&mut self) {
        if let Some(place) = self.place.take()
            && !cluster::planted!(LostNotTold)
        {
            place.send(ToSession::Lost(self.number));
        }
    }
}

impl Session {
    pub(super) fn incoming(&mut self, incoming: Incoming) {
        self.pings.heard();
        let bytes = match incoming {
            Incoming::Pong => return,
            Incoming::Text(bytes) | Incoming::Binary(bytes) => bytes,
        };
        if let Err(retry_after_ms) = self.rate.take(self.context().host.monotonic()) {
            metrics::counter!("waggle_session_rate_limited_total").increment(1);
            return self.refuse_bytes(&bytes, &Refusal::Busy { retry_after_ms });
        }
        match self.form {
            WireForm::Rtm => self.rtm(&bytes),
            form => match frame::decode_client(&bytes, form) {
                Ok(client) => match client.frame {
                    Some(frame) => self.asked(client.id, frame),
                    // A frame of a newer protocol: named, not fatal.
                    None => self.refuse(client.id, &Refusal::Named("unknown_frame")),
                },
                Err(error) => {
                    tracing::debug!(%error, "bad frame");
                    self.end(CloseCode::BadFrame);
                }
            },
        }
    }

    fn refuse(&mut self, re: u64, refusal: &Refusal) {
        if re != 0 {
            self.out.push(wire::refuse(re, refusal, self.form));
        }
    }

    /// Refuses a frame that is over the rate, naming what it asked.
    fn refuse_bytes(&mut self, bytes: &Bytes, refusal: &Refusal) {
        match self.form {
            WireForm::Rtm => {
                let id = rtm::parse(bytes).ok().and_then(|frame| match frame {
                    RtmIn::Message(message) => message.id,
                    _ => None,
                });
                self.out.push(frame::text(rtm::refused(id, -1, &refusal.to_string()).as_bytes()));
            }
            form => {
                let id = frame::decode_client(bytes, form).map_or(0, |client| client.id);
                self.refuse(id, refusal);
            }
        }
    }

    fn asked(&mut self, re: u64, frame: Frame) {
        match asked(&self.login, frame) {
            Err(refusal) => self.refuse(re, &refusal),
            Ok(Asked::Command(log, mut command)) => {
                sign(&mut command, &self.login);
                self.command(re, log, command, String::new());
            }
            Ok(Asked::Other(other)) => self.other(re, other),
        }
    }

    /// Sends a command on its way, if there is room for its answer.
    fn command(&mut self, re: u64, log: LogId, command: Command, text: String) {
        let full = self.pending.len() >= self.context().config.posts_in_flight_max;
        if full && !cluster::planted!(PostsUnbounded) {
            metrics::counter!("waggle_session_window_full_total").increment(1);
            return self.refuse_pending(re, &log, text, Refusal::Busy { retry_after_ms: 100 });
        }
        let Some(place) = self.mailbox.reserve() else {
            // The mailbox is full for a slow reader: its own commands wait for it too.
            return self.refuse_pending(re, &log, text, Refusal::Busy { retry_after_ms: 500 });
        };
        let command = self.context().router.keyed(command);
        self.asked = self.asked.wrapping_add(1);
        if self.form == WireForm::Rtm {
            if self.echoes.len() == ECHOES_MAX {
                self.echoes.pop_front();
            }
            self.echoes.push_back(command.key.clone());
        }
        let at_us = self.context().host.now_us();
        self.submit(place, self.asked, &log, command.clone());
        self.pending.insert(self.asked, Pending { re, log, command, text, at_us });
        self.context().router.peaks().session.seen(self.pending.len());
    }

    fn refuse_pending(&mut self, re: u64, log: &LogId, text: String, refusal: Refusal) {
        if self.form == WireForm::Rtm {
            let verb = Verb::Join;
            let command = Command::by(&self.login.user, verb);
            return self.answer_rtm(Pending { re, log: log.clone(), command, text, at_us: 0 }, &Err(refusal));
        }
        self.refuse(re, &refusal);
    }

    pub(super) fn submit(&self, place: Place, number: u32, log: &LogId, command: Command) {
        let reply = SessionReply { place: Some(place), number };
        self.context().router.submit(log, command, Box::new(reply));
    }

    fn other(&mut self, re: u64, frame: Frame) {
        match frame {
            Frame::Hello(_) => self.end(CloseCode::ProtocolError),
            Frame::Ping(ping) => {
                self.out.push(wire::say(re, Say::Pong(Pong { note: ping.note }), self.form));
            }
            Frame::Typing(typing) => self.typing(&typing.channel),
            Frame::Unfollow(unfollow) => self.put_aside(&unfollow.channels),
            Frame::Range(range) => self.range(re, &range.channel, range.after, range.limit),
            Frame::Mark(mark) => self.mark(re, &mark.channel, mark.key, mark.target_us),
            Frame::Open(open) => self.open_direct(re, &open.users),
            Frame::Follow(follow) => self.want(re, follow.cursors),
            _ => self.refuse(re, &Refusal::Named("unknown_frame")),
        }
    }

    /// Stops at once; what was asked before is not followed after it either.
    fn put_aside(&mut self, channels: &[String]) {
        for (_, cursors) in &mut self.wanted {
            cursors.retain(|cursor| !channels.contains(&cursor.channel));
        }
        for channel in channels.iter().filter_map(|channel| ConversationId::parse(channel).ok()) {
            self.cursors.put_aside(&channel.clone().into());
            self.leaves.push(channel.clone().into());
            self.asides.push(channel);
        }
    }

    fn typing(&mut self, channel: &str) {
        let Ok(channel) = ChannelId::parse(channel) else { return };
        let now = self.context().host.monotonic();
        let lately = |(last, at): &(ChannelId, Duration)| *last == channel && now - *at < TYPING_EVERY;
        if self.typed.as_ref().is_some_and(lately) {
            return;
        }
        if self.cursors.follows(&channel) && channel.conversation().is_some() {
            self.typed = Some((channel.clone(), now));
            let log = LogId::new(self.login.workspace.clone(), channel);
            self.context().router.typing(&log, self.login.user.clone());
        }
    }

    /// Runs something that takes time in a task of its own; its answer has a reserved place in the mailbox.
    fn aside<F>(&mut self, re: u64, label: &'static str, work: F)
    where
        F: Future<Output = Bytes> + Send + 'static,
    {
        let Some(place) = self.mailbox.reserve() else {
            return self.refuse(re, &Refusal::Busy { retry_after_ms: 500 });
        };
        self.context().host.spawn(label, async move {
            let frame = work.await;
            place.send(ToSession::Frame(Box::new(frame)));
        });
    }

    fn range(&mut self, re: u64, channel: &str, after: u64, limit: u32) {
        let Some(channel) = ChannelId::parse(channel).ok().filter(|channel| self.cursors.follows(channel))
        else {
            return self.refuse(re, &Refusal::Named("not_in_channel"));
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, RANGE_EVENTS_MAX);
        let log = LogId::new(self.login.workspace.clone(), channel);
        let (context, login, form) = (self.context().clone(), self.login.clone(), self.form);
        self.aside(re, "session range", async move {
            let after = match since(&context, &login, &log).await {
                Ok(since) => after.max(since),
                Err(refusal) => return wire::refuse(re, &refusal, form),
            };
            match context.router.read(&log, after, limit).await {
                Err(error) => wire::refuse(re, &Refusal::Unavailable(error.to_string()), form),
                Ok(replay) => {
                    let events = page_of(&replay);
                    let page = Page { channel: log.channel.to_string(), events, tail: replay.tail };
                    wire::say(re, Say::Page(page), form)
                }
            }
        });
    }

    fn mark(&mut self, re: u64, channel: &str, key: String, us: ts::Micros) {
        let Ok(channel) = ConversationId::parse(channel) else {
            return self.refuse(re, &Refusal::Named("channel_not_found"));
        };
        let (context, login, form) = (self.context().clone(), self.login.clone(), self.form);
        self.aside(re, "session mark", async move {
            let result = crate::marks::mark(&context, &login, &channel, key, us).await;
            wire::answer(re, channel.as_str(), &result, form)
        });
    }

    fn open_direct(&mut self, re: u64, users: &[String]) {
        let (context, login, form) = (self.context().clone(), self.login.clone(), self.form);
        let users: Result<Vec<_>, _> = users.iter().map(|user| user.parse()).collect();
        let Ok(users) = users else { return self.refuse(re, &Refusal::Named("user_not_found")) };
        self.aside(re, "session open", async move {
            match crate::opening::direct(&context, &login.workspace, &login.user, &users).await {
                Err(refusal) => wire::refuse(re, &refusal, form),
                Ok(opened) => {
                    let done = Done { seq: 0, us: 0, retried: opened.already, event: None, message: None };
                    wire::answer(re, opened.channel.as_str(), &Ok(done), form)
                }
            }
        });
    }

    /// Follows more logs, or from other cursors. What is not the user's to follow is left out of the answer.
    fn want(&mut self, re: u64, cursors: Vec<Cursor>) {
        self.wanted.push((re, cursors));
    }

    pub(super) async fn follow_wanted(&mut self) {
        for (re, cursors) in std::mem::take(&mut self.wanted) {
            let joined = match self.joined().await {
                Ok(joined) => joined,
                Err(refusal) => {
                    self.refuse(re, &refusal);
                    continue;
                }
            };
            let wanted: Vec<_> = cursors
                .iter()
                .filter_map(|cursor| {
                    let channel = ConversationId::parse(&cursor.channel).ok()?;
                    let cursor = self.cursors.name(&channel.clone().into(), cursor.seq);
                    let (_, row) = joined.iter().find(|(joined, _)| *joined == channel)?;
                    Some(Wanted { channel, row: *row, cursor: Some(cursor) })
                })
                .collect();
            match self.follow_conversations(wanted).await {
                Err(refusal) => self.refuse(re, &refusal),
                Ok(named) => {
                    let tails = self
                        .cursors
                        .positions()
                        .filter(|(channel, _)| named.contains(channel))
                        .map(|(channel, seq)| Cursor { channel: channel.to_string(), seq })
                        .collect();
                    self.out.push(wire::say(re, Say::Following(Following { tails }), self.form));
                }
            }
        }
    }

    fn rtm(&mut self, bytes: &Bytes) {
        match rtm::parse(bytes) {
            Ok(RtmIn::Ping { id, extras }) => {
                self.out.push(frame::text(rtm::pong(id, &extras).as_bytes()));
            }
            Ok(RtmIn::Typing { channel }) => self.typing(&channel),
            Ok(RtmIn::Message(message)) => self.rtm_message(message),
            Ok(RtmIn::Ignored) => {}
            Err(error) => self.out.push(frame::text(rtm::refused(None, 1, &error.to_string()).as_bytes())),
        }
    }

    fn rtm_message(&mut self, message: rtm::RtmMessage) {
        let re = message.id.map_or(0, |id| id as u64);
        let refuse = |code: i64, why: &str| frame::text(rtm::refused(message.id, code, why).as_bytes());
        if message.text.is_empty() {
            return self.out.push(refuse(2, "message text is missing"));
        }
        let Ok(channel) = ConversationId::parse(&message.channel) else {
            return self.out.push(refuse(-1, "channel_not_found"));
        };
        let thread_us = match &message.thread_ts {
            None => 0,
            Some(text) => match ts::parse(text) {
                Some(us) => us,
                None => return self.out.push(refuse(-1, "thread_not_found")),
            },
        };
        let content = Content { text: message.text.clone(), ..rtm::author(&self.login) };
        let verb = Verb::Post {
            content,
            thread_us,
            reply_broadcast: message.reply_broadcast,
            client_msg_id: String::new(),
        };
        let log = Context::conversation(&self.login.workspace, &channel);
        let command = Command::by(&self.login.user, verb);
        self.command(re, log, command, message.text);
    }

    pub(super) fn answer_rtm(&mut self, pending: Pending, result: &Result<Done, Refusal>) {
        let id = i64::try_from(pending.re).ok().filter(|id| *id != 0);
        self.out.push(match result {
            Ok(done) => frame::text(rtm::ack(id, &ts::format(done.us), &pending.text).as_bytes()),
            Err(refusal) => {
                self.echoes.retain(|key| *key != pending.command.key);
                frame::text(rtm::refused(id, -1, refusal.code()).as_bytes())
            }
        });
    }
}

/// As many events as one page may carry, at least one.
fn page_of(replay: &Replay) -> Vec<Event> {
    let mut bytes = 0;
    let fits = |delivery: &&Arc<Delivery>| {
        let first = bytes == 0;
        bytes += delivery.event.encoded_len();
        first || bytes <= PAGE_BYTES_MAX
    };
    replay.events.iter().take_while(fits).map(|delivery| delivery.event.clone()).collect()
}

/// The seq before which a user may not see a conversation's events: they joined there. 0 for their own logs.
async fn since(context: &Context, login: &crate::tickets::Login, log: &LogId) -> Result<u64, Refusal> {
    if log.channel.conversation().is_none() {
        return Ok(0);
    }
    match context.store.member(log, &login.user).await {
        Ok(Some(row)) => Ok(row.seq.saturating_sub(1)),
        Ok(None) => Err(Refusal::Named("not_in_channel")),
        Err(error) => Err(Refusal::Unavailable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Aside;
    use proto::id::WorkspaceId;

    #[test]
    fn a_page_is_full_to_the_byte_and_never_empty() {
        let log = LogId::new(WorkspaceId::parse("T1").unwrap(), ConversationId::parse("C1").unwrap());
        let event = |key: usize| Event { key: "k".repeat(key), ..Event::default() };
        let of = |keys: &[usize]| {
            let events = keys.iter().map(|key| Delivery::new(log.clone(), event(*key), Aside::default()));
            page_of(&Replay { events: events.map(Arc::new).collect(), first: 1, tail: 9 }).len()
        };
        let header = event(PAGE_BYTES_MAX / 2).encoded_len() - PAGE_BYTES_MAX / 2;
        let half = PAGE_BYTES_MAX / 2 - header;
        assert_eq!((of(&[half, half, 1]), of(&[half, half + 1, 1])), (2, 1));
        assert_eq!((of(&[PAGE_BYTES_MAX, 1]), of(&[])), (1, 0));
    }
}
