//! Echo: HTTP and WebSocket over the world's streams, with the crates that carry them in production.
//!
//! One machine serves, three ask. On the way: cuts, resets, a pause, a crash with and one without power. Every
//! answer must be what was sent, and everybody is served again at the end.

use crate::{
    scenarios::Settings,
    world::{
        World,
        machine::{Crash, Hardware, MachineId},
        report::Violation,
        stream::SimStream,
    },
};
use bytes::Bytes;
use cluster::host::{Entropy, Host};
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, time::Duration};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::protocol::Role};
use tungstenite::{Message, handshake::derive_accept_key};

const PORT: u16 = 80;
const CLIENTS: u32 = 3;
/// Time after which a client gives a connection up.
const PATIENCE: Duration = Duration::from_secs(8);
const BODY_BYTES_MAX: u64 = 200_000;
const PAUSE_MS_MAX: u64 = 1_000;

/// Runs it for the given time.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let server = world.machine("server", Hardware::default());
    serve(&world, server);
    let clients: Vec<MachineId> =
        (0..CLIENTS).map(|number| world.machine(format!("client-{number}"), Hardware::default())).collect();
    for (number, client) in clients.iter().enumerate() {
        let host = world.boot(*client);
        let asker = Asker { world: world.clone(), host: host.clone(), me: *client, server };
        host.spawn(
            "asks",
            async move { if number % 2 == 0 { asker.talk().await } else { asker.ask().await } },
        );
    }
    let part = settings.span() / 8;
    let chance = world.entropy("echo");
    for fault in 0..6 {
        world.sleep(part).await;
        let client = clients[chance.below(u64::from(CLIENTS)) as usize];
        match fault {
            0 => world.reset(client, server),
            1 => cut(&world, client, server, part / 4).await,
            2 => cut(&world, server, client, part / 4).await,
            3 => world.pause(server, part / 4),
            4 => restart(&world, server, Crash::Process, part / 4).await,
            _ => restart(&world, server, Crash::Power, part / 4).await,
        }
    }
    world.sleep(part).await;
    let served = clients.iter().map(|client| (world.counted(name_of(*client)), *client)).collect::<Vec<_>>();
    world.sleep(part).await;
    for (before, client) in served {
        let now = world.counted(name_of(client));
        Violation::unless(now > before, "liveness", || format!("{client:?} is not served at the end"))?;
    }
    Ok(())
}

fn name_of(client: MachineId) -> &'static str {
    ["server", "served.client-0", "served.client-1", "served.client-2"][client.index()]
}

async fn cut(world: &World, from: MachineId, to: MachineId, span: Duration) {
    world.cut(from, to);
    world.sleep(span).await;
    world.heal(from, to);
}

async fn restart(world: &World, machine: MachineId, crash: Crash, span: Duration) {
    world.crash(machine, crash);
    world.sleep(span).await;
    serve(world, machine);
}

fn serve(world: &World, machine: MachineId) {
    let host = world.boot(machine);
    let mut listener = world.listen(machine, PORT);
    let spawner = host.clone();
    host.spawn("accepts", async move {
        while let Some(stream) = listener.accept().await {
            let host = spawner.clone();
            spawner.spawn("connection", async move {
                let service = service_fn(move |request| answer(host.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new();
                // A connection ends as its client or the weather wants.
                let _ = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
}

async fn answer(host: Host, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::POST {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        return Ok(Response::new(Full::new(body)));
    }
    let mut response = Response::new(Full::default());
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    host.spawn("echoes", async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64 is a header value"));
    Ok(response)
}

struct Asker {
    world: World,
    host: Host,
    me: MachineId,
    server: MachineId,
}

impl Asker {
    /// Over WebSockets, for ever.
    async fn talk(self) {
        loop {
            // Whatever ends a conversation, another one is begun.
            if let Ok(stream) = self.world.connect(self.me, self.server, PORT).await
                && let Ok(Ok((mut socket, _))) =
                    self.host.timeout(PATIENCE, client_async("ws://server/", stream)).await
            {
                while self.exchange(&mut socket).await.is_some() {
                    self.host.sleep(self.pause()).await;
                }
            }
            self.host.sleep(self.pause()).await;
        }
    }

    async fn exchange(&self, socket: &mut WebSocketStream<SimStream>) -> Option<()> {
        let sent = body(self.host.entropy());
        let sending = async {
            socket.send(Message::binary(sent.clone())).await.ok()?;
            socket.next().await?.ok()
        };
        let answer = self.host.timeout(PATIENCE, sending).await.ok()??;
        self.judge(&sent, &answer.into_data());
        Some(())
    }

    /// Over HTTP, for ever.
    async fn ask(self) {
        loop {
            if let Ok(stream) = self.world.connect(self.me, self.server, PORT).await {
                // The next connection tries again.
                let _ = self.host.timeout(PATIENCE * 8, self.requests(stream)).await;
            }
            self.host.sleep(self.pause()).await;
        }
    }

    async fn requests(&self, stream: SimStream) -> Option<()> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        self.host.spawn("connection", async move { drop(connection.await) });
        loop {
            let sent = body(self.host.entropy());
            let request = Request::post("/").header("host", "server").body(Full::new(sent.clone())).ok()?;
            let asking = async {
                let response = sender.send_request(request).await.ok()?;
                Some(response.into_body().collect().await.ok()?.to_bytes())
            };
            let answer = self.host.timeout(PATIENCE, asking).await.ok()??;
            self.judge(&sent, &answer);
            self.host.sleep(self.pause()).await;
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(1 + self.host.entropy().below(PAUSE_MS_MAX))
    }

    fn judge(&self, sent: &Bytes, answer: &Bytes) {
        self.world.count("messages", 1);
        self.world.count(name_of(self.me), 1);
        self.world.note(Some(self.me), "echo", [answer.len() as u64, 0], "");
        if sent != answer {
            let detail = format!("{} bytes sent, {} other ones came back", sent.len(), answer.len());
            self.world.violate(Violation::new("an echo is what was sent", detail));
        }
    }
}

fn body(chance: &Entropy) -> Bytes {
    // Mostly small, now and then longer than a window.
    let most = if chance.chance(1, 20) { BODY_BYTES_MAX } else { 500 };
    let mut bytes = vec![0; 1 + chance.below(most) as usize];
    chance.fill(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::trace::Telling;

    #[test]
    fn http_and_websocket_survive_resets_cuts_pauses_and_crashes() {
        let report = World::simulate(3, Telling::Silent, |world| {
            run(world, Settings { hours: Some(0.1), ..Settings::default() })
        });
        assert_eq!(report.violation, None, "{}", report.tail.join("\n"));
        assert_eq!(report.faults(), 6);
        assert!(report.counted("messages") > 500, "{:?}", report.counters);
    }
}
