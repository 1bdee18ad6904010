//! Calls, answers and notices as messages of the schema (`peer.proto`).

mod codes;
mod events;
mod refusal;
mod verb;

use super::{PeerAnswer, PeerCall, PeerError, PeerNotice};
use crate::channel::replay::Replay;
use crate::command::{Command, Done};
use crate::store::LogId;
use cluster::node::BootId;
use cluster::slots::Slot;
use cluster::table::Owner;
use proto::id::{ChannelId, UserId, WorkspaceId};
use proto::v1::{
    self, PeerBeacon, PeerDo, PeerDone, PeerLog, PeerLogTail, PeerLost, PeerNotOwner, PeerRead, PeerReplay,
    PeerSlotsAnew, PeerSubscribe, PeerTail, PeerTyping, PeerUnsubscribe, SlotRow, peer_answer, peer_call,
    peer_notice,
};
use std::sync::Arc;

pub(super) use events::deliver;

/// A part that must be there.
fn present<T>(part: Option<T>, what: &'static str) -> Result<T, PeerError> {
    part.ok_or(PeerError::Absent(what))
}

fn user(text: &str) -> Result<UserId, PeerError> {
    Ok(UserId::parse(text)?)
}

fn slot(number: u32) -> Result<Slot, PeerError> {
    let slot = u16::try_from(number).ok().and_then(Slot::new);
    slot.ok_or(PeerError::Impossible("slot", number.into()))
}

impl From<&LogId> for PeerLog {
    fn from(log: &LogId) -> Self {
        Self {
            workspace: log.workspace.to_string(),
            region: log.region.into(),
            generation: log.generation,
            channel: log.channel.to_string(),
        }
    }
}

impl TryFrom<PeerLog> for LogId {
    type Error = PeerError;
    fn try_from(log: PeerLog) -> Result<Self, PeerError> {
        let region = u16::try_from(log.region);
        Ok(Self {
            workspace: WorkspaceId::parse(&log.workspace)?,
            region: region.map_err(|_| PeerError::Impossible("region", log.region.into()))?,
            generation: log.generation,
            channel: ChannelId::parse(&log.channel)?,
        })
    }
}

/// The log that a message names.
fn named(log: Option<PeerLog>) -> Result<LogId, PeerError> {
    present(log, "log")?.try_into()
}

