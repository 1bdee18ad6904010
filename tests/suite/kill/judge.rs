//! After the last kill, from outside: nothing lost, nothing doubled, nothing moved, views equal to the fold.

use super::book::{Acked, Book, What};
use super::fold::{Fold, Shown};
use super::load::Crowd;
use crate::native::stage::{Person, connect_url, connected};
use anyhow::{Context, Result, ensure};
use proto::v1::event::Body;
use proto::v1::{Content, Event};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::client::Options;
use tests::harness::{Node, step};

/// Messages of one page of the Web API.
const PAGE: usize = 999;
/// Events that one step waits for.
const STEP_EVENTS: u64 = 5000;

/// What was looked at.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "printed")]
pub(super) struct Verdict {
    pub(super) acks: u64,
    /// Acks of commands whose first ack had been lost.
    retried: u64,
    events: usize,
    /// Messages on pages that were compared with the fold.
    shown: usize,
    /// Replies likewise.
    replies: usize,
    /// Events that readers saw and that were compared with the log.
    read: usize,
}

/// The logs by channel, each from the auditor's own join on.
type Logs = BTreeMap<String, Vec<Event>>;

pub(super) async fn judge(node: &Node, mut crowd: Crowd, book: &Book) -> Result<Verdict> {
    crowd.finish(book).await?;
    let acked = book.all();
    let logs = read_back(node, &crowd, &acked).await?;
    let mut verdict = Verdict { acks: book.acks(), retried: book.retried(), ..Verdict::default() };
    verdict.events = logs.values().map(Vec::len).sum();
    logs.iter().try_for_each(|(channel, events)| is_sound(events).context(channel.clone()))?;
    is_kept(&logs, &acked)?;
    rises(&acked)?;
    let tails = logs.iter().filter_map(|(channel, events)| Some((channel.clone(), events.last()?.seq)));
    crowd.level(&tails.collect::<Vec<_>>()).await?;
    for reader in &crowd.readers {
        for (channel, events) in &logs {
            let seen = reader.events(channel);
            verdict.read += seen.len();
            same(&seen, events).with_context(|| format!("what a reader saw of {channel}"))?;
        }
    }
    for (channel, events) in &logs {
        let (shown, replies) = views(node, &crowd.auditor, channel, &Fold::of(events)).await?;
        verdict.shown += shown;
        verdict.replies += replies;
    }
    Ok(verdict)
}

/// Reads all logs from cursor 0 by a client that has not read anything before.
async fn read_back(node: &Node, crowd: &Crowd, acked: &[Acked]) -> Result<Logs> {
    let cursors = crowd.channels.iter().map(|channel| (channel.clone(), 0)).collect();
    let options = Options::new(connect_url(node), crowd.auditor.token.clone());
    let client = connected(Options { cursors, ..options }).await?;
    let mut logs = Logs::new();
    for channel in &crowd.channels {
        let tail = step("a page", client.range(channel, 0, 1)).await??.tail;
        let last = acked.iter().filter(|entry| entry.channel == *channel).map(|entry| entry.seq).max();
        ensure!(Some(tail) >= last, "{channel} ends at {tail}, {last:?} was acknowledged");
        let mut next = client.cursors()[channel];
        while next < tail {
            next = (next + STEP_EVENTS).min(tail);
            step("the log", client.applied(channel, next)).await??;
        }
        logs.insert(channel.clone(), client.events(channel));
    }
    Ok(logs)
}

/// A log by itself: dense, its times rise, its epochs do not fall, no key twice.
fn is_sound(events: &[Event]) -> Result<()> {
    for two in events.windows(2) {
        let [a, b] = two else { continue };
        ensure!(b.seq == a.seq + 1, "{} comes after {}", b.seq, a.seq);
        ensure!(b.us > a.us, "{} has us {} after {}", b.seq, b.us, a.us);
        ensure!(b.epoch >= a.epoch, "{} has epoch {} after {}", b.seq, b.epoch, a.epoch);
    }
    let mut keys = BTreeSet::new();
    for event in events.iter().filter(|event| !event.key.is_empty()) {
        ensure!(keys.insert((&event.sender, &event.key)), "{} has a key a second time", event.seq);
    }
    Ok(())
}

/// Every acknowledged command is where its ack said, by its key and with its content; and no message is there that
/// was not acknowledged in the end.
fn is_kept(logs: &Logs, acked: &[Acked]) -> Result<()> {
    let mut posts = 0;
    for entry in acked {
        let events = &logs[&entry.channel];
        let first = events.first().map_or(0, |event| event.seq);
        let at = entry.seq.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let event = at.and_then(|at| events.get(at)).with_context(|| format!("lost: {entry:?}"))?;
        let same = (event.us, &event.key, &event.sender) == (entry.us, &entry.key, &entry.sender);
        ensure!(same && is_body(event, &entry.what), "lost: {entry:?}; there is {event:?}");
        posts += usize::from(matches!(entry.what, What::Post { .. }));
    }
    let is_post = |event: &&Event| matches!(event.body, Some(Body::Posted(_)));
    let kept = logs.values().flatten().filter(is_post).count();
    ensure!(kept == posts, "doubled: {kept} messages, {posts} were acknowledged");
    Ok(())
}

