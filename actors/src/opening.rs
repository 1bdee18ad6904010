//! Opening conversations: a name or an id is reserved in the workspace's log, then the conversation's own log is
//! begun and the opener's log told. The followers of the logs do the latter steps too; whoever opens a conversation
//! wants to use it at once. Every step may be repeated.

use crate::auth::refusal;
use crate::command::{Command, Done, Verb};
use crate::context::Context;
use crate::follow;
use crate::store::LogId;
use proto::id::{self, ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::ConversationKind;

/// Most people in a direct conversation, the one who opens it included (Slack's limit).
pub const DIRECT_MEMBERS_MAX: usize = 9;

/// A conversation that is open now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub channel: ConversationId,
    /// It was open before.
    pub already: bool,
}

/// What a new conversation will be.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its id.
    pub channel: ConversationId,
    /// Unique in the workspace; empty for direct conversations.
    pub name: String,
    /// Public, private, direct.
    pub kind: ConversationKind,
    /// First members.
    pub members: Vec<UserId>,
}

/// Opens a conversation. `by` is `None` for the system. Refusals: `name_taken`, `invalid_name_…`, `user_not_found`.
pub async fn open(
    context: &Context,
    workspace: &WorkspaceId,
    by: Option<&UserId>,
    plan: Plan,
) -> Result<Opened, Refusal> {
    let Plan { channel, name, kind, members } = plan;
    let command = |verb| Command { sender: by.cloned(), ..Command::system("", verb) };
    let add = Verb::AddConversation {
        channel: channel.clone(),
        name: name.clone(),
        kind,
        members: members.clone(),
    };
    let log = Context::workspace(workspace);
    let added = context.execute(log.clone(), command(add)).await?;
    let already = added.event.is_none();
    if already {
        let create = command(Verb::Create { name, kind, members });
        context.execute(Context::conversation(workspace, &channel), create).await?;
    }
    follow_up(context, log, added).await?;
    if let Some(user) = by {
        note(context, workspace, user, &channel, kind).await?;
    }
    Ok(Opened { channel, already })
}

/// Opens the direct conversation of `me` with these users, or finds it. Refusals: `user_not_found`,
/// `user_disabled`, `too_many_users`.
pub async fn direct(
    context: &Context,
    workspace: &WorkspaceId,
    me: &UserId,
    others: &[UserId],
) -> Result<Opened, Refusal> {
    let mut members: Vec<UserId> = others.iter().chain([me]).cloned().collect();
    members.sort_unstable();
    members.dedup();
    if members.len() > DIRECT_MEMBERS_MAX {
        return Err(Refusal::Named("too_many_users"));
    }
    let channel = id::direct(workspace, &members);
    let log = Context::conversation(workspace, &channel);
    let known = context.store.members(&log, None, DIRECT_MEMBERS_MAX + 1).await.map_err(refusal)?.rows;
    if !known.is_empty() {
        // The id is a hash: two sets of people that share one must never share a conversation.
        let same = known.iter().map(|(user, _)| user).eq(&members);
        return if same {
            Ok(Opened { channel, already: true })
        } else {
            Err(Refusal::Named("id_collision"))
        };
    }
    for user in members.iter().filter(|user| *user != me) {
        match context.store.user(workspace, user).await.map_err(refusal)? {
            None => return Err(Refusal::Named("user_not_found")),
            Some(row) if row.deactivated => return Err(Refusal::Named("user_disabled")),
            Some(_) => {}
        }
    }
    let kind = if members.len() > 2 { ConversationKind::Mpim } else { ConversationKind::Im };
    open(context, workspace, Some(me), Plan { channel, name: String::new(), kind, members }).await
}

/// Does now, under the followers' own keys, what follows from a command in other logs: its readers find it there
/// when this returns.
pub async fn follow_up(context: &Context, log: LogId, done: Done) -> Result<(), Refusal> {
    let mut open = vec![(log, done)];
    while let Some((log, done)) = open.pop() {
        let ups = done.event.as_deref().map(|event| follow::ups(&log, event, |_| true)).unwrap_or_default();
        for (log, command) in ups {
            let done = context.execute(log.clone(), command).await?;
            open.push((log, done));
        }
    }
    Ok(())
}

/// Tells a member's own log of the membership now, as the conversation's follower will: lists and read marks of the
/// member know the conversation when this returns.
pub async fn note(
    context: &Context,
    workspace: &WorkspaceId,
    user: &UserId,
    channel: &ConversationId,
    kind: ConversationKind,
) -> Result<(), Refusal> {
    let log = Context::conversation(workspace, channel);
    let Some(member) = context.store.member(&log, user).await.map_err(refusal)? else { return Ok(()) };
    let verb = Verb::NoteJoined { channel: channel.clone(), seq: member.seq, kind };
    let key = format!("joined:{channel}:{}", member.seq);
    context.execute(Context::user(workspace, user), Command::system(key, verb)).await?;
    Ok(())
}
