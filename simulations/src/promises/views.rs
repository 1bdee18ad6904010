//! Pages, threads, members, names and unread counts are what one would work out from the history by hand.

use super::Promise;
use crate::{
    fold::{
        Fold, Inbox, Roster,
        compare::{self, Effort},
    },
    oracle::Logs,
    stage::tenant::Tenant,
    world::report::Violation,
};
use actors::store::{LogId, Store};
use cluster::host::Entropy;
use proto::id::ChannelId;

/// Members whose own logs are told of everything by now; a crowd is told one after the other, and again after a crash.
const TOLD_MAX: usize = 1000;
/// Members of one conversation whose unread count is worked out.
const UNREAD_OF_MAX: usize = 8;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "views equal their log",
    says: "Pages, threads, members, names and unread counts are what one would work out from the history by hand.",
};

fn found<T>(channel: &str, compared: Result<T, String>) -> Result<T, Violation> {
    compared.map_err(|difference| PROMISE.broken(format!("{channel}: {difference}")))
}

/// Compares everything that a store shows of a workspace with its logs, which are quiet.
pub async fn judge(
    store: &dyn Store,
    tenant: &Tenant,
    logs: &Logs,
    chance: &Entropy,
) -> Result<(), Violation> {
    for (name, events) in logs.iter() {
        let Some((workspace, channel)) = name.split_once('/') else { continue };
        if workspace != tenant.workspace.as_str() {
            continue;
        }
        let Ok(channel) = ChannelId::parse(channel) else { continue };
        let log = LogId::new(tenant.workspace.clone(), channel);
        match &log.channel {
            ChannelId::Conversation(_) => {
                let fold = found(name, Fold::of(events))?;
                found(name, fold.redactions(events))?;
                found(name, compare::conversation(store, &log, &fold, chance, Effort::Pass).await)?;
                if fold.members.len() <= TOLD_MAX {
                    found(name, compare::joined(store, &log, &fold).await)?;
                }
                for user in fold.members.keys().take(UNREAD_OF_MAX) {
                    found(name, compare::unread(store, &log, user, &fold).await)?;
                }
            }
            ChannelId::User(user) => {
                let fold = found(name, Inbox::of(events))?;
                found(name, compare::inbox(store, &tenant.workspace, user, &fold).await)?;
            }
            ChannelId::Workspace(_) => {
                let fold = found(name, Roster::of(events))?;
                found(name, compare::roster(store, &tenant.workspace, &fold).await)?;
                found(name, compare::names(store, &tenant.workspace, &fold).await)?;
            }
        }
    }
    Ok(())
}
