//! The store of another node: each call is encoded, carried there, and its answer decoded. Nothing is kept here.
//!
//! A write whose fate the carrier does not know is [`StoreError::Unknown`], never a failure: the appender sends the
//! same batch again. What cannot be understood is said to be so, and counts as not known for a write.

use super::wire::{Carried, Malformed, begin, claim_message, wide};
use super::{
    Answer, Append, Appended, KeySeen, Listed, LogId, LogPage, MessageRange, ReactionCount, Store,
    StoreError, fence,
};
use bytes::Bytes;
use cluster::claims::{Claim, ClaimOutcome, Claims, ClaimsError};
use cluster::slots::Slot;
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::store_call::Call;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, StoreAnswer,
    StoreCall, StoreClaim, StoreGetActive, StoreGetClaims, StoreGetConversation, StoreGetConversations,
    StoreGetDirectory, StoreGetHead, StoreGetJoined, StoreGetKeys, StoreGetLastActive, StoreGetLog,
    StoreGetMarks, StoreGetMember, StoreGetMembers, StoreGetMemberships, StoreGetMessage, StoreGetMessages,
    StoreGetReaction, StoreGetReactions, StoreGetThread, StoreGetToken, StoreGetUser, StoreGetUsers,
    StoreGetWorkspaces, StoreRefusal, StoreRefusalKind, StoreRetainLog, StoreRetainViews, TokenRow, UserRow,
    WorkspaceRow, store_answer,
};
use std::sync::Arc;

/// Carries calls to the node that holds the store, and answers back.
pub trait Carry: Send + Sync + 'static {
    /// Carries one call, which is taken before this returns: a carrier that keeps the order in which it took calls
    /// keeps the order of the appends that wait together.
    fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// The call never left: nothing was done.
    #[error("the call was not sent: {0}")]
    NotSent(String),
    /// The call may have arrived, and may have been done.
    #[error("the answer did not come: {0}")]
    Lost(String),
}

/// A store, and its slot table, at the other end of a carrier. Cheap to clone.
#[derive(Clone)]
pub struct RemoteStore {
    carry: Arc<dyn Carry>,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error("the answer makes no sense: {0}")]
    Answer(#[from] Malformed),
    #[error("{}", .0.text)]
    Refused(StoreRefusal),
}

impl RemoteStore {
    /// The store that answers what this carries.
    pub fn new(carry: Arc<dyn Carry>) -> Self {
        Self { carry }
    }

    fn ask<T: Carried>(&self, call: Call) -> BoxFuture<'static, Result<T, Failure>> {
        let call = StoreCall { call: Some(call) }.encode_to_vec();
        let carried = self.carry.carry(call.into());
        async move { result(carried.await?) }.boxed()
    }

    fn get<T: Carried>(&self, call: Call) -> Answer<T> {
        self.ask(call).map(|result| result.map_err(Failure::of_read)).boxed()
    }

    fn put<T: Carried>(&self, call: Call) -> Answer<T> {
        self.ask(call).map(|result| result.map_err(Failure::of_write)).boxed()
    }
}

/// What an answer says.
fn result<T: Carried>(answer: Bytes) -> Result<T, Failure> {
    let answer = StoreAnswer::decode(answer).map_err(Malformed::Bytes)?;
    match answer.answer.ok_or(Malformed::Missing("answer"))? {
        store_answer::Answer::Refusal(refusal) => Err(Failure::Refused(refusal)),
        answer => Ok(T::from_answer(answer)?),
    }
}

/// An answer that has to have a row for each that was asked for.
fn as_many<T>(asked: usize, rows: Vec<T>) -> Result<Vec<T>, Failure> {
    let found = rows.len();
    if found == asked { Ok(rows) } else { Err(Malformed::NotAsMany { asked, found }.into()) }
}

impl Failure {
    /// What it means for a read: there is nothing to be in doubt about.
    fn of_read(self) -> StoreError {
        self.certain().unwrap_or_else(StoreError::Unavailable)
    }

    /// What it means for a write.
    fn of_write(self) -> StoreError {
        self.certain().unwrap_or_else(StoreError::Unknown)
    }

