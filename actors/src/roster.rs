//! A workspace's own log: its users, and the names of users and conversations, unique because one log decides.
//!
//! Pure core of a channel whose log is `ws:T`.

use crate::command::{Command, Verb};
use crate::store::ViewWrite;
use crate::subject::{Applied, Decision, Draft};
use proto::id::{ConversationId, UserId};
use proto::v1::event::Body;
use proto::v1::{self, ConversationKind, ConversationRow, Event, UserRow, WorkspaceRow};
use std::collections::BTreeMap;

/// Longest name of a user or conversation, in characters (Slack's limit for conversations).
pub const NAME_CHARS_MAX: usize = 80;

/// State of a workspace's log.
#[derive(Debug, Default)]
pub struct Roster {
    workspace: Option<WorkspaceRow>,
    users: BTreeMap<UserId, UserRow>,
    conversations: BTreeMap<ConversationId, (String, ConversationKind)>,
    user_names: BTreeMap<String, UserId>,
    emails: BTreeMap<String, UserId>,
    names: BTreeMap<String, ConversationId>,
}

impl Roster {
    /// The state as the views have it.
    pub fn new(
        workspace: Option<WorkspaceRow>,
        users: Vec<(UserId, UserRow)>,
        conversations: Vec<(ConversationId, ConversationRow)>,
    ) -> Self {
        let mut roster = Self { workspace, ..Self::default() };
        users.into_iter().for_each(|(user, row)| roster.enter_user(user, row));
        for (channel, row) in conversations {
            let kind = row.kind();
            roster.enter_conversation(channel, row.name, kind);
        }
        roster
    }

    /// What to do about a command.
    pub fn decide(&mut self, command: &Command) -> Decision {
        match &*command.verb {
            Verb::CreateWorkspace { name, domain } => match &self.workspace {
                Some(_) => Decision::Nothing(None),
                None => append(Body::WorkspaceCreated(v1::WorkspaceCreated {
                    name: name.clone(),
                    domain: domain.clone(),
                })),
            },
            _ if self.workspace.is_none() => Decision::refuse("team_not_found"),
            Verb::AddUser { user, name, real_name, email, bot_id, admin } => {
                if self.users.contains_key(user) {
                    return Decision::Nothing(None);
                }
                if let Err(code) = self.free_user_name(name, email) {
                    return Decision::refuse(code);
                }
                append(Body::UserAdded(v1::UserAdded {
                    user: user.to_string(),
                    name: name.clone(),
                    real_name: real_name.clone(),
                    email: email.clone(),
                    bot: !bot_id.is_empty(),
                    bot_id: bot_id.clone(),
                    app_id: String::new(),
                    admin: *admin,
                }))
            }
            Verb::AddConversation { channel, name, kind, members } => {
                self.add_conversation(command, channel, name, *kind, members)
            }
            Verb::RenameConversation { channel, name } => match self.conversations.get(channel) {
                None => Decision::refuse("channel_not_found"),
                Some((old, _)) if old == name => Decision::Nothing(None),
                Some((_, kind)) => match self.free_name(name, *kind) {
                    Err(code) => Decision::refuse(code),
                    Ok(()) => append(Body::ConversationRenamed(v1::ConversationRenamed {
                        channel: channel.to_string(),
                        name: name.clone(),
                        kind: (*kind).into(),
                        ..v1::ConversationRenamed::default()
                    })),
                },
            },
            _ => Decision::refuse("method_not_supported_for_channel_type"),
        }
    }

    fn add_conversation(
        &self,
        command: &Command,
        channel: &ConversationId,
        name: &str,
        kind: ConversationKind,
        members: &[UserId],
    ) -> Decision {
        if self.conversations.contains_key(channel) {
            return Decision::Nothing(None);
        }
        if let Err(code) = self.free_name(name, kind) {
            return Decision::refuse(code);
        }
        if members.iter().any(|user| !self.users.contains_key(user)) {
            return Decision::refuse("user_not_found");
        }
        append(Body::ConversationAdded(v1::ConversationAdded {
            channel: channel.to_string(),
            name: name.to_owned(),
            kind: kind.into(),
            creator: command.sender_str().to_owned(),
            members: members.iter().map(UserId::to_string).collect(),
        }))
    }

