//! What a store answers, compared with the fold of its log. The first difference ends the search, in one sentence:
//! which view and row, what the store has, what the log says.
//!
//! Each of these is about a log that nobody writes to meanwhile.

mod messages;
mod own;
mod row;
mod workspace;

pub use own::{inbox, unread};
pub use workspace::{names, roster};

use super::Fold;
use actors::store::{Answer, Listed, LogId, Store, StoreError};
use cluster::host::Entropy;
use row::{maps, same};
use std::collections::BTreeMap;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// One pass a view, single rows by sample: for the end of each of thousands of runs.
    Pass,
    /// Many passes, each row by itself.
    Exhaustive,
}

impl Effort {
    /// All of them, or so many that are drawn.
    fn sample<T: Clone>(self, all: Vec<T>, most: usize, chance: &Entropy) -> Vec<T> {
        if self == Self::Exhaustive || all.len() <= most {
            return all;
        }
        (0..most).map(|_| all[chance.below(all.len() as u64) as usize].clone()).collect()
    }
}

/// A conversation: its messages, threads, reactions, members and its row. A thread's summary names its users only up to
/// a limit; the people of these logs are fewer.
pub async fn conversation(
    store: &dyn Store,
    log: &LogId,
    fold: &Fold,
    chance: &Entropy,
    effort: Effort,
) -> Result<(), String> {
    let view = messages::View { store, log, fold, chance, effort };
    view.shown().await?;
    view.threads().await?;
    view.single_rows().await?;
    view.reactions().await?;
    members(store, log, fold, chance).await?;
    conversation_row(store, log, fold).await
}

async fn members(store: &dyn Store, log: &LogId, fold: &Fold, chance: &Entropy) -> Result<(), String> {
    let view = format!("members of {}", log.channel);
    let found = listed(&view, |after| store.members(log, after, 1 + chance.below(4) as usize)).await?;
    maps(&view, &found, &fold.members)?;
    for user in fold.moves.keys() {
        let found = read(&view, store.member(log, user).await)?;
        same(|| format!("{view}, {user} alone"), &found.as_ref(), &fold.members.get(user))?;
    }
    Ok(())
}

/// Who made it and when is the workspace's to say.
async fn conversation_row(store: &dyn Store, log: &LogId, fold: &Fold) -> Result<(), String> {
    let channel = log.channel.conversation().ok_or_else(|| format!("{log:?} is no conversation's log"))?;
    if fold.tail() == 0 {
        return Ok(());
    }
    let view = format!("the row of {channel}");
    let mut found = read(&view, store.conversation(&log.workspace, channel).await)?.unwrap_or_default();
    same(|| format!("{view}, its members"), &found.members, &(fold.members.len() as u32))?;
    (found.members, found.creator, found.created_us) = (0, String::new(), 0);
    same(|| view.clone(), &found, &fold.row)
}

/// Everybody's own log has heard of the last membership here. True once all follow-ups are done.
pub async fn joined(store: &dyn Store, log: &LogId, fold: &Fold) -> Result<(), String> {
    let channel = log.channel.conversation().ok_or_else(|| format!("{log:?} is no conversation's log"))?;
    for (user, says) in &fold.moves {
        let view = format!("conversations of {user}");
        let found = own::joined(store, &log.workspace, user).await?;
        let has = found.get(channel).map(|row| (row.seq, row.left.then_some(row.left_seq)));
        same(|| format!("{view}, {channel} as its own log has it"), &has, &Some(*says))?;
    }
    Ok(())
}

/// All pages of a listing.
async fn listed<K: Ord + Clone, V>(
    view: &str,
    page: impl Fn(Option<K>) -> Answer<Listed<K, V>>,
) -> Result<BTreeMap<K, V>, String> {
    let mut found = BTreeMap::new();
    loop {
        let after = found.last_key_value().map(|(key, _): (&K, &V)| key.clone());
        let Listed { rows, more } = read(view, page(after.clone()).await)?;
        if more && rows.is_empty() {
            return Err(format!("{view}: a page is empty and promises more"));
        }
        for (key, row) in rows {
            if found
                .last_key_value()
                .map(|(last, _)| last)
                .or(after.as_ref())
                .is_some_and(|last| *last >= key)
            {
                return Err(format!("{view}: a page does not continue the one before, or is not in order"));
            }
            found.insert(key, row);
        }
        if !more {
            return Ok(found);
        }
    }
}

fn read<T>(view: &str, answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| format!("{view} cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
