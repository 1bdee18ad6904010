//! The contract of links on TCP under mutual TLS over loopback, and who is refused there.

use super::{tls::TlsTransport, *};
use crate::{
    credentials::{Authority, Credentials},
    machine::{Machine, Threads},
};
use cluster::{
    link::{
        contract::{self, Wire},
        roles::Role,
    },
    node::CellId,
};
use proto::ts::Micros;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DAY_US: Micros = 24 * 3600 * 1_000_000;

fn id(at: usize) -> NodeId {
    NodeId::parse(&format!("n{at}")).unwrap()
}

/// A link is up; the certificates of a town give the role gateway, and one that is unknown.
fn up(at: usize, boot: u64) -> LinkEvent {
    LinkEvent::Up { peer: id(at), boot: BootId(boot), roles: Roles::of(&[Role::Gateway]) }
}
fn life(at: usize, boot: u64) -> Node {
    Node { id: id(at), boot: BootId(boot), cell: CellId::parse("a").unwrap() }
}

/// A machine and an authority for nodes on it.
struct Town {
    host: Host,
    authority: Authority,
    certificate: String,
}

impl Town {
    fn new(host: Host) -> Self {
        let (authority, kept) = Authority::make(host.now_us()).unwrap();
        Self { host, authority, certificate: kept.certificate }
    }
    /// Credentials of a node that were made so many days ago, for 90 days.
    fn credentials(&self, node: &NodeId, days_ago: u64) -> Credentials {
        let roles = ["gateway", "sorcerer"].map(str::to_owned);
        let issued = self.authority.issue(node, &roles, self.host.now_us() - days_ago * DAY_US, 90).unwrap();
        Credentials::of(&self.certificate, &issued).unwrap()
    }
    /// A node that listens somewhere, and where.
    async fn start(&self, node: Node, shows: &Credentials, config: LinkConfig) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let transport = TlsTransport::new(&self.host, listener, shows).unwrap();
        let links = Arc::new(StreamLinks::start(&self.host, node.clone(), config, transport));
        Place { node, links, address }
    }
    /// A node that shows its own credentials.
    async fn honest(&self, node: Node) -> Place {
        let shows = self.credentials(&node.id, 0);
        self.start(node, &shows, config()).await
    }
}

/// Runs a case on a machine of its own.
fn on_a_machine<F: Future<Output = ()>>(case: impl FnOnce(Town) -> F) {
    let machine = Machine::start(Threads { shards: 1, workers: 2, blocking_max: 1 }).unwrap();
    machine.block_on(case(Town::new(machine.host())));
}

#[derive(Clone)]
struct Place {
    node: Node,
    links: Arc<StreamLinks<TlsTransport>>,
    address: String,
}

/// Three nodes for the contract.
struct Rig {
    town: Town,
    config: LinkConfig,
    places: Mutex<Vec<Place>>,
}

impl Rig {
    async fn new(town: Town, config: LinkConfig) -> Self {
        let rig = Self { town, config, places: Mutex::default() };
        for at in 0..3 {
            rig.boot(at, 1).await;
        }
        rig
    }
    async fn boot(&self, at: usize, boot: u64) {
        let shows = self.town.credentials(&id(at), 0);
        let place = self.town.start(life(at, boot), &shows, self.config).await;
        let mut places = self.places.lock().unwrap();
        if at < places.len() {
            places[at].links.0.close();
            places[at] = place.clone();
        } else {
            places.push(place.clone());
        }
        for other in places.iter() {
            other.links.meet(&place.node.id, place.address.clone());
            place.links.meet(&other.node.id, other.address.clone());
        }
    }
    fn place(&self, at: usize) -> Place {
        self.places.lock().unwrap()[at].clone()
    }
}

impl Wire for Rig {
    fn config(&self) -> LinkConfig {
        self.config
    }
    fn host(&self) -> Host {
        self.town.host.clone()
    }
    fn node(&self, node: usize) -> Node {
        self.place(node).node
    }
    fn links(&self, node: usize) -> Arc<dyn Links> {
        self.place(node).links
    }
    fn cut(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        self.place(a).links.forget(&id(b));
        self.place(b).links.forget(&id(a));
        Box::pin(async {})
    }
    fn heal(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        let (a, b) = (self.place(a), self.place(b));
        a.links.meet(&b.node.id, b.address.clone());
        b.links.meet(&a.node.id, a.address.clone());
        Box::pin(async {})
    }
    fn reboot(&self, node: usize) -> BoxFuture<'_, ()> {
        Box::pin(self.boot(node, self.node(node).boot.0 + 1))
    }
}

