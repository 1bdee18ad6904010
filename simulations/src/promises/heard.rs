//! Who may speak is heard: a good command is taken, if not at once then after the delay that its refusal names; a
//! mistake is named.

use super::Promise;
use crate::world::report::Violation;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "who may speak is heard",
    says: "A good command is taken, if not at once then after the delay that its refusal names; a mistake is named.",
};

/// Refusals that people earn who act on what others may have changed meanwhile.
const EARNED: [&str; 15] = [
    "already_reacted",
    "cant_delete_message",
    "cant_invite_self",
    "cant_update_message",
    "edit_window_closed",
    "idempotency_key_reused",
    "message_not_found",
    "method_not_supported_for_channel_type",
    "no_reaction",
    "no_text",
    "thread_not_found",
    "already_in_channel",
    "cannot_reply_to_message",
    "invalid_name",
    "user_not_found",
];
/// Refusals of those whose membership changes.
const NOT_IN_IT: [&str; 2] = ["not_in_channel", "channel_not_found"];

/// Whether a refusal for good was earned. `moves`: somebody joins, leaves or is removed there; `plain`: a message that
/// asks nothing of any other one.
pub fn refused(client: usize, kind: &str, code: &str, moves: bool, plain: bool) -> Result<(), Violation> {
    let earned = (!plain && EARNED.contains(&code)) || (moves && NOT_IN_IT.contains(&code));
    PROMISE.holds(earned, || format!("client {client}: a {kind} was refused with {code}"))
}

/// What a call must be answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Due {
    /// What was asked for, or one of these errors: others may have changed meanwhile what it is about.
    Answer(&'static [&'static str]),
    /// This error: the call is a mistake.
    Error(&'static str),
}

/// Whether a call was answered (`code`: its error, if any) as it must be.
pub fn called(
    client: usize,
    method: &str,
    due: Due,
    code: Option<&str>,
    moves: bool,
) -> Result<(), Violation> {
    let earned = match (due, code) {
        (_, Some(code)) if moves && NOT_IN_IT.contains(&code) => true,
        (Due::Answer(errors), code) => code.is_none_or(|code| errors.contains(&code)),
        (Due::Error(error), code) => code == Some(error),
    };
    PROMISE.holds(earned, || {
        let answered = code.unwrap_or("what was asked for");
        format!("client {client}: {method} was answered with {answered}, not with {due:?}")
    })
}
