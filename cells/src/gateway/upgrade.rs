//! From a request to a session: the WebSocket handshake, who it is as far as the request says, and the move to the
//! shard on which the session lives.

use super::{
    Answer, Gateway, Phase, http::Visit, page, parcel::Parcel, refused, route::Route, socket::Socket,
};
use actors::{auth, gateway::Seat, session, tickets::Login};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, header};
use proto::{
    frame::{SUBPROTOCOLS, WireForm},
    refusal::Refusal,
};
use std::sync::Arc;
use tungstenite::handshake::server::create_response_with_body;

/// What was agreed on: a seat, a language, and perhaps who.
pub(super) struct Agreed {
    seat: Seat,
    form: WireForm,
    login: Option<Login>,
}

/// Answers a WebSocket handshake: 101 and a seat, or why not.
pub(super) async fn upgrade<B>(visit: &Arc<Visit>, route: Route<'_>, request: &Request<B>) -> Answer {
    match agree(&visit.gateway, route, request).await {
        Ok((agreed, answer)) => {
            visit.agree(agreed);
            answer
        }
        Err(answer) => *answer,
    }
}

async fn agree<B>(
    gateway: &Gateway,
    route: Route<'_>,
    request: &Request<B>,
) -> Result<(Agreed, Answer), Box<Answer>> {
    let mut answer: Answer = create_response_with_body(request, Full::<Bytes>::default).map_err(|error| {
        let mut answer = page::refusal(StatusCode::UPGRADE_REQUIRED, &error.to_string(), None);
        let headers = answer.headers_mut();
        headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static("13"));
        Box::new(answer)
    })?;
    let node = gateway.node().filter(|_| gateway.phase() == Phase::Ready).ok_or_else(unavailable)?;
    let form = match route {
        Route::Rtm(_) => WireForm::Rtm,
        _ => native_form(request, &mut answer)?,
    };
    let seat = node.gateway.seat().map_err(|refusal| {
        refused("sessions_max");
        Box::new(refusal_answer(&refusal))
    })?;
    let login = match route {
        // A ticket that is worth nothing is told so in RTM's own words, inside the socket.
        Route::Rtm(ticket) => node.context.tickets.redeem(ticket).await,
        _ => native_login(node, request).await?,
    };
    Ok((Agreed { seat, form, login }, answer))
}

/// The subprotocol to speak; written into the answer.
fn native_form<B>(request: &Request<B>, answer: &mut Answer) -> Result<WireForm, Box<Answer>> {
    let offers: Vec<&str> = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|offer| offer.to_str().ok())
        .collect();
    let Some((name, form)) = WireForm::negotiate(&offers.join(",")) else {
        let [(proto, _), (json, _)] = SUBPROTOCOLS;
        let error = format!("no subprotocol that is known here: offer {proto} or {json}");
        return Err(Box::new(page::refusal(StatusCode::BAD_REQUEST, &error, None)));
    };
    answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(name));
    Ok(form)
}

/// Who it is, by ticket in the query or by bearer token. Neither: `hello` has to say it.
async fn native_login<B>(
    node: &actors::node::Node,
    request: &Request<B>,
) -> Result<Option<Login>, Box<Answer>> {
    let query = request.uri().query().unwrap_or_default();
    let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
    let login = if let Some((_, ticket)) = ticket {
        node.context.tickets.redeem(&ticket).await.ok_or(Refusal::Named("invalid_ticket"))
    } else if let Some(token) = bearer(request) {
        auth::login_by_token(&node.context, token).await
    } else {
        return Ok(None);
    };
    login.map(Some).map_err(|refusal| Box::new(refusal_answer(&refusal)))
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer<B>(request: &Request<B>) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refusal_answer(refusal: &Refusal) -> Answer {
    let retry_after_s = Some(refusal.retry_after_ms().div_ceil(1000)).filter(|seconds| *seconds > 0);
    let status = match refusal {
        Refusal::Named(_) => StatusCode::UNAUTHORIZED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    page::refusal(status, refusal.code(), retry_after_s)
}

fn unavailable() -> Box<Answer> {
    Box::new(page::refusal(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", Some(1)))
}

impl Agreed {
    /// The handshake is written: moves the stream to the seat's shard and starts the session there.
    pub(super) fn begin<S: Parcel>(self, gateway: &Gateway, stream: S, already_read: Bytes) {
        let packed = match stream.pack() {
            Ok(packed) => packed,
            Err(error) => return tracing::warn!(%error, "connection could not be moved to its shard"),
        };
        let limits = Arc::clone(&gateway.0.socket_limits);
        let Self { seat, form, login } = self;
        let (host, shard) = (gateway.0.host.clone(), seat.shard());
        // A task for the move and another for the session: what the move holds would live as long as the session.
        gateway.0.host.spawn_on(shard, "move", async move {
            match S::unpack(packed) {
                Ok(stream) => {
                    let socket = Box::new(Socket::new(stream, &already_read, limits));
                    host.spawn_on(shard, "session", session::run(seat, socket, form, login));
                }
                Err(error) => tracing::warn!(%error, "connection could not be moved to its shard"),
            }
        });
    }
}
