//! Writes to views, one message a kind.

use super::{Malformed, present};
use crate::store::ViewWrite;
use proto::id::{ConversationId, UserId};
use proto::v1::store_view::View;
use proto::v1::{
    StoreConversation, StoreJoined, StoreMark, StoreMember, StoreMemberGone, StoreMessageGone, StoreReaction,
    StoreReactionGone, StoreReactionsGone, StoreRedact, StoreRedacted, StoreReplyGone, StoreToken, StoreUser,
    StoreView,
};

impl From<ViewWrite> for StoreView {
    fn from(view: ViewWrite) -> Self {
        Self { view: Some(message(view)) }
    }
}

fn message(view: ViewWrite) -> View {
    match view {
        ViewWrite::Message(row) => View::Message(row),
        ViewWrite::MessageGone { bucket, us } => View::MessageGone(StoreMessageGone { bucket, us }),
        ViewWrite::Reply(row) => View::Reply(row),
        ViewWrite::ReplyGone { parent_us, us } => View::ReplyGone(StoreReplyGone { parent_us, us }),
        ViewWrite::Reaction { bucket, us, name, user, seq } => {
            View::Reaction(StoreReaction { bucket, us, name, user: user.to_string(), seq })
        }
        ViewWrite::ReactionGone { bucket, us, name, user } => {
            View::ReactionGone(StoreReactionGone { bucket, us, name, user: user.to_string() })
        }
        ViewWrite::ReactionsGone { bucket, us } => View::ReactionsGone(StoreReactionsGone { bucket, us }),
        ViewWrite::Member { user, row } => {
            View::Member(StoreMember { user: user.to_string(), row: Some(row) })
        }
        ViewWrite::MemberGone { user } => View::MemberGone(StoreMemberGone { user: user.to_string() }),
        ViewWrite::Joined { channel, row } => {
            View::Joined(StoreJoined { channel: channel.to_string(), row: Some(row) })
        }
        ViewWrite::Mark { channel, row } => {
            View::Mark(StoreMark { channel: channel.to_string(), row: Some(row) })
        }
        ViewWrite::Token { hash, row } => View::Token(StoreToken { hash, row: Some(row) }),
        ViewWrite::User { user, row } => View::User(StoreUser { user: user.to_string(), row: Some(row) }),
        ViewWrite::Conversation { channel, row } => {
            View::Conversation(StoreConversation { channel: channel.to_string(), row: Some(row) })
        }
        ViewWrite::Workspace(row) => View::Workspace(row),
        ViewWrite::Redact { rows } => {
            let rows = rows.into_iter().map(|(bucket, seq)| StoreRedacted { bucket, seq });
            View::Redact(StoreRedact { rows: rows.collect() })
        }
    }
}

impl TryFrom<StoreView> for ViewWrite {
    type Error = Malformed;
    fn try_from(view: StoreView) -> Result<Self, Malformed> {
        read(present(view.view, "view")?)
    }
}

fn read(view: View) -> Result<ViewWrite, Malformed> {
    let (user, channel) = (UserId::parse, ConversationId::parse);
    Ok(match view {
        View::Message(row) => ViewWrite::Message(row),
        View::MessageGone(StoreMessageGone { bucket, us }) => ViewWrite::MessageGone { bucket, us },
        View::Reply(row) => ViewWrite::Reply(row),
        View::ReplyGone(StoreReplyGone { parent_us, us }) => ViewWrite::ReplyGone { parent_us, us },
        View::Reaction(StoreReaction { bucket, us, name, user: who, seq }) => {
            ViewWrite::Reaction { bucket, us, name, user: user(&who)?, seq }
        }
        View::ReactionGone(StoreReactionGone { bucket, us, name, user: who }) => {
            ViewWrite::ReactionGone { bucket, us, name, user: user(&who)? }
        }
        View::ReactionsGone(StoreReactionsGone { bucket, us }) => ViewWrite::ReactionsGone { bucket, us },
        View::Member(of) => ViewWrite::Member { user: user(&of.user)?, row: present(of.row, "member")? },
        View::MemberGone(of) => ViewWrite::MemberGone { user: user(&of.user)? },
        View::Joined(of) => {
            ViewWrite::Joined { channel: channel(&of.channel)?, row: present(of.row, "join")? }
        }
        View::Mark(of) => ViewWrite::Mark { channel: channel(&of.channel)?, row: present(of.row, "mark")? },
        View::Token(of) => ViewWrite::Token { hash: of.hash, row: present(of.row, "token")? },
        View::User(of) => ViewWrite::User { user: user(&of.user)?, row: present(of.row, "user")? },
        View::Conversation(of) => {
            ViewWrite::Conversation { channel: channel(&of.channel)?, row: present(of.row, "conversation")? }
        }
        View::Workspace(row) => ViewWrite::Workspace(row),
        View::Redact(StoreRedact { rows }) => {
            ViewWrite::Redact { rows: rows.into_iter().map(|row| (row.bucket, row.seq)).collect() }
        }
    })
}
