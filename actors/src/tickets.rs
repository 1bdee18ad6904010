//! Connect tickets: what `rtm.connect` puts into the socket's URL. Single-use, short-lived, kept in memory only:
//! a restart makes clients ask again.

use crate::scopes::Scopes;
use cluster::host::Host;
use proto::id::{UserId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
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

/// Tickets that wait for their socket.
#[derive(Clone)]
pub struct Tickets {
    host: Host,
    max: usize,
    life: Duration,
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
}

impl Tickets {
    /// No tickets yet; at most `max` may wait, each for `life_ms`.
    pub fn new(host: Host, max: usize, life_ms: u64) -> Self {
        let life = Duration::from_millis(life_ms);
        Self { host, max, life, waiting: Arc::default() }
    }
    /// A ticket for this login; `None` when too many wait.
    pub fn issue(&self, login: Login) -> Option<String> {
        let now = self.host.monotonic();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.max {
            waiting.retain(|_, w| w.until > now);
        }
        if waiting.len() >= self.max {
            return None;
        }
        let mut bytes = [0u8; 16];
        self.host.entropy().fill(&mut bytes);
        let ticket = format!("{:032x}", u128::from_le_bytes(bytes));
        waiting.insert(ticket.clone(), Waiting { until: now + self.life, login });
        Some(ticket)
    }
    /// Whose ticket this is, once.
    pub fn redeem(&self, ticket: &str) -> Option<Login> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.remove(ticket)?;
        (found.until > self.host.monotonic()).then_some(found.login)
    }
}
