//! What a client's frame asks for, as a command for a channel. Pure.

use crate::command::{Command, Verb};
use crate::context::Context;
use crate::store::LogId;
use crate::tickets::Login;
use proto::id::ConversationId;
use proto::refusal::Refusal;
use proto::v1::client_frame::Frame;
use std::sync::Arc;

/// What to do about a frame.
#[derive(Debug)]
pub enum Asked {
    /// Send this command; its answer is owed.
    Command(LogId, Command),
    /// Something only the session can do.
    Other(Frame),
}

/// Reads a frame. The workspace comes from the login, never from the frame.
pub fn asked(login: &Login, frame: Frame) -> Result<Asked, Refusal> {
    let command = |channel: &str, key: String, verb: Verb| {
        let channel = ConversationId::parse(channel).map_err(|_| Refusal::Named("channel_not_found"))?;
        let log = Context::conversation(&login.workspace, &channel);
        Ok(Asked::Command(log, Command::by(&login.user, verb).keyed(key)))
    };
    match frame {
        Frame::Post(post) => command(
            &post.channel,
            post.key,
            Verb::Post {
                content: post.content.unwrap_or_default(),
                thread_us: post.thread_us,
                reply_broadcast: post.reply_broadcast,
                client_msg_id: String::new(),
            },
        ),
        Frame::Edit(edit) => command(
            &edit.channel,
            edit.key,
            Verb::Edit { target_us: edit.target_us, content: edit.content.unwrap_or_default() },
        ),
        Frame::Delete(delete) => {
            command(&delete.channel, delete.key, Verb::Delete { target_us: delete.target_us })
        }
        Frame::React(react) => {
            let verb = Verb::React { target_us: react.target_us, name: react.name };
            command(&react.channel, react.key, verb)
        }
        Frame::Unreact(react) => {
            let verb = Verb::Unreact { target_us: react.target_us, name: react.name };
            command(&react.channel, react.key, verb)
        }
        Frame::Join(join) => command(&join.channel, join.key, Verb::Join),
        Frame::Leave(leave) => command(&leave.channel, leave.key, Verb::Leave),
        other => Ok(Asked::Other(other)),
    }
}

/// Puts the author's ids on what a client says, whatever it claims: only the Web API, which checks the token's kind and
/// scopes, speaks under another name.
pub fn sign(command: &mut Command, login: &Login) {
    if let Verb::Post { content, .. } | Verb::Edit { content, .. } = Arc::make_mut(&mut command.verb) {
        content.username.clear();
        content.icon_emoji.clear();
        content.icon_url.clear();
        content.bot_id.clone_from(&login.bot_id);
        content.app_id.clone_from(&login.app_id);
        content.redacted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::Scopes;
    use proto::id::{UserId, WorkspaceId};
    use proto::v1::{self, Content};

    fn login() -> Login {
        Login {
            workspace: WorkspaceId::parse("T1").unwrap(),
            user: UserId::parse("UANN").unwrap(),
            token_hash: String::new(),
            bot_id: "B1".into(),
            app_id: "A1".into(),
            scopes: Scopes::Default(&[]),
        }
    }
    fn command(frame: Frame) -> (LogId, Command) {
        match asked(&login(), frame) {
            Ok(Asked::Command(log, command)) => (log, command),
            other => panic!("{other:?}"),
        }
    }
    fn content(text: &str) -> Option<Content> {
        Some(Content { text: text.into(), ..Content::default() })
    }

    #[test]
    fn a_frame_becomes_a_command_of_who_is_logged_in_to_a_channel_of_their_workspace() {
        let (channel, key) = (|| "C1".to_owned(), || "k".to_owned());
        let react = |add: bool| {
            let react = v1::React { channel: channel(), key: key(), target_us: 7, name: "tada".into() };
            if add {
                return Frame::React(react);
            }
            Frame::Unreact(v1::Unreact { channel: channel(), key: key(), target_us: 7, name: "tada".into() })
        };
        let post = v1::Post {
            channel: channel(),
            key: key(),
            content: content("x"),
            thread_us: 7,
            reply_broadcast: true,
        };
        let said = Verb::Post {
            content: content("x").unwrap(),
            thread_us: 7,
            reply_broadcast: true,
            client_msg_id: String::new(),
        };
        let edit = v1::Edit { channel: channel(), key: key(), target_us: 7, content: content("y") };
        let name = || "tada".to_owned();
        let cases = [
            (Frame::Post(post), said),
            (Frame::Edit(edit), Verb::Edit { target_us: 7, content: content("y").unwrap() }),
            (
                Frame::Delete(v1::Delete { channel: channel(), key: key(), target_us: 7 }),
                Verb::Delete { target_us: 7 },
            ),
            (react(true), Verb::React { target_us: 7, name: name() }),
            (react(false), Verb::Unreact { target_us: 7, name: name() }),
            (Frame::Join(v1::Join { channel: channel(), key: key() }), Verb::Join),
            (Frame::Leave(v1::Leave { channel: channel(), key: key() }), Verb::Leave),
        ];
        for (frame, verb) in cases {
            let (log, command) = command(frame);
            assert_eq!((log.workspace.as_str(), log.channel.to_string().as_str()), ("T1", "C1"));
            assert_eq!((command.sender_str(), command.key.as_str(), command.attempt), ("UANN", "k", 0));
            assert_eq!(*command.verb, verb);
        }
    }

    #[test]
    fn only_conversations_take_commands() {
        for channel in ["", "ws:T1", "user:UANN", "UANN", "c1", "C 1"] {
            let join = Frame::Join(v1::Join { channel: channel.into(), key: String::new() });
            let refused = asked(&login(), join).unwrap_err();
            assert_eq!(refused, Refusal::Named("channel_not_found"), "{channel:?}");
        }
    }

    #[test]
    fn what_is_no_command_is_the_sessions_own() {
        for frame in [Frame::Ping(v1::Ping::default()), Frame::Follow(v1::Follow::default())] {
            assert!(matches!(asked(&login(), frame), Ok(Asked::Other(_))));
        }
    }

    #[test]
    fn a_client_speaks_for_itself_only() {
        let claims = Content {
            text: "x".into(),
            blocks: "[]".into(),
            username: "the boss".into(),
            icon_emoji: ":crown:".into(),
            icon_url: "http://example.org".into(),
            bot_id: "B9".into(),
            app_id: "A9".into(),
            redacted: true,
            ..Content::default()
        };
        let honest = Content {
            text: "x".into(),
            blocks: "[]".into(),
            bot_id: "B1".into(),
            app_id: "A1".into(),
            ..Content::default()
        };
        let post = v1::Post { channel: "C1".into(), content: Some(claims.clone()), ..v1::Post::default() };
        let edit = v1::Edit { channel: "C1".into(), content: Some(claims), ..v1::Edit::default() };
        for frame in [Frame::Post(post), Frame::Edit(edit)] {
            let (_, mut command) = command(frame);
            sign(&mut command, &login());
            match &*command.verb {
                Verb::Post { content, .. } | Verb::Edit { content, .. } => assert_eq!(*content, honest),
                other => panic!("{other:?}"),
            }
        }
    }
}
