//! `waggle up`: a cluster of processes behind one address, as somebody sees it who starts one.

mod cut;
mod half;
mod homes;
mod storeless;

use crate::native::stage::{self, Stage, connected};
use crate::serve::{text, waggle};
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::{Value, json};
use tests::client::{Keys, Options};
use tests::harness::{Node, Program, Serve, Starting, gone, http, send, step};

/// Nodes beside the store.
const NODES: usize = 2;

fn up() -> Serve {
    Serve { program: Program::Up(NODES), ..stage::plain(&[]) }
}

/// The processes of a cluster: names, pids, URLs of their own.
fn processes(node: &Node) -> Result<Vec<(String, u32, String)>> {
    let all = node.ready["nodes"].as_array().context("nodes of the ready line")?;
    let of = |one: &Value| {
        let name = one["node"].as_str()?.to_owned();
        let url = one["base_url"].as_str()?.to_owned();
        Some((name.clone(), node.pid_of(&name).ok()?, url))
    };
    all.iter().map(|one| of(one).context("name, pid and URL of each")).collect()
}

#[tokio::test]
async fn a_cluster_says_who_is_in_it_and_leaves_no_process_behind() -> Result<()> {
    let node = Node::serve(up()).await?;
    let all = processes(&node)?;
    let names: Vec<&str> = all.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["node-1", "node-2", "store"]);
    let roles = node.ready["nodes"].as_array().context("nodes")?.iter().map(|node| node["roles"].clone());
    let both = json!(["gateway", "channels"]);
    assert_eq!(roles.collect::<Vec<_>>(), [both.clone(), both, json!(["store"])]);
    for (name, _, url) in &all {
        let ready = http::send("GET", &format!("{url}readyz"), &[], Vec::new()).await?;
        assert_eq!(ready.status, 200, "{name} is ready at its own address");
    }
    assert!(!all.iter().any(|(_, _, url)| *url == node.base_url), "the cluster's address is its own");
    let pids: Vec<u32> = all.iter().map(|(_, pid, _)| *pid).collect();
    assert_eq!(node.stop().await?, 0);
    gone(&pids).await
}

#[tokio::test]
async fn a_cluster_whose_first_process_is_killed_leaves_no_process_behind() -> Result<()> {
    let node = Node::serve(up()).await?;
    let pids: Vec<u32> = processes(&node)?.iter().map(|(_, pid, _)| *pid).collect();
    node.kill().await?;
    gone(&pids).await
}

#[tokio::test]
async fn what_is_said_at_one_node_is_heard_at_the_other_and_found_after_a_restart_of_everything() -> Result<()>
{
    let stage = Stage::open(up()).await?;
    let (ann, bob) = (stage.person("ann").await?, stage.person("bob").await?);
    let channel = stage.channel("tea", &[&ann, &bob]).await?;
    let urls: Vec<String> = processes(&stage.node)?.into_iter().map(|(_, _, url)| url).collect();
    let at = |url: &str| http::socket_url(url, "connect");
    let mouth = connected(Options::new(at(&urls[0]), ann.token.clone())).await?;
    let ears = connected(Options::new(at(&urls[1]), bob.token.clone())).await?;
    step("both to follow the channel", async {
        mouth.following(1).await?;
        ears.following(1).await
    })
    .await??;
    let mut keys = Keys::default();
    for text in ["one", "two", "three"] {
        let ack = step("an ack", mouth.post(&channel, text, &keys.make())).await??;
        step("the other node to show it", ears.applied(&channel, ack.seq)).await??;
    }
    let stage = stage.restart().await?;
    let page = stage.node.ok("conversations.history", &bob.token, json!({ "channel": channel })).await?;
    let texts: Vec<&str> =
        page["messages"].as_array().context("messages")?.iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(texts[..3], ["three", "two", "one"]);
    Ok(())
}

#[tokio::test]
async fn a_ticket_is_good_at_any_node_once() -> Result<()> {
    let stage = Stage::open(up()).await?;
    let ann = stage.person("ann").await?;
    let answer = stage.node.ok("rtm.connect", &ann.token, json!({})).await?;
    let ticket = answer["url"].as_str().and_then(|url| url.rsplit('/').next()).context("a ticket")?;
    let issuer = ticket.rsplit('.').next().context("a ticket names its node")?;
    let all = processes(&stage.node)?;
    let (other, _, url) = all.iter().find(|(name, ..)| *name != issuer).context("another node")?;
    let url = http::socket_url(url, &format!("rtm/{ticket}"));
    for (time, expected) in [("first", "hello"), ("second", "error")] {
        let (mut socket, _) = step("an RTM socket", tokio_tungstenite::connect_async(&url)).await??;
        let frame = step("a frame", socket.next()).await?.context("a frame")??;
        let frame: Value = serde_json::from_str(frame.to_text()?)?;
        assert_eq!(frame["type"], expected, "the {time} time, at {other}");
    }
    Ok(())
}

