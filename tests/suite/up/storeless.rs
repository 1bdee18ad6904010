//! The store's process is dead: what needs it is refused at once, and what does not goes on.

use super::{processes, up, well};
use crate::native::stage::{Stage, connected};
use anyhow::{Context, Result, ensure};
use proto::v1::server_frame::Frame as Say;
use serde_json::json;
use std::collections::BTreeSet;
use tests::client::{Keys, Options};
use tests::harness::{Program, Serve, Starting, gone, http, send, step};

/// Posts that are refused at each node.
const REFUSED: usize = 5;

#[tokio::test]
async fn posts_are_refused_sockets_and_typing_go_on_and_nothing_is_lost() -> Result<()> {
    let stage = Stage::open(up()).await?;
    well(&stage.node).await?;
    let (ann, bob) = (stage.person("ann").await?, stage.person("bob").await?);
    let channel = stage.channel("tea", &[&ann, &bob]).await?;
    let nodes: Vec<String> = processes(&stage.node)?
        .into_iter()
        .filter(|(name, ..)| name != "store")
        .map(|(.., url)| url)
        .collect();
    let at = |url: &str, token: &str| Options::new(http::socket_url(url, "connect"), token.to_owned());
    let mouth = connected(at(&nodes[0], &ann.token)).await?;
    let ears = connected(at(&nodes[1], &bob.token)).await?;
    let ack = step("an ack", mouth.post(&channel, "before", &Keys::default().make())).await??;
    step("the other node to show it", ears.applied(&channel, ack.seq)).await??;

    let pid = stage.node.pid_of("store")?;
    send(pid, libc::SIGKILL)?;
    gone(&[pid]).await?;
    let (mut number, mut refused) = (0, BTreeSet::new());
    for url in &nodes {
        let (api_url, mut left) = (format!("{url}api/"), REFUSED);
        while left > 0 {
            number += 1;
            let args = json!({ "channel": channel, "text": format!("without {number}") });
            let call = http::api(&api_url, "chat.postMessage", &ann.token, &args);
            let said = Box::pin(step("an answer without a store", call)).await??;
            ensure!(said["ok"] == false, "{said}");
            // Of one that was under way when the store died nobody knows what became.
            if said["error"] == "service_unavailable" {
                refused.insert(format!("without {number}"));
                left -= 1;
            }
        }
    }
    mouth.typing(&channel);
    let typed = |frame: &Say| matches!(frame, Say::Typed(_));
    step("typing at the other node", ears.notices(1, typed)).await??;
    let pong = step("a pong", ears.ping("still here")).await??;
    ensure!(pong == "still here" && ears.events(&channel).last().is_some_and(|event| event.seq == ack.seq));

    let program = Program::Again("store/waggle.toml".to_owned());
    let again = Serve { program, data: Some(stage.node.data.clone()), ..Serve::default() };
    let store = Starting::spawn(again)?.ready().await?;
    let args = json!({ "channel": channel, "text": "after" });
    let post = async {
        while stage.node.api("chat.postMessage", &ann.token, args.clone()).await?["ok"] == false {}
        anyhow::Ok(())
    };
    Box::pin(step("a post with the store back", post)).await??;
    let page = stage.node.ok("conversations.history", &bob.token, json!({ "channel": channel })).await?;
    let messages = page["messages"].as_array().context("messages")?;
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"].as_str()).collect();
    ensure!(texts.first() == Some(&"after") && texts.contains(&"before"), "{texts:?}");
    let done: Vec<&&str> = texts.iter().filter(|text| refused.contains(**text)).collect();
    ensure!(done.is_empty(), "refused as not done, and done: {done:?}");
    assert_eq!(store.stop().await?, 0);
    Ok(())
}
