//! Slack's RTM frames (being written).
use crate::context::Context;
use crate::delivery::Delivery;
use crate::tickets::Login;
use proto::v1::Content;
/// A message that a client sends.
#[derive(Debug, Clone, PartialEq)]
pub struct RtmMessage {
    /// client id
    pub id: Option<i64>,
    /// c
    pub channel: String,
    /// t
    pub text: String,
    /// th
    pub thread_ts: Option<String>,
    /// b
    pub reply_broadcast: bool,
}
/// What came in.
#[derive(Debug, Clone, PartialEq)]
pub enum RtmIn {
    /// m
    Message(RtmMessage),
    /// t
    Typing {
        /// c
        channel: String,
    },
    /// p
    Ping {
        /// i
        id: Option<i64>,
        /// e
        extras: serde_json::Map<String, serde_json::Value>,
    },
    /// i
    Ignored,
}
/// Error
#[derive(Debug, thiserror::Error)]
#[error("bad frame")]
pub struct RtmError;
/// h
pub fn hello() -> String {
    String::new()
}
/// g
pub fn goodbye() -> String {
    String::new()
}
/// p
pub fn parse(_: &[u8]) -> Result<RtmIn, RtmError> {
    Err(RtmError)
}
/// a
pub fn ack(_: Option<i64>, _: &str, _: &str) -> String {
    String::new()
}
/// r
pub fn refused(_: Option<i64>, _: i64, _: &str) -> String {
    String::new()
}
/// p
pub fn pong(_: Option<i64>, _: &serde_json::Map<String, serde_json::Value>) -> String {
    String::new()
}
/// t
pub fn typing(_: &str, _: &str) -> String {
    String::new()
}
/// e
pub fn events(_: &Delivery) -> Vec<String> {
    Vec::new()
}
/// o
pub async fn own_events(_: &Context, _: &Login, _: &Delivery) -> Vec<String> {
    Vec::new()
}
/// a
pub fn author(_: &Login) -> Content {
    Content::default()
}