/// Limits that a real socket's buffers do not hide, and patience for a machine that is busy with other tests.
fn config() -> LinkConfig {
    LinkConfig {
        queue_credits_max: 2 * 1024 * 1024,
        window_credits: 1024 * 1024 + 256,
        misses_max: 50,
        ..LinkConfig::default()
    }
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $(#[test] fn $case() {
            on_a_machine(async |town| contract::$case(&Rig::new(town, config()).await).await);
        })+
    };
}
cases! {
    frames_arrive_in_order,
    a_full_queue_refuses_and_loses_nothing_it_took,
    an_urgent_frame_overtakes_a_backlog,
    a_frame_beyond_the_limit_is_refused_and_the_link_lives,
    a_cut_is_told_to_both_and_nothing_from_before_comes_after,
    a_restarted_peer_comes_up_in_its_new_life,
    a_peer_that_does_not_read_holds_up_nobody_else,
    a_stranger_cannot_be_sent_to,
}

impl Place {
    /// Dials another node, which is expected to be there.
    async fn dial(&self, there: &Place, expected: Option<&NodeId>) -> Result<(), MeetError> {
        let met = self.links.0.transport.connect(&there.address).await?;
        greet(&self.links.0, met, expected).await.map(drop)
    }
}

#[test]
fn who_shows_no_certificate_of_the_cluster_is_refused_and_told_so() {
    on_a_machine(async |town| {
        let (there, elsewhere) = (town.honest(life(1, 1)).await, Town::new(town.host.clone()));
        let mut strangers = vec![(elsewhere.credentials(&id(0), 0), "of another cluster")];
        let foreign = elsewhere.authority.issue(&id(0), &[], town.host.now_us(), 90).unwrap();
        strangers.push((Credentials::of(&town.certificate, &foreign).unwrap(), "that believes us"));
        strangers.push((town.credentials(&id(0), 91), "of yesterday"));
        for (shows, what) in strangers {
            let stranger = town.start(life(0, 1), &shows, config()).await;
            let refused = stranger.dial(&there, None).await;
            assert!(matches!(refused, Err(MeetError::Unproved(_))), "a node {what}: {refused:?}");
        }
        assert!(town.honest(life(0, 1)).await.dial(&there, Some(&id(1))).await.is_ok());
    });
}

/// The first message of a client of TLS 1.2 that knows nothing newer (RFC 5246, 7.4.1.2).
fn hello_of_tls_1_2() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]); // random
    hello.extend([0]); // no session
    hello.extend([0, 2, 0xc0, 0x2f]); // ECDHE-RSA-AES128-GCM-SHA256
    hello.extend([1, 0]); // not compressed
    let length = u8::try_from(hello.len()).unwrap();
    let message = [&[1, 0, 0, length], &hello[..]].concat();
    [&[22, 3, 1, 0, length + 4], &message[..]].concat()
}

#[test]
fn each_kind_of_stranger_is_counted_under_a_word_of_its_own() {
    on_a_machine(async |town| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let transport = TlsTransport::new(&town.host, listener, &town.credentials(&id(1), 0)).unwrap();
        // What the one who is asked takes it for.
        let refused = async || transport.accept().await.unwrap().await.map(drop).unwrap_err().word();
        let elsewhere = Town::new(town.host.clone());
        let foreign = elsewhere.authority.issue(&id(0), &[], town.host.now_us(), 90).unwrap();
        let believer = Credentials::of(&town.certificate, &foreign).unwrap();
        for (shows, word) in [(town.credentials(&id(0), 91), "expired"), (believer, "other_authority")] {
            let stranger = town.start(life(0, 1), &shows, config()).await;
            let (_, found) = tokio::join!(stranger.links.0.transport.connect(&address), refused());
            assert_eq!(found, word);
        }
        for (says, word) in
            [(hello_of_tls_1_2(), "downgraded"), (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "unproved")]
        {
            let mut stranger = TcpStream::connect(&address).await.unwrap();
            stranger.write_all(&says).await.unwrap();
            assert_eq!(refused().await, word);
            let mut alert = [0; 7];
            stranger.read_exact(&mut alert).await.unwrap();
            assert_eq!(alert[..6], [21, 3, 3, 0, 2, 2], "a fatal alert");
        }
    });
}

