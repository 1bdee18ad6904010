//! Configuration: one section a room, read once, at the start. A flag wins over `WAGGLE_SECTION__KEY`, that over the
//! file, the file over the default. What nobody knows is an error that names it.

mod cluster;

pub use cluster::Cluster;

use crate::storage::StorageConfig;
use ::cluster::{charm::sight::is_url, link::roles::Role, node::NodeId};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};
use toml::{Table, Value};

/// Every setting with its default and a comment; the text of `waggle config --explain`.
pub const EXPLAINED: &str = include_str!("../config/default.toml");
/// Environment variables that begin so and contain `__` are settings.
const PREFIX: &str = "WAGGLE_";
/// Where everything is kept unless a configuration file or a setting says otherwise; `waggle admin` looks there, too.
pub const DATA_VARIABLE: &str = "WAGGLE_DATA";
/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// This process.
    pub node: Node,
    /// The other nodes.
    pub cluster: Cluster,
    /// Sockets.
    pub gateway: crate::gateway::config::Config,
    /// The embedded store.
    pub storage: StorageConfig,
    /// Channels, sessions, limits of what users do.
    pub actors: actors::config::Config,
    /// What is written to stderr.
    pub log: Log,
}

/// The process and its place in the cluster. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Name, unique in the cluster.
    pub name: String,
    /// The cell that it belongs to.
    pub cell: String,
    /// What it does, of [`ROLES`].
    pub roles: Vec<String>,
    /// Where everything is kept.
    pub data: PathBuf,
    /// What an empty data directory is seeded with: `demo` or `none`.
    pub bootstrap: Bootstrap,
    /// A stop that takes longer ends with exit code 5, in ms.
    pub drain_timeout_ms: u64,
    /// Connections are sent away spread over this long, in ms.
    pub drain_window_ms: u64,
    /// Single-threaded runtimes that hold sessions; 0: one a core.
    pub shards: usize,
    /// Threads for everything else; 0: one a core.
    pub workers: usize,
    /// Threads that may block in disk and hashing.
    pub blocking_threads_max: usize,
}

/// What [`actors::config::Config::gateway_url`] says for the listening address.
pub const OWN_URL: &str = "own";

/// What a node can do: hold clients' sockets, own channels, keep the store. A node by itself does all of it.
pub const ROLES: [&str; 3] = [Role::Gateway.name(), Role::Channels.name(), Role::Store.name()];

/// What an empty data directory is seeded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Bootstrap {
    /// Workspace `demo` with user `admin` and channels `general` and `random`.
    Demo,
    /// Nothing.
    None,
}

/// Log records. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level or a filter by target: `info`, `warn,cells=debug`.
    pub filter: String,
    /// `auto` (text on a terminal, JSON lines elsewhere), `text` or `json`.
    pub format: Format,
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "node-1".into(),
            cell: "cell-1".into(),
            roles: ROLES.map(String::from).into(),
            data: "waggle-data".into(),
            bootstrap: Bootstrap::Demo,
            drain_timeout_ms: 30_000,
            drain_window_ms: 10_000,
            shards: 0,
            workers: 0,
            blocking_threads_max: 32,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: Format::Auto }
    }
}

/// Why there is no configuration. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("the configuration file {0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// The file is not TOML, names an unknown setting, or a value is of another type.
    #[error("the configuration file {0} is wrong: {1}")]
    File(PathBuf, String),
    /// A variable or a flag names no setting.
    #[error("{0} names no setting; `waggle config --explain` lists them")]
    Unknown(String),
    /// A variable or a flag has a value that its setting cannot take.
    #[error("{0} cannot be {1:?}: {2}")]
    Value(String, String, String),
    /// A value that is of the right type and makes no sense.
    #[error("{0}")]
    Senseless(String),
}

/// Where settings come from, the weakest first.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
    /// The process's environment.
    pub environment: Vec<(String, String)>,
    /// Flags: what the user typed, section, key, value.
    pub flags: Vec<(&'static str, &'static str, &'static str, String)>,
    /// `--set section.key=value`.
    pub sets: Vec<String>,
}

