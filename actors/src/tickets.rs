//! Connect tickets: what `rtm.connect` puts into the socket's URL. Single-use, short-lived, kept in memory only, by the
//! node that issued it and is named in it: whichever node is shown one asks that node, and a restart makes clients ask
//! again.

pub(crate) mod remote;

use crate::scopes::Scopes;
use cluster::host::Host;
use cluster::node::NodeId;
use cluster::switchboard::Switchboard;
use proto::id::{UserId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who has been authenticated, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Who.
    pub user: UserId,
    /// Hash of the token that was shown; a revocation names it.
    pub token_hash: String,
    /// The token's scopes.
    pub scopes: Scopes,
    /// A bot's own id (B…), empty for people: what it posts carries it.
    pub bot_id: String,
    /// The bot's app (A…), empty for people.
    pub app_id: String,
}

struct Waiting {
    until: Duration,
    login: Login,
}

/// Digits of a ticket before the name of the node that issued it.
const DIGITS: usize = 32;

/// Tickets that wait for their socket.
#[derive(Clone)]
pub struct Tickets {
    host: Host,
    me: NodeId,
    max: usize,
    life: Duration,
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
    others: Option<Switchboard>,
}

impl Tickets {
    /// No tickets of this node yet; at most `max` may wait, each for `life_ms`. `others` are asked about theirs.
    pub fn new(host: Host, me: NodeId, max: usize, life_ms: u64, others: Option<Switchboard>) -> Self {
        let life = Duration::from_millis(life_ms);
        Self { host, me, max, life, waiting: Arc::default(), others }
    }
    /// A ticket for this login; `None` when too many wait.
    pub fn issue(&self, login: Login) -> Option<String> {
        let now = self.host.monotonic();
        let mut waiting = self.waiting();
        if waiting.len() >= self.max {
            waiting.retain(|_, w| w.until > now);
        }
        if waiting.len() >= self.max {
            return None;
        }
        let mut bytes = [0u8; DIGITS / 2];
        self.host.entropy().fill(&mut bytes);
        let ticket = format!("{:032x}.{}", u128::from_le_bytes(bytes), self.me);
        waiting.insert(ticket.clone(), Waiting { until: now + self.life, login });
        Some(ticket)
    }
    /// Whose ticket this is, once; the node that issued it is asked.
    pub async fn redeem(&self, ticket: &str) -> Option<Login> {
        let issuer = ticket.get(DIGITS..)?.strip_prefix('.')?;
        if issuer == self.me.as_str() {
            return self.redeem_here(ticket);
        }
        let (others, issuer) = (self.others.as_ref()?, NodeId::parse(issuer).ok()?);
        remote::ask(others, &issuer, ticket).await
    }
    fn redeem_here(&self, ticket: &str) -> Option<Login> {
        let found = self.waiting().remove(ticket)?;
        (found.until > self.host.monotonic()).then_some(found.login)
    }
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
