//! Where users are at home: every node names the same gateway, and another one when that is gone.

use super::{processes, up, well};
use crate::native::stage::{self, Stage, connected};
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tests::client::Options;
use tests::harness::{Node, Program, Serve, Starting, gone, http, send, step};

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

/// The home of somebody, as soon as all of these nodes name the same one that is fit for it.
async fn agreed<'a>(
    all: &BTreeMap<String, String>,
    asked: impl Iterator<Item = &'a String> + Clone,
    token: &str,
    is_fit: impl Fn(&str) -> bool,
) -> Result<String> {
    let agreed = async {
        loop {
            let mut answers = BTreeSet::new();
            for url in asked.clone() {
                answers.insert(home(all, &named(url, token).await?));
            }
            if answers.len() == 1
                && let Some(home) = answers.pop_first().flatten().filter(|home| is_fit(home))
            {
                return anyhow::Ok(home);
            }
        }
    };
    Box::pin(step("all nodes to name the same home", agreed)).await?
}

/// Which of the gateways it leads to; none, as long as a node has heard of no home and names the cluster's own URL.
fn home(gateways: &BTreeMap<String, String>, url: &str) -> Option<String> {
    let leads = |own: &str| url.starts_with(&http::socket_url(own, ""));
    Some(gateways.iter().find(|(_, own)| leads(own))?.0.clone())
}

#[tokio::test]
async fn every_node_names_the_same_home_and_another_one_when_that_is_gone() -> Result<()> {
    let stage = Stage::open(Serve { program: Program::Up(NODES), ..stage::plain(&[]) }).await?;
    well(&stage.node).await?;
    let all = gateways(&stage.node)?;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(stage.person(&format!("person{number}")).await?);
    }
    let mut homes = BTreeMap::new();
    for (number, person) in people.iter().enumerate() {
        let home = agreed(&all, all.values(), &person.token, |_| true).await?;
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
    assert_eq!(home(&all, &native.home()).as_ref(), Some(ann_home), "native clients are told so, too");

    let pid = stage.node.pid_of(&dead)?;
    send(pid, libc::SIGKILL)?;
    gone(&[pid]).await?;
    let left: Vec<&String> = all.iter().filter(|(name, _)| **name != dead).map(|(_, url)| url).collect();
    for (person, before) in homes.values() {
        if *before == dead {
            agreed(&all, left.iter().copied(), &person.token, |home| home != dead).await?;
            continue;
        }
        for url in &left {
            let now = home(&all, &named(url, &person.token).await?);
            ensure!(
                now.as_ref() == Some(before),
                "{now:?} is the home of somebody whose home {before} is up"
            );
        }
    }

    let again = Serve {
        program: Program::Again(format!("{dead}/waggle.toml")),
        data: Some(stage.node.data.clone()),
        ..Serve::default()
    };
    let again = Starting::spawn(again)?;
    let open = async {
        while home(&all, &named(left[0], &ann.token).await?).as_ref() != Some(&dead) {}
        http::send("GET", &format!("{}readyz", all[&dead]), &[], Vec::new()).await
    };
    let ready = Box::pin(step("to be at home there again", open)).await??;
    assert_eq!(ready.status, 200, "a node is a home before its door is open: {}", ready.text());
    assert_eq!(again.ready().await?.stop().await?, 0);
    agreed(&all, left.iter().copied(), &ann.token, |home| home != dead).await?;
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
