//! How a connection becomes a session: who it is, what it follows, from where.

use super::mailbox::Mailbox;
use super::{Ending, FrameSocket, Incoming, Session, pings::Pings, wire};
use crate::auth;
use crate::channel::load;
use crate::context::Context;
use crate::gateway::Seat;
use crate::limits::TokenBucket;
use crate::shard::{ShardMessage, Tails};
use crate::store::{LogId, READ_ROWS_MAX, StoreError};
use crate::tickets::Login;
use proto::close::CloseCode;
use proto::frame::{self, WireForm};
use proto::id::{ChannelId, ConversationId};
use proto::refusal::Refusal;
use proto::v1::client_frame::Frame;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Cursor, Hello, JoinedRow, Limits, Welcome};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;

/// Owners are asked for the tails of what a session follows within this long: one that died is replaced in a second or
/// two. A session waits meanwhile; after it, its client comes again, at another node if it can.
const LISTENED_WITHIN: Duration = Duration::from_secs(3);

/// Waits for `hello`, logs in, follows, welcomes. `None` when it came to nothing: the client has been told why.
pub(super) async fn open<S: FrameSocket>(
    seat: Seat,
    mut socket: S,
    form: WireForm,
    login: Option<Login>,
) -> Option<(Box<Session>, S)> {
    match admit(seat, &mut socket, form, login).await {
        Ok(session) => Some((session, socket)),
        Err(code) => {
            super::count_close(code);
            socket.close(code.number(), code.name()).await;
            None
        }
    }
}

async fn admit<S: FrameSocket>(
    seat: Seat,
    socket: &mut S,
    form: WireForm,
    login: Option<Login>,
) -> Result<Box<Session>, CloseCode> {
    let context = seat.context();
    let (re, hello) = match form {
        WireForm::Rtm => (0, Hello::default()),
        _ => await_hello(context, socket, form).await?,
    };
    let login = match login {
        Some(login) => login,
        None => match auth::login_by_token(context, &hello.token).await {
            Ok(login) => login,
            Err(refusal) => return Err(turn_away(socket, re, &refusal, form).await),
        },
    };
    let mut session = Box::new(enter(seat, form, login).await?);
    if let Err(refusal) = session.follow_all(&hello).await {
        session.leave_shard().await;
        return Err(turn_away(socket, re, &refusal, form).await);
    }
    session.count_return(&hello);
    session.welcome(re);
    Ok(session)
}

/// Tells somebody why they are not let in.
async fn turn_away<S: FrameSocket>(socket: &mut S, re: u64, refusal: &Refusal, form: WireForm) -> CloseCode {
    let named = matches!(refusal, Refusal::Named(_));
    let said = match form {
        // A ticket that is used, too old or unknown, or whose token was revoked: Slack's own words for it.
        WireForm::Rtm if named => frame::text(crate::rtm::expired().as_bytes()),
        _ => wire::refuse(re, refusal, form),
    };
    let _ = socket.send(&[said]).await;
    // A store that cannot be asked now says nothing about the token: the client may come back.
    if named { CloseCode::NotAuthenticated } else { CloseCode::Restarting }
}

/// A session that its shard knows and that follows nothing yet.
async fn enter(seat: Seat, form: WireForm, login: Login) -> Result<Session, CloseCode> {
    let config = &seat.context().config;
    let mailbox = Mailbox::new(config.session_mailbox_max);
    let rate = TokenBucket::new(config.rate_per_s, config.rate_burst, seat.context().host.monotonic());
    let (tell, told) = oneshot::channel();
    let begun = ShardMessage::Open(mailbox.listener(), tell);
    seat.shard_mailbox().send(begun).await.map_err(|_| CloseCode::Restarting)?;
    let number = told.await.map_err(|_| CloseCode::Restarting)?;
    Ok(Session {
        seat,
        number,
        form,
        login,
        cursors: Default::default(),
        pending: BTreeMap::new(),
        asked: 0,
        mailbox,
        out: SmallVec::new(),
        own: Vec::new(),
        joins: Vec::new(),
        leaves: Vec::new(),
        rejoins: Vec::new(),
        doubts: Vec::new(),
        is_unheard: false,
        asides: Vec::new(),
        wanted: Vec::new(),
        echoes: VecDeque::new(),
        typed: None,
        pings: Pings::default(),
        rate,
        ending: None,
    })
}

