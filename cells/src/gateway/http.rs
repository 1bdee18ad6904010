//! HTTP/1.1 on one connection, until it ends or becomes a WebSocket.

use super::{
    Answer, Closing, Gateway, Phase, admission, api, linger::linger, page, parcel::Parcel, refused,
    route::Route, stall::Stall, timer::HeadTimer, upgrade,
};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
    server::conn::http1::{Builder, Connection},
    service::Service,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tracing::Instrument;

/// hyper takes no smaller buffer than this.
const BUFFER_BYTES_MIN: usize = 8192;
/// Names a request in answers and logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-slack-req-id");
/// What a connection over a limit is told before anything of it was read.
pub(super) const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One connection, as its requests see it.
pub(super) struct Visit {
    pub(super) gateway: Gateway,
    place: Mutex<Place>,
    answered: Arc<AtomicBool>,
    upgrade: Mutex<Option<upgrade::Agreed>>,
}

/// Which of the gateway's places the connection holds.
enum Place {
    Handshake(#[allow(dead_code)] admission::Handshake), // held, not read: dropping it frees the place
    Http(#[allow(dead_code)] admission::Http),
    None,
}

impl Visit {
    /// The first request is here: from now on this is an HTTP connection.
    fn arrived(&self) -> Result<(), admission::Full> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Place::Handshake(_)) {
            *place = Place::None;
            *place = Place::Http(self.gateway.0.admission.http()?);
        }
        Ok(())
    }
    /// After this answer the connection is a WebSocket.
    pub(super) fn agree(&self, agreed: upgrade::Agreed) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed);
    }
}

/// hyper's view of a visit.
struct Guest(Arc<Visit>);

impl Service<Request<Incoming>> for Guest {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let visit = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(&visit, request).await) })
    }
}

type Wire<S> = TokioIo<Stall<S>>;

/// Serves the connection to its end, or hands it to a shard as a session.
pub(super) async fn serve<S: Parcel>(gateway: Gateway, stream: S, place: admission::Handshake) {
    let (host, config) = (gateway.0.host.clone(), &gateway.0.config);
    let head = Duration::from_millis(config.handshake_timeout_ms);
    let answered = Arc::new(AtomicBool::new(false));
    let patience = Duration::from_millis(config.keep_alive_ms).saturating_sub(head);
    let stalled = Duration::from_millis(config.write_timeout_ms);
    let mut builder = Builder::new();
    builder
        .timer(HeadTimer::new(host.clone(), patience, Arc::clone(&answered)))
        .header_read_timeout(head)
        .max_header_size(config.header_bytes_max)
        .max_buf_size(config.header_bytes_max.max(BUFFER_BYTES_MIN))
        .half_close(true);
    let place = Mutex::new(Place::Handshake(place));
    let visit = Arc::new(Visit { gateway: gateway.clone(), place, answered, upgrade: Mutex::default() });
    let io = TokioIo::new(Stall::new(stream, host.clone(), stalled));
    let mut connection = builder.serve_connection(io, Guest(Arc::clone(&visit)));
    let ended = drive(&mut connection, &visit).await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().into_inner();
    let agreed = visit.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, agreed) {
        (Ok(()), Some(agreed)) => agreed.begin(&gateway, stream, parts.read_buf),
        (ended, _) => {
            if let Err(error) = ended {
                count(&error);
            }
            let limit = Duration::from_millis(gateway.0.config.close_timeout_ms);
            let _ = host.timeout(limit, linger(&mut stream)).await;
        }
    }
}

/// Polls the connection to its end. When the gateway drains, an idle one ends; one that has yet to ask may still do so.
async fn drive<S: Parcel>(connection: &mut Connection<Wire<S>, Guest>, visit: &Visit) -> hyper::Result<()> {
    let mut draining = pin!(visit.gateway.0.draining.cancelled());
    let mut told = false;
    poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            if visit.answered.load(Ordering::Relaxed) {
                Pin::new(&mut *connection).graceful_shutdown();
            }
        }
        connection.poll_without_shutdown(cx)
    })
    .await
}

/// Counts why a connection ended before its time.
fn count(error: &hyper::Error) {
    let kind = match error {
        e if e.is_timeout() => "handshake_timeout_ms",
        e if e.is_parse_too_large() => "header_bytes_max",
        e if e.is_parse() => "malformed",
        _ => "lost",
    };
    metrics::counter!("waggle_http_errors_total", "kind" => kind).increment(1);
    tracing::debug!(kind, %error, "http connection ended");
}

/// Answers one request, under an id of its own.
async fn answer(visit: &Arc<Visit>, request: Request<Incoming>) -> Answer {
    let gateway = &visit.gateway;
    let id = format!("{:016x}", gateway.0.ids.next_u64());
    let uri = request.uri().clone();
    let route = Route::of(uri.path());
    let span = tracing::info_span!("request", %id, method = %request.method(), route = route.label());
    let since = gateway.0.host.monotonic();
    let mut answer = match visit.arrived() {
        Ok(()) => serve_route(visit, route, request, &id).instrument(span).await,
        Err(full) => {
            refused(full.limit());
            page::refusal(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", Some(1)).closing()
        }
    };
    if gateway.phase() == Phase::Draining && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer = answer.closing();
    }
    visit.answered.store(true, Ordering::Relaxed);
    let id = HeaderValue::try_from(id).expect("hexadecimal digits are a header's value");
    answer.headers_mut().insert(REQUEST_ID, id);
    let took = gateway.0.host.monotonic().saturating_sub(since);
    let status = answer.status().as_u16().to_string();
    metrics::counter!("waggle_http_requests_total", "route" => route.label(), "status" => status)
        .increment(1);
    metrics::histogram!("waggle_http_request_seconds", "route" => route.label()).record(took.as_secs_f64());
    answer
}

async fn serve_route(visit: &Arc<Visit>, route: Route<'_>, request: Request<Incoming>, id: &str) -> Answer {
    let gateway = &visit.gateway;
    let (method, posted) = (request.method().clone(), request.method() == Method::POST);
    let allowed = match route {
        Route::Api(_) => method == Method::GET || posted,
        Route::Rtm(_) | Route::Connect => method == Method::GET,
        _ => method == Method::GET || method == Method::HEAD,
    };
    if !allowed {
        let mut answer = page::refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", None);
        let allow = if matches!(route, Route::Api(_)) { "GET, POST" } else { "GET" };
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        return answer;
    }
    match route {
        Route::Api(method) => Box::pin(api::call(gateway, method, request, id)).await,
        Route::Rtm(_) | Route::Connect => Box::pin(upgrade::upgrade(visit, route, &request)).await,
        Route::Home => page::home(),
        Route::SignIn(_) => page::sign_in(),
        Route::Health => page::health(),
        Route::Ready => gateway.ready(),
        Route::Metrics => gateway.metrics(),
        Route::Unknown => page::refusal(StatusCode::NOT_FOUND, "not_found", None),
    }
}
