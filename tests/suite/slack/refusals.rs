//! Bad input, wrong tokens, other people's things: each has a named answer.

use super::stage::{Person, Stage, body};
use actors::api::method::{METHODS, Run};
use serde_json::{Value, json};

/// A method, what it is called with, and Slack's word for what is wrong with it.
type Case = (&'static str, Value, &'static str);

/// About messages.
fn bad_messages(c: &str, ts: &str) -> Vec<Case> {
    vec![
        ("chat.postMessage", json!({ "text": "x" }), "invalid_arguments"),
        ("chat.postMessage", json!({ "channel": c }), "no_text"),
        ("chat.postMessage", json!({ "channel": c, "text": "" }), "no_text"),
        ("chat.postMessage", json!({ "channel": c, "blocks": "[]" }), "no_text"),
        ("chat.postMessage", json!({ "channel": c, "text": "x".repeat(1001) }), "msg_too_long"),
        ("chat.postMessage", json!({ "channel": c, "blocks": "[{" }), "invalid_blocks_format"),
        ("chat.postMessage", json!({ "channel": c, "blocks": [1] }), "invalid_blocks"),
        (
            "chat.postMessage",
            json!({ "channel": c, "attachments": vec![json!({}); 101] }),
            "too_many_attachments",
        ),
        ("chat.postMessage", json!({ "channel": c, "text": "x", "thread_ts": "soon" }), "invalid_thread_ts"),
        ("chat.postMessage", json!({ "channel": c, "text": "x", "thread_ts": "1.5" }), "thread_not_found"),
        (
            "chat.postMessage",
            json!({ "channel": c, "text": "x", "reply_broadcast": "perhaps" }),
            "invalid_arguments",
        ),
        (
            "chat.postMessage",
            json!({ "channel": c, "text": "x", "client_msg_id": "é" }),
            "invalid_idempotency_key",
        ),
        ("chat.postMessage", json!({ "channel": "C0000000000", "text": "x" }), "channel_not_found"),
        ("chat.update", json!({ "channel": c, "ts": ts }), "no_text"),
        ("chat.update", json!({ "channel": c, "text": "x" }), "invalid_arguments"),
        ("chat.update", json!({ "channel": c, "ts": "1.5", "text": "x" }), "message_not_found"),
        ("chat.update", json!({ "channel": c, "ts": "soon", "text": "x" }), "message_not_found"),
        ("chat.delete", json!({ "channel": c, "ts": "1.5" }), "message_not_found"),
        ("chat.delete", json!({ "channel": "tea", "ts": ts }), "channel_not_found"),
        ("chat.getPermalink", json!({ "channel": c, "message_ts": "1.5" }), "message_not_found"),
    ]
}

/// About conversations.
fn bad_conversations(c: &str, im: &Value, ann: &str) -> Vec<Case> {
    vec![
        ("conversations.history", json!({}), "invalid_arguments"),
        ("conversations.history", json!({ "channel": "X1" }), "channel_not_found"),
        ("conversations.history", json!({ "channel": c, "oldest": "soon" }), "invalid_ts_oldest"),
        ("conversations.history", json!({ "channel": c, "latest": "soon" }), "invalid_ts_latest"),
        ("conversations.history", json!({ "channel": c, "cursor": "soon" }), "invalid_cursor"),
        ("conversations.history", json!({ "channel": c, "limit": "all" }), "invalid_limit"),
        ("conversations.history", json!({ "channel": c, "inclusive": "perhaps" }), "invalid_arguments"),
        ("conversations.replies", json!({ "channel": c }), "invalid_arguments"),
        ("conversations.replies", json!({ "channel": c, "ts": "1.5" }), "thread_not_found"),
        ("conversations.list", json!({ "types": "channels" }), "invalid_types"),
        ("conversations.list", json!({ "types": [1] }), "invalid_array_arg"),
        ("conversations.list", json!({ "cursor": "dXNlcjpVMQ==" }), "invalid_cursor"),
        ("conversations.members", json!({ "channel": c, "limit": -1 }), "invalid_limit"),
        ("conversations.open", json!({}), "users_list_not_supplied"),
        ("conversations.open", json!({ "users": "U0000000000" }), "user_not_found"),
        ("conversations.open", json!({ "users": "bob" }), "user_not_found"),
        (
            "conversations.open",
            json!({ "users": (0..9).map(|n| format!("U{n}")).collect::<Vec<_>>() }),
            "too_many_users",
        ),
        ("conversations.open", json!({ "channel": c }), "method_not_supported_for_channel_type"),
        ("conversations.join", json!({ "channel": im }), "method_not_supported_for_channel_type"),
        ("conversations.leave", json!({ "channel": im }), "method_not_supported_for_channel_type"),
        ("conversations.mark", json!({ "channel": c, "ts": "soon" }), "invalid_timestamp"),
        ("conversations.create", json!({}), "invalid_name_required"),
        ("conversations.create", json!({ "name": "tea" }), "name_taken"),
        ("conversations.create", json!({ "name": "Tea Room" }), "invalid_name_specials"),
        ("conversations.create", json!({ "name": "--" }), "invalid_name_punctuation"),
        ("conversations.create", json!({ "name": "x".repeat(81) }), "invalid_name_maxlength"),
        ("conversations.invite", json!({ "channel": c }), "no_user"),
        ("conversations.invite", json!({ "channel": c, "users": ann }), "cant_invite_self"),
        ("conversations.invite", json!({ "channel": c, "users": "U0000000000" }), "user_not_found"),
        ("conversations.rename", json!({ "channel": c, "name": "x" }), "unknown_method"),
    ]
}

