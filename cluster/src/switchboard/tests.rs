//! Two and three nodes on links within the process.

use super::*;
use crate::{
    host::paused,
    link::{LinkConfig, memory::MemoryNetwork, roles::Role},
    node::{CellId, Node},
};
use std::sync::atomic::AtomicBool;

const SOON: Duration = Duration::from_secs(60);
const ECHO: u32 = 1;

/// Says back what it was told, with who told it; holds its answers back while it is closed.
#[derive(Default)]
struct Echo {
    noticed: Mutex<Vec<(NodeId, Bytes)>>,
    peers: Mutex<Vec<(NodeId, Option<BootId>)>>,
    closed: AtomicBool,
    opened: tokio::sync::Notify,
}

struct Handle(Arc<Echo>);

impl Service for Handle {
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        let (echo, from) = (self.0.clone(), from.clone());
        Box::pin(async move {
            let opened = echo.opened.notified();
            if echo.closed.load(Relaxed) {
                opened.await;
            }
            [format!("{from}:").as_bytes(), &body].concat().into()
        })
    }
    fn notice(&self, from: &NodeId, body: Bytes) {
        self.0.noticed.lock().unwrap().push((from.clone(), body));
    }
    fn peer(&self, peer: &NodeId, up: Option<Linked>) {
        self.0.peers.lock().unwrap().push((peer.clone(), up.map(|linked| linked.boot)));
    }
}

fn id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

struct Place {
    board: Switchboard,
    echo: Arc<Echo>,
}

/// Joins the network as this node, and waits until its peers are there.
async fn join(network: &MemoryNetwork, host: &Host, name: &str, boot: u64, peers: usize) -> Place {
    let node = Node { id: id(name), boot: BootId(boot), cell: CellId::parse("a").unwrap() };
    let board = Switchboard::start(host, Arc::new(network.join(node)));
    let echo = Arc::new(Echo::default());
    board.offer(ECHO, Roles::ALL, Arc::new(Handle(echo.clone())));
    while echo.peers.lock().unwrap().len() < peers {
        host.sleep(Duration::from_millis(1)).await;
    }
    Place { board, echo }
}

