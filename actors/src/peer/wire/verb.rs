//! Verbs, one message a verb.

use super::{present, user};
use crate::command::Verb;
use crate::peer::PeerError;
use proto::id::{ConversationId, UserId};
use proto::v1::peer_verb::Verb as Wire;
use proto::v1::{
    ConversationKind, PeerVerb, TokenKind, VerbAddConversation, VerbAddUser, VerbArchive, VerbCreate,
    VerbCreateWorkspace, VerbDelete, VerbEdit, VerbInvite, VerbIssueToken, VerbJoin, VerbKick, VerbLeave,
    VerbMark, VerbNoteJoined, VerbNoteLeft, VerbNoteMention, VerbPost, VerbReact, VerbRename,
    VerbRenameConversation, VerbRevokeToken, VerbSetPurpose, VerbSetTopic, VerbUnarchive, VerbUnreact,
};

impl From<&Verb> for PeerVerb {
    fn from(verb: &Verb) -> Self {
        Self { verb: Some(message(verb.clone())) }
    }
}

fn message(verb: Verb) -> Wire {
    match verb {
        Verb::Create { name, kind, members } => {
            Wire::Create(VerbCreate { name, kind: kind.into(), members: texts(&members) })
        }
        Verb::Post { content, thread_us, reply_broadcast, client_msg_id } => {
            let content = Some(content);
            Wire::Post(VerbPost { content, thread_us, reply_broadcast, client_msg_id })
        }
        Verb::Edit { target_us, content } => Wire::Edit(VerbEdit { target_us, content: Some(content) }),
        Verb::Delete { target_us } => Wire::Delete(VerbDelete { target_us }),
        Verb::React { target_us, name } => Wire::React(VerbReact { target_us, name }),
        Verb::Unreact { target_us, name } => Wire::Unreact(VerbUnreact { target_us, name }),
        Verb::Join => Wire::Join(VerbJoin {}),
        Verb::Leave => Wire::Leave(VerbLeave {}),
        Verb::Invite { user } => Wire::Invite(VerbInvite { user: user.to_string() }),
        Verb::Kick { user } => Wire::Kick(VerbKick { user: user.to_string() }),
        Verb::SetTopic { topic } => Wire::SetTopic(VerbSetTopic { topic }),
        Verb::SetPurpose { purpose } => Wire::SetPurpose(VerbSetPurpose { purpose }),
        Verb::Rename { name } => Wire::Rename(VerbRename { name }),
        Verb::Archive => Wire::Archive(VerbArchive {}),
        Verb::Unarchive => Wire::Unarchive(VerbUnarchive {}),
        Verb::CreateWorkspace { name, domain } => Wire::CreateWorkspace(VerbCreateWorkspace { name, domain }),
        Verb::AddUser { user, name, real_name, email, bot_id, admin } => {
            let user = user.to_string();
            Wire::AddUser(VerbAddUser { user, name, real_name, email, bot_id, admin })
        }
        Verb::AddConversation { channel, name, kind, members } => {
            let (channel, kind, members) = (channel.to_string(), kind.into(), texts(&members));
            Wire::AddConversation(VerbAddConversation { channel, name, kind, members })
        }
        Verb::RenameConversation { channel, name } => {
            Wire::RenameConversation(VerbRenameConversation { channel: channel.to_string(), name })
        }
        Verb::NoteJoined { channel, seq, kind } => {
            Wire::NoteJoined(VerbNoteJoined { channel: channel.to_string(), seq, kind: kind.into() })
        }
        Verb::NoteLeft { channel, seq } => Wire::NoteLeft(VerbNoteLeft { channel: channel.to_string(), seq }),
        Verb::NoteMention { channel, target_us } => {
            Wire::NoteMention(VerbNoteMention { channel: channel.to_string(), target_us })
        }
        Verb::Mark { channel, target_us, seq, countable, broadcast } => {
            let channel = channel.to_string();
            Wire::Mark(VerbMark { channel, target_us, seq, countable, broadcast })
        }
        Verb::IssueToken { hash, kind, scopes } => {
            Wire::IssueToken(VerbIssueToken { hash, kind: kind.into(), scopes })
        }
        Verb::RevokeToken { hash } => Wire::RevokeToken(VerbRevokeToken { hash }),
    }
}

impl TryFrom<PeerVerb> for Verb {
    type Error = PeerError;
    fn try_from(verb: PeerVerb) -> Result<Self, PeerError> {
        read(present(verb.verb, "verb")?)
    }
}

