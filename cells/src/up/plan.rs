//! What each node of a cluster on one machine is told: its credentials and its configuration, as files with which
//! anybody can start it again.

use crate::{
    boot::NodeReady,
    config::{Bootstrap, OWN_URL, ROLES},
    credentials::folder::{self, AUTHORITY_FILE, FolderError},
};
use cluster::node::{NameError, NodeId};
use proto::ts::Micros;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Table, Value};

/// Most nodes on one machine.
pub const NODES_MAX: usize = 32;
/// The process that keeps the store.
const STORE: &str = "store";
/// The store's file of a node by itself, which `waggle serve` makes.
const ALONE_FILE: &str = "store.redb";
/// A certificate is made at each start, for this long.
const DAYS: u32 = 365;
/// Configuration of a node, in its folder.
pub(super) const CONFIG_FILE: &str = "waggle.toml";

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Nodes beside the store.
    pub nodes: usize,
    /// Where everything is kept.
    pub data: PathBuf,
    /// The address that stands for all.
    pub listen: String,
    /// What an empty store is seeded with.
    pub bootstrap: Bootstrap,
    /// How nodes write their logs.
    pub log_format: String,
    /// Settings for all nodes, `section.key=value`.
    pub sets: Vec<String>,
    /// How long a node may take to drain.
    pub drain: Duration,
}

/// Why nodes cannot be told. Files that were written stay.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Credentials.
    #[error(transparent)]
    Credentials(#[from] FolderError),
    /// Writing.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A node by itself was here.
    #[error(
        "{0} is the store of a node by itself (`waggle serve`); to go on with it as a cluster, stop that node and \
         move the file to {1}"
    )]
    Alone(PathBuf, PathBuf),
    /// Names come from here.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// How to start a node.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its name.
    pub(super) name: String,
    /// Its configuration.
    pub(super) file: PathBuf,
    /// Settings beside it.
    pub(super) sets: Vec<String>,
}

/// A cluster as files.
pub(super) struct Plan {
    root: PathBuf,
    wish: Wish,
    public_url: String,
}

impl Plan {
    /// Makes credentials where there are none, and the store's configuration.
    pub(super) fn make(root: &Path, wish: &Wish, public_url: &str, now: Micros) -> Result<Self, PlanError> {
        let (alone, moved) = (root.join(ALONE_FILE), root.join(STORE).join(ALONE_FILE));
        if alone.exists() {
            return Err(PlanError::Alone(alone, moved));
        }
        let plan = Self { root: root.to_owned(), wish: wish.clone(), public_url: public_url.to_owned() };
        let credentials = plan.credentials();
        if !credentials.join(AUTHORITY_FILE).exists() {
            folder::make_authority(&credentials, now)?;
        }
        for name in plan.names().chain([STORE.to_owned()]) {
            for file in [credentials.join(format!("{name}.pem")), credentials.join(format!("{name}.key"))] {
                removed(&file)?;
            }
            let roles: Vec<String> = roles(&name).map(str::to_owned).collect();
            folder::make_node(&credentials, &NodeId::parse(&name)?, &roles, now, DAYS)?;
        }
        plan.write(STORE, None, &[])?;
        Ok(plan)
    }

    fn credentials(&self) -> PathBuf {
        self.root.join("credentials")
    }
    fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.wish.nodes).map(|number| format!("node-{number}"))
    }
    fn told(&self, name: &str) -> Told {
        let (name, file) = (name.to_owned(), self.root.join(name).join(CONFIG_FILE));
        Told { name, file, sets: self.wish.sets.clone() }
    }

    /// The store, which comes first.
    pub(super) fn store(&self) -> Told {
        self.told(STORE)
    }
    /// The nodes, which join by this address.
    pub(super) fn nodes(&self, seed: &str) -> Result<Vec<Told>, PlanError> {
        self.names().map(|name| self.write(&name, None, &[seed]).map(|()| self.told(&name))).collect()
    }
    /// All nodes are where they say: who starts one again finds it there, and it finds the others.
    pub(super) fn lasting(&self, all: &[NodeReady]) -> Result<(), PlanError> {
        let addresses: Vec<&str> = all.iter().filter_map(|node| node.address.as_deref()).collect();
        all.iter().try_for_each(|node| self.write(&node.node, Some(node), &addresses))
    }

    /// Writes a node's configuration; ports are what it found, or its own choice.
    fn write(&self, name: &str, found: Option<&NodeReady>, seeds: &[&str]) -> Result<(), PlanError> {
        let folder = self.root.join(name);
        let text = |text: &str| Value::String(text.to_owned());
        let list = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let path = |path: &Path| Value::String(path.display().to_string());
        // The first one seeds an empty store.
        let bootstrap = match self.wish.bootstrap {
            Bootstrap::Demo if name == "node-1" => "demo",
            _ => "none",
        };
        let address = found.and_then(|found| found.address.as_deref()).unwrap_or("127.0.0.1:0");
        let listen = found.and_then(|found| host_and_port(&found.base_url)).unwrap_or("127.0.0.1:0");
        let mut actors = vec![("public_url", text(&self.public_url))];
        if name != STORE {
            actors.push(("gateway_url", text(OWN_URL)));
        }
        let sections = [
            (
                "node",
                vec![
                    ("name", text(name)),
                    ("roles", list(roles(name).map(str::to_owned).collect())),
                    ("data", path(&folder)),
                    ("bootstrap", text(bootstrap)),
                ],
            ),
            (
                "cluster",
                vec![
                    ("credentials", path(&self.credentials())),
                    ("listen", text(address)),
                    ("seeds", list(seeds.iter().map(|seed| (*seed).to_owned()).collect())),
                    ("members", list(self.names().collect())),
                    ("store", text(STORE)),
                ],
            ),
            ("gateway", vec![("listen", text(listen))]),
            ("actors", actors),
        ];
        let mut table = Table::new();
        for (section, settings) in sections {
            let settings: Table = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            table.insert(section.to_owned(), Value::Table(settings));
        }
        let file = folder.join(CONFIG_FILE);
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, table.to_string()));
        written.map_err(|error| PlanError::File(file, error))
    }
}

/// What a process does: the store keeps, all others do the rest.
fn roles(name: &str) -> impl Iterator<Item = &'static str> {
    let keeps = name == STORE;
    ROLES.into_iter().filter(move |role| (*role == STORE) == keeps)
}

fn removed(file: &Path) -> Result<(), PlanError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PlanError::File(file.to_owned(), error)),
        _ => Ok(()),
    }
}

/// Of a node's own URL.
pub(super) fn host_and_port(url: &str) -> Option<&str> {
    url.strip_prefix("http://")?.split('/').next()
}
