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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::WorkspaceId;
    use proto::v1::{Content, ConversationAdded, Created, Joined, Left};

    fn conversation() -> LogId {
        let channel = ConversationId::parse("C0000000001").unwrap();
        LogId::new(WorkspaceId::parse("T0000000001").unwrap(), channel)
    }
    fn event(body: Body) -> Event {
        Event {
            seq: 9,
            us: 1_700_000_000_000_123,
            sender: "U0000000ANN".into(),
            body: Some(body),
            ..Event::default()
        }
    }
    fn says(text: &str) -> Event {
        let content = Content { text: text.into(), ..Content::default() };
        event(Body::Posted(Posted { content: Some(content), ..Posted::default() }))
    }
    fn targets(ups: &[(LogId, Command)]) -> Vec<String> {
        ups.iter().map(|(log, _)| log.channel.to_string()).collect()
    }

    #[test]
    fn users_are_mentioned_by_id_each_once() {
        let found = |text| mentioned(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found("hi <@U1>, <@U2|bob> and <@U1>"), ["U1", "U2"]);
        assert_eq!(found("<@U1><@U2>"), ["U1", "U2"]);
        assert_eq!(found("<@> <@|x>"), [""], "no id, which parses as no user");
        assert_eq!(found("no @U1, no <#C1>, no <!here>, no <@U1"), Vec::<&str>::new());
        assert_eq!(found("<@U1 <@U2>"), ["U2"]);
        let many: String = (0..80).map(|number| format!("<@U{number:04}>")).collect();
        assert_eq!(mentioned(&many).len(), MENTIONS_MAX);
    }

    #[test]
    fn a_mention_goes_to_members_and_not_to_who_wrote_it() {
        let text = says("<@U0000000ANN> <@U0000000BOB> <@U0000000EVE> <@nobody> <@W0000000BIZ>");
        let member = |user: &UserId| user.as_str() != "U0000000EVE";
        assert_eq!(targets(&ups(&conversation(), &text, member)), ["user:U0000000BOB", "user:W0000000BIZ"]);
        assert!(ups(&conversation(), &says("nobody"), |_| true).is_empty());
    }

    #[test]
    fn a_mentions_key_has_the_messages_time_so_that_it_is_found_again_however_late() {
        let ups = ups(&conversation(), &says("<@U0000000BOB> <@U0000000EVE>"), |_| true);
        let key = &ups[0].1.key;
        assert_eq!(proto::key::time_us(key), Some(1_700_000_000_000_000), "{key}");
        assert_eq!(proto::key::check(key, 1_700_000_000_000_000), Ok(()));
        assert_eq!(*key, ups[1].1.key, "one a log is enough");
        let other = Event { seq: 10, ..says("<@U0000000BOB>") };
        assert_ne!(*key, super::ups(&conversation(), &other, |_| true)[0].1.key);
    }

    #[test]
    fn joins_and_leaves_are_told_to_whom_they_are_about_under_the_events_seq() {
        let join = Body::Joined(Joined { user: "U0000000BOB".into(), inviter: "U0000000ANN".into() });
        let joined = ups(&conversation(), &event(join), |_| false);
        assert_eq!(targets(&joined), ["user:U0000000BOB"]);
        assert_eq!(joined[0].1.key, "joined:C0000000001:9");
        assert!(matches!(&*joined[0].1.verb, Verb::NoteJoined { seq: 9, .. }));
        let leave = Body::Left(Left { user: "U0000000BOB".into(), by: String::new() });
        let left = ups(&conversation(), &event(leave), |_| false);
        assert_eq!(
            (targets(&left), left[0].1.key.as_str()),
            (vec!["user:U0000000BOB".into()], "left:C0000000001:9")
        );
        let members = vec!["U0000000ANN".into(), "not an id".into(), "U0000000BOB".into()];
        let kind = ConversationKind::Private.into();
        let create = Body::Created(Created { name: "x".into(), kind, members });
        let created = ups(&conversation(), &event(create), |_| false);
        assert_eq!(targets(&created), ["user:U0000000ANN", "user:U0000000BOB"]);
    }

    #[test]
    fn the_workspaces_log_makes_and_names_conversations() {
        let log = Context::workspace(&conversation().workspace);
        let added = ConversationAdded {
            channel: "C0000000001".into(),
            name: "general".into(),
            kind: ConversationKind::Public.into(),
            members: vec!["U0000000ANN".into()],
            ..ConversationAdded::default()
        };
        let made = ups(&log, &event(Body::ConversationAdded(added)), |_| false);
        assert_eq!((targets(&made), made[0].1.key.as_str()), (vec!["C0000000001".into()], "ws:9"));
        assert!(
            matches!(&*made[0].1.verb, Verb::Create { name, members, .. } if name == "general" && members.len() == 1)
        );
        // Only those two logs have followers.
        let user = Context::user(&log.workspace, &UserId::parse("U0000000ANN").unwrap());
        assert!(ups(&user, &says("<@U0000000BOB>"), |_| true).is_empty());
    }
}
