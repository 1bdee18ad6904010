//! A node among others: it shows its credentials, takes part in gossip, and keeps links to whoever gossip knows.

use super::inquiry::{Inquiry, Verdict};
use crate::{
    config,
    credentials::{
        UnnamedError,
        folder::{self, FolderError},
    },
    links::{StreamLinks, tls::TlsTransport, udp::UdpDatagrams},
};
use cluster::{
    gossip::Gossip,
    host::Host,
    link::{LinkConfig, roles::Roles},
    node::{BootId, Node, NodeId},
    swim::{Address, AddressError, Identity, Swim, SwimConfig},
    switchboard::Switchboard,
};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Tries to find a port that is free for TCP and for UDP.
const PORTS_TRIED: usize = 16;
/// A peer that gossip has not known for this long is dialled no more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// A process that has died holds its name no longer than this: its links are silent by then.
const NAME_FREE_AFTER: Duration = Duration::from_secs(1);
/// So many times seeds are asked who has it.
const ROUNDS_MAX: u32 = 5;

/// Why a node is not among others. Nothing runs of it.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No credentials.
    #[error(transparent)]
    Credentials(#[from] FolderError),
    /// The address for other nodes.
    #[error("cannot listen for other nodes on {0}: {1}")]
    Listen(String, io::Error),
    /// Credentials of another kind of node.
    #[error(
        "the certificate of {node} gives it the roles {given}, and node.roles says {wanted}; make another one"
    )]
    Roles {
        /// Whose.
        node: NodeId,
        /// As the certificate has it.
        given: Roles,
        /// As the configuration has it.
        wanted: Roles,
    },
    /// A certificate that names nobody.
    #[error(transparent)]
    Unnamed(#[from] UnnamedError),
    /// Credentials that cannot be shown.
    #[error("the credentials cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// An address that is too long.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Another process is this node.
    #[error(
        "{node} runs already: {by} is in touch with it (its life {holder}). A name belongs to one process: stop that \
         one, or give this one a name and a certificate of its own"
    )]
    Taken {
        /// The name.
        node: NodeId,
        /// Which life of it.
        holder: BootId,
        /// The seed that says so.
        by: String,
    },
    /// Another process was this node a moment ago; whether it still is cannot be told.
    #[error(
        "whether {node} runs already is not known: {by} was in touch with it (its life {holder}) a moment ago, and has \
         not said since that it is gone. Nothing was started; start this one again when {by} answers, or, when it is \
         gone for good, without that seed"
    )]
    Unknown {
        /// The name.
        node: NodeId,
        /// Which life of it.
        holder: BootId,
        /// The seed that said so.
        by: String,
    },
}

/// The ways to the others.
pub(super) struct Company {
    /// Calls and notices.
    pub(super) board: Switchboard,
    /// Who is there.
    pub(super) gossip: Gossip,
    /// Where others reach this node.
    pub(super) address: Address,
    /// Ends when another process has this node's name.
    pub(super) name_lost: CancellationToken,
}

/// Begins to take part.
pub(super) async fn join(
    host: &Host,
    me: &Node,
    roles: Roles,
    config: &config::Cluster,
) -> Result<Company, JoinError> {
    let credentials = folder::read(&config.credentials, &me.id)?;
    let given = credentials.roles()?;
    if !given.has_all(roles) {
        return Err(JoinError::Roles { node: me.id.clone(), given, wanted: roles });
    }
    let keys = folder::gossip_keys(&config.credentials)?;
    let (tcp, udp) = listen(host, &config.listen).await?;
    let address = match config.advertise.as_str() {
        "" => udp.address().map_err(|error| JoinError::Listen(config.listen.clone(), error))?,
        advertised => Address::parse(advertised)?,
    };
    let transport = TlsTransport::new(host, tcp, &credentials)?;
    let links = Arc::new(StreamLinks::start(host, me.clone(), LinkConfig::default(), transport));
    let others = config.seeds.iter().filter(|seed| **seed != *address.as_str());
    take_name(host, me, &links, others.cloned().collect()).await?;
    let identity = Identity {
        node: me.id.clone(),
        boot: me.boot,
        cell: me.cell.clone(),
        gossip: address.clone(),
        link: address.clone(),
        rank: host.now_us(),
    };
    let seeds = config.seeds.iter().map(Address::parse).collect::<Result<_, _>>()?;
    let swim = Swim::new(identity, seeds, SwimConfig::default(), host.entropy());
    let gossip = Gossip::start(host, swim, &keys, Arc::new(udp));
    let (board, name_lost) = (Switchboard::start(host, links.clone()), CancellationToken::new());
    host.spawn("acquaintance", keep_acquaintance(host.clone(), links.clone(), gossip.clone()));
    host.spawn("name", keep_name(links, gossip.clone(), name_lost.clone()));
    Ok(Company { board, gossip, address, name_lost })
}

