//! `waggle admin cluster`: the authority of a cluster and the certificates of its nodes. Asks no node: the files are
//! all there is.

use crate::{
    config::ROLES,
    credentials::folder::{self, AUTHORITY_FILE, FolderError, GOSSIP_KEYS_FILE},
    machine,
};
use clap::{Subcommand, builder::PossibleValuesParser};
use cluster::node::NodeId;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Days for which a node's certificate is good unless told otherwise.
const DAYS: u32 = 365;

#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Make the cluster's own certificate authority, once; prints its certificate's file.
    Init {
        /// Where to.
        #[arg(long, value_name = "DIR", default_value = "waggle-credentials")]
        credentials: PathBuf,
    },
    /// Make a certificate for a node; prints its file. The node needs it, its key, the authority's certificate and the
    /// keys of gossip.
    Cert {
        /// The node's name, as in its configuration.
        name: String,
        /// What it may do; everything by default.
        #[arg(long = "role", value_delimiter = ',', value_name = "ROLE,...",
              value_parser = PossibleValuesParser::new(ROLES))]
        roles: Vec<String>,
        /// For how long.
        #[arg(long, default_value_t = DAYS)]
        days: u32,
        /// Where the authority is.
        #[arg(long, value_name = "DIR", default_value = "waggle-credentials")]
        credentials: PathBuf,
    },
}

impl Cluster {
    /// Makes the files; answers the one to name, as `id`, and the others.
    pub(super) fn run(self) -> Result<Value, FolderError> {
        let now = machine::wall_clock_us();
        match self {
            Self::Init { credentials } => {
                folder::make_authority(&credentials, now)?;
                Ok(json!({ "id": credentials.join(AUTHORITY_FILE) }))
            }
            Self::Cert { name, mut roles, days, credentials } => {
                if roles.is_empty() {
                    roles = ROLES.map(str::to_owned).into();
                }
                let node = NodeId::parse(&name).map_err(FolderError::Name)?;
                let [authority, certificate, key] =
                    folder::make_node(&credentials, &node, &roles, now, days)?;
                let gossip = credentials.join(GOSSIP_KEYS_FILE);
                Ok(
                    json!({ "id": certificate, "key": key, "authority": authority, "gossip": gossip, "roles": roles }),
                )
            }
        }
    }
}
