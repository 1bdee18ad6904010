//! A call that is done and cannot be shown: whoever called is never told that nothing was done.

use super::stage::Stage;
use actors::store::StoreError;
use actors::store::memory::MemoryStore;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::json;
use simulations::world::through::{Hook, Through};
use std::sync::{Arc, Mutex};

/// A store that does not answer one kind of read.
#[derive(Clone, Default)]
struct Mute(Arc<Mutex<&'static str>>);

impl Mute {
    fn to(&self, name: &'static str) {
        *self.0.lock().unwrap() = name;
    }
}

impl Hook for Mute {
    fn delay(&self, name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let is_mute = *self.0.lock().unwrap() == name;
        is_mute.then(|| ready(Err(StoreError::Unavailable("it is away".into()))).boxed())
    }
}

#[test]
fn what_is_done_and_cannot_be_shown_is_not_said_to_be_not_done() {
    let mute = Mute::default();
    Stage::over(Through::new(MemoryStore::new(), mute.clone()), async |stage| {
        stage.admin("workspace.create", json!({ "name": "acme" })).await;
        let (ann, bob) = (stage.person("ann").await, stage.person("bob").await);
        let channel = stage.channel(&ann, "tea").await;
        mute.to("conversation");
        let join = json!({ "channel": channel });
        assert_eq!(stage.error(&bob, "conversations.join", join.clone()).await, "internal_error");
        let info = stage.error(&ann, "conversations.info", join.clone()).await;
        assert_eq!(info, "service_unavailable", "nothing was to be done");

        mute.to("");
        assert_eq!(stage.ok(&bob, "conversations.join", join).await["warning"], "already_in_channel");
    });
}