/// Whether an event is what a command asked for. A deletion takes the content away.
fn is_body(event: &Event, what: &What) -> bool {
    let says = |content: &Option<Content>, text: &str| {
        content.as_ref().is_some_and(|content| content.redacted || content.text == text)
    };
    match (event.body.as_ref(), what) {
        (Some(Body::Posted(posted)), What::Post { text, thread_us, broadcast }) => {
            says(&posted.content, text)
                && (posted.thread_us, posted.reply_broadcast) == (*thread_us, *broadcast)
        }
        (Some(Body::Edited(edited)), What::Edit { target_us, text }) => {
            edited.target_us == *target_us && says(&edited.content, text)
        }
        (Some(Body::Deleted(deleted)), What::Delete { target_us }) => deleted.target_us == *target_us,
        (Some(Body::Reacted(reacted)), What::React { target_us, name }) => {
            (reacted.target_us, &reacted.name) == (*target_us, name)
        }
        (Some(Body::Unreacted(reacted)), What::Unreact { target_us, name }) => {
            (reacted.target_us, &reacted.name) == (*target_us, name)
        }
        _ => false,
    }
}

/// Who waits for an ack before asking on gets rising places.
fn rises(acked: &[Acked]) -> Result<()> {
    let mut last: BTreeMap<(usize, &str), u64> = BTreeMap::new();
    for entry in acked {
        let before = last.insert((entry.lane, &entry.channel), entry.seq).unwrap_or(0);
        ensure!(before < entry.seq, "reordered: {entry:?} was acknowledged after {before}");
    }
    Ok(())
}

/// What a reader saw live is what the log holds, but for contents that were deleted later.
fn same(seen: &[Event], log: &[Event]) -> Result<()> {
    let first = seen.first().context("the reader saw nothing")?.seq;
    let log = log.iter().filter(|event| event.seq >= first);
    let bare = |event: &Event| {
        let mut bare = event.clone();
        match &mut bare.body {
            Some(Body::Posted(posted)) => posted.content = None,
            Some(Body::Edited(edited)) => edited.content = None,
            _ => {}
        }
        bare
    };
    let mut count = 0;
    for (seen, kept) in seen.iter().zip(log.clone()) {
        let redacted = is_redacted(kept);
        let equal = if redacted { bare(seen) == bare(kept) } else { seen == kept };
        ensure!(equal, "{seen:?} was shown, the log holds {kept:?}");
        count += 1;
    }
    ensure!(count == seen.len() && count == log.count(), "{count} of {} events", seen.len());
    Ok(())
}

fn is_redacted(event: &Event) -> bool {
    let content = match &event.body {
        Some(Body::Posted(posted)) => &posted.content,
        Some(Body::Edited(edited)) => &edited.content,
        _ => return false,
    };
    content.as_ref().is_some_and(|content| content.redacted)
}

/// Compares the pages of a channel with the fold of its log; how many messages and replies there were.
async fn views(node: &Node, auditor: &Person, channel: &str, fold: &Fold) -> Result<(usize, usize)> {
    let args = json!({ "channel": channel });
    let shown = pages(node, auditor, "conversations.history", &args).await?;
    equal(&shown, &fold.history()).with_context(|| format!("history of {channel}"))?;
    let mut replies = 0;
    for parent in shown.iter().filter(|message| message.reply_count > 0) {
        let args = json!({ "channel": channel, "ts": parent.ts });
        let thread = pages(node, auditor, "conversations.replies", &args).await?;
        let (first, rest) = thread.split_first().context("the parent comes first")?;
        ensure!(first == parent, "{first:?} in its thread, {parent:?} in the channel");
        equal(rest, &fold.thread(&parent.ts))
            .with_context(|| format!("thread {} of {channel}", parent.ts))?;
        replies += rest.len();
    }
    Ok((shown.len(), replies))
}

fn equal(pages: &[Shown], fold: &[Shown]) -> Result<()> {
    for (page, fold) in pages.iter().zip(fold) {
        ensure!(page == fold, "the page shows {page:?}, the fold {fold:?}");
    }
    ensure!(pages.len() == fold.len(), "{} on pages, {} in the fold", pages.len(), fold.len());
    Ok(())
}

/// All pages of a method.
async fn pages(node: &Node, auditor: &Person, method: &str, args: &Value) -> Result<Vec<Shown>> {
    let (mut shown, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut args = args.clone();
        args["limit"] = PAGE.into();
        args["cursor"] = cursor.as_str().into();
        let answer = node.ok(method, &auditor.token, args).await?;
        let messages = answer["messages"].as_array().context("messages")?;
        // The parent opens every page of a thread.
        let again = usize::from(method == "conversations.replies" && !cursor.is_empty());
        shown.extend(messages.iter().skip(again).map(Shown::read));
        cursor = answer["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
        if cursor.is_empty() {
            return Ok(shown);
        }
    }
}

#[cfg(test)]
mod broken;
