//! Channels of other nodes: a command is carried to whoever owns its channel, and waits, in bounds, while nobody does.
//!
//! A call that was sent and not answered may have been done: it is sent again under the same key, as a later attempt,
//! so that the next owner looks the key up before it does it (F4b). Who answers that it is not the owner has done
//! nothing.

use super::{Router, back_off};
use crate::channel::audience::GatewaySink;
use crate::channel::replay::Replay;
use crate::command::{Command, Done, ReplyTo};
use crate::peer::{PeerAnswer, PeerCall, PeerNotice};
use crate::peers::{AskError, Peers};
use crate::store::{LogId, StoreError};
use cluster::router::Route;
use cluster::slots::Slot;
use cluster::table::Owner;
use futures::FutureExt;
use futures::future::BoxFuture;
use proto::refusal::Refusal;
use std::time::Duration;
use tokio::sync::oneshot;

/// A command waits this long for an owner that takes it; a failover takes a second or two.
const PARKED_FOR: Duration = Duration::from_secs(15);
/// Answers "not mine" in a row after which the slot's row is read: the nodes' tables disagree.
const HOPS_MAX: u32 = 3;

/// What came back for one attempt.
enum Tried {
    /// The end of it.
    Ended(Result<Done, Refusal>),
    /// Nothing was done.
    NotTaken,
    /// It may have been done.
    Lost,
    /// The owner could not do it, for want of the store; the refusal says whether it may have been done.
    Unserved(Refusal),
}

impl Router {
    /// Carries a command to another node. It is on its way, behind what was sent there before, when this returns.
    pub(super) fn forward(&self, peers: &Peers, log: &LogId, command: Command, reply: ReplyTo) {
        let Ok(place) = self.0.parked.clone().try_acquire_owned() else {
            metrics::counter!("waggle_parked_full_total").increment(1);
            return reply.answer(Err(command.refused(Refusal::Busy { retry_after_ms: 200 })));
        };
        let (router, peers, log) = (self.clone(), peers.clone(), log.clone());
        let first = self.attempt(&peers, &log, &command);
        self.host().spawn("forwarded command", async move {
            router.carry(&peers, log, command, (first, reply)).await;
            drop(place);
        });
    }

    async fn carry(
        &self,
        peers: &Peers,
        log: LogId,
        mut command: Command,
        (first, reply): (BoxFuture<'static, Tried>, ReplyTo),
    ) {
        let (mut next, until) = (first, self.host().monotonic() + PARKED_FOR);
        for tries in 0.. {
            match next.await {
                Tried::Ended(result) => {
                    return reply.answer(result.map_err(|refusal| command.refused(refusal)));
                }
                Tried::NotTaken => {}
                Tried::Unserved(refusal) if !self.reaches_store(&log).await => {
                    return reply.answer(Err(command.refused(refusal)));
                }
                Tried::Unserved(refusal) => command.attempt += u32::from(refusal == Refusal::Unknown),
                Tried::Lost if cluster::planted!(LostIsRefused) => {
                    return reply.answer(Err(Refusal::Unavailable("the owner did not answer".into())));
                }
                Tried::Lost => {
                    metrics::counter!("waggle_commands_resent_total").increment(1);
                    command.attempt += 1;
                    if cluster::planted!(ForwardedAnew) {
                        command = self.keyed(Command { key: String::new(), ..command });
                    }
                }
            }
            if self.host().monotonic() >= until {
                break;
            }
            self.settle(Self::slot(&log), tries).await;
            // Who sent it has gone, and may have sent it again elsewhere: answered there, it must not be done here
            // after what was done since.
            if reply.is_abandoned() {
                metrics::counter!("waggle_parked_abandoned_total").increment(1);
                return;
            }
            next = self.attempt(peers, &log, &command);
        }
        let nobody = Refusal::Unavailable("no node that reaches the store owns this channel now".into());
        reply.answer(Err(command.refused(nobody)));
    }

    /// One attempt, wherever the channel is by now.
    fn attempt(&self, peers: &Peers, log: &LogId, command: &Command) -> BoxFuture<'static, Tried> {
        match self.0.pilot.routes.route(Self::slot(log)) {
            Route::Unowned => async { Tried::NotTaken }.boxed(),
            Route::Local { .. } => {
                let (reply, answer) = oneshot::channel();
                self.submit_here(log, command.clone(), Box::new(reply));
                let (router, slot) = (self.clone(), Self::slot(log));
                let ended = move |answer| match answer {
                    Ok(Err(refusal)) if !router.is_final(slot, &refusal) => Tried::Lost,
                    Ok(result) => Tried::Ended(result),
                    Err(_) => Tried::Lost,
                };
                answer.map(ended).boxed()
            }
            Route::Remote { node, epoch } => {
                let (log, command) = (log.clone(), command.clone());
                let answer = peers.ask(&node, &PeerCall::Do { log, epoch, hops: 0, command });
                let router = self.clone();
                async move { router.tried(answer.await) }.boxed()
            }
        }
    }

