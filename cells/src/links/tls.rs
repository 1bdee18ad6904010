//! TCP under mutual TLS 1.3: both sides show a certificate of the cluster's own authority.

use super::{Knock, MeetError, Met, Proved, Transport, Unproved};
use crate::credentials::{Credentials, NODES, node_of, roles_of};
use cluster::host::Host;
use rustls::{
    CommonState,
    client::Resumption,
    pki_types::ServerName,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use std::{io, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// After a failed accept (no file descriptor left) the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Connections of one node.
pub struct TlsTransport {
    host: Host,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl TlsTransport {
    /// A transport that shows these credentials and takes peers of the same authority.
    ///
    /// # Errors
    /// What is wrong with the credentials: a key of another certificate, say.
    pub fn new(host: &Host, listener: TcpListener, credentials: &Credentials) -> Result<Self, rustls::Error> {
        let (provider, roots) = (Credentials::provider(), credentials.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(credentials.chain(), credentials.key())?;
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(credentials.chain(), credentials.key())?;
        // Every connection shows its certificates anew: what has expired meanwhile is not taken.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        client.resumption = Resumption::disabled();
        let (acceptor, connector) = (Arc::new(server).into(), Arc::new(client).into());
        Ok(Self { host: host.clone(), listener, acceptor, connector })
    }
}

impl Transport for TlsTransport {
    /// Host and port.
    type Address = String;
    type Stream = TlsStream<TcpStream>;

    async fn connect(&self, address: &String) -> Result<Met<Self::Stream>, MeetError> {
        let tcp = TcpStream::connect(address.as_str()).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(NODES).expect("a plain name");
        let stream = self.connector.connect(name, tcp).await?;
        let proved = Some(proved(stream.get_ref().1)?);
        Ok(Met { stream: stream.into(), proved })
    }

    async fn accept(&self) -> Option<Knock<Self::Stream>> {
        let tcp = loop {
            match self.listener.accept().await {
                Ok((tcp, _)) => break tcp,
                Err(error) => {
                    tracing::warn!(%error, "node could not be accepted");
                    self.host.sleep(ACCEPT_REST).await;
                }
            }
        };
        let acceptor = self.acceptor.clone();
        Some(Box::pin(async move {
            tcp.set_nodelay(true)?;
            let stream = acceptor.accept(tcp).await?;
            let proved = Some(proved(stream.get_ref().1)?);
            Ok(Met { stream: stream.into(), proved })
        }))
    }
}

/// The node that the peer's certificate was given to, and its roles.
fn proved(connection: &CommonState) -> Result<Proved, MeetError> {
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let shown = shown.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let proved = || Ok(Proved { node: node_of(shown)?, roles: roles_of(shown)? });
    proved().map_err(|error| MeetError::Unproved(Unproved::Unnamed(error)))
}
