//! What a session does with what it is told: live events, replays, answers, the clock.

use super::cursors::Step;
use super::opening::Start;
use super::{Ending, Read, Session, ToSession, pings::Beat, wire};
use crate::auth;
use crate::command::Done;
use crate::delivery::Delivery;
use crate::router::{RESENDS_MAX, back_off};
use crate::shard::ShardMessage;
use crate::store::{LogId, StoreError};
use proto::close::CloseCode;
use proto::frame::{self, WireForm};
use proto::id::{ChannelId, ConversationId};
use proto::refusal::Refusal;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Beacon, Cursor, GoAway, Lagging, MemberRow, SkipTo, Typed};
use std::sync::Arc;
use std::time::Duration;

/// A session's token is looked up within this long, or at the next time: what it is sent waits meanwhile.
const LOOKED_UP_WITHIN: Duration = Duration::from_millis(500);

impl Session {
    pub(super) fn mail(&mut self, message: ToSession) {
        if self.ending == Some(Ending::Close(CloseCode::Revoked)) {
            // What waited behind the end of the token is for nobody.
            return;
        }
        match message {
            ToSession::Event(delivery) => {
                match self.cursors.live(&delivery.log.channel, delivery.event.seq) {
                    Step::Send => self.emit(&delivery),
                    // Ahead of its turn, too: what comes before it may take long to be read.
                    Step::Drop if self.is_revoked_by(&delivery) => self.end(CloseCode::Revoked),
                    Step::Drop => {}
                }
            }
            ToSession::Typing(typed) => self.typed(&typed.0, typed.1.as_str()),
            ToSession::Answered(number, result) => self.answered(number, *result),
            ToSession::Lost(number) => self.lost(number),
            ToSession::Again(number) => self.again(number),
            ToSession::Frame(frame) => self.out.push(*frame),
            ToSession::Unheard => self.is_unheard = true,
            ToSession::Tick => self.tick(),
            ToSession::GoAway(leave) => self.go_away(leave.0, leave.1),
            ToSession::Leave => self.end(CloseCode::GoingAway),
        }
    }

    /// Sends the next event of a followed log, and does what it means for this session.
    fn emit(&mut self, delivery: &Arc<Delivery>) {
        let native = self.form != WireForm::Rtm;
        let of_conversation = delivery.log.channel.conversation().is_some();
        if native || (of_conversation && !self.is_echo(delivery)) {
            self.pings.sent();
            self.out.extend(delivery.frames(self.form).iter().cloned());
        } else if !of_conversation {
            self.own.push(delivery.clone());
        }
        match &delivery.event.body {
            Some(Body::Left(_) | Body::ConversationLeft(_)) if cluster::planted!(LeftStillFollows) => {}
            Some(Body::Left(left)) if left.user == self.login.user.as_str() => {
                // At once: nothing after this seq may reach who has left.
                self.cursors.leave(&delivery.log.channel);
                self.leaves.push(delivery.log.channel.clone());
                // The older membership is over: what was told of a newer one meanwhile counts now.
                let now = self.rejoins.extract_if(.., |(channel, _)| *channel == delivery.log.channel);
                self.joins.extend(now);
            }
            Some(Body::ConversationJoined(joined)) => {
                if let Ok(channel) = ConversationId::parse(&joined.channel) {
                    let before = if cluster::planted!(JoinFollowedEarly) { 2 } else { 1 };
                    self.joins.push((channel.into(), joined.seq.saturating_sub(before)));
                }
            }
            Some(Body::ConversationLeft(left)) => {
                // A session that began between a leave and this, its follow-up, was let in by a row that was over.
                let channel = ConversationId::parse(&left.channel).map(ChannelId::from);
                self.doubts.extend(channel.ok().filter(|channel| {
                    self.cursors.position(channel).is_some_and(|cursor| cursor >= left.seq)
                }));
            }
            _ if self.is_revoked_by(delivery) => self.end(CloseCode::Revoked),
            _ => {}
        }
    }

    fn is_revoked_by(&self, delivery: &Delivery) -> bool {
        let Some(Body::TokenRevoked(revoked)) = &delivery.event.body else { return false };
        revoked.hash == self.login.token_hash && !cluster::planted!(RevokedStaysOpen)
    }

    /// RTM answers the sender with an ack and everybody else with the message.
    fn is_echo(&mut self, delivery: &Delivery) -> bool {
        let found = self.echoes.iter().position(|key| *key == delivery.event.key);
        found.is_some_and(|position| self.echoes.remove(position).is_some())
    }

