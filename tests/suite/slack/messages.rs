//! Posting, updating, deleting, reacting.

use super::stage::{Stage, body};
use serde_json::json;

#[test]
fn a_post_answers_with_the_message_as_it_is_stored() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let said = json!({ "channel": channel, "text": "a &amp; b <@U1>", "client_msg_id": "c-1" });
        let answer = stage.ok(&ann, "chat.postMessage", said.clone()).await;
        assert_eq!(answer["channel"], *channel);
        assert_eq!(answer["message"]["ts"], answer["ts"]);
        assert_eq!(answer["message"]["text"], "a &amp; b <@U1>");
        assert_eq!(answer["message"]["user"], *ann.id);
        assert_eq!(answer["message"].get("bot_id"), None);
        let again = stage.ok(&ann, "chat.postMessage", said).await;
        assert_eq!(again["ts"], answer["ts"], "a retry under the same client_msg_id");
        assert_eq!(again["message"], answer["message"]);
        let other = json!({ "channel": channel, "text": "other", "client_msg_id": "c-1" });
        assert_eq!(stage.error(&ann, "chat.postMessage", other).await, "idempotency_key_reused");
        let history = stage.ok(&ann, "conversations.history", json!({ "channel": channel })).await;
        assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_bots_post_names_the_bot_and_may_wear_another_name() {
    Stage::run(async |stage| {
        let bot = stage.bot("helper").await;
        let channel = stage.channel(&bot, "tea").await;
        let plain = stage.ok(&bot, "chat.postMessage", json!({ "channel": channel, "text": "hi" })).await;
        let identity = stage.ok(&bot, "auth.test", json!({})).await;
        assert!(identity["bot_id"].as_str().is_some_and(|id| id.starts_with('B')), "{identity}");
        assert_eq!(plain["message"]["bot_id"], identity["bot_id"]);
        assert_eq!(plain["message"]["bot_profile"]["name"], "helper");
        assert_eq!(plain["message"].get("subtype"), None);
        let args = json!({ "channel": channel, "text": "ho", "username": "Santa", "icon_emoji": ":santa:" });
        let disguised = stage.ok(&bot, "chat.postMessage", args.clone()).await;
        assert_eq!(disguised["message"]["subtype"], "bot_message");
        assert_eq!(disguised["message"]["username"], "Santa");
        let modest = stage.scoped(&bot, &["chat:write"]).await;
        let refused = body(&stage.call("chat.postMessage", Some(&modest.token), args).await);
        assert_eq!(
            (&refused["error"], &refused["needed"]),
            (&json!("missing_scope"), &json!("chat:write.customize"))
        );
    });
}

#[test]
fn blocks_and_attachments_come_back_as_they_were_sent() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let blocks = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "*b*" } }]);
        let attachments = json!([{ "fallback": "f", "color": "good" }]);
        for args in [
            json!({ "channel": channel, "blocks": blocks, "attachments": attachments }),
            json!({ "channel": channel, "blocks": blocks.to_string(), "attachments": attachments.to_string() }),
        ] {
            let message = stage.ok(&ann, "chat.postMessage", args).await["message"].clone();
            assert_eq!((&message["blocks"], &message["attachments"]), (&blocks, &attachments));
            assert_eq!(message["text"], "");
        }
    });
}

#[test]
fn an_update_changes_what_it_names_and_a_deletion_takes_all_away() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bob, "conversations.join", json!({ "channel": channel })).await;
        let blocks = json!([{ "type": "divider" }]);
        let args = json!({ "channel": channel, "text": "one", "blocks": blocks });
        let ts = stage.ok(&ann, "chat.postMessage", args).await["ts"].clone();
        let edit = json!({ "channel": channel, "ts": ts, "text": "two" });
        let answer = stage.ok(&ann, "chat.update", edit.clone()).await;
        assert_eq!((&answer["text"], &answer["ts"]), (&json!("two"), &ts));
        assert_eq!(answer["message"]["edited"]["user"], *ann.id);
        assert_eq!(answer["message"]["blocks"], blocks, "what is not named stays");
        let bare = json!({ "channel": channel, "ts": ts, "text": "three", "blocks": [] });
        assert_eq!(stage.ok(&ann, "chat.update", bare).await["message"].get("blocks"), None);
        assert_eq!(stage.error(&bob, "chat.update", edit.clone()).await, "cant_update_message");
        let gone = json!({ "channel": channel, "ts": ts });
        assert_eq!(stage.error(&bob, "chat.delete", gone.clone()).await, "cant_delete_message");
        let answer = stage.ok(&ann, "chat.delete", gone.clone()).await;
        assert_eq!((&answer["channel"], &answer["ts"]), (&json!(channel), &ts));
        assert_eq!(stage.error(&ann, "chat.delete", gone).await, "message_not_found");
        assert_eq!(stage.error(&ann, "chat.update", edit).await, "message_not_found");
        let history = stage.ok(&ann, "conversations.history", json!({ "channel": channel })).await;
        let texts: Vec<_> = history["messages"].as_array().unwrap().iter().map(|m| &m["subtype"]).collect();
        assert_eq!(texts, ["channel_join"], "bob's arrival is all that is left");
    });
}

