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

/// Whether a call was answered (`code`: its error, if any) as it must be: with the one error that is wanted, or else
/// with what was asked for or an error that others may have brought about.
pub fn called(
    client: usize,
    method: &str,
    (wanted, errors): (Option<&str>, &[&str]),
    code: Option<&str>,
    moves: bool,
) -> Result<(), Violation> {
    let earned = match (wanted, code) {
        (_, Some(code)) if moves && NOT_IN_IT.contains(&code) => true,
        (None, Some(code)) => errors.contains(&code),
        (wanted, code) => wanted == code,
    };
    PROMISE.holds(earned, || {
        format!(
            "client {client}: {method} was answered with {}, not with {}",
            code.unwrap_or("what was asked for"),
            wanted.unwrap_or("what was asked for")
        )
    })
}
