//! The door of a node: HTTP/1.1 over simulated streams, and from there the gateway's socket and the session.

use crate::world::network::Listener;
use actors::{node::Node, session};
use bytes::Bytes;
use cells::gateway::socket::{Socket, SocketLimits};
use cluster::host::Host;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
    },
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use proto::frame::{FRAME_BYTES_MAX, WireForm};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tungstenite::handshake::derive_accept_key;

/// Serves all connections of a listener.
pub(super) fn open(host: &Host, node: &Node, mut listener: Listener) {
    let limits = Arc::new(SocketLimits {
        host: host.clone(),
        frame_bytes_max: FRAME_BYTES_MAX,
        read_buffer_bytes: 4096,
        close_timeout: Duration::from_secs(5),
    });
    let (spawner, node) = (host.clone(), node.clone());
    host.spawn("accepts", async move {
        while let Some(stream) = listener.accept().await {
            let (node, limits) = (node.clone(), limits.clone());
            spawner.spawn("connection", async move {
                let service = service_fn(move |request| answer(node.clone(), limits.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new();
                // A connection ends as its client or the weather wants.
                let _ = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
}

async fn answer(
    node: Node,
    limits: Arc<SocketLimits>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let offered = header(SEC_WEBSOCKET_PROTOCOL).and_then(WireForm::negotiate);
    let (Some(key), Some((subprotocol, form))) = (header(SEC_WEBSOCKET_KEY), offered) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let Ok(seat) = node.gateway.seat() else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(response);
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    let host = limits.host.clone();
    host.spawn_on(seat.shard(), "session", async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = Socket::new(TokioIo::new(upgraded), &[], limits);
            Box::pin(session::run(seat, socket, form, None)).await;
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64 is a header value"));
    Ok(response)
}