#[test]
fn reactions_are_counted_once_per_user_and_taken_back() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bob, "conversations.join", json!({ "channel": channel })).await;
        let ts = stage.post(&ann, &channel, "hi").await;
        let wave = |name: &str| json!({ "channel": channel, "timestamp": ts, "name": name });
        stage.ok(&ann, "reactions.add", wave("wave")).await;
        stage.ok(&bob, "reactions.add", wave(":wave:")).await;
        stage.ok(&bob, "reactions.add", wave("thumbsup::skin-tone-2")).await;
        assert_eq!(stage.error(&bob, "reactions.add", wave("wave")).await, "already_reacted");
        let got = stage.ok(&ann, "reactions.get", json!({ "channel": channel, "timestamp": ts })).await;
        let expected = json!([
            { "name": "thumbsup::skin-tone-2", "users": [bob.id], "count": 1 },
            { "name": "wave", "users": [ann.id, bob.id], "count": 2 },
        ]);
        assert_eq!((&got["type"], &got["message"]["reactions"]), (&json!("message"), &expected));
        stage.ok(&bob, "reactions.remove", wave("wave")).await;
        assert_eq!(stage.error(&bob, "reactions.remove", wave("wave")).await, "no_reaction");
        let history = stage.ok(&ann, "conversations.history", json!({ "channel": channel })).await;
        assert_eq!(history["messages"][0]["reactions"][1]["users"], json!([ann.id]));
    });
}

#[test]
fn a_message_may_go_to_an_id_a_name_or_a_user() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        for name in [channel.as_str(), "#tea", "tea"] {
            let answer = stage.ok(&ann, "chat.postMessage", json!({ "channel": name, "text": "x" })).await;
            assert_eq!(answer["channel"], *channel, "{name}");
        }
        let direct = stage.ok(&ann, "chat.postMessage", json!({ "channel": bob.id, "text": "psst" })).await;
        let im = direct["channel"].as_str().unwrap();
        assert!(im.starts_with('D'), "{im}");
        let back = stage.ok(&bob, "chat.postMessage", json!({ "channel": ann.id, "text": "yes?" })).await;
        assert_eq!(back["channel"], im, "the same conversation from both ends");
        let history = stage.ok(&bob, "conversations.history", json!({ "channel": im })).await;
        assert_eq!(history["messages"].as_array().unwrap().len(), 2);
        for nowhere in ["#nowhere", "nowhere", "", "#", "U0000000000"] {
            let error =
                stage.error(&ann, "chat.postMessage", json!({ "channel": nowhere, "text": "x" })).await;
            let expected = if nowhere.is_empty() { "invalid_arguments" } else { "channel_not_found" };
            assert_eq!(error, expected, "{nowhere:?}");
        }
    });
}

#[test]
fn a_permalink_names_the_message_and_its_thread() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let ts = stage.post(&ann, &channel, "root").await;
        let reply = json!({ "channel": channel, "text": "re", "thread_ts": ts });
        let reply = stage.ok(&ann, "chat.postMessage", reply).await["ts"].as_str().unwrap().to_owned();
        let link = async |ts: &str| {
            let args = json!({ "channel": channel, "message_ts": ts });
            stage.ok(&ann, "chat.getPermalink", args).await["permalink"].as_str().unwrap().to_owned()
        };
        let place = format!("{}archives/{channel}/p", super::stage::URL);
        assert_eq!(link(&ts).await, format!("{place}{}", ts.replace('.', "")));
        let expected = format!("{place}{}?thread_ts={ts}&cid={channel}", reply.replace('.', ""));
        assert_eq!(link(&reply).await, expected);
    });
}
