//! Close codes: why a native session ended, and whether and when to come back.
//!
//! Numbers 4000-4099 of RFC 6455's private range; never reused. PROTOCOL.md lists them, a test compares.

use crate::frame::CONTROL_BYTES_MAX;
use std::fmt;

/// Bytes of a close frame left for the reason.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $after:expr, $means:literal;)+) => {
        /// Why a native session was closed by the server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum CloseCode {
            $(#[doc = $means] $(#[$doc])* $variant = $number,)+
        }
        impl CloseCode {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// The name, which is the first word of the close frame's reason.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// What it says, as PROTOCOL.md has it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $means,)+ }
            }
            /// The shortest delay before the next attempt when the close frame names none, in milliseconds;
            /// the client's back-off comes on top. `None`: do not reconnect, the same attempt would end the
            /// same way.
            pub fn reconnect_after_ms(self) -> Option<u32> {
                match self { $(Self::$variant => $after,)+ }
            }
        }
    };
}
codes! {
    GoingAway = 4000, "going_away", Some(0),
        "The node hands its sessions over; `go_away` said where and when to connect.";
    HelloTimeout = 4001, "hello_timeout", Some(1_000),
        "No `hello` came within 10 s of connecting.";
    BadFrame = 4002, "bad_frame", None,
        "A message was not a `ClientFrame` in the form of the subprotocol.";
    FrameTooLarge = 4003, "frame_too_large", None,
        "A message was larger than `limits.frame_bytes_max`.";
    NotAuthenticated = 4004, "not_authenticated", None,
        "The token or ticket is missing, unknown, used up or of another kind.";
    Revoked = 4005, "revoked", None,
        "The token was revoked or its user deactivated while the session ran.";
    SlowConsumer = 4006, "slow_consumer", Some(1_000),
        "The socket took no bytes for too long; resume by cursor.";
    TooManyConnections = 4007, "too_many_connections", Some(10_000),
        "The node, the user or the address has as many connections as it may have.";
    Idle = 4008, "idle", Some(1_000),
        "Three pings in a row went unanswered.";
    ProtocolError = 4009, "protocol_error", None,
        "The order of frames was broken: another frame before `hello`, or a second `hello`.";
    Restarting = 4010, "restarting", Some(1_000),
        "The node stops without a hand-over; connect again, here or elsewhere.";
}

impl CloseCode {
    /// The number in the close frame.
    pub fn number(self) -> u16 {
        self as u16
    }
    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a close frame says: a code, and optionally after which delay and where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why.
    pub code: CloseCode,
    /// When to connect again, in milliseconds from now; `None`: as the code says.
    pub delay_ms: Option<u32>,
    /// Where to connect, a URL; `None`: where one was.
    pub address: Option<String>,
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code, delay_ms: code.reconnect_after_ms(), address: None }
    }
}

impl Close {
    /// When to connect again, in milliseconds from now; `None`: do not.
    pub fn reconnect_after_ms(&self) -> Option<u32> {
        self.delay_ms.or(self.code.reconnect_after_ms())
    }
    /// The reason text: `name`, then `delay_ms` if there is one, then the address if there
    /// is one and it fits into 123 bytes.
    pub fn reason(&self) -> String {
        let Some(delay) = self.delay_ms else {
            return self.code.name().to_owned();
        };
        let short = format!("{} {delay}", self.code);
        let fits = |address: &&String| {
            !address.is_empty()
                && !address.contains(char::is_whitespace)
                && short.len() + 1 + address.len() <= REASON_BYTES_MAX
        };
        match self.address.as_ref().filter(fits) {
            Some(address) => format!("{short} {address}"),
            None => short,
        }
    }
    /// Reads a close frame's number and reason; `None` when it is not one of ours.
    pub fn parse(number: u16, reason: &str) -> Option<Self> {
        let code = CloseCode::from_number(number)?;
        let mut words = reason.split_whitespace().skip(1);
        let delay_ms = words.next().and_then(|word| word.parse().ok());
        Some(Self { code, delay_ms, address: words.next().map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests;
