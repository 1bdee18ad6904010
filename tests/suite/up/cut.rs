//! The way between two nodes is cut, or bad, and both are up: the one that has to yield says so, and others take its
//! channels.

use super::{cluster, processes, well};
use crate::native::stage::{self, Person, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;
use tests::harness::gate::{Gate, Way};
use tests::harness::{Node, Program, Serve, Starting, gone, http, send, step};

const NODES: usize = 3;
const CHANNELS: usize = 8;
/// Whose way from `node-1`, which dials it, is bad: of two that do not reach each other the later one by name yields.
const BEHIND: &str = "node-2";

/// A cluster of which one node is reached by the others through a gate.
struct Town {
    stage: Stage,
    gate: Gate,
    behind: Node,
    ann: Person,
    channels: Vec<String>,
    /// URLs of the nodes before and behind the gate.
    before: String,
    behind_url: String,
    said: Cell<usize>,
}

impl Town {
    async fn open() -> Result<Self> {
        let stage = Stage::open(Serve { program: Program::Up(NODES), ..stage::plain(&[]) }).await?;
        well(&stage.node).await?;
        let nodes = stage.node.ready["nodes"].as_array().context("nodes")?;
        let found = nodes.iter().find(|node| node["node"] == BEHIND).context("the node")?;
        let gate = Gate::to(found["address"].as_str().context("its address")?).await?;
        let pid = stage.node.pid_of(BEHIND)?;
        send(pid, libc::SIGKILL)?;
        gone(&[pid]).await?;
        let advertise = format!("cluster.advertise={}", gate.address());
        let behind = Serve {
            program: Program::Again(format!("{BEHIND}/waggle.toml")),
            data: Some(stage.node.data.clone()),
            args: vec!["--set".to_owned(), advertise],
            ..Serve::default()
        };
        let behind = Starting::spawn(behind)?.ready().await?;
        well(&stage.node).await?;
        let ann = stage.person("ann").await?;
        let mut channels = Vec::new();
        for number in 0..CHANNELS {
            channels.push(stage.channel(&format!("c{number}"), &[&ann]).await?);
        }
        let all = processes(&stage.node)?;
        let url = |of: &str| all.iter().find(|(name, ..)| name == of).map(|(_, _, url)| url.clone());
        let (before, behind_url) = (url("node-1").context("node-1")?, url(BEHIND).context(BEHIND)?);
        Ok(Self { stage, gate, behind, ann, channels, before, behind_url, said: Cell::new(0) })
    }

    async fn call(&self, url: &str, method: &str, args: Value) -> Result<Value> {
        let api_url = format!("{url}api/");
        Box::pin(step(method, http::api(&api_url, method, &self.ann.token, &args))).await?
    }

    /// Says something in every channel, by way of a node.
    async fn say(&self, url: &str) -> Result<()> {
        self.said.set(self.said.get() + 1);
        let text = format!("message {}", self.said.get());
        for channel in &self.channels {
            let said =
                self.call(url, "chat.postMessage", json!({ "channel": channel, "text": text })).await?;
            ensure!(said["ok"] == true, "{text} was refused in {channel}: {said}");
        }
        Ok(())
    }

    /// Every channel has everything, once and in order, as the nodes before and behind the gate tell it.
    async fn has_all(&self) -> Result<()> {
        let expected: Vec<String> =
            (1..=self.said.get()).rev().map(|number| format!("message {number}")).collect();
        for url in [&self.before, &self.behind_url] {
            for channel in &self.channels {
                let args = json!({ "channel": channel, "limit": 200 });
                let page = self.call(url, "conversations.history", args).await?;
                let messages = page["messages"].as_array().with_context(|| format!("messages in {page}"))?;
                let said = messages.iter().filter(|message| message["subtype"].is_null());
                let texts: Vec<&str> = said.filter_map(|message| message["text"].as_str()).collect();
                ensure!(texts == expected, "{channel} at {url}: {texts:?}");
            }
        }
        Ok(())
    }

    async fn health(&self) -> Result<String> {
        Ok(cluster(&self.stage.node, &["health"]).await?.1)
    }

    async fn end(self) -> Result<()> {
        Box::pin(well(&self.stage.node)).await?;
        self.has_all().await?;
        assert_eq!(self.behind.stop().await?, 0);
        Ok(())
    }
}

#[tokio::test]
async fn channels_behind_a_cut_way_go_to_others_who_take_posts() -> Result<()> {
    let town = Box::pin(Town::open()).await?;
    town.say(&town.before).await?;
    town.gate.set(Way::CUT);
    // What is under way to an owner at this moment waits for the next one, and is refused to nobody.
    town.say(&town.before).await?;
    let yields = async {
        loop {
            let said = town.health().await?;
            let why = "it has no link to node-1, and others have";
            if said.contains(&format!("{BEHIND} is gray")) && said.contains(why) {
                return anyhow::Ok(());
            }
        }
    };
    Box::pin(step("the node behind the cut to yield", yields)).await??;
    town.say(&town.before).await?;
    town.gate.set(Way::FREE);
    town.say(&town.before).await?;
    Box::pin(town.end()).await
}

#[tokio::test]
async fn a_slow_way_that_loses_three_datagrams_of_ten_loses_nothing_else() -> Result<()> {
    let town = Box::pin(Town::open()).await?;
    town.gate.set(Way { delay: Duration::from_millis(30), lost_of_ten: 3, ..Way::FREE });
    for _ in 0..5 {
        town.say(&town.before).await?;
        town.say(&town.behind_url).await?;
    }
    town.gate.set(Way::FREE);
    Box::pin(town.end()).await
}