    /// A read of a log that is behind came back.
    pub(super) fn replayed(&mut self, read: Read) {
        let Read { channel, after, replay } = read;
        if self.cursors.position(&channel) != Some(after) {
            // Left, or followed anew from another cursor, while it was read: what was read does not continue it.
            return;
        }
        let replay = match replay {
            Ok(replay) => replay,
            Err(StoreError::Damaged(damage)) if channel.conversation().is_some() => {
                // It would be damaged after a reconnection too: the client goes on with its other conversations.
                super::opening::go_without(&channel, &damage);
                self.cursors.unfollow(&channel);
                return self.leaves.push(channel);
            }
            Err(error) => {
                tracing::warn!(%channel, %error, "replay failed, the client has to reconnect");
                return self.end(CloseCode::Restarting);
            }
        };
        let first = replay.events.first().map_or(replay.first, |delivery| delivery.event.seq);
        if self.cursors.skip_to(&channel, first) && self.form != WireForm::Rtm {
            let skip = SkipTo { channel: channel.to_string(), seq: first };
            self.out.push(wire::say(0, Say::SkipTo(skip), self.form));
        }
        for delivery in &replay.events {
            if self.cursors.read(&channel, delivery.event.seq) {
                self.emit(delivery);
            }
        }
        self.cursors.read_to(&channel, replay.tail);
    }

    /// The queue overflowed and was dropped: everything is looked at again from the cursors.
    pub(super) fn lagged(&mut self) {
        self.cursors.lagged();
        if self.form != WireForm::Rtm {
            self.out.push(wire::say(0, Say::Lagging(Lagging {}), self.form));
        }
    }

    fn typed(&mut self, log: &LogId, user: &str) {
        if user == self.login.user.as_str() || !self.cursors.follows(&log.channel) {
            return;
        }
        let channel = log.channel.to_string();
        self.out.push(match self.form {
            WireForm::Rtm => frame::text(crate::rtm::typing(&channel, user).as_bytes()),
            form => wire::say(0, Say::Typed(Typed { channel, user: user.to_owned() }), form),
        });
    }

    fn answered(&mut self, number: u32, result: Result<Done, Refusal>) {
        let Some(pending) = self.pending.remove(&number) else { return };
        let result = result.map_err(|refusal| pending.command.refused(refusal));
        if let Ok(done) = &result {
            self.context().router.note_asked(&pending.log, done, pending.at_us);
        }
        if self.form == WireForm::Rtm {
            return self.answer_rtm(pending, &result);
        }
        if pending.re != 0 {
            let channel = pending.log.channel.to_string();
            self.out.push(wire::answer(pending.re, &channel, &result, self.form));
        }
    }

