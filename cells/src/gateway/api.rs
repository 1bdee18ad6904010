//! Calls of the Web API: bytes in, bounded; arguments and answers are the actors' business.

use super::{Answer, Closing, Gateway, page, refused, upgrade::bearer};
use actors::api::{self, args};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::json;
use std::{convert::Infallible, time::Duration};

/// Why a call was not made, in Slack's words, and which of our limits said so.
struct Refused {
    error: &'static str,
    message: String,
    limit: Option<&'static str>,
}

impl Refused {
    fn named(error: &'static str) -> Self {
        Self { error, message: String::new(), limit: None }
    }
    fn limit(error: &'static str, limit: &'static str, message: String) -> Self {
        Self { error, message, limit: Some(limit) }
    }
}

/// Answers one call. Refusals are Slack-shaped and of status 200: SDKs take another one for a broken connection and
/// try again.
pub(super) async fn call(gateway: &Gateway, method: &str, request: Request<Incoming>, id: &str) -> Answer {
    let Some(node) = gateway.node() else {
        return page::refusal(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", Some(1));
    };
    let Ok(_permit) = gateway.0.calls.try_acquire() else {
        refused("calls_max");
        return page::refusal(StatusCode::TOO_MANY_REQUESTS, "ratelimited", Some(1));
    };
    let method = method.to_owned();
    let bearer = bearer(&request).map(str::to_owned);
    let args = match arguments(gateway, request).await {
        Ok(args) => args,
        Err(why) => return refusal(&why),
    };
    let call = api::Request { method, args, bearer, request_id: id.to_owned() };
    let limit = Duration::from_millis(gateway.0.config.call_timeout_ms);
    match gateway.0.host.timeout(limit, api::call(&node.context, call)).await {
        Ok(response) => answer(response),
        Err(_) => refusal(&Refused::limit(
            "internal_error",
            "call_timeout_ms",
            "the call took too long; its outcome is not known".into(),
        )),
    }
}

/// Query and body, merged.
async fn arguments(gateway: &Gateway, request: Request<Incoming>) -> Result<api::Args, Refused> {
    let (head, body) = request.into_parts();
    let max = gateway.0.config.args_max;
    let query = head.uri.query();
    let kind = match head.headers.get(header::CONTENT_TYPE) {
        Some(kind) => Some(kind.to_str().map_err(|_| Refused::named("invalid_post_type"))?),
        None => None,
    };
    let body = read(gateway, body).await?;
    let many = |count: usize| {
        let message = format!("more than {max} arguments");
        if count > max { Err(Refused::limit("invalid_arguments", "args_max", message)) } else { Ok(()) }
    };
    many(query.map_or(0, separators))?;
    let kind_is =
        |name: &str| kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with(name));
    if kind_is("application/x-www-form-urlencoded") {
        many(separators_in(&body))?;
    }
    let fields = if kind_is("multipart/") {
        multipart(kind.unwrap_or_default(), &body, max).await?
    } else {
        Vec::new()
    };
    let args = args::parse(kind, query, &body, &fields).map_err(Refused::named)?;
    many(args.len())?;
    Ok(args)
}

fn separators(text: &str) -> usize {
    separators_in(text.as_bytes())
}

/// Upper bound of a form's arguments, before anything is allocated for them.
fn separators_in(form: &[u8]) -> usize {
    form.iter().filter(|byte| **byte == b'&').count()
}

/// The whole body, within its limits of size and time.
async fn read(gateway: &Gateway, body: Incoming) -> Result<Bytes, Refused> {
    let config = &gateway.0.config;
    let max = config.body_bytes_max;
    let too_large = || {
        Refused::limit("invalid_arguments", "body_bytes_max", format!("the body is larger than {max} bytes"))
    };
    if hyper::body::Body::size_hint(&body).lower() > max as u64 {
        return Err(too_large());
    }
    let limit = Duration::from_millis(config.body_timeout_ms);
    match gateway.0.host.timeout(limit, Limited::new(body, max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refused::named("request_timeout")), // the body ended before its end
        Err(_) => {
            let message = format!("the body did not arrive within {} ms", config.body_timeout_ms);
            Err(Refused::limit("request_timeout", "body_timeout_ms", message))
        }
    }
}

/// Text fields of a multipart body; files are not arguments.
async fn multipart(kind: &str, body: &Bytes, max: usize) -> Result<Vec<(String, String)>, Refused> {
    let malformed = |_| Refused::named("invalid_form_data");
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let whole = futures::stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        if fields.len() == max {
            let message = format!("more than {max} parts");
            return Err(Refused::limit("invalid_arguments", "args_max", message));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().is_some();
        let bytes = part.bytes().await.map_err(malformed)?;
        if !file {
            let text = std::str::from_utf8(&bytes).map_err(|_| Refused::named("invalid_form_data"))?;
            fields.push((name, text.to_owned()));
        }
    }
    Ok(fields)
}

/// A refusal in Slack's shape. After a limit the rest of the body is not read, so the connection ends.
fn refusal(why: &Refused) -> Answer {
    let mut body = json!({ "ok": false, "error": why.error });
    if !why.message.is_empty() {
        body["response_metadata"] = json!({ "messages": [format!("[ERROR] {}", why.message)] });
    }
    let answer = page::json(StatusCode::OK, &body);
    match why.limit {
        Some(limit) => {
            refused(limit);
            answer.closing()
        }
        None => answer,
    }
}

/// The actors' answer as HTTP.
fn answer(response: api::Response) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    for (name, value) in response.headers {
        // A value that is no header's (a scope with a line break) is left out rather than sent.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}
