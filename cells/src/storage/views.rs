//! Writes to the views, in the append's own transaction.

use super::engine::Trouble;
use super::keys::Key;
use super::tables::{BodyOf, Tables, put, put_bodied, remove_bodied};
use actors::store::{LogId, ViewWrite};
use proto::id::ChannelId;
use proto::v1::{MessageRow, ReactionRow, ReplyOfRow};

impl Tables<'_> {
    /// Applies one view write of this log, whose key prefix is `at`.
    pub(super) fn view(&mut self, log: &LogId, at: &Key, view: &ViewWrite) -> Result<(), Trouble> {
        match view {
            ViewWrite::Message(row) => self.put_message(at, row.clone()),
            ViewWrite::MessageGone { us, .. } => {
                let body = BodyOf::Message(*us).key(at);
                remove_bodied(&mut self.message, &mut self.body, &at.clone().u64(*us), &body)
            }
            ViewWrite::Reply(row) => self.put_reply(at, row.clone()),
            ViewWrite::ReplyGone { parent_us, us } => {
                self.reply_of.remove(at.clone().u64(*us).bytes())?;
                let key = at.clone().u64(*parent_us).u64(*us);
                remove_bodied(&mut self.thread, &mut self.body, &key, &BodyOf::Reply(*us).key(at))
            }
            ViewWrite::Reaction { us, name, user, seq, .. } => {
                let key = reaction_key(at, *us, name, user.as_str());
                put(&mut self.reaction, &key, &ReactionRow { seq: *seq })
            }
            ViewWrite::ReactionGone { us, name, user, .. } => {
                self.reaction.remove(reaction_key(at, *us, name, user.as_str()).bytes())?;
                Ok(())
            }
            ViewWrite::ReactionsGone { us, .. } => {
                let of_message = at.clone().u64(*us);
                let end = of_message.end();
                let range = of_message.bytes()..end.as_slice();
                Ok(self.reaction.retain_in::<&[u8], _>(range, |_, _| false)?)
            }
            ViewWrite::Member { user, row } => put(&mut self.member, &at.clone().id(user.as_str()), row),
            ViewWrite::MemberGone { user } => {
                self.member.remove(at.clone().id(user.as_str()).bytes())?;
                Ok(())
            }
            ViewWrite::Redact { rows } => self.redact(at, rows.iter().map(|(_, seq)| *seq)),
            of_workspace => self.view_of_workspace(log, of_workspace),
        }
    }

    /// Views of a user's and of a workspace's log.
    fn view_of_workspace(&mut self, log: &LogId, view: &ViewWrite) -> Result<(), Trouble> {
        let at = Key::workspace(&log.workspace);
        match (view, &log.channel) {
            (ViewWrite::Joined { channel, row }, ChannelId::User(user)) => {
                put(&mut self.joined, &at.id(user.as_str()).id(channel.as_str()), row)
            }
            (ViewWrite::Mark { channel, row }, ChannelId::User(user)) => {
                put(&mut self.mark, &at.id(user.as_str()).id(channel.as_str()), row)
            }
            (ViewWrite::Token { hash, row }, _) => put(&mut self.token, &Key::default().text(hash), row),
            (ViewWrite::User { user, row }, _) => put(&mut self.user, &at.id(user.as_str()), row),
            (ViewWrite::Conversation { channel, row }, _) => {
                put(&mut self.conversation, &at.id(channel.as_str()), row)
            }
            (ViewWrite::Workspace(row), _) => put(&mut self.workspace, &at, row),
            (view, channel) => unreachable!("assert_whole lets no {channel} write {view:?}"),
        }
    }

    fn put_message(&mut self, at: &Key, row: MessageRow) -> Result<(), Trouble> {
        let (key, body) = (at.clone().u64(row.us), BodyOf::Message(row.us).key(at));
        put_bodied(&mut self.message, &mut self.body, &key, &body, row).map(drop)
    }

    fn put_reply(&mut self, at: &Key, row: MessageRow) -> Result<(), Trouble> {
        let (us, parent_us) = (row.us, row.thread_us);
        put(&mut self.reply_of, &at.clone().u64(us), &ReplyOfRow { parent_us })?;
        let key = at.clone().u64(parent_us).u64(us);
        put_bodied(&mut self.thread, &mut self.body, &key, &BodyOf::Reply(us).key(at), row).map(drop)
    }
}

/// The key of one user's reaction.
pub fn reaction_key(at: &Key, us: u64, name: &str, user: &str) -> Key {
    at.clone().u64(us).text(name).id(user)
}
