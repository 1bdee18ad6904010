//! The other nodes, and what a node needs to be one of them.

use super::{Node, ROLES};
use ::cluster::node::NodeId;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// A node's place among others; without credentials it is a cluster by itself. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Folder with the authority's certificate, this node's own with its key, and the key of gossip, as
    /// `waggle admin cluster` makes them; empty: this node is by itself.
    pub credentials: PathBuf,
    /// Address and port for other nodes, links by TCP and gossip by UDP; port 0 picks one.
    pub listen: String,
    /// Where other nodes reach it, host and port; empty: where it listens.
    pub advertise: String,
    /// Addresses of nodes to join by; one that answers is enough.
    pub seeds: Vec<String>,
    /// Names of the cell's nodes with role `channels`: whoever sees a majority of them may take channels over.
    pub members: Vec<String>,
    /// Name of the node that has the store; empty: this one.
    pub store: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            credentials: PathBuf::new(),
            listen: "127.0.0.1:0".into(),
            advertise: String::new(),
            seeds: Vec::new(),
            members: Vec::new(),
            store: String::new(),
        }
    }
}

impl Cluster {
    /// Whether there are other nodes.
    pub fn is_several(&self) -> bool {
        !self.credentials.as_os_str().is_empty()
    }

    /// What types cannot say; the sentence names the setting.
    pub(super) fn check(&self, node: &Node) -> Result<(), String> {
        if !self.is_several() {
            if let Some(missing) = ROLES.iter().find(|role| !node.has_role(role)) {
                return Err(format!(
                    "node.roles: a node without role {missing:?} needs other nodes: set cluster.credentials"
                ));
            }
            let given = [
                ("seeds", !self.seeds.is_empty()),
                ("members", !self.members.is_empty()),
                ("store", !self.store.is_empty()),
            ];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(format!("cluster.{key}: other nodes need cluster.credentials")),
                None => Ok(()),
            };
        }
        self.listen.parse::<SocketAddr>().map_err(|e| format!("cluster.listen: {:?}: {e}", self.listen))?;
        for member in self.members.iter().chain(Some(&self.store).filter(|store| !store.is_empty())) {
            NodeId::parse(member).map_err(|e| format!("cluster: {member:?}: {e}"))?;
        }
        if node.has_role("channels") != self.members.contains(&node.name) {
            return Err(format!(
                "cluster.members: has to name the nodes with role \"channels\" and no other; this one is {:?} \
                 with roles {}",
                node.name,
                node.roles.join(", ")
            ));
        }
        match (node.has_role("store"), self.store.as_str()) {
            (true, "") => Ok(()),
            (true, name) if name == node.name => Ok(()),
            (true, other) => {
                Err(format!("cluster.store: is {other:?}, and this node has role \"store\" too"))
            }
            (false, "") => Err("cluster.store: a node without role \"store\" has to know who has it".into()),
            (false, name) if name == node.name => {
                Err(format!("cluster.store: is {name:?}, this node, which is without role \"store\""))
            }
            (false, _) => Ok(()),
        }
    }
}
