//! Conversations and users: lists, membership, direct conversations, what is hidden from whom.

use super::stage::{Person, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn ids(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn listed(stage: &Stage, person: &Person, method: &str, types: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let args = json!({ "types": types, "limit": 2, "cursor": cursor });
        let page = stage.ok(person, method, args).await;
        all.extend(ids(&page["channels"]));
        cursor = page["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            return all;
        }
    }
}

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[test]
fn lists_show_public_channels_and_ones_own_closed_conversations() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let mut public = BTreeSet::new();
        for name in ["one", "two", "three", "four", "five"] {
            public.insert(stage.channel(&ann, name).await);
        }
        let private = json!({ "name": "hidden", "is_private": true });
        let private = stage.ok(&ann, "conversations.create", private).await["channel"].clone();
        assert_eq!((&private["is_private"], &private["is_member"]), (&json!(true), &json!(true)));
        let private = private["id"].as_str().unwrap().to_owned();
        let im = stage.ok(&ann, "conversations.open", json!({ "users": bob.id })).await;
        let im = im["channel"]["id"].as_str().unwrap().to_owned();
        assert_eq!(listed(stage, &ann, "conversations.list", "").await, public);
        assert_eq!(listed(stage, &bob, "conversations.list", "public_channel").await, public);
        assert_eq!(
            listed(stage, &ann, "conversations.list", "private_channel,im").await,
            set(&[&private, &im])
        );
        assert_eq!(listed(stage, &bob, "conversations.list", "private_channel,im,mpim").await, set(&[&im]));
        let all = listed(stage, &ann, "conversations.list", "public_channel,private_channel,mpim,im").await;
        assert_eq!(all, &public | &set(&[&private, &im]));
        let own = listed(stage, &bob, "users.conversations", "public_channel,private_channel,mpim,im").await;
        assert_eq!(own, set(&[&im]));
        for name in ["below", "beside", "beyond"] {
            stage.ok(&ann, "conversations.create", json!({ "name": name, "is_private": true })).await;
        }
        let page = stage.ok(&bob, "conversations.list", json!({ "limit": 1 })).await;
        assert_eq!(page["channels"].as_array().unwrap().len(), 1, "what is hidden empties no page");
        let shown = &page["channels"][0];
        assert_eq!((&shown["is_member"], &shown["num_members"]), (&json!(false), &json!(1)));
        assert_eq!(shown["creator"], *ann.id);
    });
}

#[test]
fn what_a_user_is_in_shows_others_only_what_they_may_see() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let public = stage.channel(&ann, "open").await;
        stage.ok(&ann, "conversations.create", json!({ "name": "hidden", "is_private": true })).await;
        let args = json!({ "user": ann.id, "types": "public_channel,private_channel,im" });
        let seen = stage.ok(&bob, "users.conversations", args).await;
        assert_eq!(ids(&seen["channels"]), set(&[&public]));
    });
}

#[test]
fn joining_and_leaving_change_who_may_post() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.bot("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        let here = json!({ "channel": channel });
        let say = json!({ "channel": channel, "text": "hi" });
        assert_eq!(stage.error(&bob, "chat.postMessage", say.clone()).await, "not_in_channel");
        assert_eq!(stage.error(&bob, "conversations.history", here.clone()).await, "not_in_channel");
        let joined = stage.ok(&bob, "conversations.join", here.clone()).await;
        assert_eq!(joined["channel"]["is_member"], true);
        assert_eq!(joined.get("warning"), None);
        let again = stage.ok(&bob, "conversations.join", here.clone()).await;
        assert_eq!(again["warning"], "already_in_channel");
        assert_eq!(again["response_metadata"]["warnings"], json!(["already_in_channel"]));
        stage.ok(&bob, "chat.postMessage", say.clone()).await;
        let members = stage.ok(&ann, "conversations.members", here.clone()).await;
        let members: BTreeSet<_> =
            members["members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert_eq!(members, set(&[&ann.id, &bob.id]));
        let args = json!({ "channel": channel, "include_num_members": true });
        assert_eq!(stage.ok(&ann, "conversations.info", args).await["channel"]["num_members"], 2);
        assert_eq!(stage.ok(&bob, "conversations.leave", here.clone()).await.get("not_in_channel"), None);
        assert_eq!(stage.ok(&bob, "conversations.leave", here.clone()).await["not_in_channel"], true);
        assert_eq!(stage.error(&bob, "chat.postMessage", say).await, "not_in_channel");
        let general = stage.channel(&ann, "general").await;
        assert_eq!(
            stage.error(&ann, "conversations.leave", json!({ "channel": general })).await,
            "cant_leave_general"
        );
    });
}

