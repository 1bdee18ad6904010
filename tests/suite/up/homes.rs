//! Where users are at home: every node names the same gateway, and another one when that is gone.

use super::{processes, up, well};
use crate::native::stage::{self, Stage, connected};
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tests::client::Options;
use tests::harness::{Node, Program, Serve, gone, http, send, step};

const NODES: usize = 3;
const PEOPLE: usize = 12;

/// URLs of their own of the nodes that hold sockets, by name.
fn gateways(node: &Node) -> Result<BTreeMap<String, String>> {
    let all = processes(node)?.into_iter().filter(|(name, ..)| name != "store");
    Ok(all.map(|(name, _, url)| (name, url)).collect())
}

/// The address that `rtm.connect` names at a node.
async fn named(url: &str, token: &str) -> Result<String> {
    let answer = http::api(&format!("{url}api/"), "rtm.connect", token, &json!({})).await?;
    Ok(answer["url"].as_str().with_context(|| format!("no URL in {answer}"))?.to_owned())
}

/// Which of the gateways it leads to.
fn home(gateways: &BTreeMap<String, String>, url: &str) -> Result<String> {
    let leads = |own: &str| url.starts_with(&http::socket_url(own, ""));
    let found = gateways.iter().find(|(_, own)| leads(own));
    Ok(found.with_context(|| format!("{url} is none of {gateways:?}"))?.0.clone())
}

#[tokio::test]
async fn every_node_names_the_same_home_and_another_one_when_that_is_gone() -> Result<()> {
    let stage = Stage::open(Serve { program: Program::Up(NODES), ..stage::plain(&[]) }).await?;
    well(&stage.node).await?;
    let all = gateways(&stage.node)?;
    let mut homes = BTreeMap::new();
    for number in 0..PEOPLE {
        let person = stage.person(&format!("person{number}")).await?;
        // Nodes that have just started hear of each other one after the other.
        let agreed = async {
            loop {
                let mut answers = BTreeSet::new();
                for url in all.values() {
                    answers.insert(home(&all, &named(url, &person.token).await?)?);
                }
                if answers.len() == 1
                    && let Some(home) = answers.pop_first()
                {
                    return anyhow::Ok(home);
                }
            }
        };
        let home = Box::pin(step("all nodes to name the same home", agreed)).await??;
        homes.insert(number, (person, home));
    }
    let dead = homes[&0].1.clone();
    ensure!(homes.values().any(|(_, home)| *home != dead), "all {PEOPLE} people are at home at {dead}");

    let (ann, ann_home) = &homes[&0];
    let (_, asked) = all.iter().find(|(name, _)| *name != ann_home).context("another node")?;
    let (mut socket, _) =
        step("RTM at home", tokio_tungstenite::connect_async(named(asked, &ann.token).await?)).await??;
    let hello = step("a frame", socket.next()).await?.context("a frame")??;
    ensure!(hello.to_text()?.contains("\"hello\""), "{hello}");
    let native = connected(Options::new(http::socket_url(asked, "connect"), ann.token.clone())).await?;
    assert_eq!(home(&all, &native.home())?, *ann_home, "native clients are told so, too");

    let pid = stage.node.pid_of(&dead)?;
    send(pid, libc::SIGKILL)?;
    gone(&[pid]).await?;
    let left: BTreeMap<_, _> = all.iter().filter(|(name, _)| **name != dead).collect();
    for (person, before) in homes.values() {
        for url in left.values() {
            let moved = async {
                loop {
                    let now = home(&all, &named(url, &person.token).await?)?;
                    if now != dead {
                        return anyhow::Ok(now);
                    }
                }
            };
            let now = Box::pin(step("a home that is up", moved)).await??;
            ensure!(
                *before == dead || now == *before,
                "{now} is the home of somebody whose home {before} is up"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_comes_from_elsewhere_is_sent_to_the_cluster_s_own_address() -> Result<()> {
    let mut serve = up();
    serve.args.extend(["--set", "actors.public_url=http://chat.example/"].map(String::from));
    let stage = Stage::open(serve).await?;
    let ann = stage.person("ann").await?;
    let answer = stage.node.ok("rtm.connect", &ann.token, json!({})).await?;
    let url = answer["url"].as_str().context("a URL")?;
    ensure!(url.starts_with("ws://chat.example/rtm/"), "{url}");
    Ok(())
}