/// About people and reactions.
fn bad_others(c: &str, ts: &str) -> Vec<Case> {
    vec![
        ("users.info", json!({ "user": "U0000000000" }), "user_not_found"),
        ("users.info", json!({ "user": "ann" }), "user_not_found"),
        ("users.list", json!({ "cursor": "soon" }), "invalid_cursor"),
        ("reactions.add", json!({ "name": "wave" }), "no_item_specified"),
        ("reactions.add", json!({ "channel": c, "timestamp": ts }), "invalid_arguments"),
        ("reactions.add", json!({ "channel": c, "timestamp": "soon", "name": "wave" }), "bad_timestamp"),
        ("reactions.add", json!({ "channel": c, "timestamp": "1.5", "name": "wave" }), "message_not_found"),
        ("reactions.add", json!({ "channel": c, "timestamp": ts, "name": "not an emoji" }), "invalid_name"),
        ("reactions.get", json!({ "channel": c, "timestamp": "1.5" }), "message_not_found"),
    ]
}

#[test]
fn bad_arguments_have_slacks_own_names() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let bob = stage.person("bob").await;
        let c = stage.channel(&ann, "tea").await;
        let ts = stage.post(&ann, &c, "hi").await;
        let im =
            stage.ok(&ann, "conversations.open", json!({ "users": bob.id })).await["channel"]["id"].clone();
        let (said, held) = (bad_messages(&c, &ts), bad_conversations(&c, &im, &ann.id));
        for (method, args, error) in [said, held, bad_others(&c, &ts)].concat() {
            assert_eq!(stage.error(&ann, method, args.clone()).await, error, "{method} {args}");
        }
        let unknown = body(&stage.call("no.such", None, json!({})).await);
        assert_eq!(unknown, json!({ "ok": false, "error": "unknown_method", "req_method": "no.such" }));
    });
}

/// Arguments with which every method would do something in this conversation.
fn full(channel: &str, ts: &str, user: &str) -> Value {
    json!({
        "channel": channel, "ts": ts, "message_ts": ts, "timestamp": ts, "text": "x", "name": "wave",
        "user": user, "users": user,
    })
}

fn authenticated() -> impl Iterator<Item = &'static str> {
    METHODS.iter().filter(|method| matches!(method.run, Run::Known(_))).map(|method| method.name)
}

#[test]
fn no_method_runs_without_a_token_that_is_good() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let c = stage.channel(&ann, "tea").await;
        let ts = stage.post(&ann, &c, "hi").await;
        let app = stage.token("acme", &ann.id, json!({ "kind": "app" })).await;
        let revoked = stage.scoped(&ann, &[]).await;
        stage.ok(&revoked, "auth.revoke", json!({})).await;
        let args = full(&c, &ts, &ann.id);
        for method in authenticated() {
            let said = async |token: Option<&str>| {
                body(&stage.call(method, token, args.clone()).await)["error"].as_str().map(str::to_owned)
            };
            assert_eq!(said(None).await.as_deref(), Some("not_authed"), "{method}");
            let random = format!("xoxb-{}", "0".repeat(48));
            let long = format!("xoxb-{}", "0".repeat(100_000));
            for wrong in ["nonsense", "xoxb-", random.as_str(), long.as_str()] {
                assert_eq!(said(Some(wrong)).await.as_deref(), Some("invalid_auth"), "{method}");
            }
            assert_eq!(said(Some(&revoked.token)).await.as_deref(), Some("token_revoked"), "{method}");
            if !method.starts_with("auth.") {
                assert_eq!(said(Some(&app)).await.as_deref(), Some("not_allowed_token_type"), "{method}");
            }
        }
    });
}