#[test]
fn members_are_listed_page_by_page() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let mut everybody = set(&[&ann.id]);
        for name in ["bob", "cyd", "dan", "eve"] {
            let person = stage.person(name).await;
            stage.ok(&ann, "conversations.invite", json!({ "channel": channel, "users": person.id })).await;
            everybody.insert(person.id);
        }
        let (mut members, mut users, mut cursor) = (BTreeSet::new(), BTreeSet::new(), String::new());
        loop {
            let args = json!({ "channel": channel, "limit": 2, "cursor": cursor });
            let page = stage.ok(&ann, "conversations.members", args).await;
            members
                .extend(page["members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
            cursor = page["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        loop {
            let page = stage.ok(&ann, "users.list", json!({ "limit": 2, "cursor": cursor })).await;
            users.extend(ids(&page["members"]));
            cursor = page["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!((&members, &users), (&everybody, &everybody));
    });
}

#[test]
fn a_direct_conversation_is_one_whoever_opens_it_and_in_whatever_order() {
    Stage::run(async |stage| {
        let (ann, bob, cyd) =
            (stage.person("ann").await, stage.person("bob").await, stage.person("cyd").await);
        let opened =
            stage.ok(&ann, "conversations.open", json!({ "users": bob.id, "return_im": true })).await;
        let im = opened["channel"].clone();
        assert_eq!((&im["is_im"], &im["user"]), (&json!(true), &json!(bob.id)));
        assert_eq!(opened.get("already_open"), None);
        let again = stage.ok(&bob, "conversations.open", json!({ "users": [ann.id] })).await;
        assert_eq!((&again["channel"], &again["already_open"]), (&json!({ "id": im["id"] }), &json!(true)));
        let named =
            stage.ok(&bob, "conversations.open", json!({ "channel": im["id"], "return_im": true })).await;
        assert_eq!(named["channel"]["user"], *ann.id, "each sees the other");
        let info = stage.ok(&bob, "conversations.info", json!({ "channel": im["id"] })).await;
        assert_eq!(info["channel"]["user"], *ann.id);
        let three = json!({ "users": format!("{},{}", bob.id, cyd.id) });
        let group = stage.ok(&ann, "conversations.open", three).await["channel"]["id"].clone();
        let same = json!({ "users": [ann.id, bob.id] });
        assert_eq!(stage.ok(&cyd, "conversations.open", same).await["channel"]["id"], group);
        let info = stage.ok(&cyd, "conversations.info", json!({ "channel": group })).await;
        assert_eq!((&info["channel"]["is_mpim"], &info["channel"]["is_im"]), (&json!(true), &json!(false)));
        let own = stage.ok(&ann, "conversations.open", json!({ "users": ann.id, "return_im": true })).await;
        assert_eq!(own["channel"]["user"], *ann.id, "notes to oneself");
    });
}

#[test]
fn a_read_position_moves_forwards_and_back() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let first = stage.post(&ann, &channel, "one").await;
        let second = stage.post(&ann, &channel, "two").await;
        for ts in [&second, &first] {
            stage.ok(&ann, "conversations.mark", json!({ "channel": channel, "ts": ts })).await;
            let info = stage.ok(&ann, "conversations.info", json!({ "channel": channel })).await;
            assert_eq!(info["channel"]["last_read"], **ts);
        }
    });
}

#[test]
fn a_user_shows_an_address_only_to_those_who_may_read_addresses() {
    Stage::run(async |stage| {
        let (ann, bot) = (stage.person("ann").await, stage.bot("helper").await);
        let user = stage.ok(&bot, "users.info", json!({ "user": ann.id })).await["user"].clone();
        assert_eq!((&user["name"], &user["is_bot"]), (&json!("ann"), &json!(false)));
        assert_eq!(user["profile"]["email"], "ann@example.org");
        let modest = stage.scoped(&bot, &["users:read"]).await;
        let user = stage.ok(&modest, "users.info", json!({ "user": ann.id })).await["user"].clone();
        assert_eq!(user["profile"].get("email"), None);
        let user = stage.ok(&ann, "users.info", json!({ "user": bot.id })).await["user"].clone();
        assert_eq!(user["is_bot"], true);
        assert!(user["profile"]["bot_id"].is_string());
    });
}

#[test]
fn the_team_is_ones_own() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let team = stage.ok(&ann, "team.info", json!({})).await["team"].clone();
        assert_eq!((&team["name"], &team["domain"]), (&json!("acme"), &json!("acme")));
        let test = stage.ok(&ann, "auth.test", json!({})).await;
        assert_eq!((&test["team_id"], &test["url"]), (&team["id"], &json!(super::stage::URL)));
        assert_eq!((&test["user"], test.get("bot_id")), (&json!("ann"), None));
        assert_eq!(stage.error(&ann, "team.info", json!({ "team": "T0000000009" })).await, "team_not_found");
    });
}
