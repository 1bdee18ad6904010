//! `waggle admin cluster`: certificates with which nodes know each other. No node is asked.

use super::{text, waggle};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::harness::Scratch;

#[tokio::test]
async fn an_authority_and_certificates_of_nodes_are_made_once_and_nothing_is_overwritten() -> Result<()> {
    let scratch = Scratch::new()?;
    let folder = scratch.path().join("made/here");
    let folder = folder.to_str().context("a path in UTF-8")?;
    let cluster = async |verb: &[&str]| {
        let words = [&["admin", "cluster"], verb, &["--credentials", folder]].concat();
        waggle(&words, &[]).await
    };
    let early = cluster(&["cert", "node-1"]).await?;
    assert_eq!(early.status.code(), Some(1));
    assert!(text(&early.stderr).contains("authority.key: No such file"), "{}", text(&early.stderr));

    let init = cluster(&["init"]).await?;
    assert_eq!(text(&init.stdout), format!("{folder}/authority.pem\n"), "{}", text(&init.stderr));
    let cert = cluster(&["cert", "node-1"]).await?;
    assert_eq!(text(&cert.stdout), format!("{folder}/node-1.pem\n"), "{}", text(&cert.stderr));
    let json = cluster(&["cert", "node-2", "--role", "store", "--json"]).await?;
    let made: Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!(made["roles"], json!(["store"]));
    assert_eq!(made["key"], format!("{folder}/node-2.key"));

    for again in [&["init"][..], &["cert", "node-1"]] {
        let refused = cluster(again).await?;
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("File exists"), "{}", text(&refused.stderr));
    }
    let unknown = cluster(&["cert", "node-3", "--role", "boss"]).await?;
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
    let unnamed = cluster(&["cert", "node 3"]).await?;
    assert_eq!(unnamed.status.code(), Some(1));
    Ok(())
}
