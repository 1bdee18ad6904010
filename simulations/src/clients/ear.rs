//! How people listen: they hear what comes, for a while nothing if they are deaf, and give up after a long silence.

use crate::clients::{Person, Socket};
use futures::StreamExt;
use std::time::Duration;
use tungstenite::Message;

/// Silence after which the server is given up: three of its ping intervals.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// How often somebody who is deaf looks up.
const DEAF_LOOK: Duration = Duration::from_millis(200);
/// Shortest wait, so that what is due at once does not stop time.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// What came of listening.
pub(super) enum Heard {
    /// A message.
    Message(Message),
    /// Nothing, for as long as was asked.
    Nothing,
    /// The connection is over.
    Over,
}

/// One connection's listener.
pub(super) struct Ear {
    /// When something was heard last, on the client's monotonic clock.
    heard: Duration,
}

impl Ear {
    /// At the beginning of a connection.
    pub(super) fn new(person: &Person) -> Self {
        Self { heard: person.host.monotonic() }
    }

    /// Listens for at most `wait`.
    pub(super) async fn listen(&mut self, person: &Person, socket: &mut Socket, wait: Duration) -> Heard {
        if let Some(deaf) = person.deaf_for() {
            person.host.sleep(deaf.min(DEAF_LOOK)).await;
            self.heard = person.host.monotonic();
            return Heard::Nothing;
        }
        let now = person.host.monotonic();
        if now - self.heard >= SILENCE {
            return Heard::Over;
        }
        let wait = wait.min(self.heard + SILENCE - now).max(WAIT_MIN);
        let Ok(next) = person.host.timeout(wait, socket.next()).await else { return Heard::Nothing };
        self.heard = person.host.monotonic();
        match next {
            None | Some(Err(_) | Ok(Message::Close(_))) => Heard::Over,
            Some(Ok(message)) => Heard::Message(message),
        }
    }
}