fn read(verb: Wire) -> Result<Verb, PeerError> {
    Ok(match verb {
        Wire::Create(VerbCreate { name, kind, members }) => {
            Verb::Create { name, kind: conversation_kind(kind)?, members: users(&members)? }
        }
        Wire::Post(VerbPost { content, thread_us, reply_broadcast, client_msg_id }) => {
            let content = present(content, "content")?;
            Verb::Post { content, thread_us, reply_broadcast, client_msg_id }
        }
        Wire::Edit(VerbEdit { target_us, content }) => {
            Verb::Edit { target_us, content: present(content, "content")? }
        }
        Wire::Delete(VerbDelete { target_us }) => Verb::Delete { target_us },
        Wire::React(VerbReact { target_us, name }) => Verb::React { target_us, name },
        Wire::Unreact(VerbUnreact { target_us, name }) => Verb::Unreact { target_us, name },
        Wire::Join(VerbJoin {}) => Verb::Join,
        Wire::Leave(VerbLeave {}) => Verb::Leave,
        Wire::Invite(VerbInvite { user: whom }) => Verb::Invite { user: user(&whom)? },
        Wire::Kick(VerbKick { user: whom }) => Verb::Kick { user: user(&whom)? },
        Wire::SetTopic(VerbSetTopic { topic }) => Verb::SetTopic { topic },
        Wire::SetPurpose(VerbSetPurpose { purpose }) => Verb::SetPurpose { purpose },
        Wire::Rename(VerbRename { name }) => Verb::Rename { name },
        Wire::Archive(VerbArchive {}) => Verb::Archive,
        Wire::Unarchive(VerbUnarchive {}) => Verb::Unarchive,
        Wire::CreateWorkspace(VerbCreateWorkspace { name, domain }) => Verb::CreateWorkspace { name, domain },
        Wire::AddUser(VerbAddUser { user: id, name, real_name, email, bot_id, admin }) => {
            Verb::AddUser { user: user(&id)?, name, real_name, email, bot_id, admin }
        }
        Wire::AddConversation(VerbAddConversation { channel, name, kind, members }) => {
            let (channel, kind) = (conversation(&channel)?, conversation_kind(kind)?);
            Verb::AddConversation { channel, name, kind, members: users(&members)? }
        }
        Wire::RenameConversation(VerbRenameConversation { channel, name }) => {
            Verb::RenameConversation { channel: conversation(&channel)?, name }
        }
        Wire::NoteJoined(VerbNoteJoined { channel, seq, kind }) => {
            Verb::NoteJoined { channel: conversation(&channel)?, seq, kind: conversation_kind(kind)? }
        }
        Wire::NoteLeft(VerbNoteLeft { channel, seq }) => {
            Verb::NoteLeft { channel: conversation(&channel)?, seq }
        }
        Wire::NoteMention(VerbNoteMention { channel, target_us }) => {
            Verb::NoteMention { channel: conversation(&channel)?, target_us }
        }
        Wire::Mark(VerbMark { channel, target_us, seq, countable, broadcast }) => {
            Verb::Mark { channel: conversation(&channel)?, target_us, seq, countable, broadcast }
        }
        Wire::IssueToken(VerbIssueToken { hash, kind, scopes }) => {
            Verb::IssueToken { hash, kind: token_kind(kind)?, scopes }
        }
        Wire::RevokeToken(VerbRevokeToken { hash }) => Verb::RevokeToken { hash },
    })
}

fn texts(ids: &[UserId]) -> Vec<String> {
    ids.iter().map(UserId::to_string).collect()
}

fn users(texts: &[String]) -> Result<Vec<UserId>, PeerError> {
    texts.iter().map(|text| user(text)).collect()
}

fn conversation(text: &str) -> Result<ConversationId, PeerError> {
    Ok(ConversationId::parse(text)?)
}

/// A later build's kind would be kept as another one: whoever asks for it is refused.
fn conversation_kind(kind: i32) -> Result<ConversationKind, PeerError> {
    ConversationKind::try_from(kind).map_err(|_| PeerError::Impossible("kind of conversation", kind.into()))
}

