//! What a task owes the channel that started it.

use super::ChannelMessage;
use ractor::ActorRef;

/// A message that the channel gets in any case: the one that was kept, or the one that says that the task ended
/// without (it panicked, or the machine stops). A channel that waits for a word never waits for ever.
pub(super) struct Promise {
    channel: ActorRef<ChannelMessage>,
    message: Option<ChannelMessage>,
}

impl Promise {
    /// Owes a message; `unless` is what the channel hears if it is not kept.
    pub(super) fn new(channel: &ActorRef<ChannelMessage>, unless: ChannelMessage) -> Self {
        let unless = (!cluster::planted!(PromiseBroken)).then_some(unless);
        Self { channel: channel.clone(), message: unless }
    }
    /// Says what came of it.
    pub(super) fn keep(mut self, message: ChannelMessage) {
        self.message = Some(message);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            // The actor may be gone: whoever comes after it reads the store.
            let _ = self.channel.cast(message);
        }
    }
}
