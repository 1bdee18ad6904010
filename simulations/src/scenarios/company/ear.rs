//! Somebody who listens: at a node of their own, and when that dies at another one, from their cursors.

use super::{
    Book, LOOK, PATIENCE, name, text_of,
    town::{ALL, Town, user, workspace},
};
use crate::world::{machine::Life, report::Violation};
use actors::{
    node::Node,
    scopes::Scopes,
    session::{self, FrameSocket, Incoming, SocketError},
    store::LogId,
    tickets::Login,
};
use bytes::Bytes;
use proto::{
    frame::{self, WireForm},
    id::ConversationId,
    v1::{ClientFrame, Cursor, Hello, client_frame::Frame as Ask, server_frame::Frame as Say},
};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Frames that may wait for the listener.
const FRAMES_MAX: usize = 64;

/// The server's end of a connection.
struct Wire {
    incoming: mpsc::Receiver<Incoming>,
    out: mpsc::Sender<Bytes>,
}

impl FrameSocket for Wire {
    async fn next(&mut self) -> Option<Result<Incoming, SocketError>> {
        self.incoming.recv().await.map(Ok)
    }
    async fn send(&mut self, frames: &[Bytes]) -> Result<(), SocketError> {
        for frame in frames {
            let gone = |_| SocketError::Io("the listener is gone".into());
            self.out.send(frame.clone()).await.map_err(gone)?;
        }
        Ok(())
    }
    async fn close(&mut self, _: u16, _: &str) {
        self.incoming.close();
    }
}

/// Listens for ever.
pub(super) async fn listen(town: &Town, book: &Book, person: usize) {
    for turn in person.. {
        if let Some(asked) = town.node(turn % ALL) {
            // Every other client connects where it is, whatever it is told.
            let home = if person.is_multiple_of(2) { home(town, person, &asked.1) } else { None };
            town.world.count("company.at_home", u64::from(home.is_some()));
            town.world.count("company.connected", 1);
            let (life, node) = home.unwrap_or(asked);
            attend(town, book, person, life, &node).await;
            town.listens(person, None);
        }
        town.world.sleep(LOOK).await;
    }
}

/// The home that a node names, if that one runs.
fn home(town: &Town, person: usize, issuer: &Node) -> Option<(Life, Node)> {
    let url = issuer.context.placement.home(&workspace(), &user(person), "connect")?;
    let at = |number: &usize| url.strip_prefix("ws://") == Some(&format!("{}/connect", name(*number)));
    town.node((0..ALL).find(at)?)
}

/// Listens at a node until it dies, says good-bye or is silent for too long.
async fn attend(town: &Town, book: &Book, person: usize, life: Life, node: &Node) {
    let (to_server, incoming) = mpsc::channel(FRAMES_MAX);
    let (out, mut from_server) = mpsc::channel(FRAMES_MAX);
    let Ok(seat) = node.gateway.seat() else { return };
    let login = Login {
        workspace: workspace(),
        user: user(person),
        token_hash: String::new(),
        bot_id: String::new(),
        app_id: String::new(),
        scopes: Scopes::Default(&[]),
    };
    // By a ticket of any node, as a bot that asked somewhere else for its address.
    let Some((_, issuer)) = (0..ALL).find_map(|n| town.node((person + n) % ALL)) else { return };
    let Some(ticket) = issuer.context.tickets.issue(login) else { return };
    let redeemed = town.with_patience(life, PATIENCE, node.context.tickets.redeem(&ticket)).await;
    // Its node may be cut off, or die meanwhile: they ask for another one.
    let Some(Some(login)) = redeemed else { return };
    let (shard, wire) = (seat.shard(), Wire { incoming, out });
    town.listens(person, Some(&node.me.id));
    node.context.host.spawn_on(shard, "session", session::run(seat, wire, WireForm::Proto, Some(login)));
    let cursors = cursors(book, person);
    let hello = ClientFrame { id: 1, frame: Some(Ask::Hello(Hello { cursors, ..Hello::default() })) };
    let hello = frame::encode_client(&hello, WireForm::Proto);
    let _ = to_server.send(Incoming::Binary(hello.into())).await;
    while let Some(Some(bytes)) = town.with_patience(life, PATIENCE, from_server.recv()).await {
        if bytes.first() == Some(&PING) {
            let _ = to_server.send(Incoming::Pong).await;
        } else if let Some(Err(violation)) = payload(&bytes).map(|payload| hear(book, person, payload)) {
            town.world.violate(violation);
        }
    }
}

/// How far somebody has been shown each channel.
fn cursors(book: &Book, person: usize) -> Vec<Cursor> {
    let ledger = book.open();
    let own = ledger.shown.iter().filter(|((of, _), _)| *of == person);
    let cursor = |((_, log), shown): (&(usize, LogId), &BTreeMap<u64, String>)| Cursor {
        channel: log.channel.to_string(),
        seq: shown.keys().next_back().copied().unwrap_or_default(),
    };
    own.map(cursor).collect()
}

/// Writes down what was shown; nothing may be missing in between.
fn hear(book: &Book, person: usize, payload: &[u8]) -> Result<(), Violation> {
    let server = frame::decode_server(payload, WireForm::Proto);
    let server =
        server.map_err(|error| Violation::new("company", format!("a frame does not parse: {error}")))?;
    let Some(Say::Deliver(deliver)) = server.frame else { return Ok(()) };
    let Ok(channel) = ConversationId::parse(&deliver.channel) else { return Ok(()) };
    let mut ledger = book.open();
    let shown = ledger.shown.entry((person, LogId::new(workspace(), channel))).or_default();
    for event in deliver.events {
        let last = shown.keys().next_back().copied();
        Violation::unless(last.is_none_or(|last| event.seq == last + 1), "company", || {
            format!("listener {person} was shown {} of {} after {last:?}", event.seq, deliver.channel)
        })?;
        shown.insert(event.seq, text_of(&event));
    }
    Ok(())
}

/// First byte of a ping.
const PING: u8 = 0x89;

/// The payload of a binary frame (RFC 6455, 5.2, unmasked); `None` for control frames.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    match frame {
        [0x82, 126, _, _, rest @ ..] => Some(rest),
        [0x82, 127, rest @ ..] => rest.get(8..),
        [0x82, _, rest @ ..] => Some(rest),
        _ => None,
    }
}
