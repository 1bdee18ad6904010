//! A real node with one workspace, the people in it, their tokens and their clients.

use anyhow::{Context, Result};
use proto::frame::WireForm;
use std::sync::Arc;
use tests::client::{Client, Options};
use tests::harness::{Node, Scratch, Serve, http, step};

pub(crate) const WORKSPACE: &str = "acme";
/// Tests send faster than people type.
const FAST: [(&str, &str); 2] =
    [("WAGGLE_ACTORS__RATE_PER_S", "1000000"), ("WAGGLE_ACTORS__RATE_BURST", "1000000")];

/// How these tests start a node: nothing is made by itself, nobody is too fast.
pub(crate) fn plain(env: &[(&str, &str)]) -> Serve {
    let env = FAST.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Serve { args: vec!["--bootstrap".into(), "none".into()], env: env.collect(), ..Serve::default() }
}

/// Where native clients connect.
pub(crate) fn connect_url(node: &Node) -> String {
    http::socket_url(&node.base_url, "connect")
}

pub(crate) struct Stage {
    pub(crate) node: Node,
    serve: Serve,
}

/// A user with a token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) async fn start() -> Result<Self> {
        Self::with(&[]).await
    }
    /// With further settings, as `WAGGLE_SECTION__KEY`.
    pub(crate) async fn with(env: &[(&str, &str)]) -> Result<Self> {
        Self::open(plain(env)).await
    }
    pub(crate) async fn open(serve: Serve) -> Result<Self> {
        let stage = Self::reopen(serve).await?;
        stage.node.admin(&["workspace", "create", WORKSPACE]).await?;
        Ok(stage)
    }
    /// On data that has the workspace.
    pub(crate) async fn reopen(serve: Serve) -> Result<Self> {
        let node = Node::serve(serve.clone()).await?;
        Ok(Self { node, serve })
    }

    /// A person of the workspace with a user token.
    pub(crate) async fn person(&self, name: &str) -> Result<Person> {
        person(&self.node, name).await
    }
    /// One more token of a person.
    pub(crate) async fn another_token(&self, person: &Person) -> Result<String> {
        token(&self.node, &person.id).await
    }
    /// A public channel of these people, who are in it.
    pub(crate) async fn channel(&self, name: &str, people: &[&Person]) -> Result<String> {
        let id = self.node.admin(&["channel", "create", "--workspace", WORKSPACE, name]).await?;
        for person in people {
            self.join(&id, person).await?;
        }
        Ok(id)
    }
    pub(crate) async fn join(&self, channel: &str, person: &Person) -> Result<()> {
        let args = ["channel", "join", "--workspace", WORKSPACE, "--channel", channel, "--user", &person.id];
        self.node.admin(&args).await.map(drop)
    }

    pub(crate) fn url(&self) -> String {
        connect_url(&self.node)
    }
    /// A client that comes back at once.
    pub(crate) fn options(&self, person: &Person) -> Options {
        Options { backoff_base_ms: 1, ..Options::new(self.url(), person.token.clone()) }
    }
    pub(crate) async fn client(&self, person: &Person) -> Result<Client> {
        self.client_in(person, WireForm::Proto).await
    }
    pub(crate) async fn client_in(&self, person: &Person, form: WireForm) -> Result<Client> {
        connected(Options { form, ..self.options(person) }).await
    }

    /// Kills the node and starts another on the same data; clients have to be moved.
    pub(crate) async fn restart(self) -> Result<Self> {
        let data: Arc<Scratch> = self.node.kill().await?;
        let node = Node::serve(Serve { data: Some(data), ..self.serve.clone() }).await?;
        Ok(Self { node, serve: self.serve })
    }

    /// A metric's value, summed over its series; 0 while it has none.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let page = self.node.get("metrics").await?.text();
        let of_it = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            rest.rsplit(' ').next()
        });
        of_it.map(|value| value.parse::<f64>().with_context(|| format!("{name} is {value}"))).sum()
    }
    /// Waits until a metric reaches `least`.
    pub(crate) async fn until_metric(&self, name: &str, least: f64) -> Result<()> {
        let reached = async {
            while Box::pin(self.metric(name)).await? < least {}
            anyhow::Ok(())
        };
        step(&format!("{name} to reach {least}"), reached).await?
    }
}

/// A user of the workspace with a token.
pub(crate) async fn person(node: &Node, name: &str) -> Result<Person> {
    let id = node.admin(&["user", "create", "--workspace", WORKSPACE, name]).await?;
    let token = token(node, &id).await?;
    Ok(Person { id, token })
}
async fn token(node: &Node, user: &str) -> Result<String> {
    node.admin(&["token", "create", "--workspace", WORKSPACE, "--user", user]).await
}

pub(crate) async fn connected(options: Options) -> Result<Client> {
    Ok(step("a client to be welcomed", Client::connect(options)).await??)
}
