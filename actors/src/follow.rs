//! Follow-ups: what an event of one log makes other logs do. At least once, under keys that name the event, so that
//! doing one again changes nothing.

use crate::command::{Command, Verb};
use crate::context::Context;
use crate::store::LogId;
use proto::id::{ChannelId, ConversationId, UserId};
use proto::v1::event::Body;
use proto::v1::{ConversationKind, Event};
use std::collections::BTreeSet;

/// Most users that one message can mention by name; further ones are not counted as mentioned.
pub const MENTIONS_MAX: usize = 50;

/// The follow-ups of an event, each with the log that it goes to.
pub fn ups(log: &LogId, event: &Event) -> Vec<(LogId, Command)> {
    match (&log.channel, &event.body) {
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
        Body::Posted(posted) => {
            let text = posted.content.as_ref().map_or("", |content| content.text.as_str());
            let mention = Verb::NoteMention { channel: channel.clone(), target_us: event.us };
            mentioned(text)
                .into_iter()
                .filter(|user| *user != event.sender)
                .filter_map(|user| to(user, "mention", mention.clone()))
                .collect()
        }
        _ => Vec::new(),
    }
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