impl From<&PeerCall> for v1::PeerCall {
    fn from(call: &PeerCall) -> Self {
        let what = match call {
            PeerCall::Do { log, epoch, hops, command } => peer_call::What::Do(PeerDo {
                log: Some(log.into()),
                epoch: *epoch,
                hops: *hops,
                sender: command.sender_str().to_owned(),
                key: command.key.clone(),
                attempt: command.attempt,
                verb: Some((&*command.verb).into()),
            }),
            PeerCall::Read { log, epoch, after, limit } => peer_call::What::Read(PeerRead {
                log: Some(log.into()),
                epoch: *epoch,
                after: *after,
                limit: u32::try_from(*limit).unwrap_or(u32::MAX),
            }),
            PeerCall::Subscribe { log, epoch, hops, boot } => peer_call::What::Subscribe(PeerSubscribe {
                log: Some(log.into()),
                epoch: *epoch,
                hops: *hops,
                boot: boot.0,
            }),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<v1::PeerCall> for PeerCall {
    type Error = PeerError;
    fn try_from(call: v1::PeerCall) -> Result<Self, PeerError> {
        Ok(match present(call.what, "call")? {
            peer_call::What::Do(PeerDo { log, epoch, hops, sender, key, attempt, verb }) => {
                let sender = if sender.is_empty() { None } else { Some(user(&sender)?) };
                let verb = Arc::new(present(verb, "verb")?.try_into()?);
                Self::Do { log: named(log)?, epoch, hops, command: Command { sender, key, attempt, verb } }
            }
            peer_call::What::Read(PeerRead { log, epoch, after, limit }) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                Self::Read { log: named(log)?, epoch, after, limit }
            }
            peer_call::What::Subscribe(PeerSubscribe { log, epoch, hops, boot }) => {
                Self::Subscribe { log: named(log)?, epoch, hops, boot: BootId(boot) }
            }
        })
    }
}

impl From<&PeerAnswer> for v1::PeerAnswer {
    fn from(answer: &PeerAnswer) -> Self {
        let what = match answer {
            PeerAnswer::Done(Done { seq, us, retried, event, message }) => {
                peer_answer::What::Done(PeerDone {
                    seq: *seq,
                    us: *us,
                    retried: *retried,
                    event: event.as_deref().cloned(),
                    message: message.as_deref().cloned(),
                })
            }
            PeerAnswer::Refused(refusal) => peer_answer::What::Refused(refusal::refusal_message(refusal)),
            PeerAnswer::Replay(Replay { events, first, tail }) => {
                let events = Some(events::events_message(events));
                peer_answer::What::Replay(PeerReplay { events, first: *first, tail: *tail })
            }
            PeerAnswer::StoreError(error) => {
                peer_answer::What::StoreError(refusal::store_error_message(error))
            }
            PeerAnswer::Tail(tail) => peer_answer::What::Tail(PeerTail { tail: *tail }),
            PeerAnswer::NotOwner { slot, owner } => {
                let row = owner.as_ref().map(row);
                peer_answer::What::NotOwner(PeerNotOwner { slot: slot.number().into(), row })
            }
            PeerAnswer::Lost => peer_answer::What::Lost(PeerLost {}),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<v1::PeerAnswer> for PeerAnswer {
    type Error = PeerError;
    fn try_from(answer: v1::PeerAnswer) -> Result<Self, PeerError> {
        Ok(match present(answer.what, "answer")? {
            peer_answer::What::Done(PeerDone { seq, us, retried, event, message }) => {
                let (event, message) = (event.map(Arc::new), message.map(Arc::new));
                Self::Done(Done { seq, us, retried, event, message })
            }
            peer_answer::What::Refused(refused) => Self::Refused(refusal::refusal(refused)),
            peer_answer::What::Replay(PeerReplay { events, first, tail }) => {
                let events = events::deliveries(events.unwrap_or_default())?;
                Self::Replay(Replay { events, first, tail })
            }
            peer_answer::What::StoreError(error) => Self::StoreError(refusal::store_error(error)),
            peer_answer::What::Tail(PeerTail { tail }) => Self::Tail(tail),
            peer_answer::What::NotOwner(PeerNotOwner { slot, row }) => {
                let slot = self::slot(slot)?;
                Self::NotOwner { slot, owner: Owner::of_row(slot, &row.unwrap_or_default())? }
            }
            peer_answer::What::Lost(PeerLost {}) => Self::Lost,
        })
    }
}

fn row(owner: &Owner) -> SlotRow {
    let node = &owner.node;
    SlotRow { epoch: owner.epoch, node: node.id.to_string(), boot: node.boot.0, cell: node.cell.to_string() }
}

impl From<&PeerNotice> for v1::PeerNotice {
    fn from(notice: &PeerNotice) -> Self {
        let what = match notice {
            PeerNotice::Deliver(events) => return deliver(events),
            PeerNotice::Beacon(tails) => {
                let tails = tails.iter().map(|(log, tail)| log_tail(log, *tail));
                peer_notice::What::Beacon(PeerBeacon { tails: tails.collect() })
            }
            PeerNotice::Typed(log, user) => peer_notice::What::Typed(typing(log, user)),
            PeerNotice::SlotsAnew(slots) => {
                let slots = slots.iter().map(|slot| slot.number().into()).collect();
                peer_notice::What::SlotsAnew(PeerSlotsAnew { slots })
            }
            PeerNotice::Typing(log, user) => peer_notice::What::Typing(typing(log, user)),
            PeerNotice::Unsubscribe(log, boot) => {
                peer_notice::What::Unsubscribe(PeerUnsubscribe { log: Some(log.into()), boot: boot.0 })
            }
            PeerNotice::TailSeen(log, tail) => peer_notice::What::TailSeen(log_tail(log, *tail)),
        };
        Self { what: Some(what) }
    }
}

fn log_tail(log: &LogId, tail: u64) -> PeerLogTail {
    PeerLogTail { log: Some(log.into()), tail }
}

fn typing(log: &LogId, user: &UserId) -> PeerTyping {
    PeerTyping { log: Some(log.into()), user: user.to_string() }
}

impl TryFrom<v1::PeerNotice> for PeerNotice {
    type Error = PeerError;
    fn try_from(notice: v1::PeerNotice) -> Result<Self, PeerError> {
        Ok(match present(notice.what, "notice")? {
            peer_notice::What::Deliver(events) => Self::Deliver(events::deliveries(events)?.into()),
            peer_notice::What::Beacon(PeerBeacon { tails }) => {
                let tails = tails.into_iter().map(|PeerLogTail { log, tail }| Ok((named(log)?, tail)));
                Self::Beacon(tails.collect::<Result<_, PeerError>>()?)
            }
            peer_notice::What::Typed(typed) => Self::Typed(named(typed.log)?, user(&typed.user)?),
            peer_notice::What::SlotsAnew(PeerSlotsAnew { slots }) => {
                Self::SlotsAnew(slots.into_iter().map(slot).collect::<Result<_, _>>()?)
            }
            peer_notice::What::Typing(typing) => Self::Typing(named(typing.log)?, user(&typing.user)?),
            peer_notice::What::Unsubscribe(PeerUnsubscribe { log, boot }) => {
                Self::Unsubscribe(named(log)?, BootId(boot))
            }
            peer_notice::What::TailSeen(PeerLogTail { log, tail }) => Self::TailSeen(named(log)?, tail),
        })
    }
}

#[cfg(test)]
mod tests;
