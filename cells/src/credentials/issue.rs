//! Makes an authority and the certificates of nodes, as PEM texts.

use super::{NODE_URI, NODES, ROLE_URI};
use cluster::node::NodeId;
use proto::ts::Micros;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::time::Duration;

/// A certificate is good from this long before it is made: clocks of nodes differ.
const EARLIER: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long an authority is good for.
const AUTHORITY_DAYS: u32 = 3653;

/// A certificate and its key.
pub struct Issued {
    /// For everybody.
    pub certificate: String,
    /// For its owner.
    pub key: String,
}

/// An authority that can make certificates.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, and what has to be kept of it.
    pub fn make(now: Micros) -> Result<(Self, Issued), Error> {
        let (mut params, key) = (authority(), KeyPair::generate()?);
        valid(&mut params, now, AUTHORITY_DAYS);
        let kept = Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
        Ok((Self(Issuer::new(params, key)), kept))
    }

    /// One that was made before, by its key: everything else is the same for all.
    pub fn of(key: &str) -> Result<Self, Error> {
        Ok(Self(Issuer::new(authority(), KeyPair::from_pem(key)?)))
    }

    /// A certificate for a node with these roles.
    pub fn issue(&self, node: &NodeId, roles: &[String], now: Micros, days: u32) -> Result<Issued, Error> {
        let mut params = CertificateParams::new([NODES.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, node.as_str());
        let names = roles.iter().map(|role| format!("{ROLE_URI}{role}"));
        for uri in std::iter::once(format!("{NODE_URI}{node}")).chain(names) {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        valid(&mut params, now, days);
        let key = KeyPair::generate()?;
        Ok(Issued { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "waggle cluster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn valid(params: &mut CertificateParams, now: Micros, days: u32) {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_micros(now);
    (params.not_before, params.not_after) = (now - EARLIER, now + DAY * days);
}
