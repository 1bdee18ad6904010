//! The first start, on an empty directory: killed at any moment, the next one finishes what it began.

use super::{Victim, started};
use crate::native::stage;
use anyhow::{Context, Result};
use cluster::host::Entropy;
use std::sync::Arc;
use tests::client::{Client, Keys, Options};
use tests::harness::{Scratch, Serve, step};

/// Fresh directories.
const DIRECTORIES: usize = 4;
/// Starts on each that are killed before they are ready.
const KILLS: usize = 3;

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_moment_is_finished_by_the_next() -> Result<()> {
    let chance = Entropy::from_u64(3);
    let (node, start_us) = started(&Serve::default(), Arc::new(Scratch::new()?)).await?;
    node.kill().await?;
    for _ in 0..DIRECTORIES {
        let mut victim = Victim { serve: Serve::default(), chance: chance.clone(), start_us };
        let node = victim.back(Arc::new(Scratch::new()?), KILLS).await?;
        let token = ["token", "create", "--workspace", "demo", "--user", "admin"];
        let token = node.admin(&token).await.context("the workspace demo and its admin")?;
        for name in ["general", "random"] {
            let again = node.admin(&["channel", "create", "--workspace", "demo", name]).await;
            assert!(again.is_err(), "{name} was there");
        }
        let client = Client::connect(Options::new(stage::connect_url(&node), token));
        let client = step("a welcome", client).await??;
        let channels = step("the admin is in general and random", client.following(2)).await??;
        let key = Keys::default().make();
        step("the first ack", client.post(&channels[0], "the first message", &key)).await??;
        node.kill().await?;
    }
    Ok(())
}
