//! Follow-ups: what an event of one log makes other logs do. At least once, under keys that name the event, so that
//! doing one again changes nothing.

use crate::command::{Command, Verb};
use crate::context::Context;
use crate::store::LogId;
use proto::id::{ChannelId, ConversationId, UserId};
use proto::v1::event::Body;
use proto::v1::{ConversationKind, Event, Posted};
use std::collections::BTreeSet;

/// Most users that one message can mention by name; further ones are not counted as mentioned.
pub const MENTIONS_MAX: usize = 50;

/// The follow-ups of an event, each with the log that it goes to. Only members are told of mentions: to anybody else
/// a conversation's messages, and the id of a closed one, are none of their business.
pub fn ups(log: &LogId, event: &Event, is_member: impl Fn(&UserId) -> bool) -> Vec<(LogId, Command)> {
    match (&log.channel, &event.body) {
        (ChannelId::Conversation(channel), Some(Body::Posted(posted))) => {
            mentions(log, channel, event, posted, is_member)
        }
        (ChannelId::Conversation(channel), Some(body)) => of_conversation(log, channel, event, body),
        (ChannelId::Workspace(_), Some(Body::ConversationAdded(added))) => {
            let Ok(channel) = ConversationId::parse(&added.channel) else { return Vec::new() };
            let members = added.members.iter().filter_map(|user| UserId::parse(user).ok()).collect();
            let verb = Verb::Create { name: added.name.clone(), kind: added.kind(), members };
            vec![to_conversation(log, channel, event, verb)]
        }
        (ChannelId::Workspace(_), Some(Body::ConversationRenamed(renamed))) => {
            let Ok(channel) = ConversationId::parse(&renamed.channel) else { return Vec::new() };
            vec![to_conversation(log, channel, event, Verb::Rename { name: renamed.name.clone() })]
        }
        _ => Vec::new(),
    }
}

fn to_conversation(log: &LogId, channel: ConversationId, event: &Event, verb: Verb) -> (LogId, Command) {
    let key = format!("ws:{}", event.seq);
    (Context::conversation(&log.workspace, &channel), Command::system(key, verb))
}

fn of_conversation(
    log: &LogId,
    channel: &ConversationId,
    event: &Event,
    body: &Body,
) -> Vec<(LogId, Command)> {
    let seq = event.seq;
    let to = |user: &str, what: &str, verb: Verb| {
        let user = UserId::parse(user).ok()?;
        let key = format!("{what}:{channel}:{seq}");
        Some((Context::user(&log.workspace, &user), Command::system(key, verb)))
    };
    let joined = |user: &str, kind: ConversationKind| {
        to(user, "joined", Verb::NoteJoined { channel: channel.clone(), seq, kind })
    };
    match body {
        Body::Created(created) => {
            created.members.iter().filter_map(|user| joined(user, created.kind())).collect()
        }
        Body::Joined(join) => joined(&join.user, ConversationKind::Unknown).into_iter().collect(),
        Body::Left(left) => {
            to(&left.user, "left", Verb::NoteLeft { channel: channel.clone(), seq }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn mentions(
    log: &LogId,
    channel: &ConversationId,
    event: &Event,
    posted: &Posted,
    is_member: impl Fn(&UserId) -> bool,
) -> Vec<(LogId, Command)> {
    let text = posted.content.as_ref().map_or("", |content| content.text.as_str());
    let users = mentioned(text).into_iter().filter(|user| *user != event.sender);
    let members = users.filter_map(|user| UserId::parse(user).ok()).filter(|user| is_member(user));
    let key = mention_key(channel, event);
    let verb = Verb::NoteMention { channel: channel.clone(), target_us: event.us };
    let tell = |user| (Context::user(&log.workspace, &user), Command::system(key.clone(), verb.clone()));
    members.map(tell).collect()
}

/// A UUIDv7 (RFC 9562, 5.7) of the event's time. Nothing in a user's state tells a mention that was noted from one
/// that was not, so its key has to be found however far the user's log has gone on meanwhile; joins and leaves are
/// told by their seq.
fn mention_key(channel: &ConversationId, event: &Event) -> String {
    let name = xxhash_rust::xxh3::xxh3_128(format!("mention:{channel}:{}", event.seq).as_bytes());
    let (ms, high, low) = (event.us / 1000, (name >> 64) as u64, name as u64);
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        (ms >> 16) & 0xffff_ffff,
        ms & 0xffff,
        high & 0xfff,
        0x8000 | (high >> 16 & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Users that a text names as `<@U…>` or `<@U…|name>`.
fn mentioned(text: &str) -> BTreeSet<&str> {
    text.split("<@")
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(inside, _)| inside.split('|').next().unwrap_or(inside))
        .take(MENTIONS_MAX)
        .collect()
}
