//! The way to a channel: its slot, the slot's actor, and retries of what is lost on the way.

use crate::command::{Command, Done, ReplyTo};
use crate::store::LogId;
use proto::refusal::Refusal;

/// placeholder while the core is written
#[derive(Clone)]
pub struct Router;
impl Router {
    /// Runs a command to its durable end.
    pub async fn execute(&self, _log: LogId, _command: Command) -> Result<Done, Refusal> {
        let _: Option<ReplyTo> = None;
        Err(Refusal::Unknown)
    }
}
