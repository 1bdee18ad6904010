//! A channel's turns: a command comes in, an event goes out.

use super::flight::Landed;
use super::load::Row;
use super::log::{Staged, bucket_of};
use super::promise::Promise;
use super::ups::Begun;
use super::window::Seen;
use super::{ChannelMessage, ChannelState, Hot, load};
use crate::command::{Command, Done};
use crate::delivery::Delivery;
use crate::follow;
use crate::gate::Admitted;
use crate::hops::{Hop, Span};
use crate::store::fence::content_mut;
use crate::store::{BatchId, LogId, StoreError};
use crate::subject::{Decision, Draft, Loaded, Need, about};
use cluster::host::FaultPoint;
use proto::key::KeyError;
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::Event;
use proto::v1::event::Body;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Follow-ups that may wait before the channel takes no more commands.
const FOLLOW_MAX: usize = 16_384;

/// The task of a follow-up.
pub const FOLLOW_UP: &str = "channel follow-up";

/// An answer that memory alone has decided.
pub struct Unsure {
    command: Command,
    reply: Admitted,
    answer: Result<Done, Refusal>,
    /// Where the log ended in memory, when nothing was on its way.
    tail: u64,
}

impl ChannelState {
    /// A command: answered at once, parked, or staged for the next batch.
    pub(crate) fn take(&mut self, command: Command, reply: Admitted) {
        self.busy_at = self.args.pilot.host.monotonic();
        if let Some(lost) = &self.lost {
            return reply.answer(Err(command.refused(lost.clone().into())));
        }
        if self.hot.is_none() {
            return self.waiting.push_back((command, reply));
        }
        if self.follow.len() > FOLLOW_MAX {
            return reply.answer(Err(command.refused(Refusal::Busy { retry_after_ms: 1000 })));
        }
        match about(&command.verb) {
            Some(us) if self.parking.holds(us) => self.parking.push(us, command, reply),
            _ => {
                if let Err(waits) = self.run(command, reply) {
                    let (need, command, reply) = *waits;
                    // Others may wait for the same row: it is being read already.
                    let fetching = self.parking.holds(need.about());
                    self.parking.push(need.about(), command, reply);
                    if !fetching {
                        self.fetch(need);
                    }
                }
                self.depart();
            }
        }
    }

    /// Decides a command and stages its event; gives it back with what it needs.
    fn run(&mut self, command: Command, reply: Admitted) -> Result<(), Box<(Need, Command, Admitted)>> {
        let Some(hot) = &mut self.hot else {
            self.waiting.push_back((command, reply));
            return Ok(());
        };
        let now = self.args.pilot.host.now_us();
        let fingerprint = command.verb.fingerprint();
        if let Err(error) = proto::key::check(&command.key, now) {
            reply.answer(Err(error.into()));
            return Ok(());
        }
        match hot.log.seen(&command, fingerprint, now) {
            Seen::New => {}
            Seen::Unread(bucket) => return Err(Box::new((Need::Keys(bucket), command, reply))),
            Seen::Forgotten => {
                reply.answer(Err(KeyError::TooOld.into()));
                return Ok(());
            }
            Seen::Reused => {
                reply.answer(Err(Refusal::KeyReused));
                return Ok(());
            }
            Seen::Retry { seq, us } => {
                metrics::counter!("waggle_retries_found_total").increment(1);
                match hot.log.waiting(seq) {
                    Some(staged) if !cluster::planted!(RetryAckedEarly) => staged.reply.join(reply),
                    _ => {
                        let message = hot.subject.message(us);
                        reply.answer(Ok(Done { seq, us, retried: true, event: None, message }));
                    }
                }
                return Ok(());
            }
        }
        match hot.subject.decide(&command) {
            Decision::Need(need) => return Err(Box::new((need, command, reply))),
            Decision::Refuse(refusal) => self.answer(command, reply, Err(refusal)),
            Decision::Nothing(message) => {
                let us = message.as_ref().map_or(0, |message| message.us);
                let done = Done { seq: 0, us, retried: false, event: None, message };
                self.answer(command, reply, Ok(done));
            }
            Decision::Append(draft) => self.stage(command, reply, *draft, fingerprint, now),
        }
        Ok(())
    }

