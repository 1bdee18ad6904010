//! RTM connections: what a bot hears, and what it may say.

use super::stage::Stage;
use actors::store::memory::MemoryStore;
use serde_json::json;
use simulations::world::through::{Held, Order, Through};

#[test]
fn a_bot_hears_the_channel_and_answers() {
    Stage::run(async |stage| {
        let (ann, bot) = (stage.person("ann").await, stage.bot("helper").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bot, "conversations.join", json!({ "channel": channel })).await;
        let mut ears = stage.rtm(&bot).await;
        let mut ann_ears = stage.rtm(&ann).await;
        let ts = stage.post(&ann, &channel, "hello?").await;
        let heard = ears.until("message").await;
        assert_eq!(
            (&heard["text"], &heard["user"], &heard["ts"]),
            (&json!("hello?"), &json!(ann.id), &json!(ts))
        );
        let id = ears.ask(json!({ "type": "message", "channel": channel, "text": "hello!" })).await;
        let ack = ears.find(|frame| frame["reply_to"] == id).await;
        assert_eq!((&ack["ok"], &ack["text"]), (&json!(true), &json!("hello!")));
        let heard = ann_ears.find(|frame| frame["text"] == "hello!").await;
        assert_eq!((&heard["user"], &heard["ts"]), (&json!(bot.id), &ack["ts"]));
        assert!(heard["bot_id"].is_string(), "what a bot says by RTM names the bot: {heard}");
        let reply = json!({ "type": "message", "channel": channel, "text": "in thread", "thread_ts": ts });
        let id = ears.ask(reply).await;
        ears.find(|frame| frame["reply_to"] == id && frame["ok"] == true).await;
        let news = ann_ears.find(|frame| frame["subtype"] == "message_replied").await;
        assert_eq!((&news["message"]["ts"], &news["message"]["reply_count"]), (&json!(ts), &json!(1)));
    });
}

#[test]
fn every_change_of_a_message_is_heard() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bob, "conversations.join", json!({ "channel": channel })).await;
        let mut ears = stage.rtm(&bob).await;
        let ts = stage.post(&ann, &channel, "one").await;
        stage.ok(&ann, "chat.update", json!({ "channel": channel, "ts": ts, "text": "two" })).await;
        let wave = json!({ "channel": channel, "timestamp": ts, "name": "wave" });
        stage.ok(&bob, "reactions.add", wave.clone()).await;
        stage.ok(&bob, "reactions.remove", wave).await;
        stage.ok(&ann, "chat.delete", json!({ "channel": channel, "ts": ts })).await;
        let changed = ears.find(|frame| frame["subtype"] == "message_changed").await;
        assert_eq!(
            (&changed["message"]["text"], &changed["previous_message"]["text"]),
            (&json!("two"), &json!("one"))
        );
        assert_eq!((&changed["message"]["ts"], &changed["hidden"]), (&json!(ts), &json!(true)));
        let added = ears.until("reaction_added").await;
        assert_eq!((&added["reaction"], &added["item"]["ts"]), (&json!("wave"), &json!(ts)));
        assert_eq!(added["item_user"], *ann.id);
        ears.until("reaction_removed").await;
        let deleted = ears.find(|frame| frame["subtype"] == "message_deleted").await;
        assert_eq!(
            (&deleted["deleted_ts"], &deleted["previous_message"]["text"]),
            (&json!(ts), &json!("two"))
        );
    });
}

#[test]
fn new_conversations_open_on_connections_that_are_there() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let mut ears = stage.rtm(&bob).await;
        let channel = stage.channel(&ann, "tea").await;
        let created = ears.until("channel_created").await;
        assert_eq!(
            (&created["channel"]["id"], &created["channel"]["name"]),
            (&json!(channel), &json!("tea"))
        );
        stage.ok(&ann, "conversations.invite", json!({ "channel": channel, "users": bob.id })).await;
        let joined = ears.until("channel_joined").await;
        assert_eq!(
            (&joined["channel"]["id"], &joined["channel"]["is_member"]),
            (&json!(channel), &json!(true))
        );
        stage.post(&ann, &channel, "welcome").await;
        ears.find(|frame| frame["text"] == "welcome").await;
        let direct = stage.ok(&ann, "chat.postMessage", json!({ "channel": bob.id, "text": "psst" })).await;
        let im = ears.until("im_created").await;
        assert_eq!((&im["channel"]["id"], &im["user"]), (&direct["channel"], &json!(ann.id)));
        ears.find(|frame| frame["text"] == "psst").await;
        let private = json!({ "name": "hidden", "is_private": true });
        let private = stage.ok(&ann, "conversations.create", private).await["channel"]["id"].clone();
        stage.ok(&ann, "conversations.invite", json!({ "channel": private, "users": bob.id })).await;
        let next = ears.next().await;
        assert_eq!(
            (&next["type"], &next["channel"]["id"]),
            (&json!("group_joined"), &private),
            "not announced before"
        );
        stage.ok(&bob, "conversations.leave", json!({ "channel": channel })).await;
        let left = ears.until("channel_left").await;
        assert_eq!(left["channel"], *channel);
        let marked = stage.post(&ann, im["channel"]["id"].as_str().unwrap(), "read me").await;
        stage.ok(&bob, "conversations.mark", json!({ "channel": im["channel"]["id"], "ts": marked })).await;
        let mark = ears.until("im_marked").await;
        assert_eq!((&mark["ts"], &mark["unread_count"]), (&json!(marked), &json!(0)));
    });
}

