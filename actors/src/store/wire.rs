//! The messages of `store.proto` and what they stand for, both ways. What is read from the wire is sound: ids parse,
//! slots exist, an append is whole and a claim raises its epoch, whoever sent it.

mod results;
mod views;

pub use results::Carried;

use super::fence::{NotWhole, check_whole};
use super::{Append, BatchId, LogId, MessageRange};
use cluster::claimant::PARTITIONS;
use cluster::claims::Claim;
use cluster::slots::Slot;
use proto::id::{ChannelId, IdError, WorkspaceId};
use proto::v1::{StoreAppend, StoreLog, StoreRange, StoreSlotClaim};
use std::str::FromStr;

/// Why bytes are no call, or no answer to this call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the protobuf message.
    #[error("it does not parse: {0}")]
    Bytes(#[from] prost::DecodeError),
    /// No id, or one of another kind.
    #[error(transparent)]
    Id(#[from] IdError),
    /// An append that an appender must not offer.
    #[error("the append is not whole: {0}")]
    Append(#[from] NotWhole),
    /// A claim that leaves the epoch where it is, or lowers it.
    #[error("the claim of slot {0} does not raise its epoch")]
    Claim(Slot),
    /// A part without which the rest means nothing.
    #[error("the {0} is missing, or of a kind that this build does not know")]
    Missing(&'static str),
    /// A number that the named thing cannot have.
    #[error("there is no {0} {1}")]
    Impossible(&'static str, u32),
    /// The named thing has 16 bytes, and these are more or less.
    #[error("a {0} has 16 bytes, not {1}")]
    NotSixteen(&'static str, usize),
    /// Another kind of answer than the named one, which was due.
    #[error("{0} was due and something else came")]
    OtherKind(&'static str),
    /// An answer with more or fewer rows than were asked for.
    #[error("{found} rows for {asked}")]
    NotAsMany {
        /// Rows that were asked for.
        asked: usize,
        /// Rows that came.
        found: usize,
    },
}

/// A part that has to be there.
pub fn present<T>(part: Option<T>, what: &'static str) -> Result<T, Malformed> {
    part.ok_or(Malformed::Missing(what))
}

/// Reads each of some parts.
pub fn each<T, U>(parts: Vec<T>, read: impl FnMut(T) -> Result<U, Malformed>) -> Result<Vec<U>, Malformed> {
    parts.into_iter().map(read).collect()
}

/// The log that a call names.
pub fn log(log: Option<StoreLog>) -> Result<LogId, Malformed> {
    present(log, "log")?.try_into()
}

/// The range of time that a call names.
pub fn range(range: Option<StoreRange>) -> Result<MessageRange, Malformed> {
    present(range, "range").map(MessageRange::from)
}

/// The id after which a page begins; an empty text is the beginning.
pub fn after<I: FromStr<Err = IdError>>(text: &str) -> Result<Option<I>, Malformed> {
    Ok(if text.is_empty() { None } else { Some(text.parse()?) })
}

/// What [`after`] reads.
pub fn begin<I: ToString>(after: Option<I>) -> String {
    after.map(|id| id.to_string()).unwrap_or_default()
}

/// A slot by its number.
pub fn slot(number: u32) -> Result<Slot, Malformed> {
    let slot = u16::try_from(number).ok().and_then(Slot::new);
    slot.ok_or(Malformed::Impossible("slot", number))
}

/// A partition of the slot table by its number.
pub fn partition(number: u32) -> Result<u16, Malformed> {
    let partition = u16::try_from(number).ok().filter(|partition| *partition < PARTITIONS);
    partition.ok_or(Malformed::Impossible("partition", number))
}

/// A count as the wire has it.
pub fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A count as this machine has it: a higher one is more than there can be.
pub fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Sixteen bytes, no more and no less.
fn sixteen(bytes: &[u8], what: &'static str) -> Result<[u8; 16], Malformed> {
    bytes.try_into().map_err(|_| Malformed::NotSixteen(what, bytes.len()))
}

impl From<&LogId> for StoreLog {
    fn from(log: &LogId) -> Self {
        Self {
            workspace: log.workspace.to_string(),
            region: log.region.into(),
            generation: log.generation,
            channel: log.channel.to_string(),
        }
    }
}

impl TryFrom<StoreLog> for LogId {
    type Error = Malformed;
    fn try_from(log: StoreLog) -> Result<Self, Malformed> {
        let region = u16::try_from(log.region);
        Ok(Self {
            workspace: WorkspaceId::parse(&log.workspace)?,
            region: region.map_err(|_| Malformed::Impossible("region", log.region))?,
            generation: log.generation,
            channel: ChannelId::parse(&log.channel)?,
        })
    }
}

impl From<MessageRange> for StoreRange {
    fn from(range: MessageRange) -> Self {
        let MessageRange { from_us, to_us, newest_first, limit } = range;
        Self { from_us, to_us, newest_first, limit: wide(limit) }
    }
}

impl From<StoreRange> for MessageRange {
    fn from(range: StoreRange) -> Self {
        let StoreRange { from_us, to_us, newest_first, limit } = range;
        Self { from_us, to_us, newest_first, limit: narrow(limit) }
    }
}

impl From<Append> for StoreAppend {
    fn from(append: Append) -> Self {
        Self {
            log: Some((&append.log).into()),
            slot: append.slot.number().into(),
            bucket: append.bucket,
            tail: append.tail,
            epoch: append.epoch,
            batch: append.batch.0.to_vec(),
            followed: append.followed,
            events: append.events,
            views: append.views.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<StoreAppend> for Append {
    type Error = Malformed;
    fn try_from(append: StoreAppend) -> Result<Self, Malformed> {
        let append = Self {
            log: log(append.log)?,
            slot: slot(append.slot)?,
            bucket: append.bucket,
            tail: append.tail,
            epoch: append.epoch,
            batch: BatchId(sixteen(&append.batch, "batch id")?),
            followed: append.followed,
            events: append.events,
            views: each(append.views, TryInto::try_into)?,
        };
        check_whole(&append)?;
        Ok(append)
    }
}

/// A claim as the wire has it.
pub fn claim_message(claim: Claim) -> StoreSlotClaim {
    let Claim { slot, from_epoch, to } = claim;
    StoreSlotClaim { slot: slot.number().into(), from_epoch, to: Some(to) }
}

/// What [`claim_message`] made.
pub fn claim(message: StoreSlotClaim) -> Result<Claim, Malformed> {
    let to = present(message.to, "row to claim")?;
    let claim = Claim { slot: slot(message.slot)?, from_epoch: message.from_epoch, to };
    if claim.is_rising() { Ok(claim) } else { Err(Malformed::Claim(claim.slot)) }
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