async fn await_hello<S: FrameSocket>(
    context: &Context,
    socket: &mut S,
    form: WireForm,
) -> Result<(u64, Hello), CloseCode> {
    let limit = Duration::from_millis(context.config.hello_timeout_ms);
    let first = async {
        loop {
            match socket.next().await {
                Some(Ok(Incoming::Pong)) => {}
                other => return other,
            }
        }
    };
    let bytes = match context.host.timeout(limit, first).await {
        Err(_) => return Err(CloseCode::HelloTimeout),
        Ok(Some(Ok(Incoming::Text(bytes) | Incoming::Binary(bytes)))) => bytes,
        Ok(Some(Err(error))) => return Err(super::code_of(&error)),
        Ok(_) => return Err(CloseCode::ProtocolError),
    };
    match frame::decode_client(&bytes, form) {
        Ok(client) => match client.frame {
            Some(Frame::Hello(hello)) => Ok((client.id, hello)),
            _ => Err(CloseCode::ProtocolError),
        },
        Err(_) => Err(CloseCode::BadFrame),
    }
}

impl Session {
    /// Counts those who come back.
    fn count_return(&self, hello: &Hello) {
        if !hello.cursors.is_empty() {
            metrics::counter!("reconnection_rate", "region" => "0").increment(1);
        }
    }

    /// Follows the workspace, the user and the conversations they are in: the user's own log first, so that a join
    /// that happens meanwhile, and the end of the token, is seen there.
    async fn follow_all(&mut self, hello: &Hello) -> Result<(), Refusal> {
        let cursors: BTreeMap<ChannelId, u64> = hello
            .cursors
            .iter()
            .filter_map(|cursor| Some((ChannelId::parse(&cursor.channel).ok()?, cursor.seq)))
            .collect();
        let own =
            [ChannelId::User(self.login.user.clone()), ChannelId::Workspace(self.login.workspace.clone())];
        let start = |own| cursors.get(own).map_or(Start::Tail(0), |cursor| Start::After(*cursor));
        let from: Vec<_> = own.iter().map(|own| (own.clone(), start(own))).collect();
        self.follow_own(from).await?;
        auth::still_in(self.context(), &self.login).await?;
        let mut joined = self.joined().await?;
        if hello.manual {
            joined.retain(|(channel, _)| cursors.contains_key(&ChannelId::from(channel.clone())));
        }
        let cursor = |channel: &ConversationId| cursors.get(&ChannelId::from(channel.clone())).copied();
        let wanted =
            joined.into_iter().map(|(channel, row)| Wanted { cursor: cursor(&channel), channel, row });
        self.follow_conversations(wanted.collect()).await?;
        let conversations = cursors.into_iter().filter(|(channel, _)| channel.conversation().is_some());
        self.cursors.came_with(conversations);
        Ok(())
    }

    /// Conversations that the user's own log says they are, or were, in.
    pub(super) async fn joined(&self) -> Result<Vec<(ConversationId, JoinedRow)>, Refusal> {
        let (store, login) = (&self.context().store, &self.login);
        let rows = load::all(|after| store.joined(&login.workspace, &login.user, after, READ_ROWS_MAX)).await;
        rows.map_err(|error| Refusal::Unavailable(error.to_string()))
    }

    /// Follows conversations from the client's cursors, where it has any; answers which.
    ///
    /// What the user's own log says of them follows the conversations' logs after a while; who is a member, these alone
    /// decide. They are asked when the tails are known, and that no cursor is beyond its log's end: a leave that came
    /// before is in the members' rows by then, and one that comes later is an event after the cursor. One that was left
    /// and is not yet known to be is left out: where it ended is told by the own log, and the rest of it is served when
    /// the client comes again.
    pub(super) async fn follow_conversations(
        &mut self,
        mut wanted: Vec<Wanted>,
    ) -> Result<Vec<ChannelId>, Refusal> {
        wanted.retain(|wanted| wanted.start().is_some());
        let channels: Vec<_> = wanted.iter().map(|wanted| wanted.channel.clone().into()).collect();
        let mut tails = self.listen(&channels).await?;
        for Wanted { channel, cursor, .. } in &mut wanted {
            if let Some(cursor) = cursor {
                *cursor = self.within(&channel.clone().into(), *cursor, &mut tails).await;
            }
        }
        let begun = match self.only_members(&mut wanted).await {
            Ok(()) => {
                let start = |wanted: Wanted| {
                    let start = wanted.start()?;
                    Some((ChannelId::from(wanted.channel), start))
                };
                let from: Vec<_> = wanted.into_iter().filter_map(start).collect();
                let named = from.iter().map(|(channel, _)| channel.clone()).collect();
                self.begin(from, tails).await.map(|()| named)
            }
            Err(error) => Err(Refusal::Unavailable(error.to_string())),
        };
        self.leave_unfollowed(channels);
        begun
    }