/// Makes sure that no seed knows another process by this node's name.
async fn take_name(
    host: &Host,
    me: &Node,
    links: &StreamLinks<TlsTransport>,
    seeds: Vec<String>,
) -> Result<(), JoinError> {
    let mut inquiry = Inquiry::default();
    for round in 0..ROUNDS_MAX {
        if round > 0 {
            host.sleep(NAME_FREE_AFTER).await;
        }
        let ask = async |seed: &String| Some((links.ask_holder(seed).await.ok()?, seed.clone()));
        let said: Vec<_> = join_all(seeds.iter().map(ask)).await.into_iter().flatten().collect();
        if said.is_empty() && !seeds.is_empty() {
            // The first node of a cell has nobody to ask.
            tracing::info!(node = %me.id, "no seed has said whether another process has this node's name");
        }
        match inquiry.hear(said) {
            Verdict::Free => return Ok(()),
            Verdict::Taken => break,
            Verdict::Unknown => {}
        }
    }
    Err(inquiry.refusal(&me.id))
}

/// Looks who it is when members believe this node's name to be another life's: one that is dead is of no matter. One
/// that began later, and shows that the name is its own, has taken this one's place while it was frozen or out of
/// reach: it ends.
async fn keep_name(links: Arc<StreamLinks<TlsTransport>>, mut gossip: Gossip, lost: CancellationToken) {
    let mut looked = 0;
    while gossip.changed().await {
        let view = gossip.view();
        let Some(rival) = view.rival.as_ref().filter(|_| view.rivals != looked) else { continue };
        // As long as two go by one name they are told so again and again.
        looked = view.rivals;
        let Ok(Some(life)) = links.meet_namesake(&rival.link.to_string()).await else { continue };
        if links.outlives(&life) {
            continue;
        }
        let (boot, address) = (life.boot, rival.link.as_str());
        tracing::error!(%boot, address, "another process has this node's name by now, and began later");
        gossip.quit();
        links.close();
        return lost.cancel();
    }
}

/// The same port for TCP and UDP.
async fn listen(host: &Host, address: &str) -> Result<(TcpListener, UdpDatagrams), JoinError> {
    let failed = |error: io::Error| JoinError::Listen(address.to_owned(), error);
    let mut last = None;
    for _ in 0..PORTS_TRIED {
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        let bound: SocketAddr = tcp.local_addr().map_err(failed)?;
        match UdpDatagrams::bind(host, &bound.to_string()).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) => last = Some(error),
        }
    }
    Err(failed(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into())))
}

/// Meets whom gossip knows, where it says that they are; forgets who has been gone for long.
async fn keep_acquaintance(host: Host, links: Arc<StreamLinks<TlsTransport>>, mut gossip: Gossip) {
    let mut gone: BTreeMap<NodeId, Duration> = BTreeMap::new();
    let mut met: BTreeSet<NodeId> = BTreeSet::new();
    loop {
        let (view, now) = (gossip.view(), host.monotonic());
        for (node, seat) in &view.members {
            links.meet(node, seat.identity.link.to_string());
            gone.remove(node);
            met.insert(node.clone());
        }
        for node in met.iter().filter(|node| !view.members.contains_key(node)) {
            gone.entry(node.clone()).or_insert(now);
        }
        for (node, _) in gone.extract_if(.., |_, since| now.saturating_sub(*since) >= FORGOTTEN_AFTER) {
            links.forget(&node);
            met.remove(&node);
        }
        if let Ok(false) = host.timeout(FORGOTTEN_AFTER, gossip.changed()).await {
            return;
        }
    }
}