    fn tried(&self, answer: Result<PeerAnswer, AskError>) -> Tried {
        match answer {
            Ok(PeerAnswer::Done(done)) => Tried::Ended(Ok(done)),
            Ok(PeerAnswer::Refused(refusal @ (Refusal::OutOfReach(_) | Refusal::Unknown))) => {
                Tried::Unserved(refusal)
            }
            Ok(PeerAnswer::Refused(refusal)) => Tried::Ended(Err(refusal)),
            Ok(PeerAnswer::NotOwner { slot, owner }) => {
                self.learn(slot, owner);
                Tried::NotTaken
            }
            Err(error) if error.is_harmless() => Tried::NotTaken,
            Ok(_) | Err(_) => Tried::Lost,
        }
    }

    /// Whether this node reaches the store. An owner that does not then yields, within seconds; else the store is down,
    /// and whoever waits is told at once.
    async fn reaches_store(&self, log: &LogId) -> bool {
        self.0.pilot.tenure.read(Self::slot(log)).await.is_ok()
    }

    /// Another node's word on who owns a slot.
    fn learn(&self, slot: Slot, owner: Option<Owner>) {
        metrics::counter!("waggle_not_owner_total").increment(1);
        if let Some(owner) = owner {
            self.table().apply(&[(slot, owner)]);
        }
    }

    /// Waits before the next attempt: an owner that is gone is replaced within a second or two. Where tables disagree
    /// the row decides.
    async fn settle(&self, slot: Slot, tries: u32) {
        if tries > 0
            && tries.is_multiple_of(HOPS_MAX)
            && let Err(error) = self.0.pilot.tenure.read(slot).await
        {
            tracing::warn!(%slot, %error, "the slot's row could not be read");
        }
        // A quarter of a second at most: what is parked is to go on as soon as somebody has claimed the slot.
        self.host().sleep(back_off(tries.min(4))).await;
    }

    pub(super) async fn read_anywhere(
        &self,
        peers: &Peers,
        log: &LogId,
        after: u64,
        limit: usize,
    ) -> Result<Replay, StoreError> {
        let ask = |epoch| PeerCall::Read { log: log.clone(), epoch, after, limit };
        let take = |answer| if let PeerAnswer::Replay(replay) = answer { Some(replay) } else { None };
        self.ask_owner(peers, log, ask, take, || self.read_here(log, after, limit).boxed()).await
    }

    pub(super) async fn subscribe_anywhere(
        &self,
        peers: &Peers,
        log: &LogId,
        sink: &GatewaySink,
    ) -> Result<u64, StoreError> {
        let ask = |epoch| PeerCall::Subscribe { log: log.clone(), epoch, hops: 0, boot: peers.boot() };
        let take = |answer| if let PeerAnswer::Tail(tail) = answer { Some(tail) } else { None };
        self.ask_owner(peers, log, ask, take, || self.subscribe_here(log, sink).boxed()).await
    }

    /// Asks the owner, whoever that is by now, until one answers.
    async fn ask_owner<'a, T>(
        &'a self,
        peers: &Peers,
        log: &LogId,
        ask: impl Fn(u64) -> PeerCall,
        take: impl Fn(PeerAnswer) -> Option<T>,
        here: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (slot, until) = (Self::slot(log), self.host().monotonic() + PARKED_FOR);
        for tries in 0.. {
            match self.0.pilot.routes.route(slot) {
                Route::Local { .. } => match here().await {
                    // It was somebody else's before it was asked.
                    Err(StoreError::Unavailable(_)) if !self.is_here(slot) => {}
                    answer => return answer,
                },
                Route::Remote { node, epoch } => match peers.ask(&node, &ask(epoch)).await {
                    Ok(PeerAnswer::StoreError(StoreError::Unavailable(_)))
                        if self.reaches_store(log).await => {}
                    Ok(PeerAnswer::StoreError(error)) => return Err(error),
                    Ok(PeerAnswer::NotOwner { slot, owner }) => self.learn(slot, owner),
                    Ok(answer) => {
                        if let Some(found) = take(answer) {
                            return Ok(found);
                        }
                    }
                    Err(error) => tracing::debug!(%node, %error, "owner did not answer"),
                },
                Route::Unowned => {}
            }
            if self.host().monotonic() >= until {
                break;
            }
            self.settle(slot, tries).await;
        }
        Err(StoreError::Unavailable("no node owns this channel now".into()))
    }

    /// Tells another node that owns a log something; nobody, when it is this node's.
    pub(super) fn tell_owner(&self, log: &LogId, notice: impl FnOnce(&Peers) -> PeerNotice) {
        if let Some(peers) = &self.0.peers
            && let Route::Remote { node, .. } = self.0.pilot.routes.route(Self::slot(log))
        {
            // Transient, or found again by the next beacon.
            let _ = peers.peer(&node).tell(&notice(peers));
        }
    }
}