impl Place {
    fn asks(&self, peer: &str, body: &[u8]) -> impl Future<Output = Result<Bytes, CallError>> + use<> {
        self.board.call(&id(peer), Class::Urgent, ECHO, Bytes::copy_from_slice(body), SOON)
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_and_a_notice_arrives_whatever_their_size() {
    let (network, host) = (MemoryNetwork::new(LinkConfig::default()), paused::host());
    let (a, b) = (join(&network, &host, "a", 1, 0).await, join(&network, &host, "b", 1, 1).await);
    for size in [0, 1, 1000, 700_000] {
        let body = Bytes::from(vec![9; size]);
        let answer = a.asks("b", &body).await.unwrap();
        assert_eq!(answer, [&b"a:"[..], &body].concat());
        a.board.notify(&id("b"), Class::Normal, ECHO, body.clone()).unwrap();
        while b.echo.noticed.lock().unwrap().pop() != Some((id("a"), body.clone())) {
            host.sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(a.board.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_says_whether_the_peer_may_have_done_it() {
    let (network, host) = (MemoryNetwork::new(LinkConfig::default()), paused::host());
    let (a, b) = (join(&network, &host, "a", 1, 0).await, join(&network, &host, "b", 1, 1).await);
    let nobody = a.asks("c", b"x").await.unwrap_err();
    assert_eq!((&nobody, nobody.is_harmless()), (&CallError::NotSent(LinkError::Down), true));
    let other = a.board.call(&id("b"), Class::Urgent, 99, Bytes::new(), SOON).await.unwrap_err();
    assert_eq!((&other, other.is_harmless()), (&CallError::NotServed, true));
    let large = a.asks("b", &vec![0; parcels::PARCEL_BYTES_MAX]).await.unwrap_err();
    assert!(matches!(large, CallError::NotSent(LinkError::TooLarge { .. })), "{large}");

    b.echo.closed.store(true, Relaxed);
    let late = a.board.call(&id("b"), Class::Urgent, ECHO, Bytes::new(), Duration::from_secs(1));
    let late = late.await.unwrap_err();
    assert_eq!((&late, late.is_harmless()), (&CallError::TimedOut, false));
    let asking = a.asks("b", b"x");
    network.cut(&id("a"), &id("b"));
    let lost = asking.await.unwrap_err();
    assert_eq!((&lost, lost.is_harmless()), (&CallError::Lost, false));
    assert!(a.board.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_serves_all_it_can_says_so() {
    let (network, host) = (MemoryNetwork::new(LinkConfig::default()), paused::host());
    let (a, b) = (join(&network, &host, "a", 1, 0).await, join(&network, &host, "b", 1, 1).await);
    b.echo.closed.store(true, Relaxed);
    let under_way: Vec<_> = (0..SERVED_MAX).map(|_| a.asks("b", b"x")).collect();
    let under_way = futures::future::join_all(under_way);
    let (one_more, opens) = (a.asks("b", b"y"), b.echo.clone());
    let busy = async {
        let busy = one_more.await;
        opens.closed.store(false, Relaxed);
        opens.opened.notify_waiters();
        busy
    };
    let (answers, busy) = futures::future::join(under_way, busy).await;
    assert_eq!(busy, Err(CallError::Busy));
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok(b"a:x")));
}

#[tokio::test(start_paused = true)]
async fn services_hear_of_peers_and_of_their_lives() {
    let (network, host) = (MemoryNetwork::new(LinkConfig::default()), paused::host());
    let a = join(&network, &host, "a", 1, 0).await;
    let _first = join(&network, &host, "b", 1, 1).await;
    let _second = join(&network, &host, "b", 2, 1).await;
    while a.echo.peers.lock().unwrap().len() < 3 {
        host.sleep(Duration::from_millis(1)).await;
    }
    let heard = a.echo.peers.lock().unwrap().clone();
    assert_eq!(heard, [(id("b"), Some(BootId(1))), (id("b"), None), (id("b"), Some(BootId(2)))]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_served_only_what_one_of_its_roles_may_have() {
    let (network, host) = (MemoryNetwork::new(LinkConfig::default()), paused::host());
    let node = |name: &str| Node { id: id(name), boot: BootId(1), cell: CellId::parse("a").unwrap() };
    let asks = network.join_proved(node("a"), Roles::of(&[Role::Gateway, Role::Store]));
    let (asks, board) = (
        Switchboard::start(&host, Arc::new(asks)),
        Switchboard::start(&host, Arc::new(network.join(node("b")))),
    );
    let echo = Arc::new(Echo::default());
    let takers = [Roles::of(&[Role::Channels]), Roles::of(&[Role::Channels, Role::Store]), Roles::ALL];
    for (number, takers) in (ECHO + 1..).zip(takers) {
        board.offer(number, takers, Arc::new(Handle(echo.clone())));
    }
    while !asks.peers().contains_key(&id("b")) {
        host.sleep(Duration::from_millis(1)).await;
    }
    for (number, expected) in [(1, Err(CallError::NotServed)), (2, Ok("a:mine")), (3, Ok("a:mine"))] {
        let answer =
            asks.call(&id("b"), Class::Normal, ECHO + number, Bytes::from_static(b"mine"), SOON).await;
        assert_eq!(answer, expected.map(|text| Bytes::from_static(text.as_bytes())), "service {number}");
        asks.notify(&id("b"), Class::Normal, ECHO + number, Bytes::from_static(b"note")).unwrap();
    }
    host.sleep(SOON).await;
    assert_eq!(echo.noticed.lock().unwrap().len(), 2, "notices go the same way");
}