    /// The error of a call that surely was not done, or why that is not sure.
    fn certain(self) -> Result<StoreError, String> {
        match self {
            Self::Carry(CarryError::NotSent(why)) => Ok(StoreError::Unavailable(why)),
            Self::Carry(CarryError::Lost(why)) if cluster::planted!(LostWriteIsRefused) => {
                Ok(StoreError::Unavailable(why))
            }
            Self::Carry(CarryError::Lost(why)) => Err(why),
            Self::Refused(refusal) => match refusal.kind() {
                StoreRefusalKind::Full => Ok(StoreError::Full(refusal.text)),
                StoreRefusalKind::Damaged => Ok(StoreError::Damaged(refusal.text)),
                StoreRefusalKind::Busy => Ok(StoreError::Busy),
                StoreRefusalKind::Unavailable => Ok(StoreError::Unavailable(refusal.text)),
                StoreRefusalKind::Malformed => {
                    Ok(StoreError::Unavailable(format!("it did not understand the call: {}", refusal.text)))
                }
                StoreRefusalKind::UnknownOutcome => Err(refusal.text),
                StoreRefusalKind::Unknown => {
                    Err(format!("it refused for a reason that this build does not know: {}", refusal.text))
                }
            },
            senseless @ Self::Answer(_) => Err(senseless.to_string()),
        }
    }
}