/// As [`conversation_kind`].
fn token_kind(kind: i32) -> Result<TokenKind, PeerError> {
    TokenKind::try_from(kind).map_err(|_| PeerError::Impossible("kind of token", kind.into()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proto::v1::Content;

    /// The verbs one after the other; a new one does not compile until it has its place in the row. No two fields of a
    /// verb have the same value.
    fn next(verb: &Verb) -> Option<Verb> {
        let (name, hash, scopes) =
            ("general".to_owned(), "ab12".to_owned(), vec!["chat:write".into(), "b".into()]);
        let user = UserId::parse("U061F7AUR").expect("a user");
        let members = vec![user.clone(), UserId::parse("W2").expect("a user")];
        let channel = ConversationId::parse("C0EAQDV4Z").expect("a conversation");
        let (target_us, seq, kind) = (1_795_305_169_000_043, 300, ConversationKind::Mpim);
        let content = Content { text: "Grüße 👋".into(), blocks: "[]".into(), ..Content::default() };
        let [domain, real_name, email, bot_id, client_msg_id] =
            ["domain", "Ann B", "ann@example.org", "B1", "id"].map(str::to_owned);
        Some(match verb {
            Verb::Create { .. } => {
                Verb::Post { content, thread_us: target_us, reply_broadcast: true, client_msg_id }
            }
            Verb::Post { .. } => Verb::Edit { target_us, content },
            Verb::Edit { .. } => Verb::Delete { target_us },
            Verb::Delete { .. } => Verb::React { target_us, name },
            Verb::React { .. } => Verb::Unreact { target_us, name },
            Verb::Unreact { .. } => Verb::Join,
            Verb::Join => Verb::Leave,
            Verb::Leave => Verb::Invite { user },
            Verb::Invite { .. } => Verb::Kick { user },
            Verb::Kick { .. } => Verb::SetTopic { topic: "topic".into() },
            Verb::SetTopic { .. } => Verb::SetPurpose { purpose: "purpose".into() },
            Verb::SetPurpose { .. } => Verb::Rename { name },
            Verb::Rename { .. } => Verb::Archive,
            Verb::Archive => Verb::Unarchive,
            Verb::Unarchive => Verb::CreateWorkspace { name, domain },
            Verb::CreateWorkspace { .. } => {
                Verb::AddUser { user, name, real_name, email, bot_id, admin: true }
            }
            Verb::AddUser { .. } => Verb::AddConversation { channel, name, kind, members },
            Verb::AddConversation { .. } => Verb::RenameConversation { channel, name },
            Verb::RenameConversation { .. } => Verb::NoteJoined { channel, seq, kind },
            Verb::NoteJoined { .. } => Verb::NoteLeft { channel, seq },
            Verb::NoteLeft { .. } => Verb::NoteMention { channel, target_us },
            Verb::NoteMention { .. } => {
                Verb::Mark { channel, target_us, seq, countable: 200, broadcast: u64::MAX }
            }
            Verb::Mark { .. } => Verb::IssueToken { hash, kind: TokenKind::App, scopes },
            Verb::IssueToken { .. } => Verb::RevokeToken { hash },
            Verb::RevokeToken { .. } => return None,
        })
    }

    /// Every verb.
    pub fn verbs() -> impl Iterator<Item = Verb> {
        let members = vec![UserId::parse("U1").expect("a user")];
        let first = Verb::Create { name: "random".into(), kind: ConversationKind::Private, members };
        std::iter::successors(Some(first), next)
    }

    #[test]
    fn every_verb_arrives_as_it_was_and_with_its_fingerprint() {
        assert_eq!(verbs().count(), 25, "verbs");
        for was in verbs() {
            let arrived = Verb::try_from(PeerVerb::from(&was));
            assert_eq!(arrived.as_ref().map(Verb::fingerprint), Ok(was.fingerprint()));
            assert_eq!(arrived, Ok(was));
        }
    }

    #[test]
    fn a_verb_that_lacks_what_it_is_about_is_not_done() {
        let of = |verb| Verb::try_from(PeerVerb { verb });
        assert_eq!(of(None), Err(PeerError::Absent("verb")));
        for empty in [Wire::Post(VerbPost::default()), Wire::Edit(VerbEdit::default())] {
            assert_eq!(of(Some(empty)), Err(PeerError::Absent("content")));
        }
        for nobody in [Wire::Invite(VerbInvite::default()), Wire::Mark(VerbMark::default())] {
            assert!(matches!(of(Some(nobody)), Err(PeerError::Id(_))));
        }
    }

    #[test]
    fn a_later_builds_kind_is_not_taken_for_another() {
        let create = |kind| Wire::Create(VerbCreate { kind, ..VerbCreate::default() });
        let issue = |kind| Wire::IssueToken(VerbIssueToken { kind, ..VerbIssueToken::default() });
        for kind in [5, -1, i32::MAX] {
            for later in [create(kind), issue(kind)] {
                let error = read(later).expect_err("a kind that nobody knows");
                assert!(
                    matches!(error, PeerError::Impossible(_, number) if number == i64::from(kind)),
                    "{error}"
                );
            }
        }
    }
}
