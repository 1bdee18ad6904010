//! An event on its way to everybody who follows its channel: shared by all, encoded once per wire form.

use crate::command::Aside;
use crate::store::LogId;
use bytes::Bytes;
use proto::frame::WireForm;
use proto::v1::event::Body;
use proto::v1::{self, ConversationKind, Event};
use std::sync::OnceLock;

/// One event of a log as followers see it.
#[derive(Debug)]
pub struct Delivery {
    /// Which log.
    pub log: LogId,
    /// The event as followers may see it.
    pub event: Event,
    /// Context for Slack's forms; empty on replays.
    pub aside: Aside,
    frames: [OnceLock<Vec<Bytes>>; 3],
}

impl Delivery {
    /// Takes out of an event what followers must not see: fingerprints, and in a workspace's log the names and
    /// members of conversations that are not public. Their members find those in the conversation itself.
    pub fn new(log: LogId, mut event: Event, aside: Aside) -> Self {
        event.fingerprint = 0;
        let hidden = match &mut event.body {
            Some(Body::ConversationAdded(added)) if added.kind() != ConversationKind::Public => {
                *added = v1::ConversationAdded { kind: added.kind, ..v1::ConversationAdded::default() };
                true
            }
            Some(Body::ConversationRenamed(renamed)) if renamed.kind() != ConversationKind::Public => {
                *renamed =
                    v1::ConversationRenamed { kind: renamed.kind, ..v1::ConversationRenamed::default() };
                true
            }
            _ => false,
        };
        if hidden {
            event.sender.clear();
            event.key.clear();
        }
        Self { log, event, aside, frames: Default::default() }
    }
    /// The complete WebSocket frames of this event in a connection's language, made once and shared.
    pub fn frames(&self, form: WireForm) -> &[Bytes] {
        let slot = match form {
            WireForm::Proto => 0,
            WireForm::Json => 1,
            WireForm::Rtm => 2,
        };
        self.frames[slot].get_or_init(|| crate::session::wire::frames_of(self, form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::WorkspaceId;

    #[test]
    fn what_was_taken_out_once_is_not_taken_out_otherwise_again() {
        let workspace = WorkspaceId::parse("T1").expect("a workspace");
        let log = LogId::new(workspace.clone(), proto::id::ChannelId::Workspace(workspace));
        let (channel, name) = ("C1".to_owned(), "general".to_owned());
        let added = |kind| {
            let (creator, members) = ("U1".into(), vec!["U1".into()]);
            let (channel, name) = (channel.clone(), name.clone());
            Body::ConversationAdded(v1::ConversationAdded { channel, name, kind, creator, members })
        };
        let renamed = |kind| {
            let (channel, name) = (channel.clone(), name.clone());
            Body::ConversationRenamed(v1::ConversationRenamed {
                channel,
                name,
                kind,
                topic: "t".into(),
                ..Default::default()
            })
        };
        let public = i32::from(ConversationKind::Public);
        // Unknown, the four that there are, and one of a later build.
        for (kind, body) in (0..6).flat_map(|kind| [(kind, added(kind)), (kind, renamed(kind))]) {
            let event = Event {
                seq: 7,
                us: 8,
                sender: "U1".into(),
                key: "k".into(),
                fingerprint: 9,
                body: Some(body),
                ..Event::default()
            };
            let once = Delivery::new(log.clone(), event.clone(), Aside::default()).event;
            let twice = Delivery::new(log.clone(), once.clone(), Aside::default()).event;
            assert_eq!(twice, once);
            let shown = Event { fingerprint: 0, ..event };
            assert_eq!(once == shown, kind == public, "{once:?}");
            assert!(kind == public || !format!("{once:?}").contains("general"), "{once:?}");
        }
    }
}
