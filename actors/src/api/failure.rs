//! A call that was not done: Slack's error string, and what it says beside it.

use crate::scopes::Scopes;
use crate::store::StoreError;
use proto::refusal::Refusal;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Why a method refuses. Always HTTP 200 with `ok: false`, except `ratelimited`, which is 429.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}")]
pub struct Failure {
    /// Slack's error string.
    pub code: Cow<'static, str>,
    /// Further fields of the answer.
    pub detail: Map<String, Value>,
    /// When to try again; 0 unless `ratelimited`.
    pub retry_after_ms: u32,
}

impl Failure {
    /// Slack's error string alone.
    pub fn named(code: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), detail: Map::new(), retry_after_ms: 0 }
    }
    /// The same with one more field.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
    /// `invalid_arguments` with a line that says which and why, as Slack's SDKs log it.
    pub fn argument(name: &str, why: &str) -> Self {
        let line = format!("[ERROR] {why} [json-pointer:/{name}]");
        Self::named("invalid_arguments").with("response_metadata", json!({ "messages": [line] }))
    }
    /// `invalid_arguments` for an argument that is not there.
    pub fn missing(name: &str) -> Self {
        let line = format!("[ERROR] missing required field: {name}");
        Self::named("invalid_arguments").with("response_metadata", json!({ "messages": [line] }))
    }
    /// `missing_scope`: what would do, and what the token has.
    pub fn scope(needed: &str, provided: &Scopes) -> Self {
        Self::named("missing_scope").with("needed", needed).with("provided", provided.joined())
    }
    /// Whether it says that nothing was done, for now.
    pub fn is_not_done(&self) -> bool {
        let for_now = [Refusal::Busy { retry_after_ms: 0 }, Refusal::Unavailable(String::new())];
        for_now.iter().any(|refusal| refusal.code() == self.code)
    }
    /// What others may not know exists.
    pub fn channel_not_found() -> Self {
        Self::named("channel_not_found")
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let retry_after_ms = match &refusal {
            Refusal::Busy { retry_after_ms } => *retry_after_ms,
            _ => 0,
        };
        Self { retry_after_ms, ..Self::named(refusal.code()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        crate::auth::refusal(error).into()
    }
}
