//! Half of a cluster is gone: without a majority nobody takes what the dead own, and the living say so.

use super::{cluster, well};
use crate::native::stage::{self, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::harness::{Program, Serve, Starting, gone, send, step};

const NODES: usize = 4;
const CHANNELS: usize = 10;

/// Who owns a channel.
async fn owner(stage: &Stage, channel: &str) -> Result<String> {
    let (code, place) = cluster(&stage.node, &["placement", channel, "--json"]).await?;
    ensure!(code == Some(0), "{place}");
    let place: Value = serde_json::from_str(&place)?;
    Ok(place["placement"]["owner"].as_str().context("an owner")?.to_owned())
}

#[tokio::test]
async fn the_half_of_a_cluster_serves_what_it_owns_takes_nothing_by_force_and_says_so() -> Result<()> {
    let stage = Stage::open(Serve { program: Program::Up(NODES), ..stage::plain(&[]) }).await?;
    well(&stage.node).await?;
    let ann = stage.person("ann").await?;
    let mut channels = Vec::new();
    for number in 0..CHANNELS {
        channels.push(stage.channel(&format!("c{number}"), &[&ann]).await?);
    }
    let post = async |channel: &str, text: &str| {
        stage.node.api("chat.postMessage", &ann.token, json!({ "channel": channel, "text": text })).await
    };
    let texts = async |channel: &str| -> Result<Vec<String>> {
        let page = stage.node.ok("conversations.history", &ann.token, json!({ "channel": channel })).await?;
        let messages = page["messages"].as_array().context("messages")?;
        let said = messages.iter().filter(|message| message["subtype"].is_null());
        Ok(said.filter_map(|message| Some(message["text"].as_str()?.to_owned())).collect())
    };
    let mut owners = Vec::new();
    for channel in &channels {
        ensure!(post(channel, "before").await?["ok"] == true);
        owners.push(owner(&stage, channel).await?);
    }
    // Two that own channels; channels of the same workspace lie on four nodes.
    let dead: Vec<&String> = owners.iter().collect::<BTreeSet<_>>().into_iter().take(2).collect();
    ensure!(dead.len() == 2, "{CHANNELS} channels have one owner: {owners:?}");
    let pids = dead.iter().map(|name| stage.node.pid_of(name)).collect::<Result<Vec<u32>>>()?;
    pids.iter().try_for_each(|pid| send(*pid, libc::SIGKILL))?;
    gone(&pids).await?;
    let told = async {
        loop {
            let (code, said) = cluster(&stage.node, &["health"]).await?;
            if said.contains("and those it reaches are 2 of 4 members: without a majority nobody takes slots")
            {
                return anyhow::Ok(code);
            }
        }
    };
    assert_eq!(step("the half that is left to say so", told).await??, Some(1));
    // One of the dead may have been replaced before the other one was missed, never both.
    let mut lost = None;
    for channel in &channels {
        let is_lost = dead.contains(&&owner(&stage, channel).await?);
        if is_lost {
            lost.get_or_insert(channel);
        }
        assert_eq!(texts(channel).await?, ["before"], "what is kept is read, whoever owns it");
        if !is_lost {
            ensure!(post(channel, "meanwhile").await?["ok"] == true);
        }
    }
    let lost = lost.context("a channel of the dead")?;
    let refused = post(lost, "to nobody").await?;
    assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!("service_unavailable")));
    let before = owner(&stage, lost).await?;
    ensure!(dead.contains(&&before), "{before} took {lost} by force");
    let again = dead.iter().map(|name| {
        let (program, data) = (Program::Again(format!("{name}/waggle.toml")), Some(stage.node.data.clone()));
        Starting::spawn(Serve { program, data, ..stage::plain(&[]) })
    });
    let mut nodes = Vec::new();
    for starting in again.collect::<Result<Vec<Starting>>>()? {
        nodes.push(starting.ready().await?);
    }
    ensure!(post(lost, "after").await?["ok"] == true);
    assert_eq!(texts(lost).await?, ["after", "before"], "what was refused was not done");
    well(&stage.node).await
}
