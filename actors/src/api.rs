//! Slack's Web API: what each method means. Pure of sockets: HTTP hands a [`Request`] over and sends the [`Response`].
//!
//! One family of methods a file; `method.rs` is the table that says which method needs what. A call is looked up,
//! authenticated, checked against its scopes and required arguments, and then run; every refusal on the way is one
//! of Slack's error strings, in this order.

pub mod access;
pub mod account;
pub mod args;
pub mod chat;
pub mod conversations;
pub mod failure;
pub mod history;
pub mod membership;
pub mod method;
pub mod page;
pub mod reactions;
pub mod shape;
pub mod users;

use crate::auth::{self, Identity};
use crate::command::{Command, Done, Verb};
use crate::context::Context;
use crate::store::LogId;
use access::Seen;
use failure::Failure;
use method::{Method, Run};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::TokenKind;
use serde_json::{Value, json};
use shape::Object;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Query and body merged.
pub type Args = BTreeMap<String, Value>;
/// What a method answers, without `ok`.
pub type Answer = Result<Object, Failure>;

/// One call, taken off its socket.
#[derive(Debug, Clone)]
pub struct Request {
    /// The part of the path after `/api/`.
    pub method: String,
    /// Query and body merged, see [`args::parse`].
    pub args: Args,
    /// The token of an `Authorization: Bearer` header.
    pub bearer: Option<String>,
    /// Names this call in logs and in the answer's header.
    pub request_id: String,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// 200, or 429 when the caller should wait.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// A call whose caller is known.
pub struct Call {
    /// The node.
    pub context: Context,
    /// Arguments.
    pub args: Args,
    /// Who calls.
    pub me: Identity,
    /// Something that was asked for is done.
    did: AtomicBool,
}

impl Call {
    /// The caller's tenant: the only one whose rows this call can name.
    pub fn workspace(&self) -> &WorkspaceId {
        &self.me.login.workspace
    }
    /// The caller.
    pub fn user(&self) -> &UserId {
        &self.me.login.user
    }
    /// The caller's token is a bot's.
    pub fn is_bot(&self) -> bool {
        self.me.kind == TokenKind::Bot
    }
    /// Whether the token has this scope.
    pub fn has(&self, scope: &str) -> bool {
        self.me.login.scopes.has(scope)
    }
    /// Refuses with `missing_scope` when the token lacks this scope.
    pub fn need(&self, scope: &str) -> Result<(), Failure> {
        if self.has(scope) { Ok(()) } else { Err(Failure::scope(scope, &self.me.login.scopes)) }
    }
    /// The log of a conversation of the caller's workspace.
    pub fn log(&self, channel: &ConversationId) -> LogId {
        Context::conversation(self.workspace(), channel)
    }
    /// The conversation, if the caller can see it.
    pub async fn visible(&self, id: ConversationId) -> Result<Option<Seen>, Failure> {
        Ok(access::visible(&self.context, &self.me.login, id).await?)
    }
    /// Has a conversation do this for the caller.
    pub async fn tell(&self, channel: &ConversationId, verb: Verb) -> Result<Done, Failure> {
        self.execute(self.log(channel), Command::by(self.user(), verb)).await
    }
    /// Has a log do this.
    pub async fn execute(&self, log: LogId, command: Command) -> Result<Done, Failure> {
        let done = self.context.execute(log, command).await?;
        self.did();
        Ok(done)
    }
    /// Something that was asked for is done, whatever becomes of the rest.
    pub fn did(&self) {
        self.did.store(true, Relaxed);
    }
    /// How the call ends with this failure: where something is done already it must not sound as if nothing were.
    fn ended(&self, failure: Failure) -> Failure {
        let is_done = self.did.load(Relaxed);
        if is_done && failure.is_not_done() { Refusal::Unknown.into() } else { failure }
    }
}

/// Answers one call.
pub async fn call(context: &Context, request: Request) -> Response {
    let method = method::find(&request.method);
    let mut scopes = None;
    let answer = match method {
        None => Err(Failure::named("unknown_method").with("req_method", request.method.as_str())),
        Some(method) => run(context, method, &request, &mut scopes).await,
    };
    let error = answer.as_ref().err().map_or("", |failure| &failure.code);
    let name = method.map_or("unknown", |method| method.name);
    let ok = if error.is_empty() { "true" } else { "false" };
    metrics::counter!("waggle_api_calls_total", "method" => name, "ok" => ok).increment(1);
    tracing::debug!(request_id = %request.request_id, method = name, error, "api call");
    let mut response = respond(answer, &request.request_id);
    if let Some(method) = method {
        response.headers.push(("X-Accepted-OAuth-Scopes", method.scopes.join(",")));
    }
    if let Some(scopes) = scopes {
        response.headers.push(("X-OAuth-Scopes", scopes));
    }
    response
}

/// The answer to a request whose arguments could not be read (an error of [`args::parse`], or a limit of HTTP's).
pub fn refused(request_id: &str, error: &'static str) -> Response {
    respond(Err(Failure::named(error)), request_id)
}

async fn run(context: &Context, method: &Method, request: &Request, scopes: &mut Option<String>) -> Answer {
    let known = match method.run {
        Run::Open(open) => return open(&request.args),
        Run::Known(known) => known,
    };
    let token = request.bearer.clone().or_else(|| args::text(&request.args, "token"));
    let token = token.ok_or_else(|| Failure::named("not_authed"))?;
    let me = auth::identify(context, &token).await?;
    *scopes = Some(me.login.scopes.joined());
    if me.kind == TokenKind::App && !method.apps {
        return Err(Failure::named("not_allowed_token_type"));
    }
    let call = Call { context: context.clone(), args: request.args.clone(), me, did: AtomicBool::new(false) };
    if let Some(first) = method.scopes.first()
        && !method.scopes.iter().any(|scope| call.has(scope))
    {
        return Err(Failure::scope(first, &call.me.login.scopes));
    }
    for name in method.required {
        args::required(&call.args, name)?;
    }
    known(&call).await.map_err(|failure| call.ended(failure))
}

fn respond(answer: Answer, request_id: &str) -> Response {
    let mut headers = vec![
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("X-Slack-Req-Id", request_id.to_owned()),
    ];
    let mut status = 200;
    let body = match answer {
        Ok(mut object) => {
            object.insert("ok".into(), true.into());
            object
        }
        Err(failure) => {
            if failure.code == "ratelimited" {
                status = 429;
                headers.push(("Retry-After", failure.retry_after_ms.div_ceil(1000).max(1).to_string()));
            }
            let mut object = failure.detail;
            object.insert("ok".into(), false.into());
            object.insert("error".into(), failure.code.into());
            object
        }
    };
    Response { status, headers, body: Value::Object(body).to_string().into_bytes() }
}

/// `api.test`: says back what it was told.
pub fn api_test(args: &Args) -> Answer {
    let echo: Object = args.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    match args::text(args, "error") {
        Some(error) => Err(Failure::named(error).with("args", echo)),
        None => Ok(shape::object(json!({ "args": echo }))),
    }
}

#[cfg(test)]
mod tests;
