//! What a client can ask of the server. A command that carries a key is sent again until it has an answer.

use super::{Client, ClientError};
use proto::v1;
use proto::v1::client_frame::Frame as Command;
use proto::v1::server_frame::Frame as Answer;
use tokio::sync::oneshot;

impl Client {
    /// Posts a text; answers when it is durable. The key makes it safe to send again.
    pub async fn post(&self, channel: &str, text: &str, key: &str) -> Result<v1::Ack, ClientError> {
        self.reply(channel, 0, text, key).await
    }
    /// Posts a reply into the thread of `thread_us` (0: none).
    pub async fn reply(
        &self,
        channel: &str,
        thread_us: u64,
        text: &str,
        key: &str,
    ) -> Result<v1::Ack, ClientError> {
        let (channel, key, content) = (channel.to_owned(), key.to_owned(), content(text));
        self.ack(Command::Post(v1::Post { channel, key, content, thread_us, reply_broadcast: false })).await
    }
    /// Replaces the text of one's own message.
    pub async fn edit(
        &self,
        channel: &str,
        target_us: u64,
        text: &str,
        key: &str,
    ) -> Result<v1::Ack, ClientError> {
        let (channel, key, content) = (channel.to_owned(), key.to_owned(), content(text));
        self.ack(Command::Edit(v1::Edit { channel, key, target_us, content })).await
    }
    /// Deletes a message.
    pub async fn delete(&self, channel: &str, target_us: u64, key: &str) -> Result<v1::Ack, ClientError> {
        let (channel, key) = (channel.to_owned(), key.to_owned());
        self.ack(Command::Delete(v1::Delete { channel, key, target_us })).await
    }
    /// Adds a reaction.
    pub async fn react(
        &self,
        channel: &str,
        target_us: u64,
        name: &str,
        key: &str,
    ) -> Result<v1::Ack, ClientError> {
        let (channel, key, name) = (channel.to_owned(), key.to_owned(), name.to_owned());
        self.ack(Command::React(v1::React { channel, key, target_us, name })).await
    }
    /// Takes a reaction back.
    pub async fn unreact(
        &self,
        channel: &str,
        target_us: u64,
        name: &str,
        key: &str,
    ) -> Result<v1::Ack, ClientError> {
        let (channel, key, name) = (channel.to_owned(), key.to_owned(), name.to_owned());
        self.ack(Command::Unreact(v1::Unreact { channel, key, target_us, name })).await
    }
    /// Joins a public conversation.
    pub async fn join(&self, channel: &str, key: &str) -> Result<v1::Ack, ClientError> {
        self.ack(Command::Join(v1::Join { channel: channel.to_owned(), key: key.to_owned() })).await
    }
    /// Leaves a conversation.
    pub async fn leave(&self, channel: &str, key: &str) -> Result<v1::Ack, ClientError> {
        self.ack(Command::Leave(v1::Leave { channel: channel.to_owned(), key: key.to_owned() })).await
    }
    /// Moves the read position to a message.
    pub async fn mark(&self, channel: &str, target_us: u64, key: &str) -> Result<v1::Ack, ClientError> {
        let (channel, key) = (channel.to_owned(), key.to_owned());
        self.ack(Command::Mark(v1::Mark { channel, key, target_us })).await
    }
    /// Opens the direct conversation with these users; the ack names it.
    pub async fn open(&self, users: &[&str]) -> Result<v1::Ack, ClientError> {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        self.ack(Command::Open(v1::Open { users })).await
    }
    /// Says that one is typing; there is no answer, and none is waited for.
    pub fn typing(&self, channel: &str) {
        let command = Command::Typing(v1::Typing { channel: channel.to_owned() });
        self.shared.state().outbox.push(command, None);
        self.shared.outgoing.notify_one();
    }
    /// Reads (after, after + limit] of a channel's log, apart from what is being followed.
    pub async fn range(&self, channel: &str, after: u64, limit: u32) -> Result<v1::Page, ClientError> {
        let command = Command::Range(v1::Range { channel: channel.to_owned(), after, limit });
        match self.call(command).await? {
            Answer::Page(page) => Ok(page),
            other => Err(ClientError::Unexpected(Box::new(other))),
        }
    }
    /// Follows more channels, each from a cursor.
    pub async fn follow(&self, cursors: &[(&str, u64)]) -> Result<v1::Following, ClientError> {
        let cursors: Vec<v1::Cursor> = cursors
            .iter()
            .map(|(channel, seq)| v1::Cursor { channel: (*channel).to_owned(), seq: *seq })
            .collect();
        for cursor in &cursors {
            self.shared.state().receiver.start(&cursor.channel, cursor.seq);
        }
        match self.call(Command::Follow(v1::Follow { cursors })).await? {
            Answer::Following(following) => Ok(following),
            other => Err(ClientError::Unexpected(Box::new(other))),
        }
    }
    /// Asks for a `pong` with the same note: everything sent before it has then been read by the server.
    pub async fn ping(&self, note: &str) -> Result<String, ClientError> {
        match self.call(Command::Ping(v1::Ping { note: note.to_owned() })).await? {
            Answer::Pong(pong) => Ok(pong.note),
            other => Err(ClientError::Unexpected(Box::new(other))),
        }
    }

    async fn ack(&self, command: Command) -> Result<v1::Ack, ClientError> {
        match self.call(command).await? {
            Answer::Ack(ack) => Ok(ack),
            other => Err(ClientError::Unexpected(Box::new(other))),
        }
    }

    /// Sends any command and waits for its answer.
    pub async fn call(&self, command: Command) -> Result<Answer, ClientError> {
        let (waiter, answer) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(ended) = &state.ended {
                return Err(ended.clone());
            }
            state.outbox.push(command, Some(waiter));
        }
        self.shared.outgoing.notify_one();
        answer.await.unwrap_or(Err(ClientError::Gone))
    }
}

fn content(text: &str) -> Option<v1::Content> {
    Some(v1::Content { text: text.to_owned(), ..v1::Content::default() })
}
