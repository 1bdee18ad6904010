//! What operators do: the first workspace, names and ids, and what they are told when it cannot be done.

use super::stage::{Person, Stage};
use actors::admin;
use serde_json::{Value, json};

async fn refused(stage: &Stage, verb: &str, args: Value) -> String {
    admin::run(&stage.context, verb, &args).await.expect_err(verb).to_string()
}

#[test]
fn an_empty_store_is_seeded_once_and_a_start_that_was_cut_short_is_finished() {
    Stage::bare(async |stage| {
        // As far as a start may have come that was killed after its first step.
        stage.admin("workspace.create", json!({ "name": "demo" })).await;
        let made = admin::bootstrap(&stage.context).await.unwrap().expect("it was not finished");
        let ticket = made.sign_in_ticket.expect("a sign-in ticket");
        assert_eq!(
            stage.context.tickets.redeem(&ticket).await.map(|login| login.user),
            Some(made.admin.clone())
        );
        assert_eq!(stage.context.tickets.redeem(&ticket).await, None, "it is good once");
        assert_eq!(admin::bootstrap(&stage.context).await, Ok(None));
        let token = stage.token("demo", "admin", json!({})).await;
        let (id, workspace) = (made.admin.to_string(), made.workspace.to_string());
        let person = Person { id, token, workspace };
        let page = stage.ok(&person, "conversations.list", json!({})).await;
        let mut channels: Vec<(&str, bool)> = page["channels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|channel| (channel["name"].as_str().unwrap(), channel["is_member"] == true))
            .collect();
        channels.sort_unstable();
        assert_eq!(channels, [("general", true), ("random", true)]);
        let user = stage.ok(&person, "users.info", json!({ "user": person.id })).await["user"].clone();
        assert_eq!((&user["name"], &user["is_admin"]), (&json!("admin"), &json!(true)));
    });
    Stage::run(async |stage| {
        assert_eq!(admin::bootstrap(&stage.context).await, Ok(None), "there is a workspace already");
    });
}

#[test]
fn names_and_ids_mean_the_same() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let made = json!({ "workspace": "acme", "name": "hidden", "private": true });
        let channel = stage.admin("channel.create", made).await["id"].clone();
        for (channel, joined) in
            [(channel.clone(), true), (json!("hidden"), false), (json!("#hidden"), false)]
        {
            let args = json!({ "workspace": "acme", "channel": channel, "user": "ann" });
            assert_eq!(stage.admin("channel.join", args).await["joined"], joined, "{channel}");
        }
        let info = stage.ok(&ann, "conversations.info", json!({ "channel": channel })).await;
        assert_eq!(
            (&info["channel"]["is_private"], &info["channel"]["is_member"]),
            (&json!(true), &json!(true))
        );
        let stat = stage.admin("store.stat", json!({})).await["workspaces"][0].clone();
        assert_eq!(
            (&stat["name"], &stat["users"], &stat["conversations"]),
            (&json!("acme"), &json!(1), &json!(1))
        );
    });
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    Stage::run(async |stage| {
        stage.person("ann").await;
        let cases = [
            ("workspace.create", json!({}), "name is missing"),
            ("workspace.create", json!({ "name": 7 }), "name is a text, not 7"),
            ("workspace.create", json!({ "name": "x".repeat(201) }), "name is over 200 characters"),
            ("workspace.create", json!({ "name": "acme" }), "refused: name_taken"),
            (
                "user.create",
                json!({ "workspace": "nowhere", "name": "x" }),
                "there is no workspace \"nowhere\"",
            ),
            ("user.create", json!({ "workspace": "acme", "name": "ann" }), "refused: name_taken"),
            (
                "user.create",
                json!({ "workspace": "acme", "name": "x", "email": "ann@example.org" }),
                "refused: email_taken",
            ),
            (
                "user.create",
                json!({ "workspace": "acme", "name": "x", "bot": "yes" }),
                "bot is true or false, not \"yes\"",
            ),
            ("token.create", json!({ "workspace": "acme", "user": "bob" }), "there is no user \"bob\""),
            (
                "token.create",
                json!({ "workspace": "acme", "user": "ann", "kind": "bot" }),
                "a bot token needs a bot: user create --bot",
            ),
            (
                "token.create",
                json!({ "workspace": "acme", "user": "ann", "scope": ["a b"] }),
                "scope is a list of words, not \"a b\"",
            ),
            ("token.revoke", json!({ "token": "xoxb-1" }), "there is no token \"that was given\""),
            (
                "channel.create",
                json!({ "workspace": "acme", "name": "No" }),
                "refused: invalid_name_specials",
            ),
            (
                "channel.join",
                json!({ "workspace": "acme", "channel": "tea", "user": "ann" }),
                "there is no channel \"tea\"",
            ),
            ("coffee.make", json!({}), "there is no admin verb \"coffee.make\""),
        ];
        for (verb, args, sentence) in cases {
            assert_eq!(refused(stage, verb, args.clone()).await, sentence, "{verb} {args}");
        }
    });
}
