//! What a node says when it takes work: one line that programs read, or a banner for people.

use crate::config::Config;
use cluster::swim::Address;
use hyper::Uri;
use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where its operator reaches it; empty for one that only keeps the store.
    pub operator: String,
    /// Where other nodes reach it, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Ready {
    /// Of one node with this URL of its own; `actors.public_url` is settled.
    pub fn of(config: &Config, own_url: String, address: Option<&Address>) -> Self {
        let node = NodeReady {
            node: config.node.name.clone(),
            cell: config.node.cell.clone(),
            pid: std::process::id(),
            roles: config.node.roles.clone(),
            base_url: own_url,
            operator: String::new(),
            address: address.map(Address::to_string),
        };
        Self::of_nodes(config.actors.public_url.clone(), String::new(), vec![node])
    }
    /// Of nodes with one URL and one operator's socket for all.
    pub fn of_nodes(base_url: String, operator: String, nodes: Vec<NodeReady>) -> Self {
        Self {
            v: 1,
            ready: true,
            version: env!("CARGO_PKG_VERSION"),
            api_url: format!("{base_url}api/"),
            base_url,
            operator,
            nodes,
        }
    }
    /// Says where the operator reaches it.
    pub fn operated_at(&mut self, operator: &Path) {
        let operator = operator.display().to_string();
        self.nodes.iter_mut().for_each(|node| node.operator.clone_from(&operator));
        self.operator = operator;
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
        write!(f, "  operator  {}", self.operator)?;
        if self.nodes.len() > 1 {
            for NodeReady { node, pid, roles, base_url, .. } in &self.nodes {
                write!(f, "\n  {node:<9} pid {pid}, {}, {base_url}", roles.join(" and "))?;
            }
        }
        Ok(())
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

/// The node's own URL, where whoever finds the public one finds it, too; else nothing.
pub fn reachable<'a>(own_url: &'a str, public_url: &str) -> &'a str {
    if is_of_this_machine(own_url) && !is_of_this_machine(public_url) { "" } else { own_url }
}

fn is_of_this_machine(url: &str) -> bool {
    let url: Option<Uri> = url.parse().ok();
    let host = url.as_ref().and_then(Uri::host).map(|host| host.trim_matches(['[', ']']));
    let is_loopback = |host: &str| host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    host.is_some_and(|host| host == "localhost" || is_loopback(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_fields_that_programs_read() {
        let mut config = Config::default();
        config.actors.public_url = "http://127.0.0.1:8065/".into();
        let mut ready = Ready::of(&config, config.actors.public_url.clone(), None);
        ready.operated_at(Path::new("/d/operator.sock"));
        let line = ready.line();
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
    fn users_are_sent_to_this_machine_only_when_they_are_there() {
        let (here, there) = ("http://127.0.0.1:81/", "http://10.0.0.1:81/");
        for public in ["http://127.0.0.1:80/", "http://localhost/", "http://[::1]:80/"] {
            assert_eq!([reachable(here, public), reachable(there, public)], [here, there], "{public}");
        }
        for public in ["https://chat.example/", "http://10.0.0.2:80/", ""] {
            assert_eq!([reachable(here, public), reachable(there, public)], ["", there], "{public}");
        }
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
