//! What a node says when it takes work: one line that programs read, or a banner for people.

use crate::config::Config;
use serde::Serialize;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// The ready line. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Version of this form.
    pub v: u8,
    /// Always true.
    pub ready: bool,
    /// Of the program.
    pub version: &'static str,
    /// URL of this cluster, with a trailing slash.
    pub base_url: String,
    /// Base URL for Slack SDKs.
    pub api_url: String,
    /// Where `waggle admin` reaches it.
    pub operator: String,
    /// The nodes that were started.
    pub nodes: Vec<NodeReady>,
}

/// One node of the ready line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReady {
    /// Its name.
    pub node: String,
    /// Its cell.
    pub cell: String,
    /// Its process.
    pub pid: u32,
    /// What it does.
    pub roles: Vec<String>,
    /// Its own URL.
    pub base_url: String,
    /// Where its operator reaches it.
    pub operator: String,
}

impl Ready {
    /// Of one node by itself; `actors.public_url` is settled.
    pub fn of(config: &Config, operator: &Path) -> Self {
        let (base_url, operator) = (config.actors.public_url.clone(), operator.display().to_string());
        let node = NodeReady {
            node: config.node.name.clone(),
            cell: config.node.cell.clone(),
            pid: std::process::id(),
            roles: config.node.roles.clone(),
            base_url: base_url.clone(),
            operator: operator.clone(),
        };
        Self {
            v: 1,
            ready: true,
            version: env!("CARGO_PKG_VERSION"),
            api_url: format!("{base_url}api/"),
            base_url,
            operator,
            nodes: vec![node],
        }
    }
    /// The line, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always have JSON")
    }
}

/// The banner.
impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "waggle {} is ready", self.version)?;
        writeln!(f, "  open      {}", self.base_url)?;
        writeln!(f, "  Slack API {}", self.api_url)?;
        write!(f, "  operator  {}", self.operator)
    }
}

/// The URL of a listening address: one that stands for all addresses is reached by loopback.
pub fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_fields_that_programs_read() {
        let mut config = Config::default();
        config.actors.public_url = "http://127.0.0.1:8065/".into();
        let line = Ready::of(&config, Path::new("/d/operator.sock")).line();
        let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
        let expected = format!(
            "{{\"v\":1,\"ready\":true,\"version\":\"{version}\",\"base_url\":\"http://127.0.0.1:8065/\",\
             \"api_url\":\"http://127.0.0.1:8065/api/\",\"operator\":\"/d/operator.sock\",\
             \"nodes\":[{{\"node\":\"node-1\",\"cell\":\"cell-1\",\"pid\":{pid},\
             \"roles\":[\"gateway\",\"channels\",\"store\"],\"base_url\":\"http://127.0.0.1:8065/\",\
             \"operator\":\"/d/operator.sock\"}}]}}"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn an_address_for_all_is_shown_as_loopback() {
        for (address, expected) in [
            ("0.0.0.0:80", "http://127.0.0.1:80/"),
            ("[::]:81", "http://[::1]:81/"),
            ("10.1.2.3:82", "http://10.1.2.3:82/"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
