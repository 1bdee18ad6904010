//! What RTM clients send. Old ones leave `id` away and end frames in a newline.

use serde_json::{Map, Value};

/// Longest frame taken, in bytes (Slack's limit).
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// A frame that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtmError {
    /// More than [`FRAME_BYTES_MAX`].
    #[error("frame is longer than 16384 bytes")]
    TooLong,
    /// Not a JSON object.
    #[error("frame is not a JSON object")]
    NotJson,
}

/// Something to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RtmMessage {
    /// Chosen by the client; the ack names it.
    pub id: Option<i64>,
    /// Where.
    pub channel: String,
    /// What; empty when it was missing.
    pub text: String,
    /// The thread.
    pub thread_ts: Option<String>,
    /// Show the reply in the channel as well.
    pub reply_broadcast: bool,
}

/// A frame.
#[derive(Debug, Clone, PartialEq)]
pub enum RtmIn {
    /// Post this.
    Message(RtmMessage),
    /// The user is typing.
    Typing {
        /// Where.
        channel: String,
    },
    /// Answer with a pong.
    Ping {
        /// Chosen by the client.
        id: Option<i64>,
        /// Everything else in the frame; goes back as it came.
        extras: Map<String, Value>,
    },
    /// A frame that asks for nothing we do.
    Ignored,
}

/// Reads a frame.
pub fn parse(text: &[u8]) -> Result<RtmIn, RtmError> {
    if text.len() > FRAME_BYTES_MAX {
        return Err(RtmError::TooLong);
    }
    let Ok(Value::Object(mut frame)) = serde_json::from_slice(text) else { return Err(RtmError::NotJson) };
    let id = frame.remove("id").and_then(|id| id.as_i64());
    let kind = frame.remove("type");
    Ok(match kind.as_ref().and_then(Value::as_str) {
        Some("message") => RtmIn::Message(RtmMessage {
            id,
            channel: text_of(&mut frame, "channel").unwrap_or_default(),
            text: text_of(&mut frame, "text").unwrap_or_default(),
            thread_ts: text_of(&mut frame, "thread_ts").filter(|ts| !ts.is_empty()),
            reply_broadcast: frame.get("reply_broadcast").is_some_and(truth),
        }),
        Some("typing") => match text_of(&mut frame, "channel") {
            Some(channel) => RtmIn::Typing { channel },
            None => RtmIn::Ignored,
        },
        Some("ping") => RtmIn::Ping { id, extras: frame },
        _ => RtmIn::Ignored,
    })
}

fn text_of(frame: &mut Map<String, Value>, name: &str) -> Option<String> {
    match frame.remove(name)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn truth(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value == 1 || matches!(value.as_str(), Some("1" | "true"))
}
