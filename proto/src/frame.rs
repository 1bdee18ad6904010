//! Frames: session messages in their wire forms, as WebSocket frames that are ready to write.
//!
//! A message that goes to many sockets is encoded once per [`WireForm`]; the bytes returned here are one
//! complete, unmasked, final frame (RFC 6455, section 5.2), so that a fan-out is a reference count and a
//! write.

use crate::{close::Close, v1};
use bytes::Bytes;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

/// Largest message accepted from a client, in bytes of payload. 256 KiB.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Largest message that a client must be ready to take, in bytes of payload. 2 MiB: one event of a full
/// [`FRAME_BYTES_MAX`] in JSON, where a control character of one byte becomes six.
pub const SERVER_FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest payload of a control frame (ping, pong, close), in bytes. Source: RFC 6455, section 5.5.
pub const CONTROL_BYTES_MAX: usize = 125;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
/// Longest header of an unmasked frame: two bytes and a 64-bit length.
const HEADER_BYTES_MAX: usize = 10;

/// How a connection wants its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireForm {
    /// Subprotocol `waggle.v1.proto`: protobuf in binary frames.
    Proto,
    /// Subprotocol `waggle.v1.json`: proto3 JSON in text frames.
    Json,
    /// Slack's RTM: JSON events in text frames, which have their own shapes and no session frames.
    Rtm,
}

/// The native protocol's WebSocket subprotocols, the preferred one first.
pub const SUBPROTOCOLS: [(&str, WireForm); 2] =
    [("waggle.v1.proto", WireForm::Proto), ("waggle.v1.json", WireForm::Json)];

impl WireForm {
    /// The form that the client prefers among those of its `Sec-WebSocket-Protocol` header(s) that exist,
    /// with the subprotocol to answer.
    pub fn negotiate(offered: &str) -> Option<(&'static str, Self)> {
        let known = |name: &str| SUBPROTOCOLS.into_iter().find(|(known, _)| *known == name);
        offered.split(',').find_map(|name| known(name.trim()))
    }
    /// Wraps a payload of this form into a frame that is ready to write.
    pub fn frame(self, payload: &[u8]) -> Bytes {
        match self {
            Self::Proto => binary(payload),
            Self::Json | Self::Rtm => text(payload),
        }
    }
}

/// Why bytes are not a session message. The state of the session has not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Over [`FRAME_BYTES_MAX`] (or [`SERVER_FRAME_BYTES_MAX`]); not looked at.
    #[error("the frame has {bytes} bytes, {max} are allowed")]
    TooLarge {
        /// Bytes of payload that came.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes are not the protobuf message.
    #[error("the frame is not protobuf of the expected message: {0}")]
    Proto(String),
    /// The text is not the JSON form of the message.
    #[error("the frame is not JSON of the expected message: {0}")]
    Json(String),
    /// RTM sockets carry no session messages.
    #[error("an RTM socket carries no session frames")]
    Rtm,
}

/// Frames a text message. `payload` must be UTF-8: every caller has it from a `String` or a JSON encoder.
pub fn text(payload: &[u8]) -> Bytes {
    framed(TEXT, payload)
}

/// Frames a binary message.
pub fn binary(payload: &[u8]) -> Bytes {
    framed(BINARY, payload)
}