/// Puts the sources together.
pub fn load(sources: Sources) -> Result<Config, ConfigError> {
    let mut table = match &sources.file {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    let mut variables: Vec<(String, String)> = sources.environment;
    // Who starts a node of a cluster again by its file means that node's data.
    if table.get("node").is_some_and(|node| node.get("data").is_some()) {
        variables.retain(|(name, _)| name != DATA_VARIABLE);
    }
    // The default comes first, so that the setting wins.
    variables.sort_by_key(|(name, _)| (name != DATA_VARIABLE, name.clone()));
    for (name, value) in variables {
        if name == DATA_VARIABLE {
            put(&mut table, &name, "node", "data", &value)?;
        } else if let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__"))
        {
            put(&mut table, &name, &section.to_lowercase(), &key.to_lowercase(), &value)?;
        }
    }
    for (flag, section, key, value) in sources.flags {
        put(&mut table, flag, section, key, &value)?;
    }
    for set in sources.sets {
        let split = set.split_once('=').and_then(|(name, value)| Some((name.split_once('.')?, value)));
        let Some(((section, key), value)) = split else {
            return Err(ConfigError::Senseless(format!("--set takes SECTION.KEY=VALUE, not {set:?}")));
        };
        put(&mut table, &format!("--set {section}.{key}"), section, key, value)?;
    }
    let config: Config =
        table.try_into().map_err(|e: toml::de::Error| ConfigError::Senseless(e.message().to_owned()))?;
    config.check()?;
    Ok(config)
}

/// Reads the file, and by itself already as a whole configuration, so that errors name its lines.
fn read(path: &PathBuf) -> Result<Table, ConfigError> {
    let unreadable = |e| ConfigError::Unreadable(path.clone(), e);
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |e: toml::de::Error| ConfigError::File(path.clone(), e.to_string());
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

/// Puts one setting in; its default says of which type it is.
fn put(table: &mut Table, name: &str, section: &str, key: &str, text: &str) -> Result<(), ConfigError> {
    let defaults: Table = toml::from_str(EXPLAINED).expect("a test reads the shipped file");
    let Some(default) = defaults.get(section).and_then(|section| section.get(key)) else {
        return Err(ConfigError::Unknown(name.to_owned()));
    };
    let value = match default {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        default => {
            let wrong = |why: String| ConfigError::Value(name.to_owned(), text.to_owned(), why);
            let value: Value = text.parse().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
            if value.type_str() != default.type_str() {
                return Err(wrong(format!("it is of type {}", default.type_str())));
            }
            value
        }
    };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    section.as_table_mut().expect("the file was read as sections").insert(key.to_owned(), value);
    Ok(())
}

impl Node {
    /// Whether it does this, of [`ROLES`].
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

impl Config {
    /// What types cannot say.
    fn check(&self) -> Result<(), ConfigError> {
        let senseless = |text: String| Err(ConfigError::Senseless(text));
        for (name, text) in [("node.name", &self.node.name), ("node.cell", &self.node.cell)] {
            if let Err(e) = NodeId::parse(text) {
                return senseless(format!("{name}: {e}"));
            }
        }
        if let Some(unknown) = self.node.roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
            return senseless(format!(
                "node.roles: there is no role {unknown:?}; roles are {}",
                ROLES.join(", ")
            ));
        }
        self.cluster.check(&self.node).map_err(ConfigError::Senseless)?;
        let actors = &self.actors;
        for (name, url) in [("public_url", &actors.public_url), ("gateway_url", &actors.gateway_url)] {
            let is_own = name == "gateway_url" && url == OWN_URL;
            if !url.is_empty() && !is_url(url) && !is_own {
                return senseless(format!("actors.{name}: {url:?} is no http(s) URL with a trailing slash"));
            }
        }
        if !actors.gateway_url.is_empty() && !self.node.has_role("gateway") {
            return senseless(
                "actors.gateway_url: a node without role \"gateway\" is nobody's home".to_owned(),
            );
        }
        let gateway = &self.gateway;
        let sizes = [
            ("header_bytes_max", gateway.header_bytes_max, 256, 65_536),
            ("frame_bytes_max", gateway.frame_bytes_max, 1024, proto::frame::FRAME_BYTES_MAX),
            ("body_bytes_max", gateway.body_bytes_max, 1024, 1 << 30),
        ];
        for (name, value, min, max) in sizes {
            if !(min..=max).contains(&value) {
                return senseless(format!("gateway.{name}: {value} is not within {min} and {max}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