/// Runs `waggle cluster` at the cluster's own socket: its exit code and what it printed.
async fn cluster(node: &Node, words: &[&str]) -> Result<(Option<i32>, String)> {
    let words = [&["cluster", "--node", node.operator.as_str()], words].concat();
    let output = waggle(&words, &[]).await?;
    Ok((output.status.code(), text(&output.stdout)))
}

#[tokio::test]
async fn an_operator_sees_who_is_there_what_they_own_and_what_is_amiss() -> Result<()> {
    let stage = Stage::open(Serve { program: Program::Up(3), ..stage::plain(&[]) }).await?;
    let node = &stage.node;
    stage.channel("tea", &[]).await?;
    let status = async || -> Result<Value> {
        let (code, text) = cluster(node, &["status", "--json"]).await?;
        ensure!(code == Some(0), "{text}");
        Ok(serde_json::from_str(&text)?)
    };
    // Each node takes work when it knows all owners; links may come up a moment later.
    let all = step("all links", async {
        loop {
            let all = status().await?;
            if all["nodes"].as_array().is_some_and(|nodes| nodes.iter().all(|node| node["state"] == "up")) {
                return anyhow::Ok(all);
            }
        }
    });
    let all = all.await??;
    let nodes = all["nodes"].as_array().context("nodes")?;
    let slots: u64 = nodes.iter().filter_map(|node| node["slots"].as_u64()).sum();
    assert_eq!((nodes.len(), slots, &all["v"]), (4, 4096, &json!(1)));
    assert_eq!(cluster(node, &["health"]).await?, (Some(0), "all is well\n".to_owned()));

    let (_, place) = cluster(node, &["placement", "tea", "--json"]).await?;
    let place: Value = serde_json::from_str(&place)?;
    let owner = place["placement"]["owner"].as_str().context("an owner")?.to_owned();
    let (code, why) = cluster(node, &["why", "#tea"]).await?;
    ensure!(code == Some(0) && why.starts_with(&owner), "{why}");
    assert_eq!(cluster(node, &["why", "coffee"]).await?.0, Some(1));

    let pid = node.pid_of(&owner)?;
    send(pid, libc::SIGKILL)?;
    gone(&[pid]).await?;
    let moved = async {
        loop {
            let all = status().await?;
            let lost = all["nodes"].as_array().into_iter().flatten().find(|node| node["node"] == *owner);
            let lost = lost.context("a member is named though it is gone")?;
            if (&lost["state"], &lost["slots"]) == (&json!("gone"), &json!(0)) {
                return anyhow::Ok(());
            }
        }
    };
    step("the slots to move", moved).await??;
    let (code, troubles) = cluster(node, &["health"]).await?;
    assert_eq!((code, troubles), (Some(1), format!("{owner} is gone and owns 0 slots\n")));
    let (_, why) = cluster(node, &["why", "tea"]).await?;
    assert!(!why.starts_with(&owner) && why.contains("since epoch 2"), "{why}");
    let table = cluster(node, &["ring"]).await?.1;
    assert!(table.starts_with("NODE") && table.lines().count() == 3, "{table}");
    Ok(())
}

#[tokio::test]
async fn a_message_is_traced_through_every_node_that_had_a_part_in_it() -> Result<()> {
    let stage = Stage::open(up()).await?;
    let node = &stage.node;
    let (ann, bob) = (stage.person("ann").await?, stage.person("bob").await?);
    let channel = stage.channel("tea", &[&ann, &bob]).await?;
    let mut listeners = Vec::new();
    for ((_, _, url), person) in processes(node)?.into_iter().zip([&ann, &bob]) {
        let url = http::socket_url(&url, "connect");
        let client = connected(Options::new(url, person.token.clone())).await?;
        step("somebody to follow the channel", client.following(1)).await??;
        listeners.push(client);
    }
    let ack = step("an ack", listeners[0].post(&channel, "tea?", &Keys::default().make())).await??;
    for listener in &listeners {
        step("everybody to be shown it", listener.applied(&channel, ack.seq)).await??;
    }
    let ts = format!("{}.{:06}", ack.us / 1_000_000, ack.us % 1_000_000);
    let hops = |trace: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = trace["trace"]["hops"].as_array().cloned().unwrap_or_default();
        all.iter().map(|hop| (text(&hop["hop"]), text(&hop["node"]))).collect()
    };
    let link = format!("https://team.example.org/archives/{channel}/p{}", ts.replace('.', ""));
    for name in [format!("tea/{ts}"), link] {
        let (code, said) = cluster(node, &["trace", &name, "--json"]).await?;
        ensure!(code == Some(0), "{said}");
        let hops = hops(&serde_json::from_str(&said)?);
        let at = |what: &str| -> Vec<&str> {
            hops.iter().filter(|(hop, _)| hop == what).map(|(_, node)| node.as_str()).collect()
        };
        assert_eq!(at("asked"), ["node-1"]);
        assert_eq!([at("ordered"), at("durable"), at("answered")].map(|hops| hops.len()), [1, 1, 1]);
        for gateway in ["node-1", "node-2"] {
            assert!(at("arrived").contains(&gateway) && at("handed").contains(&gateway), "{hops:?}");
        }
    }
    let (code, told) = cluster(node, &["trace", &format!("tea/{ts}")]).await?;
    assert!(code == Some(0) && told.contains("in the store; sent to 2 gateways"), "{told}");
    assert_eq!(cluster(node, &["trace", "tea/1767225600.000100"]).await?.0, Some(1));
    assert_eq!(cluster(node, &["trace", "tea"]).await?.0, Some(2));
    let (code, top) = cluster(node, &["top", "--every", "1", "--times", "1"]).await?;
    assert!(code == Some(0) && top.lines().count() == 4, "{top}");
    Ok(())
}

