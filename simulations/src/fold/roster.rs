//! A workspace's log: its users, its conversations, their names.

use super::{counts_nothing, in_order, unless, user, wrong};
use proto::id::{ConversationId, UserId};
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{
    ConversationAdded, ConversationKind, ConversationRenamed, Event, UserAdded, UserRow, WorkspaceRow,
};
use std::collections::{BTreeMap, BTreeSet};

/// A conversation as its workspace knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Public, private, direct.
    pub kind: ConversationKind,
    /// Who opened it; empty for the system.
    pub creator: String,
    /// When.
    pub created_us: Micros,
    /// Its names in order, each with the seq that gave it.
    pub names: Vec<(u64, String)>,
    /// Its first members.
    pub members: BTreeSet<UserId>,
}

/// What a workspace's log says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    /// The workspace itself.
    pub workspace: Option<WorkspaceRow>,
    /// Its users.
    pub users: BTreeMap<UserId, UserRow>,
    /// Its conversations.
    pub conversations: BTreeMap<ConversationId, Named>,
    /// Whose each name is now.
    pub names: BTreeMap<String, ConversationId>,
}

impl Named {
    /// Its name now.
    pub fn name(&self) -> &str {
        self.names.last().map_or("", |(_, name)| name)
    }

    /// Names that it may show while what follows from events after `followed` may not be done.
    pub fn names_after(&self, followed: u64) -> impl Iterator<Item = &str> {
        let old = self.names.iter().rposition(|(seq, _)| *seq <= followed).unwrap_or(0);
        self.names.iter().skip(old).map(|(_, name)| name.as_str())
    }

    fn is_direct(&self) -> bool {
        matches!(self.kind, ConversationKind::Im | ConversationKind::Mpim)
    }
}

impl Roster {
    /// Folds a whole log, from its first event on. The error names the seq that should not be there.
    pub fn of(events: &[Event]) -> Result<Self, String> {
        in_order(events)?;
        let mut roster = Self::default();
        for event in events {
            counts_nothing(event)?;
            roster.take(event)?;
        }
        Ok(roster)
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        let body = event.body.as_ref().ok_or_else(|| wrong(event, "does not say what happened"))?;
        let begins = matches!(body, Body::WorkspaceCreated(_));
        let first = self.workspace.is_none();
        unless(begins == first, event, || "makes the workspace again, or comes before it".into())?;
        match body {
            Body::WorkspaceCreated(created) => {
                let (name, domain) = (created.name.clone(), created.domain.clone());
                self.workspace = Some(WorkspaceRow { name, domain, created_us: event.us });
                Ok(())
            }
            Body::UserAdded(added) => self.add_user(event, added),
            Body::ConversationAdded(added) => self.add_conversation(event, added),
            Body::ConversationRenamed(renamed) => self.rename(event, renamed),
            _ => Err(wrong(event, "does not belong into a workspace's log")),
        }
    }

    fn add_user(&mut self, event: &Event, added: &UserAdded) -> Result<(), String> {
        let who = user(event, &added.user)?;
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        for (other, row) in &self.users {
            unless(*other != who, event, || format!("adds {who} again"))?;
            let name = &added.name;
            unless(!same(&row.name, name), event, || format!("gives {who} the name {name} of {other}"))?;
            let shared = !added.email.is_empty() && same(&row.email, &added.email);
            unless(!shared, event, || format!("gives {who} the address of {other}"))?;
        }
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
        self.users.insert(who, row);
        Ok(())
    }

    fn add_conversation(&mut self, event: &Event, added: &ConversationAdded) -> Result<(), String> {
        let channel = conversation(event, &added.channel)?;
        let members = added.members.iter().map(|member| user(event, member));
        let named = Named {
            kind: added.kind(),
            creator: added.creator.clone(),
            created_us: event.us,
            names: vec![(event.seq, added.name.clone())],
            members: members.collect::<Result<_, _>>()?,
        };
        for member in &named.members {
            let known = self.users.contains_key(member);
            unless(known, event, || format!("puts {member} into {channel}, who is not of the workspace"))?;
        }
        self.reserve(event, &channel, &named)?;
        let new = self.conversations.insert(channel.clone(), named).is_none();
        unless(new, event, || format!("adds {channel} again"))
    }

    fn rename(&mut self, event: &Event, renamed: &ConversationRenamed) -> Result<(), String> {
        let channel = conversation(event, &renamed.channel)?;
        let named = self.conversations.get(&channel);
        let mut named = named.cloned().ok_or_else(|| wrong(event, format!("renames {channel}, unknown")))?;
        let name = &renamed.name;
        unless(named.name() != name, event, || format!("renames {channel} to its own name {name}"))?;
        let kind = renamed.kind();
        unless(kind == named.kind, event, || format!("calls {channel} {kind:?}, which is {:?}", named.kind))?;
        if !named.is_direct() {
            self.names.remove(named.name());
        }
        named.names.push((event.seq, name.clone()));
        self.reserve(event, &channel, &named)?;
        self.conversations.insert(channel, named);
        Ok(())
    }

    /// Direct conversations have no names to take.
    fn reserve(&mut self, event: &Event, channel: &ConversationId, named: &Named) -> Result<(), String> {
        if named.is_direct() {
            return Ok(());
        }
        let name = named.name();
        match self.names.insert(name.to_owned(), channel.clone()) {
            Some(other) => Err(wrong(event, format!("gives {channel} the name {name:?} of {other}"))),
            None => Ok(()),
        }
    }
}

fn conversation(event: &Event, text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text)
        .map_err(|error| wrong(event, format!("names a conversation wrongly: {error}")))
}
