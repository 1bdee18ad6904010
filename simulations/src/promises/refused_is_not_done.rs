//! A refusal that says «not applied» means it: nothing of it appears later.

use super::Promise;
use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "refused means not done",
    says: "A refusal that says «not applied» means it: nothing of it appears later.",
};

/// Nothing that was refused as not applied, and not asked again, is in a log.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    let kept = logs.by_key();
    for (key, command) in &book.commands {
        let Some((code, false)) = &command.given_up else { continue };
        PROMISE.holds(!kept.contains_key(key.as_str()), || {
            format!(
                "{} in {} was refused with {code} and is in the log under {key}",
                command.kind, command.channel
            )
        })?;
    }
    Ok(())
}