#[test]
fn no_method_runs_without_its_scope_and_the_answer_says_which() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let c = stage.channel(&ann, "tea").await;
        let ts = stage.post(&ann, &c, "hi").await;
        let powerless = stage.scoped(&ann, &["nothing:useful"]).await;
        for method in METHODS.iter().filter(|method| !method.scopes.is_empty()) {
            let response = stage.call(method.name, Some(&powerless.token), full(&c, &ts, &ann.id)).await;
            let answer = body(&response);
            assert_eq!(answer["error"], "missing_scope", "{}: {answer}", method.name);
            assert_eq!(
                (&answer["needed"], &answer["provided"]),
                (&json!(method.scopes[0]), &json!("nothing:useful"))
            );
            let header =
                |name| response.headers.iter().find(|(have, _)| *have == name).map(|(_, v)| v.clone());
            assert_eq!(header("X-OAuth-Scopes").as_deref(), Some("nothing:useful"));
            assert_eq!(header("X-Accepted-OAuth-Scopes"), Some(method.scopes.join(",")));
        }
        let private = json!({ "name": "hidden", "is_private": true });
        let private = stage.ok(&ann, "conversations.create", private).await["channel"]["id"].clone();
        let half = stage.scoped(&ann, &["channels:history", "channels:read"]).await;
        stage.ok(&half, "conversations.history", json!({ "channel": c })).await;
        for method in ["conversations.history", "conversations.info"] {
            assert_eq!(
                stage.error(&half, method, json!({ "channel": private })).await,
                "missing_scope",
                "{method}"
            );
        }
        assert_eq!(stage.error(&half, "conversations.list", json!({ "types": "im" })).await, "missing_scope");
    });
}

/// What every method that names a conversation says to somebody who may not know it.
async fn finds_nothing(stage: &Stage, stranger: &Person, channel: &str, ts: &str) {
    let args = full(channel, ts, &stranger.id);
    for method in METHODS
        .iter()
        .filter(|method| method.required.contains(&"channel") || method.name.starts_with("reactions."))
    {
        let mut args = args.clone();
        if method.name == "conversations.invite" {
            // Inviting oneself is refused before anything is looked up.
            let name = format!("friend-{channel}-{ts}");
            let friend = stage.admin("user.create", json!({ "workspace": "acme", "name": name })).await;
            args["users"] = friend["id"].clone();
        }
        let error = stage.error(stranger, method.name, args).await;
        let user_first = method.name == "conversations.invite" && error == "user_not_found";
        assert!(error == "channel_not_found" || user_first, "{}: {error}", method.name);
    }
    let error = stage.error(stranger, "conversations.open", json!({ "channel": channel })).await;
    assert_eq!(error, "channel_not_found");
}

#[test]
fn another_workspaces_things_do_not_exist() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let c = stage.channel(&ann, "tea").await;
        let ts = stage.post(&ann, &c, "hi").await;
        stage.admin("workspace.create", json!({ "name": "other" })).await;
        let eve = stage.member("other", "eve", json!({})).await;
        finds_nothing(stage, &eve, &c, &ts).await;
        assert_eq!(stage.error(&eve, "users.info", json!({ "user": ann.id })).await, "user_not_found");
        assert_eq!(
            stage.error(&eve, "conversations.open", json!({ "users": ann.id })).await,
            "user_not_found"
        );
        assert_eq!(
            stage.error(&eve, "chat.postMessage", json!({ "channel": ann.id, "text": "x" })).await,
            "channel_not_found"
        );
        assert_eq!(
            stage.error(&eve, "chat.postMessage", json!({ "channel": "#tea", "text": "x" })).await,
            "channel_not_found"
        );
        assert_eq!(
            stage.error(&eve, "users.conversations", json!({ "user": ann.id })).await,
            "user_not_found"
        );
        let listed = stage.ok(&eve, "conversations.list", json!({})).await;
        assert_eq!(listed["channels"], json!([]));
        let users = stage.ok(&eve, "users.list", json!({})).await;
        assert_eq!(users["members"].as_array().unwrap().len(), 1);
        let same_name = stage.channel(&eve, "tea").await;
        assert_ne!(same_name, c, "names are unique in a workspace only");
    });
}

#[test]
fn private_channels_and_direct_conversations_do_not_exist_for_others() {
    Stage::run(async |stage| {
        let (ann, bob, eve) =
            (stage.person("ann").await, stage.person("bob").await, stage.person("eve").await);
        let private = json!({ "name": "hidden", "is_private": true });
        let private = stage.ok(&ann, "conversations.create", private).await["channel"]["id"].clone();
        let im =
            stage.ok(&ann, "conversations.open", json!({ "users": bob.id })).await["channel"]["id"].clone();
        for closed in [private, im] {
            let closed = closed.as_str().unwrap();
            let ts = stage.post(&ann, closed, "secret").await;
            finds_nothing(stage, &eve, closed, &ts).await;
            finds_nothing(stage, &eve, closed, "1.000001").await;
        }
        let error = stage.error(&eve, "chat.postMessage", json!({ "channel": "#hidden", "text": "x" })).await;
        assert_eq!(error, "channel_not_found");
    });
}