#[test]
fn what_cannot_be_said_is_refused_by_number_and_word() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let foreign = stage.channel(&bob, "tea").await;
        let own = stage.channel(&ann, "own").await;
        let mut rtm = stage.rtm(&ann).await;
        let cases = [
            (json!({ "type": "message", "channel": own }), "message text is missing"),
            (json!({ "type": "message", "channel": own, "text": "" }), "message text is missing"),
            (json!({ "type": "message", "text": "x" }), "channel_not_found"),
            (json!({ "type": "message", "channel": "C0000000000", "text": "x" }), "channel_not_found"),
            (json!({ "type": "message", "channel": foreign, "text": "x" }), "not_in_channel"),
            (json!({ "type": "message", "channel": own, "text": "x".repeat(1001) }), "msg_too_long"),
            (
                json!({ "type": "message", "channel": own, "text": "x", "thread_ts": "1.5" }),
                "thread_not_found",
            ),
        ];
        for (frame, msg) in cases {
            let id = rtm.ask(frame.clone()).await;
            let answer = rtm.find(|answer| answer["reply_to"] == id).await;
            assert_eq!((&answer["ok"], &answer["error"]["msg"]), (&json!(false), &json!(msg)), "{frame}");
            assert!(answer["error"]["code"].is_i64(), "typed clients read a number");
        }
        let id = rtm.ask(json!({ "type": "ping", "timestamp": 5 })).await;
        let pong = rtm.until("pong").await;
        assert_eq!(pong, json!({ "type": "pong", "reply_to": id, "timestamp": 5 }));
        rtm.send(&json!({ "type": "message", "channel": own, "text": "no id" })).await;
        let ack = rtm.find(|frame| frame["ok"] == true).await;
        assert_eq!((ack.get("reply_to"), &ack["text"]), (None, &json!("no id")));
    });
}

#[test]
fn typing_is_heard_by_others_only() {
    Stage::run(async |stage| {
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        stage.ok(&bob, "conversations.join", json!({ "channel": channel })).await;
        let (mut one, mut other) = (stage.rtm(&ann).await, stage.rtm(&bob).await);
        one.send(&json!({ "id": 9, "type": "typing", "channel": channel })).await;
        let typed = other.until("user_typing").await;
        assert_eq!((&typed["user"], &typed["channel"]), (&json!(ann.id), &json!(channel)));
        stage.post(&ann, &channel, "done").await;
        let next = one.next().await;
        assert_eq!(next["text"], "done", "the one who types hears nothing of it: {next}");
    });
}

#[test]
fn what_a_connection_says_is_heard_by_the_other_devices_of_its_user_and_not_there() {
    let held = Held::new(|log| log.channel.conversation().is_some());
    Stage::over(Through::new(MemoryStore::new(), held.clone()), async |stage| {
        stage.admin("workspace.create", json!({ "name": "acme" })).await;
        let ann = stage.person("ann").await;
        let (channel, quiet) = (stage.channel(&ann, "tea").await, stage.channel(&ann, "coffee").await);
        let (mut one, mut other) = (stage.rtm(&ann).await, stage.rtm(&ann).await);
        let say_in =
            |channel: &str, text: &str| json!({ "type": "message", "channel": channel, "text": text });
        let say = |text: &str| say_in(&channel, text);
        held.order(Order::Wait);
        for text in ["1", "2", "3"] {
            one.ask(say(text)).await;
        }
        // It is refused while those are under way elsewhere, and takes nothing of theirs along.
        let long = one.ask(say_in(&quiet, &"x".repeat(1001))).await;
        let refused = one.next().await;
        assert_eq!((&refused["reply_to"], &refused["ok"]), (&json!(long), &json!(false)), "{refused}");
        held.order(Order::Pass);
        let mut acked = Vec::new();
        while acked.len() < 3 {
            let next = one.next().await;
            assert_ne!(next["type"], "message", "its own words come back");
            acked.extend((next["ok"] == true).then(|| next["text"].clone()));
        }
        assert_eq!(acked, ["1", "2", "3"]);
        stage.post(&ann, &channel, "done").await;
        assert_eq!(one.until("message").await["text"], "done");
        for text in ["1", "2", "3", "done"] {
            assert_eq!(other.until("message").await["text"], text);
        }
    });
}