#[test]
fn a_node_that_is_not_who_it_says_or_not_whom_we_look_for_is_refused() {
    on_a_machine(async |town| {
        let here = town.honest(life(0, 1)).await;
        let impostor = town.start(life(2, 1), &town.credentials(&id(1), 0), config()).await;
        let refused = here.dial(&impostor, None).await.unwrap_err().to_string();
        assert_eq!(refused, "a node that proved to be n1 says that it is n2");
        let other = town.honest(life(2, 1)).await;
        let refused = here.dial(&other, Some(&id(1))).await.unwrap_err().to_string();
        assert_eq!(refused, "n2 answered where n1 was expected");
        let namesake = town.honest(life(0, 2)).await;
        let refused = here.dial(&namesake, None).await.unwrap_err().to_string();
        assert_eq!(refused, "the peer has this node's own name n0: a name belongs to one process");
    });
}

#[test]
fn a_name_is_taken_as_long_as_somebody_has_a_link_to_whoever_goes_by_it() {
    on_a_machine(async |town| {
        let (here, there) = (town.honest(life(0, 1)).await, town.honest(life(1, 1)).await);
        here.links.meet(&id(1), there.address.clone());
        assert_eq!(there.links.next().await, Some(up(0, 1)));
        let asks = async |asker: Node, at: &Place| {
            let asker = town.honest(asker).await;
            let holder = asker.links.ask_holder(&at.address).await.unwrap();
            assert!(holder.is_none_or(|life| asker.links.outlives(&life)), "who asks began later");
            holder.map(|life| life.boot)
        };
        assert_eq!(asks(life(0, 2), &there).await, Some(BootId(1)), "who has a link knows");
        assert_eq!(asks(life(0, 2), &here).await, Some(BootId(1)), "and the one itself");
        assert_eq!(asks(life(0, 1), &there).await, None, "it is no other to itself");
        assert_eq!(asks(life(2, 1), &there).await, None, "nobody goes by that name");
        let later = town.honest(life(0, 2)).await;
        later.links.meet(&id(1), there.address.clone());
        while there.links.next().await != Some(up(0, 2)) {}
        let heard = here.dial(&there, None).await;
        assert!(heard.is_ok(), "it is told who is there, and gets no link: {heard:?}");
        let expected = "n0 in its life 0000000000000001 is refused: there is a link to 0000000000000002, a later life \
             of it";
        assert_eq!(there.dial(&here, None).await.unwrap_err().to_string(), expected);
        let holder = here.links.ask_holder(&there.address).await.unwrap().unwrap();
        assert!(holder.boot == BootId(2) && !here.links.outlives(&holder), "{holder:?}");
        let met = here.links.meet_namesake(&later.address).await.unwrap();
        assert_eq!(met, Some(holder), "that life shows itself");
        assert_eq!(here.links.meet_namesake(&here.address).await.unwrap(), None, "it is no other to itself");
        let liar = here.links.meet_namesake(&there.address).await.unwrap_err().to_string();
        assert_eq!(liar, "n1 answered where n0 was expected");
        let impostor = town.start(life(0, 9), &town.credentials(&id(1), 0), config()).await;
        let liar = here.links.meet_namesake(&impostor.address).await.unwrap_err().to_string();
        assert_eq!(liar, "n1 answered where n0 was expected", "a name that is said proves nothing");
        here.links.close();
        later.links.close();
        while !matches!(there.links.next().await, Some(LinkEvent::Down { .. })) {}
        assert_eq!(asks(life(0, 2), &there).await, None, "the name is free");
    });
}

#[test]
fn who_connects_and_says_nothing_or_nonsense_holds_nobody_up_for_long() {
    on_a_machine(async |town| {
        let (here, there) = (town.honest(life(0, 1)).await, town.honest(life(1, 1)).await);
        let mut silent = Vec::new();
        for number in 0..KNOCKS_MAX + 10 {
            let mut stranger = TcpStream::connect(&there.address).await.unwrap();
            if number % 2 == 0 {
                stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            }
            silent.push(stranger);
        }
        here.links.meet(&id(1), there.address.clone());
        assert_eq!(here.links.next().await, Some(up(1, 1)));
    });
}
