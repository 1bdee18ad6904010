//! What a native device's deeds are as frames.

use crate::{
    clients::{Person, knows::Knows},
    plan::Do,
};
use proto::v1::{
    Content, Delete, Edit, Join, Leave, Mark, Open, Range, React, Unreact, client_frame::Frame as Ask,
};

const EMOJI: [&str; 4] = ["tada", "eyes", "wave", "+1"];

/// A frame that wants an answer.
pub(super) struct Asked {
    pub(super) ask: Ask,
    pub(super) kind: &'static str,
    pub(super) channel: String,
    /// The message that it deletes.
    pub(super) deletes: Option<u64>,
}

/// The frame of a deed; `None` where there is nothing to do it to, or another kind of device does it.
pub(super) fn of(person: &Person, knows: &Knows, what: &Do) -> Option<Asked> {
    let key = String::new();
    let named = |number: usize| person.channel(number);
    let asked = |ask, kind, channel| Asked { ask, kind, channel, deletes: None };
    Some(match what {
        Do::Edit { channel, back, words } => {
            let channel = named(*channel)?;
            let target_us = knows.own(&channel, *back)?;
            let content = Some(Content { text: person.text(*words, None), ..Content::default() });
            asked(Ask::Edit(Edit { channel: channel.clone(), key, target_us, content }), "edit", channel)
        }
        Do::Delete { channel, back } => {
            let channel = named(*channel)?;
            let target_us = knows.own(&channel, *back)?;
            let delete = Delete { channel: channel.clone(), key, target_us };
            Asked { deletes: Some(target_us), ..asked(Ask::Delete(delete), "delete", channel) }
        }
        Do::React { channel, back, emoji } => {
            let channel = named(*channel)?;
            let (target_us, name) = (knows.any(&channel, *back)?, EMOJI[emoji % EMOJI.len()].to_owned());
            asked(Ask::React(React { channel: channel.clone(), key, target_us, name }), "react", channel)
        }
        Do::Unreact { channel, back, emoji } => {
            let channel = named(*channel)?;
            let (target_us, name) = (knows.any(&channel, *back)?, EMOJI[emoji % EMOJI.len()].to_owned());
            asked(
                Ask::Unreact(Unreact { channel: channel.clone(), key, target_us, name }),
                "unreact",
                channel,
            )
        }
        Do::Mark { channel, back } => {
            let channel = named(*channel)?;
            let target_us = knows.any(&channel, *back)?;
            asked(Ask::Mark(Mark { channel: channel.clone(), key, target_us }), "mark", channel)
        }
        Do::Join { channel } => {
            let channel = named(*channel)?;
            asked(Ask::Join(Join { channel: channel.clone(), key }), "join", channel)
        }
        Do::Leave { channel } => {
            let channel = named(*channel)?;
            asked(Ask::Leave(Leave { channel: channel.clone(), key }), "leave", channel)
        }
        Do::Direct { person: whom } => {
            let users = vec![person.users.get(*whom)?.clone()];
            asked(Ask::Open(Open { users }), "direct", String::new())
        }
        Do::Range { channel, back, limit } => {
            let channel = named(*channel)?;
            let name = person.name_of(&channel);
            let last = person.oracle.cursor(person.number, &name)?;
            let range = Range { channel: channel.clone(), after: last.saturating_sub(*back), limit: *limit };
            asked(Ask::Range(range), "range", channel)
        }
        _ => return None,
    })
}

/// Puts the key into a frame; answers the text that it carries.
pub(super) fn sign(ask: &mut Ask, key: &str) -> Option<String> {
    let (field, content) = match ask {
        Ask::Post(post) => (&mut post.key, post.content.as_ref()),
        Ask::Edit(edit) => (&mut edit.key, edit.content.as_ref()),
        Ask::Delete(delete) => (&mut delete.key, None),
        Ask::React(react) => (&mut react.key, None),
        Ask::Unreact(unreact) => (&mut unreact.key, None),
        Ask::Join(join) => (&mut join.key, None),
        Ask::Leave(leave) => (&mut leave.key, None),
        _ => return None,
    };
    key.clone_into(field);
    content.map(|content| content.text.clone())
}