/// Frames a ping; what is over [`CONTROL_BYTES_MAX`] is cut.
pub fn ping(payload: &[u8]) -> Bytes {
    framed(PING, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

/// Frames the answer to a ping; what is over [`CONTROL_BYTES_MAX`] is cut.
pub fn pong(payload: &[u8]) -> Bytes {
    framed(PONG, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

/// Frames a close with its number and its reason (`name delay_ms [address]`).
pub fn close(close: &Close) -> Bytes {
    let mut payload = close.code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(close.reason().as_bytes());
    framed(CLOSE, &payload)
}

/// Encodes a server message as one frame. RTM has no session messages: for it the result is empty, nothing to
/// write.
pub fn encode_server(message: &v1::ServerFrame, form: WireForm) -> Bytes {
    let mut buffer = vec![0; HEADER_BYTES_MAX];
    match form {
        WireForm::Proto => {
            buffer.reserve(message.encoded_len());
            message.encode_raw(&mut buffer);
            finish(BINARY, buffer)
        }
        WireForm::Json => {
            json_into(&mut buffer, message);
            finish(TEXT, buffer)
        }
        WireForm::Rtm => Bytes::new(),
    }
}

/// Encodes a client message as a payload, for the client's own WebSocket library to mask and frame.
pub fn encode_client(message: &v1::ClientFrame, form: WireForm) -> Vec<u8> {
    match form {
        WireForm::Proto => message.encode_to_vec(),
        WireForm::Json => serde_json::to_vec(message)
            .expect("a client message has no enums: strings and numbers always have JSON"),
        WireForm::Rtm => Vec::new(),
    }
}

/// Decodes a client's message from the payload of a whole WebSocket message.
pub fn decode_client(payload: &[u8], form: WireForm) -> Result<v1::ClientFrame, FrameError> {
    decode(payload, form, FRAME_BYTES_MAX)
}

/// Decodes a server's message from the payload of a whole WebSocket message.
pub fn decode_server(payload: &[u8], form: WireForm) -> Result<v1::ServerFrame, FrameError> {
    decode(payload, form, SERVER_FRAME_BYTES_MAX)
}

fn decode<M: Message + Default + DeserializeOwned>(
    payload: &[u8],
    form: WireForm,
    max: usize,
) -> Result<M, FrameError> {
    if payload.len() > max {
        return Err(FrameError::TooLarge { bytes: payload.len(), max });
    }
    match form {
        WireForm::Proto => M::decode(payload).map_err(|e| FrameError::Proto(e.to_string())),
        WireForm::Json => serde_json::from_slice(payload).map_err(|e| FrameError::Json(e.to_string())),
        WireForm::Rtm => Err(FrameError::Rtm),
    }
}

fn framed(opcode: u8, payload: &[u8]) -> Bytes {
    let mut buffer = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    buffer.resize(HEADER_BYTES_MAX, 0);
    buffer.extend_from_slice(payload);
    finish(opcode, buffer)
}

/// Writes the header into the room left in front of the payload, right-aligned, and drops the rest of the
/// room.
fn finish(opcode: u8, mut buffer: Vec<u8>) -> Bytes {
    let length = buffer.len() - HEADER_BYTES_MAX;
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = FIN | opcode;
    let used = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => {
            header[1] = short;
            2
        }
        (_, Ok(medium)) => {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            HEADER_BYTES_MAX
        }
    };
    let start = HEADER_BYTES_MAX - used;
    buffer[start..HEADER_BYTES_MAX].copy_from_slice(&header[..used]);
    Bytes::from(buffer).slice(start..)
}

/// Appends the JSON form. The generated encoder refuses an enum number it has no name for (a row that a newer
/// build wrote); such a number is sent as the enum's 0, which means unknown.
fn json_into(buffer: &mut Vec<u8>, message: &v1::ServerFrame) {
    if serde_json::to_writer(&mut *buffer, message).is_ok() {
        return;
    }
    let mut known = message.clone();
    known.forget_unknown_kinds();
    buffer.truncate(HEADER_BYTES_MAX);
    serde_json::to_writer(buffer, &known).expect("strings, numbers and named enums always have a JSON form");
}

impl v1::ServerFrame {
    fn forget_unknown_kinds(&mut self) {
        use v1::{event::Body, server_frame::Frame};
        let events = match &mut self.frame {
            Some(Frame::Deliver(deliver)) => &mut deliver.events,
            Some(Frame::Page(page)) => &mut page.events,
            _ => return,
        };
        for body in events.iter_mut().filter_map(|event| event.body.as_mut()) {
            match body {
                Body::Created(e) => e.kind = e.kind() as i32,
                Body::ConversationAdded(e) => e.kind = e.kind() as i32,
                Body::ConversationJoined(e) => e.kind = e.kind() as i32,
                Body::TokenIssued(e) => e.kind = e.kind() as i32,
                _ => {}
            }
        }
    }
}

/// The JSON form of any message of the schema, as text: for logs, tools and golden samples.
pub fn json<M: Serialize>(message: &M) -> Result<String, FrameError> {
    serde_json::to_string(message).map_err(|e| FrameError::Json(e.to_string()))
}

#[cfg(test)]
mod tests;
