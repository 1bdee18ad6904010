//! Who a node is to other nodes: a certificate of an authority that the cluster makes for itself.
//!
//! A certificate names one node and its roles, as URIs among its alternative names: `waggle://node/NAME` and
//! `waggle://role/ROLE`. Whoever holds the authority's key can make nodes; nodes themselves do not need it.

pub mod folder;
mod issue;

pub use issue::{Authority, Issued};

use cluster::{
    link::roles::Roles,
    node::{NameError, NodeId},
};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};
use std::sync::Arc;

/// The name that every node's certificate has beside its own: which node is there is looked at afterwards.
pub const NODES: &str = "nodes.waggle.internal";
const NODE_URI: &str = "waggle://node/";
const ROLE_URI: &str = "waggle://role/";

/// What a node shows, and whom it believes.
#[derive(Debug)]
pub struct Credentials {
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Why a certificate says of nobody who it is.
#[derive(Debug, thiserror::Error)]
pub enum UnnamedError {
    /// Not a certificate.
    #[error("the certificate does not parse: {0}")]
    Malformed(webpki::Error),
    /// No name, or more than one.
    #[error("the certificate names {0} nodes instead of one")]
    Names(usize),
    /// No possible name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Credentials {
    /// Of PEM texts: the authority's certificate, and the node's own.
    pub fn of(authority: &str, issued: &Issued) -> Result<Self, PemError> {
        Ok(Self {
            authority: CertificateDer::from_pem_slice(authority.as_bytes())?,
            certificate: CertificateDer::from_pem_slice(issued.certificate.as_bytes())?,
            key: PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?,
        })
    }
    /// The cryptography of this build.
    pub fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }
    /// Whom this node believes.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        Ok(Arc::new(roots))
    }
    /// What it shows.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }
    /// What proves that it may.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
    /// Whose they are.
    pub fn node(&self) -> Result<NodeId, UnnamedError> {
        node_of(&self.certificate)
    }
    /// The roles that they give.
    pub fn roles(&self) -> Result<Roles, UnnamedError> {
        roles_of(&self.certificate)
    }
}

/// The node that a certificate was given to. Whether it may be believed is for who verified it.
pub fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeId, UnnamedError> {
    let nodes = named(certificate, NODE_URI)?;
    match nodes.as_slice() {
        [node] => Ok(NodeId::parse(node)?),
        several => Err(UnnamedError::Names(several.len())),
    }
}

/// The roles that a certificate gives.
pub fn roles_of(certificate: &CertificateDer<'_>) -> Result<Roles, UnnamedError> {
    Ok(Roles::named(named(certificate, ROLE_URI)?.iter().map(String::as_str)))
}

fn named(certificate: &CertificateDer<'_>, kind: &str) -> Result<Vec<String>, UnnamedError> {
    let certificate = webpki::EndEntityCert::try_from(certificate).map_err(UnnamedError::Malformed)?;
    let names = certificate.valid_uri_names().filter_map(|uri| uri.strip_prefix(kind));
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