    /// Answers what memory alone has decided. What is on its way has decided with it and may come to nothing: the
    /// answer waits until that is durable. When nothing is, the log may have gone on without this owner: by an append
    /// of an earlier one that landed after the log was read, until this one has written; by a later owner, unless the
    /// claim was confirmed lately (F6). Then the log is looked at first.
    fn answer(&mut self, command: Command, reply: Admitted, answer: Result<Done, Refusal>) {
        let Some(hot) = &mut self.hot else { return };
        if let Some(staged) = hot.log.newest() {
            return staged.idle.push((command, reply, answer));
        }
        let (tenure, slot) = (self.args.pilot.tenure.clone(), self.args.slot);
        if hot.log.has_written() && tenure.is_fresh(slot) {
            return reply.answer(answer);
        }
        let (id, store) = (self.args.id.clone(), self.args.pilot.store.clone());
        let unsure = Box::new(Unsure { command, reply, answer, tail: hot.log.durable() });
        let myself = self.myself.clone();
        self.args.pilot.host.spawn("channel look", async move {
            // Whoever asks an actor that is gone, or one whose slot is another node's, asks the next one.
            if tenure.holds(slot).await {
                let _ = myself.cast(ChannelMessage::Sure(unsure, load::tail(&*store, &id).await));
            }
        });
    }

    /// The log has been looked at: the answer stands if nothing is in it that memory did not know when it decided.
    pub(crate) fn sure(&mut self, unsure: Unsure, tail: Result<u64, StoreError>) {
        let Unsure { command, reply, answer, tail: known } = unsure;
        match tail {
            Err(error) => reply.answer(Err(command.refused(error.into()))),
            Ok(tail) if tail <= known => reply.answer(answer),
            Ok(tail) => {
                self.tail_seen(tail);
                self.take(command, reply);
            }
        }
    }

    /// Numbers an event and puts it in line for the next batch.
    fn stage(&mut self, command: Command, reply: Admitted, draft: Draft, fingerprint: u64, now: Micros) {
        let Some(hot) = &mut self.hot else { return };
        if cluster::planted!(ReactionLikeTyping) && matches!(draft.body, Body::Reacted(_)) {
            let (seq, us) = (hot.log.durable(), now);
            command.sender.iter().for_each(|user| self.args.audience.typing(&self.args.id, user));
            return reply.answer(Ok(Done { seq, us, retried: false, event: None, message: None }));
        }
        let at = self.args.pilot.host.monotonic();
        hot.append(command, reply, draft, fingerprint, (now, at));
        let Some(staged) = hot.log.newest() else { return };
        if cluster::planted!(AckBeforeCommit) {
            let (seq, us, message) = (staged.event.seq, staged.event.us, staged.aside.message.clone());
            let nobody = Admitted::new(Box::new(oneshot::channel().0), None);
            let reply = std::mem::replace(&mut staged.reply, nobody);
            reply.answer(Ok(Done { seq, us, retried: false, event: None, message }));
        }
        if cluster::planted!(DeliverBeforeCommit) {
            let early = Delivery::new(self.args.id.clone(), staged.event.clone(), staged.aside.clone());
            self.args.audience.spread(&self.args.id, &[Arc::new(early)].into(), staged.event.seq);
        }
    }

    /// Reads a row in the background; at once, or when what it depends on is durable.
    fn fetch(&mut self, need: Need) {
        let durable = self.hot.as_ref().map_or(0, |hot| hot.log.durable());
        if let Need::LastReplies { durable: seq, .. } = need
            && seq > durable
        {
            return self.parking.delay(seq, need);
        }
        metrics::counter!("waggle_rows_loaded_total").increment(1);
        let read = self.parking.reading(need.about());
        let row = load::row(self.args.pilot.store.clone(), self.args.id.clone(), need.clone());
        let failed = Err(StoreError::Unavailable("a row could not be read".into()));
        let promise =
            Promise::new(&self.myself, ChannelMessage::RowLoaded(read, need.clone(), Box::new(failed)));
        self.args.pilot.host.spawn("channel row", async move {
            promise.keep(ChannelMessage::RowLoaded(read, need, Box::new(row.await)));
        });
    }

