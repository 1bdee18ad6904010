//! Who types where: heard by those who are there too, once in a while, and from nobody else.

use super::rig::{Client, Rig, user_id};
use proto::v1::client_frame::Frame as Ask;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Ping, Typed, Typing};

/// Types, and comes back when the server has read it.
async fn types(client: &mut Client, channel: &str) {
    client.say(Ask::Typing(Typing { channel: channel.to_owned() })).await;
    let pong = client.ask(Ask::Ping(Ping::default())).await;
    assert!(matches!(pong, Say::Pong(_)), "{pong:?}");
}

#[test]
fn typing_is_heard_once_in_a_while_in_each_channel_and_of_members_only() {
    Rig::run(async |rig| {
        let one = rig.channel("one", &["ann", "bob"]).await;
        let two = rig.channel("two", &["ann", "bob"]).await;
        rig.found(&rig.workspace, &["eve"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let mut bob = rig.connect("bob", &[]).await;
        let mut eve = rig.connect("eve", &[]).await;
        for _ in 0..5 {
            types(&mut ann, &one).await;
        }
        types(&mut eve, &one).await;
        types(&mut ann, &two).await;
        // A channel passes typing on at once, and so before what is posted after it.
        for channel in [&one, &two] {
            let seq = rig.posts("ann", channel, "done").await.seq;
            bob.events(channel, seq).await;
        }
        let ann_types = |channel: &str| Typed { channel: channel.into(), user: user_id("ann").to_string() };
        assert_eq!(bob.typed, [ann_types(&one), ann_types(&two)]);
        assert_eq!(ann.typed, [], "nobody is told of their own");
    });
}