    /// Lost inside: the same command goes again under the same key.
    fn lost(&mut self, number: u32) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if pending.command.attempt >= RESENDS_MAX {
            return self.answered(number, Err(Refusal::Unknown));
        }
        let wait = back_off(pending.command.attempt);
        pending.command.attempt += 1;
        metrics::counter!("waggle_commands_resent_total").increment(1);
        let Some(place) = self.mailbox.reserve() else {
            return self.answered(number, Err(Refusal::Unknown));
        };
        let host = self.context().host.clone();
        self.context().host.spawn("session resend", async move {
            host.sleep(wait).await;
            place.send(ToSession::Again(number));
        });
    }

    fn again(&mut self, number: u32) {
        let Some(place) = self.mailbox.reserve() else {
            return self.answered(number, Err(Refusal::Unknown));
        };
        if let Some(pending) = self.pending.get(&number) {
            self.submit(place, number, &pending.log, pending.command.clone());
        }
    }

    /// The shard's clock: the peer is pinged, or given up; what is behind is announced.
    fn tick(&mut self) {
        match self.pings.tick() {
            Beat::Dead => return self.end(CloseCode::Idle),
            Beat::Ping => self.out.push(frame::ping(b"")),
            Beat::Spare => {}
        }
        self.cursors.look_again();
        let tails = self.cursors.beacon();
        if self.form != WireForm::Rtm && !tails.is_empty() {
            let cursor = |(channel, seq): (ChannelId, u64)| Cursor { channel: channel.to_string(), seq };
            let beacon = Beacon { tails: tails.into_iter().map(cursor).collect() };
            self.out.push(wire::say(0, Say::Beacon(beacon), self.form));
        }
    }

    fn go_away(&mut self, reason: &str, delay: Duration) {
        let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        match self.form {
            WireForm::Rtm => self.out.push(frame::text(crate::rtm::goodbye().as_bytes())),
            form => {
                // Not home: that may be this node, which is going, before anybody knows that it is.
                let address = self.context().placement.anywhere("connect");
                let away = GoAway { reason: reason.to_owned(), delay_ms, address };
                self.out.push(wire::say(0, Say::GoAway(away), form));
            }
        }
    }

    pub(super) fn has_errands(&self) -> bool {
        let own =
            !self.own.is_empty() || self.is_unheard || !self.doubts.is_empty() || !self.asides.is_empty();
        own || !self.joins.is_empty() || !self.leaves.is_empty() || !self.wanted.is_empty()
    }

    /// What events of the own logs ask for and what takes a moment: following, leaving, RTM's own events.
    pub(super) async fn errands(&mut self) {
        for delivery in std::mem::take(&mut self.own) {
            let texts = crate::rtm::own_events(self.seat.context(), &self.login, &delivery).await;
            self.out.extend(texts.iter().map(|text| frame::text(text.as_bytes())));
        }
        self.settle_doubts().await;
        self.look_token_up().await;
        self.settle_asides().await;
        for channel in std::mem::take(&mut self.leaves) {
            if !self.cursors.follows(&channel) {
                self.unfollow(&channel).await;
            }
        }
        if let Err(refusal) = self.follow_joins().await {
            tracing::warn!(%refusal, "joined conversation could not be followed, the client has to reconnect");
            self.end(CloseCode::Restarting);
        }
        self.follow_wanted().await;
    }

    /// Follows what was joined. One join that a replay of the user's own log tells of may be over by now, or another
    /// one have come after it: following from there would show again what was shown, or what is none of the user's
    /// business. As when a connection begins, the members' rows are asked when the tails are known.
    async fn follow_joins(&mut self) -> Result<(), Refusal> {
        let mut joins = std::mem::take(&mut self.joins);
        joins.retain(|(channel, cursor)| {
            let position = self.cursors.position(channel);
            if position.is_some_and(|position| position <= *cursor) {
                self.rejoins.push((channel.clone(), *cursor));
            }
            position.is_none() && !self.cursors.was_put_aside(channel, cursor + 1)
        });
        if joins.is_empty() {
            return Ok(());
        }
        let channels: Vec<_> = joins.iter().map(|(channel, _)| channel.clone()).collect();
        let mut tails = self.listen(&channels).await?;
        let mut from = Vec::with_capacity(joins.len());
        for (channel, cursor) in joins {
            // The client may have been shown some of this membership on an earlier connection.
            let further = self.within(&channel, self.cursors.further(&channel, cursor), &mut tails).await;
            from.push((channel, cursor, further.max(cursor)));
        }
        let standing = self.standing(from).await;
        let begun = self.begin(standing, tails).await;
        self.leave_unfollowed(channels);
        begun
    }

    /// Those joins that the members' rows still have, each with where its log goes on.
    async fn standing(&mut self, joins: Vec<(ChannelId, u64, u64)>) -> Vec<(ChannelId, Start)> {
        let mut standing = Vec::new();
        for (channel, cursor, further) in joins {
            if let Some(Some(row)) = self.membership(&channel).await
                && row.seq == cursor + 1
            {
                standing.push((channel, Start::After(further)));
            }
        }
        standing
    }

    /// The membership that a client has put aside is the one that the members' rows have now, whether the client, or
    /// this session, has been told of it or not.
    async fn settle_asides(&mut self) {
        let channels = std::mem::take(&mut self.asides);
        if channels.is_empty() {
            return;
        }
        let (store, login) = (&self.context().store, &self.login);
        match store.memberships(&login.workspace, &login.user, channels.clone()).await {
            Ok(members) => {
                for (channel, member) in channels.into_iter().zip(members) {
                    let since = member.map_or(0, |member| member.seq);
                    self.cursors.member_since(&channel.into(), since);
                }
            }
            Err(error) => tracing::warn!(%error, "what a client has put aside may be followed again"),
        }
    }

    /// The user's own log is not heard: whether the token still stands the store says, if it answers soon.
    async fn look_token_up(&mut self) {
        if !std::mem::take(&mut self.is_unheard) {
            return;
        }
        let asked = auth::still_in(self.context(), &self.login);
        if let Ok(Err(auth::REVOKED)) = self.context().host.timeout(LOOKED_UP_WITHIN, asked).await {
            self.end(CloseCode::Revoked);
        }
    }

    /// Conversations that are followed though the user may have left them: the members decide.
    async fn settle_doubts(&mut self) {
        for channel in std::mem::take(&mut self.doubts) {
            if let Some(None) = self.membership(&channel).await {
                self.cursors.unfollow(&channel);
                self.leaves.push(channel);
            }
        }
    }

    /// The user's row among the members of a conversation. `None`: it could not be read, and the session ends.
    async fn membership(&mut self, channel: &ChannelId) -> Option<Option<MemberRow>> {
        let log = LogId::new(self.login.workspace.clone(), channel.clone());
        match self.context().store.member(&log, &self.login.user).await {
            Ok(row) => Some(row),
            Err(error) => {
                tracing::warn!(%channel, %error, "membership cannot be read, the client has to reconnect");
                self.end(CloseCode::Restarting);
                None
            }
        }
    }

    pub(super) async fn unfollow(&mut self, channel: &ChannelId) {
        let log = LogId::new(self.login.workspace.clone(), channel.clone());
        let _ = self.seat.shard_mailbox().send(ShardMessage::Unfollow(self.number, log)).await;
    }
}
