//! Everything that a client is sent can be read, and says something.

use super::Promise;
use crate::world::report::Violation;
use proto::{
    frame::{self, WireForm},
    v1::{ServerFrame, server_frame::Frame},
};
use serde_json::Value;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "frames make sense",
    says: "Everything that a client is sent can be read, and says something.",
};

/// A frame of the native protocol.
pub fn native(who: &str, payload: &[u8], form: WireForm) -> Result<ServerFrame, Violation> {
    let frame = frame::decode_server(payload, form);
    let frame = frame.map_err(|error| PROMISE.broken(format!("{who} was sent {error}")))?;
    let empty = matches!(&frame.frame, Some(Frame::Beacon(beacon)) if beacon.tails.is_empty());
    PROMISE.holds(!empty, || format!("{who} was sent a beacon about nothing"))?;
    Ok(frame)
}

/// A frame of RTM.
pub fn rtm(who: &str, text: &str) -> Result<Value, Violation> {
    let frame = serde_json::from_str::<Value>(text);
    let frame = frame.map_err(|error| PROMISE.broken(format!("{who} was sent {text}: {error}")))?;
    // An answer to a frame without an id names none.
    let says = frame["type"].is_string() || frame["ok"].is_boolean();
    PROMISE.holds(says, || format!("{who} was sent {frame}, which RTM does not know"))?;
    Ok(frame)
}