/// A node of a cluster once more, in another folder and at other ports.
fn twin(node: &Node, name: &str) -> Result<Starting> {
    let folder = node.data.path().join("twin").display().to_string();
    Starting::spawn(Serve {
        program: Program::Again(format!("{name}/waggle.toml")),
        data: Some(node.data.clone()),
        args: ["--data", &folder, "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec(),
        env: vec![("WAGGLE_CLUSTER__LISTEN".to_owned(), "127.0.0.1:0".to_owned())],
        ..Serve::default()
    })
}

/// Waits until the cluster says that nothing is amiss.
async fn well(node: &Node) -> Result<()> {
    let well = async {
        loop {
            if cluster(node, &["health"]).await? == (Some(0), "all is well\n".to_owned()) {
                return anyhow::Ok(());
            }
        }
    };
    step("all to be well", well).await?
}

#[tokio::test]
async fn a_second_process_under_one_name_is_refused_and_the_first_goes_on() -> Result<()> {
    let stage = Stage::open(up()).await?;
    well(&stage.node).await?;
    for name in ["node-2", "store"] {
        let refused = twin(&stage.node, name)?.ready().await;
        let said = refused.err().context("two processes under one name")?.to_string();
        assert!(said.contains(&format!("{name} runs already: 127.0.0.1:")), "{said}");
    }
    well(&stage.node).await?;
    stage.channel("tea", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_process_whose_place_was_taken_while_it_was_frozen_ends_and_says_why() -> Result<()> {
    let stage = Stage::open(up()).await?;
    let node = &stage.node;
    well(node).await?;
    let frozen = node.pid_of("node-2")?;
    send(frozen, libc::SIGSTOP)?;
    let next = twin(node, "node-2")?.ready().await?;
    send(frozen, libc::SIGCONT)?;
    gone(&[frozen]).await?;
    let said = node.data.log_tail(1 << 20);
    assert!(said.contains("another process has this node's name and channels by now"), "{said}");
    well(node).await?;
    stage.channel("tea", &[]).await?;
    assert_eq!(next.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_store_of_a_node_by_itself_is_not_hidden_by_a_new_one() -> Result<()> {
    let node = Node::serve(stage::plain(&[])).await?;
    let data = node.data.clone();
    assert_eq!(node.stop().await?, 0);
    let refused = Starting::spawn(Serve { data: Some(data.clone()), ..up() })?.ready().await;
    let said = refused.err().context("a cluster beside a node's store")?.to_string();
    assert!(said.contains("is the store of a node by itself") && said.contains("store/store.redb"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_node_without_its_certificate_says_which_file_is_missing() -> Result<()> {
    let node = Node::serve(up()).await?;
    let data = node.data.clone();
    let pids: Vec<u32> = processes(&node)?.iter().map(|(_, pid, _)| *pid).collect();
    let second = node.pid_of("node-2")?;
    send(second, libc::SIGKILL)?;
    gone(&[second]).await?;
    std::fs::remove_file(data.path().join("credentials/node-2.pem"))?;
    let program = Program::Again("node-2/waggle.toml".into());
    let refused = Starting::spawn(Serve { program, data: Some(data), ..Serve::default() })?.ready().await;
    let said = refused.err().context("a node without a certificate")?.to_string();
    ensure!(said.contains("node-2.pem: No such file"), "{said}");
    assert_eq!(node.stop().await?, 0, "the rest of it drains");
    gone(&pids).await
}

#[tokio::test]
async fn a_node_whose_certificate_does_not_give_its_role_says_so() -> Result<()> {
    let node = Node::serve(up()).await?;
    let data = node.data.clone();
    assert_eq!(node.stop().await?, 0);
    let credentials = data.path().join("credentials");
    for file in ["node-2.pem", "node-2.key"] {
        std::fs::remove_file(credentials.join(file))?;
    }
    let folder = credentials.to_str().context("a path in UTF-8")?;
    let cert = ["admin", "cluster", "cert", "node-2", "--role", "gateway", "--credentials", folder];
    assert_eq!(waggle(&cert, &[]).await?.status.code(), Some(0));
    let program = Program::Again("node-2/waggle.toml".into());
    let refused = Starting::spawn(Serve { program, data: Some(data), ..Serve::default() })?.ready().await;
    let said = refused.err().context("a node that may not own channels")?.to_string();
    let expected =
        "the certificate of node-2 gives it the roles gateway, and node.roles says gateway, channels";
    ensure!(said.contains(expected), "{said}");
    Ok(())
}