    /// A row is here: the commands that waited for it run in their order, until one needs another row.
    pub(crate) fn row_loaded(&mut self, read: u64, need: Need, row: Result<Row, StoreError>) {
        let Some(hot) = &mut self.hot else { return };
        let Some(mut line) = self.parking.take(need.about(), read) else { return };
        if row.as_ref().is_ok_and(|row| row.tail > hot.log.durable()) {
            return self.row_ahead(need, row, line);
        }
        match row.map(|row| row.loaded) {
            Ok(Loaded::Keys(bucket, keys)) => {
                self.args.pilot.host.fault(FaultPoint::OldKeysRead);
                hot.log.learn(bucket, keys);
            }
            Ok(loaded) => hot.subject.loaded(loaded),
            Err(error) => {
                for (command, reply) in line {
                    reply.answer(Err(command.refused(error.clone().into())));
                }
                return;
            }
        }
        while let Some((command, reply)) = line.pop_front() {
            if let Err(waits) = self.run(command, reply) {
                let (need, command, reply) = *waits;
                self.parking.push_front(need.about(), (command, reply), line);
                if !cluster::planted!(ParkedForGood) {
                    self.fetch(need);
                }
                break;
            }
        }
        self.depart();
    }

    /// A row may have an event in it that memory does not hold for durable: this owner's own, whose batch is in the
    /// store and not yet back, or another owner's. The end of the batch tells; without one, it is another owner's.
    fn row_ahead(
        &mut self,
        need: Need,
        row: Result<Row, StoreError>,
        mut line: VecDeque<(Command, Admitted)>,
    ) {
        metrics::counter!("waggle_rows_ahead_total").increment(1);
        let Some(hot) = &self.hot else { return };
        if hot.log.is_idle() {
            self.waiting.extend(line);
            return self.start_over(None);
        }
        if let Some(first) = line.pop_front() {
            let us = need.about();
            self.parking.push_front(us, first, line);
            let read = self.parking.reading(us);
            self.parking.ahead.push((read, need, row));
        }
    }

    /// Sends the next batch on its way, if none is.
    fn depart(&mut self) {
        let Some(hot) = &mut self.hot else { return };
        let mut batch = [0; 16];
        if hot.log.is_idle() {
            return;
        }
        self.args.pilot.host.entropy().fill(&mut batch);
        let Some(append) = hot.log.take_batch(BatchId(batch)) else { return };
        let pilot = self.args.pilot.clone();
        // Without a word nothing is known of the append, and what the store has decides.
        let promise = Promise::new(&self.myself, ChannelMessage::Landed(Landed::Reload));
        self.args.pilot.host.spawn("channel append", async move {
            promise.keep(ChannelMessage::Landed(pilot.fly(append).await));
        });
    }

    /// The batch came to its end.
    pub(crate) fn landed(&mut self, landed: Landed) {
        match landed {
            Landed::Applied => self.applied(),
            Landed::Reload => {
                metrics::counter!("waggle_channel_reloads_total").increment(1);
                self.start_over(None);
            }
            Landed::NotWritten(error) => self.start_over(Some(error)),
            Landed::StepDown => {
                tracing::warn!(channel = ?self.args.id, "slot was taken by another node");
                // Unanswered commands are routed again by those who wait for them.
                self.myself.stop(Some("stepped down".into()));
            }
            Landed::Diverged { believed, found } => {
                tracing::error!(channel = ?self.args.id, believed, found, "store lost acknowledged rows");
                metrics::counter!("waggle_store_diverged_total").increment(1);
                let what = format!("its log ends at {found}, {believed} was acknowledged");
                self.give_up(StoreError::Damaged(what));
            }
        }
    }