    /// Takes out those of whom the user is no member, though their own log does not know yet.
    async fn only_members(&self, wanted: &mut Vec<Wanted>) -> Result<(), StoreError> {
        let there =
            wanted.iter().filter(|wanted| !wanted.row.left).map(|wanted| wanted.channel.clone()).collect();
        let (store, login) = (&self.context().store, &self.login);
        let mut members = store.memberships(&login.workspace, &login.user, there).await?.into_iter();
        wanted.retain_mut(|Wanted { row, .. }| {
            if row.left {
                return true;
            }
            let member = members.next().flatten();
            row.seq = member.as_ref().map_or(row.seq, |member| member.seq);
            member.is_some()
        });
        Ok(())
    }

    /// Has the shard stop listening to those that are not followed after all.
    pub(super) fn leave_unfollowed(&mut self, channels: Vec<ChannelId>) {
        self.leaves.extend(channels.into_iter().filter(|channel| !self.cursors.follows(channel)));
    }

    /// Follows the logs of the user and the workspace.
    async fn follow_own(&mut self, mut from: Vec<(ChannelId, Start)>) -> Result<(), Refusal> {
        let channels: Vec<_> = from.iter().map(|(channel, _)| channel.clone()).collect();
        let mut tails = self.listen(&channels).await?;
        for (channel, start) in &mut from {
            if let Start::After(cursor) = start {
                *cursor = self.within(channel, *cursor, &mut tails).await;
            }
        }
        self.begin(from, tails).await
    }

    /// Has the shard listen to logs; answers where each stands. What is not followed after all has to be left again.
    pub(super) async fn listen(&mut self, channels: &[ChannelId]) -> Result<Listened, Refusal> {
        if self.cursors.count() + channels.len() > self.context().config.follows_max {
            metrics::counter!("waggle_follows_refused_total").increment(1);
            return Err(Refusal::Busy { retry_after_ms: 1000 });
        }
        let log = |channel: &ChannelId| LogId::new(self.login.workspace.clone(), channel.clone());
        let logs = channels.iter().map(log).collect();
        let (answer, told) = oneshot::channel();
        let gone = || Refusal::Unavailable("the node stops".into());
        self.seat
            .shard_mailbox()
            .send(ShardMessage::Follow(self.number, logs, answer))
            .await
            .map_err(|_| gone())?;
        let Ok(told) = self.context().host.timeout(LISTENED_WITHIN, told).await else {
            metrics::counter!("waggle_follows_late_total").increment(1);
            self.leave_unfollowed(channels.to_vec());
            return Err(Refusal::Unavailable("an owner of a conversation is not reached from here".into()));
        };
        let tails: Tails = told.map_err(|_| gone())?;
        // The ids are the shard's own: sessions share their memory.
        Ok(tails.into_iter().map(|(log, tail)| (log.channel, tail)).collect())
    }

    /// Begins to follow what the shard listens to.
    pub(super) async fn begin(
        &mut self,
        from: Vec<(ChannelId, Start)>,
        tails: Listened,
    ) -> Result<(), Refusal> {
        self.cursors.reserve(from.len());
        let mut followed = Ok(());
        for (channel, start) in from {
            if let Some((shared, Some(tail))) = tails.get_key_value(&channel) {
                let cursor = match start {
                    Start::After(cursor) => cursor,
                    Start::Tail(least) => least.max(*tail),
                };
                self.cursors.follow(shared, cursor, *tail);
                continue;
            }
            match self.damage(&channel).await {
                Some(damage) => {
                    go_without(&channel, &damage);
                    self.cursors.unfollow(&channel);
                    self.leaves.push(channel);
                }
                None => followed = Err(Refusal::Unavailable(format!("{channel} cannot be read now"))),
            }
        }
        followed
    }

    /// A client's cursor, brought back into its log if it is beyond the end. The tail that the shard knows does not
    /// tell: it may be older than what the client was sent through another node, and what a client was sent is in the
    /// store. A cursor beyond the end there is wrong, or its log has lost rows; left as it is, it would keep the events
    /// that take their places from the client. A log whose end cannot be read has no tail either.
    pub(super) async fn within(&self, channel: &ChannelId, cursor: u64, tails: &mut Listened) -> u64 {
        let Some(&Some(tail)) = tails.get(channel) else { return cursor };
        if cursor <= tail {
            return cursor;
        }
        let log = LogId::new(self.login.workspace.clone(), channel.clone());
        let Ok(end) = load::tail(&*self.context().store, &log).await else {
            tails.insert(channel.clone(), None);
            return cursor;
        };
        if cursor > end {
            metrics::counter!("waggle_cursors_beyond_end_total").increment(1);
            tracing::warn!(%channel, cursor, end, "a client's cursor is beyond the end of the log");
        }
        cursor.min(end.max(tail))
    }

