//! How many connections there may be before they have said anything, and how many that speak HTTP.

use super::config::Config;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Which limit refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// `handshakes_max`.
    #[error("too many connections that have sent no request yet")]
    Handshakes,
    /// `handshakes_per_ip_max`.
    #[error("too many connections of this address that have sent no request yet")]
    Address,
    /// `http_connections_max`.
    #[error("too many HTTP connections")]
    Connections,
}

impl Full {
    /// The name of the limit, for metrics and answers.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes_max",
            Self::Address => "handshakes_per_ip_max",
            Self::Connections => "http_connections_max",
        }
    }
}

/// A count with a limit.
#[derive(Debug)]
struct Count {
    now: AtomicUsize,
    max: usize,
}

impl Count {
    fn new(max: usize) -> Self {
        Self { now: AtomicUsize::new(0), max }
    }
    fn enter(&self) -> bool {
        self.now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max).then_some(n + 1))
            .is_ok()
    }
    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Counts {
    handshakes: Count,
    http: Count,
    per_address_max: usize,
    trusted: Vec<IpAddr>,
    per_address: Mutex<BTreeMap<IpAddr, usize>>,
}

/// Lets connections in. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Counts>);

impl Admission {
    /// Nobody is in yet.
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Counts {
            handshakes: Count::new(config.handshakes_max),
            http: Count::new(config.http_connections_max),
            per_address_max: config.handshakes_per_ip_max,
            trusted: config.trusted.clone(),
            per_address: Mutex::default(),
        }))
    }
    /// A place for a connection that has yet to send its first request; dropping it frees the place.
    pub fn handshake(&self, address: IpAddr) -> Result<Handshake, Full> {
        if !self.0.handshakes.enter() {
            return Err(Full::Handshakes);
        }
        metrics::gauge!(PENDING).increment(1.0);
        let mut place = Handshake { counts: Arc::clone(&self.0), address: None };
        if let Some(address) = self.0.limited(address) {
            let mut counts = self.0.addresses();
            let count = counts.entry(address).or_default();
            if *count >= self.0.per_address_max {
                drop(counts);
                return Err(Full::Address);
            }
            *count += 1;
            place.address = Some(address);
        }
        Ok(place)
    }
    /// A place for a connection that speaks HTTP; dropping it frees the place.
    pub fn http(&self) -> Result<Http, Full> {
        if !self.0.http.enter() {
            return Err(Full::Connections);
        }
        metrics::gauge!(HTTP).increment(1.0);
        Ok(Http(Arc::clone(&self.0)))
    }
    /// Connections that have yet to send their first request.
    pub fn handshakes(&self) -> usize {
        self.0.handshakes.now.load(Ordering::Relaxed)
    }
    /// Connections that speak HTTP.
    pub fn http_connections(&self) -> usize {
        self.0.http.now.load(Ordering::Relaxed)
    }
}

const PENDING: &str = "ws_handshakes_pending";
const HTTP: &str = "waggle_http_connections";

impl Counts {
    /// Whose count an address is of: an IPv6 customer has 2^64 addresses. `None`: there is no limit for it.
    fn limited(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        if self.per_address_max == 0 || address.is_loopback() || self.trusted.contains(&address) {
            return None;
        }
        Some(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        })
    }
    fn addresses(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.per_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who have yet to send their first request.
#[derive(Debug)]
pub struct Handshake {
    counts: Arc<Counts>,
    address: Option<IpAddr>,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.counts.handshakes.leave();
        metrics::gauge!(PENDING).decrement(1.0);
        let Some(address) = self.address else { return };
        let mut counts = self.counts.addresses();
        let count = counts.get_mut(&address).expect("it was counted when this place was given");
        *count -= 1;
        if *count == 0 {
            counts.remove(&address);
        }
    }
}

/// A place among those who speak HTTP.
#[derive(Debug)]
pub struct Http(Arc<Counts>);

impl Drop for Http {
    fn drop(&mut self) {
        self.0.http.leave();
        metrics::gauge!(HTTP).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(handshakes_max: usize, handshakes_per_ip_max: usize) -> Admission {
        let trusted = vec!["10.9.9.9".parse().unwrap()];
        let http_connections_max = 1;
        Admission::new(&Config {
            handshakes_max,
            handshakes_per_ip_max,
            trusted,
            http_connections_max,
            ..Config::default()
        })
    }
    fn full(admission: &Admission, address: &str) -> Option<Full> {
        admission.handshake(address.parse().unwrap()).err()
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let admission = admission(10, 2);
        let held: Vec<_> =
            (0..2).map(|_| admission.handshake("10.0.0.1".parse().unwrap()).unwrap()).collect();
        assert_eq!(full(&admission, "10.0.0.1"), Some(Full::Address));
        assert_eq!(full(&admission, "::ffff:10.0.0.1"), Some(Full::Address));
        assert_eq!(full(&admission, "10.0.0.2"), None);
        drop(held);
        assert_eq!(full(&admission, "10.0.0.1"), None);
        assert_eq!(admission.handshakes(), 0);
        assert!(admission.0.addresses().is_empty());
    }

    #[test]
    fn addresses_of_one_network_count_together_and_trusted_ones_do_not_count() {
        let admission = admission(10, 1);
        let _one = admission.handshake("2001:db8::1".parse().unwrap()).unwrap();
        assert_eq!(full(&admission, "2001:db8::2"), Some(Full::Address));
        assert_eq!(full(&admission, "2001:db8:0:1::2"), None);
        let _many: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1", "::1", "10.9.9.9", "10.9.9.9"]
            .iter()
            .map(|address| admission.handshake(address.parse().unwrap()).unwrap())
            .collect();
        assert_eq!(admission.handshakes(), 7);
    }

    #[test]
    fn places_are_free_again_when_their_holder_goes() {
        let admission = admission(1, 0);
        let held = admission.handshake("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(full(&admission, "10.0.0.2"), Some(Full::Handshakes));
        drop(held);
        assert_eq!(full(&admission, "10.0.0.2"), None);
        let held = admission.http().unwrap();
        assert_eq!(admission.http().err(), Some(Full::Connections));
        drop(held);
        assert!(admission.http().is_ok());
    }
}