    /// Durable: answered first, then spread, then followed up.
    fn applied(&mut self) {
        let Some(hot) = &mut self.hot else { return };
        let staged = hot.log.applied();
        let durable = hot.log.durable();
        let rolled = bucket_of(durable) != bucket_of(durable - staged.len() as u64);
        let (mut events, mut ordered) = (Vec::with_capacity(staged.len()), Vec::with_capacity(staged.len()));
        let now_us = self.args.pilot.host.now_us();
        let now = self.args.pilot.host.monotonic();
        let persist = metrics::histogram!("message_persist_latency_p99");
        for Staged { reply, event, aside, at, idle, .. } in staged {
            let took = now.saturating_sub(at);
            persist.record(took);
            let at_us = now_us.saturating_sub(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            ordered.push(Span { us: event.us, seq: event.seq, hop: Hop::Ordered, at_us, count: 0 });
            let ups = follow::ups(&self.args.id, &event, |user| hot.subject.concerns(user));
            self.follow.extend(ups.into_iter().map(|(log, up)| (event.seq, log, up)));
            let message = aside.message.clone();
            let event_for_reply = Arc::new(event.clone());
            let done =
                Done { seq: event.seq, us: event.us, retried: false, event: Some(event_for_reply), message };
            reply.answer(Ok(done));
            idle.into_iter().for_each(|(_, reply, answer)| reply.answer(answer));
            events.push(Arc::new(Delivery::new(self.args.id.clone(), event, aside)));
        }
        self.args.pilot.host.fault(FaultPoint::BetweenAckAndFanOut);
        for delivery in &events {
            self.recent.push(delivery.clone());
            let body = &delivery.event.body;
            let Some(previous) = &delivery.aside.previous else { continue };
            if matches!(body, Some(Body::Deleted(_))) && !cluster::planted!(BodyStaysInRecent) {
                previous.body_seqs.iter().for_each(|seq| self.recent.redact(*seq));
            }
            if let Some(Body::Edited(edited)) = body
                && cluster::planted!(EditRewritesRecent)
            {
                let rewrite = |posted: &mut Event| {
                    content_mut(posted)
                        .zip(edited.content.clone())
                        .into_iter()
                        .for_each(|(old, new)| *old = new);
                };
                self.recent.change(previous.seq, rewrite);
            }
        }
        metrics::counter!("waggle_events_total").increment(events.len() as u64);
        if !cluster::planted!(DeliverBeforeCommit) {
            let (count, size) = (events.len(), size_bucket(hot.subject.size()));
            let events: Arc<[_]> = events.into();
            let copies = self.args.audience.spread(&self.args.id, &events, durable);
            metrics::histogram!("fan_out_ratio", "channel_size_bucket" => size)
                .record_many(copies as f64, count);
            let landed = Span::of(&events, Hop::Durable, now_us, copies);
            self.args.router.hops().note(&self.args.id, ordered.into_iter().chain(landed));
        }
        hot.subject.durable(durable);
        if self.follow.is_empty() {
            hot.log.set_followed(durable);
        }
        if rolled {
            self.args.pilot.host.fault(FaultPoint::BucketOpened);
            self.retain();
        }
        let due = self.parking.due(durable);
        due.into_iter().for_each(|need| self.fetch(need));
        let ahead = std::mem::take(&mut self.parking.ahead);
        ahead.into_iter().for_each(|(read, need, row)| self.row_loaded(read, need, row));
        self.replay_ahead();
        self.run_follow_ups();
        self.depart();
    }

    /// Forgets what memory believes, reads the log again and asks everything again that was not answered. With a
    /// reason, what was on the way is refused instead: nothing of it was written.
    fn start_over(&mut self, reason: Option<StoreError>) {
        let Some(hot) = self.hot.take() else { return };
        if !cluster::planted!(RecentKeptOnReload) {
            self.recent = super::recent::Recent::new(self.args.config.channel_recent_max);
        }
        for staged in hot.log.abandon() {
            match &reason {
                Some(error) => {
                    let refusal = error.clone().into();
                    staged.reply.answer(Err(staged.command.refused(refusal)));
                }
                None if staged.command.attempt >= crate::router::RESENDS_MAX => {
                    staged.reply.answer(Err(Refusal::Unknown));
                }
                None => {
                    let attempt = staged.command.attempt + 1;
                    self.waiting.push_back((Command { attempt, ..staged.command }, staged.reply));
                }
            }
            self.waiting.extend(staged.idle.into_iter().map(|(command, reply, _)| (command, reply)));
        }
        self.waiting.extend(self.parking.take_all());
        self.readers.extend(self.ahead.drain(..).map(|(reader, _)| reader));
        self.follow.clear();
        self.load();
    }

    /// Rows beyond what memory has are another owner's: they are loaded and spread. A batch under way finds out by
    /// itself.
    pub(crate) fn tail_seen(&mut self, tail: u64) {
        let behind = self.hot.as_ref().is_some_and(|hot| hot.log.is_idle() && hot.log.durable() < tail);
        if behind {
            metrics::counter!("waggle_channel_reloads_total").increment(1);
            self.start_over(None);
        }
    }

    /// The store lost rows that were acknowledged. Nobody is served on what is left: an event in the place of one that
    /// was lost would be taken for it by all who had that one.
    fn give_up(&mut self, lost: StoreError) {
        let Some(hot) = self.hot.take() else { return };
        let refuse = |command: &Command, reply: Admitted| {
            reply.answer(Err(command.refused(lost.clone().into())));
        };
        for staged in hot.log.abandon() {
            refuse(&staged.command, staged.reply);
            staged.idle.into_iter().for_each(|(command, reply, _)| refuse(&command, reply));
        }
        self.parking.take_all().for_each(|(command, reply)| refuse(&command, reply));
        self.ahead.drain(..).for_each(|(reader, _)| reader.answer(Err(lost.clone())));
        self.follow.clear();
        self.lost = Some(lost);
    }

    /// Begins what may be done now, each in a task of its own.
    pub(crate) fn run_follow_ups(&mut self) {
        while let Some(Begun { seq, log, command, failures }) = self.follow.next() {
            let (router, host) = (self.args.router.clone(), self.args.pilot.host.clone());
            let promise = Promise::new(&self.myself, ChannelMessage::Followed(log.clone(), None));
            self.args.pilot.host.spawn(FOLLOW_UP, async move {
                if let Some(tries) = failures.checked_sub(1) {
                    host.sleep(crate::router::back_off(tries)).await;
                }
                host.fault(FaultPoint::BeforeFollowUp);
                if let Err(refusal) = router.execute(log.clone(), command).await {
                    if refusal.retry_after_ms() > 0 && !cluster::planted!(FollowUpGivesUp) {
                        // It is another log's turn, and this one's again later.
                        return;
                    }
                    // The other log will never take it (a user that is gone): it is done with.
                    tracing::warn!(?log, %refusal, "follow-up refused");
                }
                host.fault(FaultPoint::AfterFollowUp);
                promise.keep(ChannelMessage::Followed(log, Some(seq)));
            });
        }
    }

    /// A follow-up is done, or has to be done again.
    pub(crate) fn followed(&mut self, log: &LogId, seq: Option<u64>) {
        self.follow.ended(log, seq);
        if let Some(hot) = &mut self.hot {
            let followed = self.follow.followed(hot.log.durable());
            hot.log.set_followed(followed);
        }
        self.run_follow_ups();
    }
}

impl Hot {
    fn append(
        &mut self,
        command: Command,
        reply: Admitted,
        draft: Draft,
        fingerprint: u64,
        now: (u64, Duration),
    ) {
        let event = self.log.number(&command, draft, fingerprint, now.0);
        let applied = self.subject.apply(&event);
        self.log.stage(Staged {
            command,
            reply,
            event,
            views: applied.views,
            aside: applied.aside,
            idle: Vec::new(),
            at: now.1,
        });
    }
}

/// Label of a metric: how large a conversation is, in powers of ten.
fn size_bucket(members: usize) -> &'static str {
    match members {
        0..=10 => "10",
        11..=100 => "100",
        101..=1_000 => "1000",
        1_001..=10_000 => "10000",
        _ => "more",
    }
}