    /// Why a conversation's log can never be read: one damaged row must not lock its members out of the others.
    async fn damage(&self, channel: &ChannelId) -> Option<String> {
        channel.conversation()?;
        let log = LogId::new(self.login.workspace.clone(), channel.clone());
        match self.context().router.read(&log, 0, 1).await {
            Err(StoreError::Damaged(damage)) => Some(damage),
            _ => None,
        }
    }

    fn welcome(&mut self, re: u64) {
        if self.form == WireForm::Rtm {
            return self.out.push(frame::text(crate::rtm::hello().as_bytes()));
        }
        let config = &self.seat.context().config;
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let Login { workspace, user, .. } = &self.login;
        let welcome = Welcome {
            workspace: workspace.to_string(),
            user: user.to_string(),
            node: self.seat.node().to_owned(),
            boot: self.seat.boot(),
            limits: Some(Limits {
                frame_bytes_max: number(frame::FRAME_BYTES_MAX),
                posts_in_flight_max: number(config.posts_in_flight_max),
                text_chars_max: number(config.text_chars_max),
                ping_interval_ms: u32::try_from(config.ping_interval_ms).unwrap_or(u32::MAX),
                follows_max: number(config.follows_max),
            }),
            following: self
                .cursors
                .positions()
                .map(|(channel, seq)| Cursor { channel: channel.to_string(), seq })
                .collect(),
            home: self.context().placement.home(workspace, user, "connect").unwrap_or_default(),
        };
        self.out.push(wire::say(re, Say::Welcome(welcome), self.form));
    }

    /// The session is over for this reason after what is ready has been written.
    pub(super) fn end(&mut self, code: CloseCode) {
        self.ending.get_or_insert(Ending::Close(code));
    }
}

/// Counts a log that can never be read: its followers keep the others.
pub(super) fn go_without(channel: &ChannelId, damage: &str) {
    tracing::error!(%channel, damage, "log is damaged, its followers go without it");
    metrics::counter!("waggle_follows_damaged_total").increment(1);
}

/// Logs that the shard listens to, and their tails; `None`: it cannot be followed now.
pub(super) type Listened = BTreeMap<ChannelId, Option<u64>>;

/// A conversation that a client would follow.
pub(super) struct Wanted {
    /// Which.
    pub channel: ConversationId,
    /// What the user's own log says of it.
    pub row: JoinedRow,
    /// How far the client has come.
    pub cursor: Option<u64>,
}

impl Wanted {
    fn start(&self) -> Option<Start> {
        from_where(&self.row, self.cursor)
    }
}

/// Where the following of a log starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// After this seq: the client's cursor, or the last before a join.
    After(u64),
    /// After the tail, which the shard may know from before a member's join: not before this seq.
    Tail(u64),
}

/// Where a member's connection starts: at its cursor or at the tail, but not before the member joined; a conversation
/// that was left only at a cursor, and only until then.
fn from_where(row: &JoinedRow, cursor: Option<u64>) -> Option<Start> {
    let begins = if cluster::planted!(CursorBeforeJoin) { 0 } else { row.seq.saturating_sub(1) };
    let Some(cursor) = cursor else { return (!row.left).then_some(Start::Tail(begins)) };
    let cursor = cursor.max(begins);
    (!row.left || cursor < row.left_seq).then_some(Start::After(cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_starts_before_their_join_or_after_their_leave() {
        let member = JoinedRow { seq: 14, ..JoinedRow::default() };
        assert_eq!(from_where(&member, None), Some(Start::Tail(13)));
        assert_eq!(from_where(&member, Some(5)), Some(Start::After(13)));
        assert_eq!(from_where(&member, Some(20)), Some(Start::After(20)));
        let gone = JoinedRow { left: true, left_seq: 20, ..member };
        assert_eq!(from_where(&gone, None), None);
        assert_eq!(from_where(&gone, Some(5)), Some(Start::After(13)));
        assert_eq!(from_where(&gone, Some(19)), Some(Start::After(19)));
        assert_eq!(from_where(&gone, Some(20)), None);
    }
}
