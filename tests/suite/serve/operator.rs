//! `waggle admin` and the socket behind it.

use super::{text, waggle};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::harness::{Node, Scratch, step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

#[tokio::test]
async fn verbs_print_the_new_id_or_token_alone_and_all_of_it_as_json() -> Result<()> {
    let node = Node::start().await?;
    let workspace = node.admin(&["workspace", "create", "acme"]).await?;
    assert!(workspace.starts_with('T') && workspace.len() == 11, "{workspace}");
    let email = ["--email", "a@example.com"];
    let ada = node.admin(&[&["user", "create", "--workspace", "acme", "ada"][..], &email].concat()).await?;
    assert!(ada.starts_with('U') && ada.len() == 11, "{ada}");
    node.admin(&["user", "create", "--workspace", &workspace, "bot", "--bot"]).await?;
    for (user, kind, prefix) in [("ada", "user", "xoxp-"), ("bot", "bot", "xoxb-"), ("bot", "app", "xapp-")] {
        let verb = ["token", "create", "--workspace", "acme", "--user", user, "--kind", kind];
        let token = node.admin(&verb).await?;
        assert!(token.starts_with(prefix) && !token.contains(char::is_whitespace), "{token}");
    }
    let scoped = [
        "--json",
        "token",
        "create",
        "--workspace",
        "acme",
        "--user",
        &ada,
        "--scope",
        "chat:write,users:read",
    ];
    let token: Value = serde_json::from_str(&node.admin(&scoped).await?)?;
    assert_eq!(token["scope"], json!(["chat:write", "users:read"]));
    let channel = node.admin(&["channel", "create", "--workspace", "acme", "news", "--private"]).await?;
    assert!(channel.starts_with('C'), "{channel}");
    let join = ["channel", "join", "--workspace", "acme", "--channel", "news", "--user", "ada"];
    assert_eq!(node.admin(&join).await?, channel);
    let shown = token["token"].as_str().context("a token")?;
    assert_eq!(node.ok("auth.test", shown, json!({})).await?["user"], "ada");
    node.admin(&["token", "revoke", shown]).await?;
    assert_eq!(node.api("auth.test", shown, json!({})).await?["error"], "token_revoked");
    Ok(())
}

#[tokio::test]
async fn exit_codes_tell_a_refusal_from_bad_usage_and_from_nobody_there() -> Result<()> {
    let node = Node::start().await?;
    let data = node.data.path();
    let data = data.to_str().context("a path in UTF-8")?;
    let env = [("WAGGLE_DATA", data)];
    let found = waggle(&["admin", "workspace", "create", "acme"], &env).await?;
    assert_eq!(found.status.code(), Some(0), "the socket in $WAGGLE_DATA is the default");
    let twice = waggle(&["admin", "workspace", "create", "acme"], &env).await?;
    assert_eq!((twice.status.code(), text(&twice.stderr)), (Some(1), "waggle: refused: name_taken\n".into()));
    let unknown = waggle(&["admin", "user", "create", "--workspace", "nowhere", "x"], &env).await?;
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "waggle: there is no workspace \"nowhere\"\n");
    let person = ["admin", "token", "create", "--workspace", "demo", "--user", "admin", "--kind", "bot"];
    assert_eq!(waggle(&person, &env).await?.status.code(), Some(2));
    assert_eq!(waggle(&["admin", "workspace"], &env).await?.status.code(), Some(2));

    let nowhere = Scratch::new()?;
    let path = nowhere.path();
    let nobody =
        waggle(&["admin", "store", "stat"], &[("WAGGLE_DATA", path.to_str().context("UTF-8")?)]).await?;
    assert_eq!((nobody.status.code(), text(&nobody.stdout)), (Some(4), String::new()));
    assert!(text(&nobody.stderr).contains("no node answers at"), "{}", text(&nobody.stderr));
    let data = node.kill().await?;
    let socket = data.path().join("operator.sock");
    assert!(socket.exists(), "a killed process leaves its socket");
    let dead = waggle(&["admin", "--node", socket.to_str().context("UTF-8")?, "store", "stat"], &[]).await?;
    assert_eq!(dead.status.code(), Some(4));
    Ok(())
}

#[tokio::test]
async fn of_a_node_that_dies_before_it_answers_nobody_knows_whether_it_was_done() -> Result<()> {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("operator.sock");
    let dying = UnixListener::bind(&path)?;
    let dies = async {
        let (mut operator, _) = dying.accept().await?;
        let asked = operator.read_u8().await?;
        assert_eq!(asked, b'{', "it was asked");
        anyhow::Ok(())
    };
    let place = path.to_str().context("UTF-8")?;
    let words = ["admin", "--node", place, "workspace", "create", "acme"];
    let (asked, told) = step("an answer", async { tokio::join!(dies, waggle(&words, &[])) }).await?;
    asked?;
    let told = told?;
    assert_eq!((told.status.code(), text(&told.stdout)), (Some(3), String::new()));
    assert!(text(&told.stderr).contains("whether it was done is not known"), "{}", text(&told.stderr));
    Ok(())
}

#[tokio::test]
async fn completions_of_every_shell_know_the_verbs_and_flags() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = waggle(&["completions", shell], &[]).await?;
        assert_eq!(script.status.code(), Some(0), "{shell}");
        for word in ["cluster", "placement", "trace", "json"] {
            assert!(text(&script.stdout).contains(word), "{shell} does not know {word}");
        }
    }
    assert_eq!(waggle(&["completions", "csh"], &[]).await?.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn lines_that_are_no_requests_are_answered_and_an_endless_one_ends_the_connection() -> Result<()> {
    let node = Node::start().await?;
    let mut socket = UnixStream::connect(&node.operator).await?;
    let deep = format!("{{\"verb\":\"x\",\"args\":{}}}\n", "[".repeat(10_000));
    for line in ["nonsense\n", "{}\n", "{\"verb\":\"no.such\"}\n", "\u{0}\n", &deep] {
        socket.write_all(line.as_bytes()).await?;
        let reply = reply(&mut socket).await?;
        assert_eq!((&reply["ok"], &reply["kind"]), (&json!(false), &json!("usage")), "{line:.40} {reply}");
    }
    socket.write_all(b"{\"verb\":\"workspace.list\"}\n").await?;
    assert_eq!(reply(&mut socket).await?["result"]["workspaces"][0]["name"], "demo");
    // The limit is a mebibyte; what is over it is not read, so it need not be taken either.
    let endless = vec![b'x'; 1 << 20];
    socket.write_all(&endless).await?;
    assert_eq!(reply(&mut socket).await?["kind"], "usage");
    assert_eq!(step("the connection to end", socket.read(&mut [0])).await??, 0);
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

async fn reply(socket: &mut UnixStream) -> Result<Value> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(step("a reply", socket.read_u8()).await??);
    }
    Ok(serde_json::from_slice(&line)?)
}
