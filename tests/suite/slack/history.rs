//! Pages of history and of threads.

use super::stage::{Person, Stage};
use serde_json::{Value, json};

fn texts(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect()
}

async fn posts(stage: &Stage, person: &Person, channel: &str, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for number in 0..count {
        all.push(stage.post(person, channel, &format!("m{number}")).await);
    }
    all
}

#[test]
fn pages_put_together_are_the_whole_history_while_people_go_on_talking() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        posts(stage, &ann, &channel, 10).await;
        let mut all: Vec<String> = Vec::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let args = json!({ "channel": channel, "limit": 3, "cursor": cursor });
            let page = stage.ok(&ann, "conversations.history", args).await;
            all.extend(texts(&page).iter().map(|text| (*text).to_owned()));
            pages += 1;
            stage.post(&ann, &channel, "meanwhile").await;
            cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
            assert_eq!(page["has_more"], !cursor.is_empty());
            if cursor.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = (0..10).rev().map(|number| format!("m{number}")).collect();
        assert_eq!((all, pages), (expected, 4));
    });
}

#[test]
fn oldest_and_latest_leave_out_what_they_name_unless_inclusive() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let ts = posts(stage, &ann, &channel, 6).await;
        let page = async |more: Value| {
            let mut args = json!({ "channel": channel });
            args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let page = stage.ok(&ann, "conversations.history", args).await;
            (texts(&page).join(" "), page["has_more"] == true)
        };
        let between = json!({ "oldest": ts[1], "latest": ts[4] });
        assert_eq!(page(between).await, ("m3 m2".into(), false));
        let within = json!({ "oldest": ts[1], "latest": ts[4], "inclusive": true });
        assert_eq!(page(within).await, ("m4 m3 m2 m1".into(), false));
        let one = json!({ "latest": ts[3], "inclusive": "true", "limit": 1 });
        assert_eq!(page(one).await, ("m3".into(), true));
        let newest = json!({ "oldest": "0", "latest": "now", "limit": 2 });
        assert_eq!(page(newest).await, ("m5 m4".into(), true));
        let nearest_to_oldest = json!({ "oldest": ts[0], "limit": 2 });
        assert_eq!(page(nearest_to_oldest).await, ("m2 m1".into(), true));
        assert_eq!(page(json!({ "oldest": ts[5] })).await, (String::new(), false));
    });
}

#[test]
fn what_was_missed_since_oldest_is_found_page_by_page() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let ts = posts(stage, &ann, &channel, 8).await;
        let mut all: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let args = json!({ "channel": channel, "oldest": ts[0], "limit": 3, "cursor": cursor });
            let page = stage.ok(&ann, "conversations.history", args).await;
            all.extend(texts(&page).iter().map(|text| (*text).to_owned()));
            cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        all.sort_unstable();
        assert_eq!(all, (1..8).map(|number| format!("m{number}")).collect::<Vec<_>>());
    });
}

#[test]
fn a_thread_is_a_parent_and_its_replies() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bob, "conversations.join", json!({ "channel": channel })).await;
        let parent = stage.post(&ann, &channel, "root").await;
        let mut replies = Vec::new();
        for number in 0..5 {
            let to = replies.last().unwrap_or(&parent);
            let broadcast = number == 4;
            let args = json!({
                "channel": channel, "text": format!("r{number}"), "thread_ts": to, "reply_broadcast": broadcast,
            });
            let answer = stage.ok(&bob, "chat.postMessage", args).await;
            assert_eq!(answer["message"]["thread_ts"], *parent, "a reply to a reply joins its thread");
            replies.push(answer["ts"].as_str().unwrap().to_owned());
        }
        let history =
            stage.ok(&ann, "conversations.history", json!({ "channel": channel, "limit": 2 })).await;
        assert_eq!(texts(&history), ["r4", "root"], "replies stay in their thread unless broadcast");
        assert_eq!(history["messages"][0]["subtype"], "thread_broadcast");
        let root = &history["messages"][1];
        assert_eq!((&root["thread_ts"], &root["reply_count"]), (&root["ts"], &json!(5)));
        assert_eq!(root["reply_users"], json!([bob.id]));
        assert_eq!(root["latest_reply"], *replies[4]);
        let args = json!({ "channel": channel, "ts": parent });
        let thread = stage.ok(&ann, "conversations.replies", args).await;
        assert_eq!(texts(&thread), ["root", "r0", "r1", "r2", "r3", "r4"]);
        assert_eq!(thread["messages"][1]["parent_user_id"], *ann.id);
        let args = json!({ "channel": channel, "ts": replies[2], "limit": 2 });
        let page = stage.ok(&ann, "conversations.replies", args).await;
        assert_eq!((texts(&page), &page["has_more"]), (vec!["root", "r0", "r1"], &json!(true)));
        let cursor = &page["response_metadata"]["next_cursor"];
        let args = json!({ "channel": channel, "ts": parent, "limit": 3, "cursor": cursor });
        let page = stage.ok(&ann, "conversations.replies", args).await;
        assert_eq!((texts(&page), &page["has_more"]), (vec!["root", "r2", "r3", "r4"], &json!(false)));
        let alone = json!({ "channel": channel, "ts": stage.post(&ann, &channel, "alone").await });
        assert_eq!(texts(&stage.ok(&ann, "conversations.replies", alone).await), ["alone"]);
        let nothing = json!({ "channel": channel, "ts": "1.000001" });
        assert_eq!(stage.error(&ann, "conversations.replies", nothing).await, "thread_not_found");
    });
}

#[test]
fn a_deleted_parent_leaves_its_replies_under_a_stone() {
    Stage::run(async |stage| {
        let ann = stage.person("ann").await;
        let channel = stage.channel(&ann, "tea").await;
        let parent = stage.post(&ann, &channel, "secret").await;
        let reply = json!({ "channel": channel, "text": "re", "thread_ts": parent });
        stage.ok(&ann, "chat.postMessage", reply).await;
        stage.ok(&ann, "chat.delete", json!({ "channel": channel, "ts": parent })).await;
        let thread =
            stage.ok(&ann, "conversations.replies", json!({ "channel": channel, "ts": parent })).await;
        assert_eq!(thread["messages"][0]["subtype"], "tombstone");
        assert_eq!(thread["messages"][1]["text"], "re");
        assert!(!thread.to_string().contains("secret"));
    });
}