impl Store for RemoteStore {
    fn append(&self, append: Append) -> Answer<Appended> {
        fence::assert_whole(&append);
        let answer = self.put(Call::Append(append.into()));
        if cluster::planted!(UnsentIsApplied) {
            let applied = |answer| match answer {
                Err(StoreError::Unavailable(_)) => Ok(Appended::Applied),
                answer => answer,
            };
            return answer.map(applied).boxed();
        }
        answer
    }
    fn head(&self, log: &LogId) -> Answer<Option<(u32, Head)>> {
        self.get(Call::Head(StoreGetHead { log: Some(log.into()) }))
    }
    fn log(&self, log: &LogId, after: u64, limit: usize) -> Answer<LogPage> {
        self.get(Call::Log(StoreGetLog { log: Some(log.into()), after, limit: wide(limit) }))
    }
    fn keys(&self, log: &LogId, bucket: u32) -> Answer<Vec<KeySeen>> {
        self.get(Call::Keys(StoreGetKeys { log: Some(log.into()), bucket }))
    }
    fn directory(&self, log: &LogId, limit: usize) -> Answer<Vec<(u32, BucketRow)>> {
        self.get(Call::Directory(StoreGetDirectory { log: Some(log.into()), limit: wide(limit) }))
    }
    fn messages(&self, log: &LogId, range: MessageRange) -> Answer<Vec<MessageRow>> {
        self.get(Call::Messages(StoreGetMessages { log: Some(log.into()), range: Some(range.into()) }))
    }
    fn thread(&self, log: &LogId, parent_us: Micros, range: MessageRange) -> Answer<Vec<MessageRow>> {
        let (log, range) = (Some(log.into()), Some(range.into()));
        self.get(Call::Thread(StoreGetThread { log, parent_us, range }))
    }
    fn message(&self, log: &LogId, us: Micros) -> Answer<Option<MessageRow>> {
        self.get(Call::Message(StoreGetMessage { log: Some(log.into()), us }))
    }
    fn reactions(&self, log: &LogId, from_us: Micros, to_us: Micros) -> Answer<Vec<ReactionCount>> {
        self.get(Call::Reactions(StoreGetReactions { log: Some(log.into()), from_us, to_us }))
    }
    fn reaction(&self, log: &LogId, us: Micros, name: &str, user: &UserId) -> Answer<bool> {
        let (log, name, user) = (Some(log.into()), name.into(), user.to_string());
        self.get(Call::Reaction(StoreGetReaction { log, us, name, user }))
    }
    fn member(&self, log: &LogId, user: &UserId) -> Answer<Option<MemberRow>> {
        self.get(Call::Member(StoreGetMember { log: Some(log.into()), user: user.to_string() }))
    }
    fn memberships(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        channels: Vec<ConversationId>,
    ) -> Answer<Vec<Option<MemberRow>>> {
        let (workspace, user, asked) = (workspace.to_string(), user.to_string(), channels.len());
        let channels = channels.iter().map(ToString::to_string).collect();
        let rows = self.ask(Call::Memberships(StoreGetMemberships { workspace, user, channels }));
        async move { as_many(asked, rows.await?) }.map(|rows| rows.map_err(Failure::of_read)).boxed()
    }
    fn members(&self, log: &LogId, after: Option<UserId>, limit: usize) -> Answer<Listed<UserId, MemberRow>> {
        let (log, after, limit) = (Some(log.into()), begin(after), wide(limit));
        self.get(Call::Members(StoreGetMembers { log, after, limit }))
    }
    fn joined(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, JoinedRow>> {
        let (workspace, user) = (workspace.to_string(), user.to_string());
        let (after, limit) = (begin(after), wide(limit));
        self.get(Call::Joined(StoreGetJoined { workspace, user, after, limit }))
    }
    fn marks(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Vec<(ConversationId, MarkRow)>> {
        self.get(Call::Marks(StoreGetMarks { workspace: workspace.to_string(), user: user.to_string() }))
    }
    fn user(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Option<UserRow>> {
        self.get(Call::User(StoreGetUser { workspace: workspace.to_string(), user: user.to_string() }))
    }
    fn conversation(
        &self,
        workspace: &WorkspaceId,
        channel: &ConversationId,
    ) -> Answer<Option<ConversationRow>> {
        let (workspace, channel) = (workspace.to_string(), channel.to_string());
        self.get(Call::Conversation(StoreGetConversation { workspace, channel }))
    }
    fn users(
        &self,
        workspace: &WorkspaceId,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<Listed<UserId, UserRow>> {
        let (workspace, after, limit) = (workspace.to_string(), begin(after), wide(limit));
        self.get(Call::Users(StoreGetUsers { workspace, after, limit }))
    }
    fn conversations(
        &self,
        workspace: &WorkspaceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, ConversationRow>> {
        let (workspace, after, limit) = (workspace.to_string(), begin(after), wide(limit));
        self.get(Call::Conversations(StoreGetConversations { workspace, after, limit }))
    }
    fn workspaces(&self) -> Answer<Vec<(WorkspaceId, WorkspaceRow)>> {
        self.get(Call::Workspaces(StoreGetWorkspaces {}))
    }
    fn token(&self, hash: &str) -> Answer<Option<TokenRow>> {
        self.get(Call::Token(StoreGetToken { hash: hash.into() }))
    }
    fn active(&self, slot: Slot, minute: u64) -> Answer<Vec<LogId>> {
        self.get(Call::Active(StoreGetActive { slot: slot.number().into(), minute }))
    }
    fn last_active(&self) -> Answer<Vec<LogId>> {
        self.get(Call::LastActive(StoreGetLastActive {}))
    }
    fn retain_log(&self, log: &LogId, before_us: Micros, keep: usize) -> Answer<usize> {
        self.put(Call::RetainLog(StoreRetainLog { log: Some(log.into()), before_us, keep: wide(keep) }))
    }
    fn retain_views(&self, log: &LogId, before_us: Micros) -> Answer<usize> {
        self.put(Call::RetainViews(StoreRetainViews { log: Some(log.into()), before_us }))
    }
}

/// Never exclusive: other nodes ask the same store.
impl Claims for RemoteStore {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        let rows = self.ask(Call::Claims(StoreGetClaims { partition: partition.into() }));
        rows.map(|rows| rows.map_err(claims_error)).boxed()
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        claims.iter().for_each(Claim::assert_rising);
        let asked = claims.len();
        let claims = claims.into_iter().map(claim_message).collect();
        let outcomes = self.ask(Call::Claim(StoreClaim { claims }));
        async move { as_many(asked, outcomes.await?) }.map(|rows| rows.map_err(claims_error)).boxed()
    }
}

fn claims_error(failure: Failure) -> ClaimsError {
    ClaimsError(failure.to_string())
}

#[cfg(test)]
mod tests;
