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

/// What a client may not say of itself: only the Web API, which checks the token's kind, speaks as a bot or under
/// another name.
pub fn strip_claims(command: &mut Command) {
    if let Verb::Post { content, .. } | Verb::Edit { content, .. } = Arc::make_mut(&mut command.verb) {
        content.username.clear();
        content.icon_emoji.clear();
        content.icon_url.clear();
        content.bot_id.clear();
        content.app_id.clear();
        content.redacted = false;
    }
}
