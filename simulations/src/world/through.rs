//! A store with somebody in front of it, who counts, holds up, breaks or belies its calls.

use actors::store::{
    Answer, Append, Appended, KeySeen, Listed, LogId, LogPage, MessageRange, ReactionCount, Store, StoreError,
};
use cluster::claims::{Claim, ClaimOutcome, Claims, ClaimsError};
use cluster::slots::Slot;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, TokenRow, UserRow,
    WorkspaceRow,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::watch;

/// What is done to the calls of a store.
pub trait Hook: Clone + Send + Sync + 'static {
    /// Sees every read by its name.
    fn read(&self, _name: &'static str) {}
    /// Whether the task that makes this read panics, as a defect of an engine would make it.
    fn breaks(&self, _name: &'static str) -> bool {
        false
    }
    /// What an append waits for before it reaches the store; an answer is given in the store's place.
    fn append(
        &self,
        _append: &Append,
        _store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        ready(None).boxed()
    }
    /// What the appender hears of an append that the store has answered.
    fn appended(
        &self,
        _append: &Append,
        _store: &Arc<dyn Store>,
        answer: Result<Appended, StoreError>,
    ) -> BoxFuture<'static, Result<Appended, StoreError>> {
        ready(answer).boxed()
    }
    /// What a read waits for; an error is given in the store's place. `None`: nothing.
    fn delay(&self, _name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        None
    }
    /// Whether another node may hold the same store.
    fn is_shared(&self) -> bool {
        false
    }
}

/// What becomes of appends.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// They reach the store.
    Pass,
    /// They wait for another order.
    Wait,
    /// They are refused, as by a full disk.
    Fail,
}

/// Holds appends to some logs up.
#[derive(Clone)]
pub struct Held {
    order: watch::Sender<Order>,
    which: fn(&LogId) -> bool,
    waiting: Arc<AtomicUsize>,
}

impl Held {
    /// Lets appends to the logs that `which` names pass until another order comes.
    pub fn new(which: fn(&LogId) -> bool) -> Self {
        Self { order: watch::channel(Order::Pass).0, which, waiting: Arc::default() }
    }
    /// How many appends wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
    /// What becomes of them from now on.
    pub fn order(&self, order: Order) {
        self.order.send_replace(order);
    }
}

impl Hook for Held {
    fn append(
        &self,
        append: &Append,
        _store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        if !(self.which)(&append.log) {
            return ready(None).boxed();
        }
        let (mut order, waiting) = (self.order.subscribe(), self.waiting.clone());
        async move {
            waiting.fetch_add(1, Relaxed);
            let order = *order.wait_for(|order| *order != Order::Wait).await.expect("the test goes on");
            waiting.fetch_sub(1, Relaxed);
            (order == Order::Fail).then(|| Err(StoreError::Full("by order".into())))
        }
        .boxed()
    }
}

/// A store behind a hook.
pub struct Through<S, H> {
    inner: Arc<S>,
    hook: H,
}

impl<S, H> Through<S, H> {
    /// Puts `hook` in front of a store.
    pub fn new(inner: S, hook: H) -> Self {
        Self { inner: Arc::new(inner), hook }
    }
}

macro_rules! store_behind_a_hook {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl<S: Store, H: Hook> Store for Through<S, H> {
            fn append(&self, append: Append) -> Answer<Appended> {
                let inner: Arc<dyn Store> = self.inner.clone();
                let (hook, held) = (self.hook.clone(), self.hook.append(&append, &inner));
                async move {
                    match held.await {
                        Some(answer) => answer,
                        None => {
                            let answer = inner.append(append.clone()).await;
                            hook.appended(&append, &inner, answer).await
                        }
                    }
                }
                .boxed()
            }
            $(fn $name(&self, $($arg: $type),*) -> Answer<$answer> {
                self.hook.read(stringify!($name));
                if self.hook.breaks(stringify!($name)) {
                    return async { panic!("asked to panic, as a defect would") }.boxed();
                }
                let read = self.inner.$name($($arg),*);
                match self.hook.delay(stringify!($name)) {
                    None => read,
                    Some(delay) => async move {
                        delay.await?;
                        read.await
                    }
                    .boxed(),
                }
            })+
        }
    };
}

store_behind_a_hook! {
    head(log: &LogId) -> Option<(u32, Head)>;
    log(log: &LogId, after: u64, limit: usize) -> LogPage;
    keys(log: &LogId, bucket: u32) -> Vec<KeySeen>;
    directory(log: &LogId, limit: usize) -> Vec<(u32, BucketRow)>;
    messages(log: &LogId, range: MessageRange) -> Vec<MessageRow>;
    thread(log: &LogId, parent_us: Micros, range: MessageRange) -> Vec<MessageRow>;
    message(log: &LogId, us: Micros) -> Option<MessageRow>;
    reactions(log: &LogId, from_us: Micros, to_us: Micros) -> Vec<ReactionCount>;
    reaction(log: &LogId, us: Micros, name: &str, user: &UserId) -> bool;
    member(log: &LogId, user: &UserId) -> Option<MemberRow>;
    memberships(
        workspace: &WorkspaceId, user: &UserId, channels: Vec<ConversationId>
    ) -> Vec<Option<MemberRow>>;
    members(log: &LogId, after: Option<UserId>, limit: usize) -> Listed<UserId, MemberRow>;
    joined(
        workspace: &WorkspaceId, user: &UserId, after: Option<ConversationId>, limit: usize
    ) -> Listed<ConversationId, JoinedRow>;
    marks(workspace: &WorkspaceId, user: &UserId) -> Vec<(ConversationId, MarkRow)>;
    user(workspace: &WorkspaceId, user: &UserId) -> Option<UserRow>;
    conversation(workspace: &WorkspaceId, channel: &ConversationId) -> Option<ConversationRow>;
    users(workspace: &WorkspaceId, after: Option<UserId>, limit: usize) -> Listed<UserId, UserRow>;
    conversations(
        workspace: &WorkspaceId, after: Option<ConversationId>, limit: usize
    ) -> Listed<ConversationId, ConversationRow>;
    workspaces() -> Vec<(WorkspaceId, WorkspaceRow)>;
    token(hash: &str) -> Option<TokenRow>;
    active(slot: Slot, minute: u64) -> Vec<LogId>;
    last_active() -> Vec<LogId>;
    retain_log(log: &LogId, before_us: Micros, keep: usize) -> usize;
    retain_views(log: &LogId, before_us: Micros) -> usize;
}

impl<S: Claims, H: Hook> Claims for Through<S, H> {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        self.inner.read(partition)
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        self.inner.claim(claims)
    }
    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive() && !self.hook.is_shared()
    }
}
