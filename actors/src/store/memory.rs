//! The reference engine: ordered maps behind a lock, gone with the process. What the other engines answer is
//! compared with it.

mod log;
mod reads;
mod views;

use super::{
    Answer, Append, Appended, KeySeen, Listed, LogId, LogPage, MessageRange, ReactionCount, Store, StoreError,
};
use cluster::claims::{self, Claim, ClaimOutcome, Claims, ClaimsError};
use cluster::slots::Slot;
use futures::future::{BoxFuture, FutureExt, ready};
use log::Logs;
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, TokenRow, UserRow,
    WorkspaceRow,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use views::Views;

/// Everything in memory. Clones share it, as processes share a database.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    logs: Logs,
    views: Views,
    slots: BTreeMap<Slot, SlotRow>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> T) -> Answer<T> {
        ready(Ok::<T, StoreError>(self.with(work))).boxed()
    }
}

impl Store for MemoryStore {
    fn append(&self, append: Append) -> Answer<Appended> {
        super::fence::assert_whole(&append);
        self.answer(|state| {
            let outcome = state.logs.append(&append);
            if outcome == Appended::Applied {
                append.views.into_iter().for_each(|view| state.views.apply(&append.log, view));
            }
            outcome
        })
    }
    fn head(&self, log: &LogId) -> Answer<Option<(u32, Head)>> {
        self.answer(|state| state.logs.head(log))
    }
    fn log(&self, log: &LogId, after: u64, limit: usize) -> Answer<LogPage> {
        self.answer(|state| state.logs.page(log, after, limit))
    }
    fn keys(&self, log: &LogId, bucket: u32) -> Answer<Vec<KeySeen>> {
        self.answer(|state| state.logs.keys(log, bucket))
    }
    fn directory(&self, log: &LogId, limit: usize) -> Answer<Vec<(u32, BucketRow)>> {
        self.answer(|state| state.logs.directory(log, limit))
    }
    fn messages(&self, log: &LogId, range: MessageRange) -> Answer<Vec<MessageRow>> {
        self.answer(|state| state.views.messages(log, range))
    }
    fn thread(&self, log: &LogId, parent_us: Micros, range: MessageRange) -> Answer<Vec<MessageRow>> {
        self.answer(|state| state.views.thread(log, parent_us, range))
    }
    fn message(&self, log: &LogId, us: Micros) -> Answer<Option<MessageRow>> {
        self.answer(|state| state.views.message(log, us))
    }
    fn reactions(&self, log: &LogId, from_us: Micros, to_us: Micros) -> Answer<Vec<ReactionCount>> {
        self.answer(|state| state.views.reactions(log, from_us, to_us))
    }
    fn reaction(&self, log: &LogId, us: Micros, name: &str, user: &UserId) -> Answer<bool> {
        self.answer(|state| state.views.reaction(log, us, name, user))
    }
    fn member(&self, log: &LogId, user: &UserId) -> Answer<Option<MemberRow>> {
        self.answer(|state| state.views.member(log, user))
    }
    fn memberships(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        channels: Vec<ConversationId>,
    ) -> Answer<Vec<Option<MemberRow>>> {
        let log = |channel| LogId::new(workspace.clone(), channel);
        self.answer(|state| {
            channels.into_iter().map(|channel| state.views.member(&log(channel), user)).collect()
        })
    }
    fn members(&self, log: &LogId, after: Option<UserId>, limit: usize) -> Answer<Listed<UserId, MemberRow>> {
        self.answer(|state| state.views.members(log, after, limit))
    }
    fn joined(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, JoinedRow>> {
        self.answer(|state| state.views.joined(workspace, user, after, limit))
    }
    fn marks(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Vec<(ConversationId, MarkRow)>> {
        self.answer(|state| state.views.marks(workspace, user))
    }
    fn user(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Option<UserRow>> {
        self.answer(|state| state.views.user(workspace, user))
    }
    fn conversation(
        &self,
        workspace: &WorkspaceId,
        channel: &ConversationId,
    ) -> Answer<Option<ConversationRow>> {
        self.answer(|state| state.views.conversation(workspace, channel))
    }
    fn users(
        &self,
        workspace: &WorkspaceId,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<Listed<UserId, UserRow>> {
        self.answer(|state| state.views.users(workspace, after, limit))
    }
    fn conversations(
        &self,
        workspace: &WorkspaceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, ConversationRow>> {
        self.answer(|state| state.views.conversations(workspace, after, limit))
    }
    fn workspaces(&self) -> Answer<Vec<(WorkspaceId, WorkspaceRow)>> {
        self.answer(|state| state.views.workspaces())
    }
    fn token(&self, hash: &str) -> Answer<Option<TokenRow>> {
        self.answer(|state| state.views.token(hash))
    }
    fn last_active(&self) -> Answer<Vec<LogId>> {
        self.answer(|state| state.logs.last_active())
    }
    fn active(&self, slot: Slot, minute: u64) -> Answer<Vec<LogId>> {
        self.answer(|state| state.logs.active(slot, minute))
    }
    fn retain_log(&self, log: &LogId, before_us: Micros, keep: usize) -> Answer<usize> {
        self.answer(|state| state.logs.retain(log, before_us, keep))
    }
    fn retain_views(&self, log: &LogId, before_us: Micros) -> Answer<usize> {
        self.answer(|state| state.views.retain(log, before_us))
    }
}

impl Claims for MemoryStore {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        let rows = self.with(|state| {
            let here = |slot: &Slot| claims::partition(*slot) == partition;
            state
                .slots
                .iter()
                .filter(|(slot, _)| here(slot))
                .map(|(slot, row)| (*slot, row.clone()))
                .collect()
        });
        ready(Ok(rows)).boxed()
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        claims.iter().for_each(Claim::assert_rising);
        let outcomes = self.with(|state| {
            let one = |claim: Claim| {
                let there = state.slots.get(&claim.slot).cloned().unwrap_or_default();
                if there.epoch != claim.from_epoch {
                    return ClaimOutcome::Refused(there);
                }
                state.slots.insert(claim.slot, claim.to);
                ClaimOutcome::Applied
            };
            claims.into_iter().map(one).collect()
        });
        ready(Ok(outcomes)).boxed()
    }
}
