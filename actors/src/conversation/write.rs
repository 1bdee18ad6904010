//! Deciding what may be written: posting, editing, deleting.

use super::{Conversation, check, mentions_everyone, rows::Found, silent};
use crate::command::Command;
use crate::store::INLINE_BODY_MAX;
use crate::subject::{Decision, Draft, Need};
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{self, Content, MessageKind};

impl Conversation {
    pub(super) fn post(
        &mut self,
        content: &Content,
        thread_us: Micros,
        reply_broadcast: bool,
        client_msg_id: &str,
    ) -> Decision {
        if let Err(refusal) = check(content, &self.limits) {
            return Decision::Refuse(refusal);
        }
        let thread_us = match self.parent_of(thread_us) {
            Ok(parent_us) => parent_us,
            Err(decision) => return *decision,
        };
        let shown = thread_us == 0 || (reply_broadcast && !cluster::planted!(BroadcastNotCounted));
        Decision::Append(Box::new(Draft {
            countable: shown,
            broadcast: shown && mentions_everyone(&content.text),
            body: Body::Posted(v1::Posted {
                content: Some(written(content)),
                thread_us,
                reply_broadcast: reply_broadcast && thread_us != 0,
                client_msg_id: client_msg_id.to_owned(),
            }),
        }))
    }

    /// The parent that a reply to `us` belongs to: `us` itself, or the parent of the reply that it is.
    fn parent_of(&self, us: Micros) -> Result<Micros, Box<Decision>> {
        if us == 0 {
            return Ok(0);
        }
        match self.rows.find(us) {
            Found::Unknown => Err(Box::new(Decision::Need(Need::Message(us)))),
            Found::Row(row) if row.kind() != MessageKind::Tombstone => {
                if row.thread_us == 0 {
                    Ok(us)
                } else {
                    self.parent_of(row.thread_us)
                }
            }
            Found::Absent | Found::Row(_) => Err(Box::new(Decision::refuse("thread_not_found"))),
        }
    }

    pub(super) fn edit(&mut self, command: &Command, target_us: Micros, content: &Content) -> Decision {
        if let Err(refusal) = check(content, &self.limits) {
            return Decision::Refuse(refusal);
        }
        match self.rows.find(target_us) {
            Found::Unknown => Decision::Need(Need::Message(target_us)),
            Found::Absent => Decision::refuse("message_not_found"),
            Found::Row(row) if row.kind() != MessageKind::Plain || row.sender != command.sender_str() => {
                Decision::refuse("cant_update_message")
            }
            Found::Row(row) if row.body_seqs.len() > self.limits.message_edits_max => {
                Decision::refuse("edit_window_closed")
            }
            Found::Row(row) if row.content.as_ref() == Some(content) => Decision::Nothing(Some(row)),
            Found::Row(_) => silent(Body::Edited(v1::Edited { target_us, content: Some(content.clone()) })),
        }
    }

    pub(super) fn delete(&mut self, command: &Command, target_us: Micros) -> Decision {
        let row = match self.rows.find(target_us) {
            Found::Unknown => return Decision::Need(Need::Message(target_us)),
            Found::Absent => return Decision::refuse("message_not_found"),
            Found::Row(row) => row,
        };
        if row.kind() == MessageKind::Tombstone {
            return Decision::refuse("message_not_found");
        }
        if command.sender.is_some() && row.sender != command.sender_str() {
            return Decision::refuse("cant_delete_message");
        }
        if row.thread_us != 0
            && let Some(need) = self.need_for_reply_deletion(row.thread_us, target_us)
        {
            return Decision::Need(need);
        }
        silent(Body::Deleted(v1::Deleted { target_us }))
    }

    /// Taking a thread's last reply away needs the one before it, for the parent's summary.
    fn need_for_reply_deletion(&self, parent_us: Micros, target_us: Micros) -> Option<Need> {
        let parent = match self.rows.find(parent_us) {
            Found::Unknown => return Some(Need::Message(parent_us)),
            Found::Absent => return None,
            Found::Row(parent) => parent,
        };
        let last = parent.latest_reply_us == target_us;
        let unknown = last && self.rows.reply_before(parent_us, target_us).is_none();
        unknown.then(|| Need::LastReplies { parent_us, durable: self.rows.touched(parent_us) })
    }
}

/// What a message says, as its event has it.
fn written(content: &Content) -> Content {
    let mut content = content.clone();
    if cluster::planted!(LongTextCut) {
        content.text.truncate(content.text.floor_char_boundary(INLINE_BODY_MAX));
    }
    content
}
