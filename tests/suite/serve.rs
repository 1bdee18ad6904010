//! What scripts rely on: the ready line, exit codes, signals, settings, probes, and the operator's words.

mod credentials;
mod door;
mod operator;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use tests::harness::{Node, Scratch, Serve, binary, step};
use tokio::process::Command;

/// Runs `waggle` to its end.
pub(crate) async fn waggle(args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
    let run = Command::new(binary("waggle")?)
        .args(args)
        .env_remove("WAGGLE_DATA")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    Ok(step(&format!("waggle {}", args.join(" ")), run).await??)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_ready_line_says_where_everything_is() -> Result<()> {
    let node = Node::start().await?;
    let ready = node.ready.clone();
    let keys: BTreeSet<&str> = ready.as_object().context("an object")?.keys().map(String::as_str).collect();
    let expected = ["v", "ready", "version", "base_url", "api_url", "operator", "nodes"];
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!((&ready["v"], &ready["ready"]), (&json!(1), &json!(true)));
    let base = ready["base_url"].as_str().context("a URL")?;
    assert!(base.starts_with("http://127.0.0.1:") && base.ends_with('/'), "{base}");
    assert_eq!(ready["api_url"], format!("{base}api/"));
    let me = json!({
        "node": "node-1", "cell": "cell-1", "pid": node.pid, "roles": ["gateway", "channels", "store"],
        "base_url": base, "operator": ready["operator"],
    });
    assert_eq!(ready["nodes"], json!([me]));
    let socket = std::fs::metadata(node.operator.as_str())?;
    assert_eq!(socket.permissions().mode() & 0o777, 0o600, "the operator's socket is for its owner only");
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn logs_are_json_lines_and_hold_the_sign_in_link_of_a_new_directory() -> Result<()> {
    let node = Node::start().await?;
    let (data, base) = (node.data.clone(), node.base_url.clone());
    assert_eq!(node.stop().await?, 0);
    let records: Vec<Value> =
        data.log_tail(1 << 20).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let link = records.iter().find_map(|record| record["link"].as_str()).context("a sign-in link")?;
    assert!(link.starts_with(&format!("{base}signin/")) && link.len() > base.len() + 20, "{link}");

    let again = Node::serve(Serve { data: Some(data.clone()), ..Default::default() }).await?;
    assert_eq!(again.stop().await?, 0);
    let log = data.log_tail(1 << 20);
    assert_eq!(log.matches("\"link\"").count(), 1, "a directory is seeded once: {log}");
    Ok(())
}

#[tokio::test]
async fn a_directory_that_is_not_to_be_seeded_stays_empty() -> Result<()> {
    let args = vec!["--bootstrap".into(), "none".into()];
    let node = Node::serve(Serve { args, ..Default::default() }).await?;
    assert_eq!(node.admin(&["workspace", "list"]).await?, "{\"workspaces\":[]}");
    assert_eq!(node.stop().await?, 0);
    let seeded = Node::start().await?;
    let stat: Value = serde_json::from_str(&seeded.admin(&["store", "stat"]).await?)?;
    let counts = (&stat["workspaces"][0]["users"], &stat["workspaces"][0]["conversations"]);
    assert_eq!(stat["workspaces"][0]["name"], "demo");
    assert_eq!(counts, (&json!(1), &json!(2)));
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_refused_and_the_first_goes_on() -> Result<()> {
    let node = Node::start().await?;
    let data = node.data.path().canonicalize()?;
    let data = data.to_str().context("a path in UTF-8")?;
    let second = waggle(&["serve", "--data", data, "--listen", "127.0.0.1:0"], &[]).await?;
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(text(&second.stdout), "", "it is never ready");
    let said = text(&second.stderr);
    assert!(
        said.contains(data) && said.contains(&format!("in use by another waggle process (pid {})", node.pid)),
        "{said}"
    );
    assert_eq!(node.get("/readyz").await?.status, 200);
    node.admin(&["workspace", "list"]).await?;
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_directory_is_free_again_after_a_kill() -> Result<()> {
    let data = Node::start().await?.kill().await?;
    let node = Node::serve(Serve { data: Some(data), ..Default::default() }).await?;
    assert_eq!(node.admin(&["workspace", "list"]).await?.matches("\"demo\"").count(), 2, "name and domain");
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn both_signals_end_with_0_and_a_stop_that_takes_too_long_with_5() -> Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let node = Node::start().await?;
        let operator = node.operator.clone();
        node.signal(signal)?;
        assert_eq!(node.ended().await?, 0);
        assert!(!std::path::Path::new(&operator).exists(), "nobody answers there any more");
    }
    // A connection that has asked half of something cannot be finished.
    let env = vec![("WAGGLE_NODE__DRAIN_TIMEOUT_MS".into(), "50".into())];
    let node = Node::serve(Serve { env, ..Default::default() }).await?;
    let mut asking = door::Raw::connect(&node).await?;
    asking.send(b"POST /api/api.test HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await?;
    asking.hear_until(b"100 Continue\r\n\r\n").await?;
    node.signal(libc::SIGTERM)?;
    assert_eq!(node.ended().await?, 5);
    Ok(())
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name_before_anything_starts() -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.root().join("waggle.toml");
    std::fs::write(&file, "[gateway]\nlistn = \"127.0.0.1:0\"\n")?;
    let file = file.to_str().context("a path in UTF-8")?;
    let data = scratch.root().join("never-made");
    let data = data.to_str().context("a path in UTF-8")?;
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case; 6] = [
        (&["--config", file], &[], "unknown field `listn`"),
        (&["--config", "/nowhere/waggle.toml"], &[], "/nowhere/waggle.toml cannot be read"),
        (&[], &[("WAGGLE_GATEWAY__LISTN", "x")], "WAGGLE_GATEWAY__LISTN names no setting"),
        (&["--set", "log.filter=a=b=c"], &[], "log.filter: "),
        (&["--role", "gateway"], &[], "a node without role \"channels\" needs other nodes"),
        (&["--listen", "nowhere"], &[], "cannot listen on nowhere"),
    ];
    for (args, env, expected) in cases {
        let run = waggle(&[&["serve", "--data", data], args].concat(), env).await?;
        let said = text(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said:?} does not contain {expected:?}");
        assert_eq!(text(&run.stdout), "");
    }
    assert_eq!(waggle(&["serve", "--nonsense"], &[]).await?.status.code(), Some(2));
    assert_eq!(waggle(&["srve"], &[]).await?.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn the_explained_configuration_is_a_file_that_serve_takes() -> Result<()> {
    let explained = waggle(&["config", "--explain"], &[]).await?;
    assert_eq!(explained.status.code(), Some(0));
    let settings: toml::Table = toml::from_str(&text(&explained.stdout))?;
    let sections: Vec<&str> = settings.keys().map(String::as_str).collect();
    assert_eq!(sections.len(), 6, "{sections:?}");
    let scratch = Scratch::new()?;
    let file = scratch.root().join("all.toml");
    std::fs::write(&file, &explained.stdout)?;
    let args = vec!["--config".into(), file.to_str().context("a path in UTF-8")?.into()];
    let node = Node::serve(Serve { args, ..Default::default() }).await?;
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_public_url_is_in_every_url_that_is_handed_out() -> Result<()> {
    let env = vec![("WAGGLE_ACTORS__PUBLIC_URL".into(), "https://chat.example.com/".into())];
    let data = std::sync::Arc::new(Scratch::new()?);
    let mut child = Command::new(binary("waggle")?)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .envs(env.into_iter().collect::<Vec<(String, String)>>())
        .stdout(Stdio::piped())
        .stderr(data.log()?)
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("it is piped")?;
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    let Some(line) = step("the ready line", lines.next_line()).await?? else {
        bail!("{}", data.log_tail(4096))
    };
    let ready: Value = serde_json::from_str(&line)?;
    assert_eq!(ready["base_url"], "https://chat.example.com/");
    assert_eq!(ready["api_url"], "https://chat.example.com/api/");
    assert!(data.log_tail(1 << 16).contains("https://chat.example.com/signin/"));
    child.start_kill()?;
    step("a killed node to end", child.wait()).await??;
    Ok(())
}

#[tokio::test]
async fn probes_and_metrics_say_what_goes_on() -> Result<()> {
    let node = Node::start().await?;
    let health = node.get("/healthz").await?;
    assert_eq!((health.status, health.text().trim()), (200, "ok"));
    let ready = node.get("/readyz").await?;
    assert_eq!((ready.status, ready.json()?), (200, json!({ "ready": true })));
    assert_eq!(node.get("/nothing").await?.status, 404);
    let page = node.get("/signin/0123456789abcdef").await?;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let metrics = node.get("/metrics").await?;
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = metrics.text();
    for line in [
        "ws_connections_active{region=\"0\",gateway_id=\"node-1\"} 0",
        "ws_handshakes_pending 0",
        "waggle_http_requests_total{route=\"unknown\",status=\"404\"} 1",
        "waggle_gateway_refusals_total{limit=\"body_bytes_max\"} 0",
        "message_persist_latency_p99_count",
        "store_qps{",
        "# HELP ws_connections_active ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    Ok(())
}
