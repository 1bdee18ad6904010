//! Answers what other nodes ask of this node's store: decodes, asks, encodes.
//!
//! A call that does not parse, or that no store could do, is answered as malformed and changes nothing: the bug is the
//! caller's, and the node that holds the store does not panic for it.

use super::wire::{Carried, Malformed, after, claim, each, log, narrow, partition, range, slot};
use super::{Answer, Store, StoreError};
use bytes::Bytes;
use cluster::claims::{Claims, ClaimsError};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use prost::Message;
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::store_call::Call;
use proto::v1::{StoreAnswer, StoreCall, StoreRefusal, StoreRefusalKind, store_answer};
use std::sync::Arc;

/// A store, and its slot table, for others.
pub struct StoreService {
    store: Arc<dyn Store>,
    claims: Arc<dyn Claims>,
}

type Answering = BoxFuture<'static, store_answer::Answer>;

impl StoreService {
    /// Answers from these two.
    pub fn new(store: Arc<dyn Store>, claims: Arc<dyn Claims>) -> Self {
        Self { store, claims }
    }

    /// Answers an encoded `StoreCall` with an encoded `StoreAnswer`; one that writes only to who may. The store is
    /// asked before this returns, in the order of the calls. How long a call may be is up to who carries it; an answer
    /// has no limit but those of the store's reads.
    pub fn answer(&self, call: Bytes, may_write: bool) -> BoxFuture<'static, Bytes> {
        let answer = self.ask(call, may_write).unwrap_or_else(|why| ready(malformed(&why)).boxed());
        answer.map(|answer| StoreAnswer { answer: Some(answer) }.encode_to_vec().into()).boxed()
    }

    fn ask(&self, call: Bytes, may_write: bool) -> Result<Answering, Malformed> {
        let call = StoreCall::decode(call)?.call.ok_or(Malformed::Missing("call"))?;
        if !may_write && writes(&call) {
            metrics::counter!("waggle_calls_refused_total", "why" => "role").increment(1);
            tracing::warn!("a node whose certificate does not give it the role channels asked to write");
            let why = "only a node with the role channels writes".to_owned();
            return Ok(ready(refused(StoreError::Unavailable(why))).boxed());
        }
        let (store, claims) = (&self.store, &self.claims);
        let workspace = WorkspaceId::parse;
        let (user, channel) = (UserId::parse, ConversationId::parse);
        Ok(match call {
            Call::Append(append) => told(store.append(append.try_into()?)),
            Call::RetainLog(of) => told(store.retain_log(&log(of.log)?, of.before_us, narrow(of.keep))),
            Call::RetainViews(of) => told(store.retain_views(&log(of.log)?, of.before_us)),
            Call::Claim(of) => told_of_claims(claims.claim(each(of.claims, claim)?)),

            Call::Head(of) => told(store.head(&log(of.log)?)),
            Call::Log(of) => told(store.log(&log(of.log)?, of.after, narrow(of.limit))),
            Call::Keys(of) => told(store.keys(&log(of.log)?, of.bucket)),
            Call::Directory(of) => told(store.directory(&log(of.log)?, narrow(of.limit))),
            Call::Active(of) => told(store.active(slot(of.slot)?, of.minute)),
            Call::LastActive(_) => told(store.last_active()),
            Call::Claims(of) => told_of_claims(claims.read(partition(of.partition)?)),

            Call::Messages(of) => told(store.messages(&log(of.log)?, range(of.range)?)),
            Call::Thread(of) => told(store.thread(&log(of.log)?, of.parent_us, range(of.range)?)),
            Call::Message(of) => told(store.message(&log(of.log)?, of.us)),
            Call::Reactions(of) => told(store.reactions(&log(of.log)?, of.from_us, of.to_us)),
            Call::Reaction(of) => told(store.reaction(&log(of.log)?, of.us, &of.name, &user(&of.user)?)),
            Call::Member(of) => told(store.member(&log(of.log)?, &user(&of.user)?)),
            Call::Memberships(of) => {
                let channels = each(of.channels, |id| Ok(channel(&id)?))?;
                told(store.memberships(&workspace(&of.workspace)?, &user(&of.user)?, channels))
            }
            Call::Members(of) => told(store.members(&log(of.log)?, after(&of.after)?, narrow(of.limit))),
            Call::Joined(of) => {
                let (workspace, user) = (workspace(&of.workspace)?, user(&of.user)?);
                told(store.joined(&workspace, &user, after(&of.after)?, narrow(of.limit)))
            }
            Call::Marks(of) => told(store.marks(&workspace(&of.workspace)?, &user(&of.user)?)),
            Call::User(of) => told(store.user(&workspace(&of.workspace)?, &user(&of.user)?)),
            Call::Conversation(of) => {
                told(store.conversation(&workspace(&of.workspace)?, &channel(&of.channel)?))
            }
            Call::Users(of) => {
                told(store.users(&workspace(&of.workspace)?, after(&of.after)?, narrow(of.limit)))
            }
            Call::Conversations(of) => {
                told(store.conversations(&workspace(&of.workspace)?, after(&of.after)?, narrow(of.limit)))
            }
            Call::Workspaces(_) => told(store.workspaces()),
            Call::Token(of) => told(store.token(&of.hash)),
        })
    }
}

/// Whether a call changes anything.
fn writes(call: &Call) -> bool {
    matches!(call, Call::Append(_) | Call::RetainLog(_) | Call::RetainViews(_) | Call::Claim(_))
}

fn told<T: Carried>(result: Answer<T>) -> Answering {
    result.map(|result| result.map_or_else(refused, Carried::into_answer)).boxed()
}

/// An error of the slot table says that nothing is known.
fn told_of_claims<T: Carried>(result: BoxFuture<'static, Result<T, ClaimsError>>) -> Answering {
    told(result.map(|result| result.map_err(|ClaimsError(why)| StoreError::Unknown(why))).boxed())
}

fn refused(error: StoreError) -> store_answer::Answer {
    let (kind, text) = match error {
        StoreError::Unknown(why) => (StoreRefusalKind::UnknownOutcome, why),
        StoreError::Full(why) => (StoreRefusalKind::Full, why),
        StoreError::Damaged(what) => (StoreRefusalKind::Damaged, what),
        StoreError::Busy => (StoreRefusalKind::Busy, error.to_string()),
        StoreError::Unavailable(why) => (StoreRefusalKind::Unavailable, why),
    };
    store_answer::Answer::Refusal(StoreRefusal { kind: kind.into(), text })
}

fn malformed(why: &Malformed) -> store_answer::Answer {
    let kind = StoreRefusalKind::Malformed.into();
    store_answer::Answer::Refusal(StoreRefusal { kind, text: why.to_string() })
}

#[cfg(test)]
mod tests;
