//! Frames of the native protocol: complete WebSocket frames for what the server says.

use crate::command::Done;
use crate::delivery::Delivery;
use bytes::Bytes;
use proto::frame::{self, WireForm};
use proto::id::ChannelId;
use proto::refusal::Refusal;
use proto::ts;
use proto::v1::server_frame::Frame;
use proto::v1::{self, Event, ServerFrame};

/// All frames of one event in one language.
pub fn frames_of(delivery: &Delivery, form: WireForm) -> Vec<Bytes> {
    match form {
        WireForm::Rtm => {
            crate::rtm::events(delivery).iter().map(|text| frame::text(text.as_bytes())).collect()
        }
        WireForm::Proto | WireForm::Json => {
            vec![deliver(&delivery.log.channel, vec![delivery.event.clone()], form)]
        }
    }
}

/// A server frame that answers `re` (0: nothing).
pub fn say(re: u64, what: Frame, form: WireForm) -> Bytes {
    frame::encode_server(&ServerFrame { re, frame: Some(what) }, form)
}

/// Events of a channel.
pub fn deliver(channel: &ChannelId, events: Vec<Event>, form: WireForm) -> Bytes {
    say(0, Frame::Deliver(v1::Deliver { channel: channel.to_string(), events }), form)
}

/// The answer to a command.
pub fn answer(re: u64, channel: &str, result: &Result<Done, Refusal>, form: WireForm) -> Bytes {
    match result {
        Ok(done) => {
            let ack = v1::Ack {
                channel: channel.to_owned(),
                seq: done.seq,
                us: done.us,
                ts: if done.us == 0 { String::new() } else { ts::format(done.us) },
                retried: done.retried,
            };
            say(re, Frame::Ack(ack), form)
        }
        Err(refusal) => refuse(re, refusal, form),
    }
}

/// A refusal.
pub fn refuse(re: u64, refusal: &Refusal, form: WireForm) -> Bytes {
    let refused = v1::Refused {
        code: refusal.code().to_owned(),
        detail: refusal.to_string(),
        retry_after_ms: refusal.retry_after_ms(),
        state: refusal.state().to_owned(),
    };
    say(re, Frame::Refused(refused), form)
}
