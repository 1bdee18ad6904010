//! Pages of the gateway itself: for people, probes and Prometheus.

use super::{Answer, Gateway, Phase};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode, header};

/// Nothing but text is shown, so nothing else is allowed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// An answer with a body.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON object as answer.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    answer(status, "application/json; charset=utf-8", body.to_string())
}

/// A refusal that is no API call's: the error and when to try again, in seconds, if that makes sense.
pub(super) fn refusal(status: StatusCode, error: &str, retry_after_s: Option<u32>) -> Answer {
    let mut answer = json(status, &serde_json::json!({ "ok": false, "error": error }));
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn html(title: &str, text: &str) -> Answer {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:16px/1.5 sans-serif;margin:10vh auto;max-width:40em;padding:0 1em}}</style>\
         <h1>{title}</h1>{text}</html>\n"
    );
    let mut page = answer(StatusCode::OK, "text/html; charset=utf-8", body);
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    page
}

/// `/`.
pub(super) fn home() -> Answer {
    html(
        "Waggle",
        "<p>This node is running. Slack SDKs and bots use it with their base URL set to \
         <code>/api/</code> here; native clients connect to <code>/connect</code>.</p>",
    )
}

/// `/signin/TICKET`. It looks at the ticket no more than a link preview would: nothing is used up by opening it.
pub(super) fn sign_in() -> Answer {
    html(
        "Sign in",
        "<p>The workspace <b>demo</b> is ready. People sign in with a token: \
         <code>waggle admin token create --workspace demo --user admin</code> prints one for its \
         administrator.</p>",
    )
}

/// `/healthz`: the process answers.
pub(super) fn health() -> Answer {
    answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")
}

impl Gateway {
    /// `/readyz`.
    pub(super) fn ready(&self) -> Answer {
        match self.phase() {
            Phase::Ready => json(StatusCode::OK, &serde_json::json!({ "ready": true })),
            phase => {
                let body = serde_json::json!({ "ready": false, "reason": phase.name() });
                json(StatusCode::SERVICE_UNAVAILABLE, &body)
            }
        }
    }
    /// `/metrics`.
    pub(super) fn metrics(&self) -> Answer {
        answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", (self.0.metrics)())
    }
}