    fn free_user_name(&self, name: &str, email: &str) -> Result<(), &'static str> {
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err("invalid_name");
        }
        if self.user_names.contains_key(&name.to_lowercase()) {
            return Err("name_taken");
        }
        if !email.is_empty() && self.emails.contains_key(&email.to_lowercase()) {
            return Err("email_taken");
        }
        Ok(())
    }

    /// Slack's rules for conversation names: lower case, digits, `-` and `_`; letters of other scripts are letters.
    fn free_name(&self, name: &str, kind: ConversationKind) -> Result<(), &'static str> {
        if matches!(kind, ConversationKind::Im | ConversationKind::Mpim) {
            return Ok(());
        }
        let plain = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || c == '-' || c == '_';
        if name.is_empty() {
            return Err("invalid_name_required");
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err("invalid_name_maxlength");
        }
        if !name.chars().all(plain) {
            return Err("invalid_name_specials");
        }
        if !name.chars().any(char::is_alphanumeric) {
            return Err("invalid_name_punctuation");
        }
        if self.names.contains_key(name) { Err("name_taken") } else { Ok(()) }
    }

    /// Takes an event into the state.
    pub fn apply(&mut self, event: &Event) -> Applied {
        let write = match &event.body {
            Some(Body::WorkspaceCreated(created)) => {
                let row = WorkspaceRow {
                    name: created.name.clone(),
                    domain: created.domain.clone(),
                    created_us: event.us,
                };
                self.workspace = Some(row.clone());
                Some(ViewWrite::Workspace(row))
            }
            Some(Body::UserAdded(added)) => self.user_added(event, added),
            Some(Body::ConversationAdded(added)) => self.conversation_added(event, added),
            // The conversation's own log writes its row: a name changes there as a follow-up.
            Some(Body::ConversationRenamed(renamed)) => {
                if let Ok(channel) = ConversationId::parse(&renamed.channel)
                    && let Some((old, kind)) = self.conversations.get(&channel).cloned()
                {
                    self.names.remove(&old);
                    self.enter_conversation(channel, renamed.name.clone(), kind);
                }
                None
            }
            _ => None,
        };
        Applied { views: write.into_iter().collect(), ..Applied::default() }
    }

    fn user_added(&mut self, event: &Event, added: &v1::UserAdded) -> Option<ViewWrite> {
        let user = UserId::parse(&added.user).ok()?;
        let row = UserRow {
            name: added.name.clone(),
            real_name: added.real_name.clone(),
            display_name: String::new(),
            email: added.email.clone(),
            bot: added.bot,
            bot_id: added.bot_id.clone(),
            app_id: added.app_id.clone(),
            admin: added.admin,
            deactivated: false,
            updated_us: event.us,
        };
        self.enter_user(user.clone(), row.clone());
        Some(ViewWrite::User { user, row })
    }

    fn conversation_added(&mut self, event: &Event, added: &v1::ConversationAdded) -> Option<ViewWrite> {
        let channel = ConversationId::parse(&added.channel).ok()?;
        let row = ConversationRow {
            name: added.name.clone(),
            kind: added.kind,
            creator: added.creator.clone(),
            created_us: event.us,
            ..ConversationRow::default()
        };
        self.enter_conversation(channel.clone(), added.name.clone(), added.kind());
        Some(ViewWrite::Conversation { channel, row })
    }

    fn enter_user(&mut self, user: UserId, row: UserRow) {
        self.user_names.insert(row.name.to_lowercase(), user.clone());
        if !row.email.is_empty() {
            self.emails.insert(row.email.to_lowercase(), user.clone());
        }
        self.users.insert(user, row);
    }

    fn enter_conversation(&mut self, channel: ConversationId, name: String, kind: ConversationKind) {
        if !name.is_empty() {
            self.names.insert(name.clone(), channel.clone());
        }
        self.conversations.insert(channel, (name, kind));
    }
}

fn append(body: Body) -> Decision {
    Decision::Append(Box::new(Draft::silent(body)))
}

#[cfg(test)]
mod tests;
