//! Where a user connects: at the gateway that is their home, or under the cluster's own URL.

use crate::config::Config;
use cluster::charm::Shown;
use cluster::placement::home;
use proto::id::{UserId, WorkspaceId};
use std::sync::Arc;

/// The way to the homes of users. Cheap to clone.
#[derive(Clone)]
pub struct Placement {
    config: Arc<Config>,
    /// `None` for a node by itself.
    cell: Option<Shown>,
}

impl Placement {
    pub(crate) fn new(config: Arc<Config>, cell: Option<Shown>) -> Self {
        Self { config, cell }
    }

    /// WebSocket URL of a path at this user's home. `None` where nobody says that they are anybody's home.
    pub fn home(&self, workspace: &WorkspaceId, user: &UserId, path: &str) -> Option<String> {
        let cell = self.cell.as_ref()?.now();
        let who = (workspace.as_str().as_bytes(), user.as_str().as_bytes());
        let node = home(cell.gateways.keys(), who, self.config.gateways_per_workspace)?;
        socket_url(cell.gateways.get(node)?, path)
    }

    /// The same, or else where users reach the cluster; empty when that is not known yet.
    pub fn socket_url(&self, workspace: &WorkspaceId, user: &UserId, path: &str) -> String {
        self.home(workspace, user, path).unwrap_or_else(|| self.anywhere(path))
    }

    /// Where users reach the cluster, whichever node takes them; empty when that is not known yet.
    pub fn anywhere(&self, path: &str) -> String {
        socket_url(&self.config.public_url, path).unwrap_or_default()
    }
}

fn socket_url(base: &str, path: &str) -> Option<String> {
    let rest = base.trim_end_matches('/').strip_prefix("http")?;
    Some(format!("ws{rest}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_homes_users_connect_under_the_cluster_s_own_url() {
        let of = |public_url: &str| {
            let config = Config { public_url: public_url.to_owned(), ..Config::default() };
            let (workspace, user) = (WorkspaceId::parse("T0000000001"), UserId::parse("U0000000001"));
            Placement::new(Arc::new(config), None).socket_url(&workspace.unwrap(), &user.unwrap(), "rtm/x")
        };
        assert_eq!(of("https://chat.example/"), "wss://chat.example/rtm/x");
        assert_eq!(of("http://chat.example:8065/"), "ws://chat.example:8065/rtm/x");
        assert_eq!(of(""), "", "not known before the node listens");
    }
}
