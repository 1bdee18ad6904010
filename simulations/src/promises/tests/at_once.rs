//! What is judged as soon as somebody hears it.

use super::{
    Case, case,
    day::{C1, C2, Day, content, say},
};
use crate::{
    oracle::book::Place,
    promises::{
        deleted_is_gone,
        heard::{self, Due},
        no_phantom, nodes_meet, one_place, own_words, revoked, sense, tenants, whole_serves,
    },
};
use prost::Message;
use proto::{
    frame::WireForm,
    v1::{Beacon, Event, ServerFrame, server_frame::Frame},
};
use std::time::Duration;

const REVOKED: Duration = Duration::from_secs(100);

pub const CASES: &[Case] = &[
    case(&one_place::PROMISE, "a second answer names another time", |day| {
        let us = day.event(C1, 2).us + 1;
        day.hears("k-hello", Place { us, seq: Some(2) })
    }),
    case(&one_place::PROMISE, "a second answer names another seq", |day| {
        let us = day.event(C1, 2).us;
        day.hears("k-hello", Place { us, seq: Some(3) })
    }),
    case(&one_place::PROMISE, "what was done is said to have been nothing to do", |day| {
        day.hears("k-back", Place { us: 0, seq: None })
    }),
    case(&one_place::PROMISE, "what nobody sent is acknowledged", |day| {
        day.hears("k-nobody", Place { us: 1, seq: Some(1) })
    }),
    case(&own_words::PROMISE, "a page knows nothing of what was acknowledged", |day| day.reads(C1, 5..=9, 9)),
    case(&deleted_is_gone::PROMISE, "a page says what was deleted", |day| {
        let oops = undeleted(day);
        day.page(C1, vec![oops], 13)
    }),
    case(&deleted_is_gone::PROMISE, "a new connection is shown what was deleted", |day| {
        let (oops, asked) = (undeleted(day), day.later());
        deleted_is_gone::events(&day.oracle.book(), C1, asked, &[oops])
    }),
    case(&tenants::PROMISE, "somebody is sent a name of another workspace", |_| {
        tenants::seen(0, 1, b"\x08zz2zz-room0\x10")
    }),
    case(&tenants::PROMISE, "the foreign name stands among own ones", |_| {
        tenants::seen(0, 1, b"zz1zz zzz0zz zz1zz")
    }),
    case(&tenants::PROMISE, "the other workspace has a number of two digits", |_| {
        tenants::seen(0, 1, b"zz12zz")
    }),
    case(&tenants::PROMISE, "the own workspace has one", |_| tenants::seen(0, 12, b"zz1zz")),
    case(&tenants::PROMISE, "somebody of another workspace is said to type", |day| {
        day.oracle.typed("T9/C1", "U1");
        tenants::typing(&day.oracle.book(), 0, C1, "U1")
    }),
    case(&sense::PROMISE, "a frame cannot be read", |_| {
        sense::native("U1", b"\xff\xff", WireForm::Proto).map(drop)
    }),
    case(&sense::PROMISE, "a beacon is about nothing", |_| {
        let beacon = ServerFrame { re: 0, frame: Some(Frame::Beacon(Beacon::default())) };
        sense::native("U1", &beacon.encode_to_vec(), WireForm::Proto).map(drop)
    }),
    case(&sense::PROMISE, "an RTM frame is no JSON", |_| sense::rtm("U1", "{").map(drop)),
    case(&sense::PROMISE, "an RTM frame has no type", |_| sense::rtm("U1", "{\"user\":\"U1\"}").map(drop)),
    case(&nodes_meet::PROMISE, "a node still hears an earlier life", |_| {
        nodes_meet::heard("n1", "n2", 3, Some(4))
    }),
    case(&nodes_meet::PROMISE, "a slot has no owner", |_| nodes_meet::settled(&[7, 8], 16)),
    case(&whole_serves::PROMISE, "a store with a workspace is given another one", |_| {
        whole_serves::seeded(false, true)
    }),
    case(&whole_serves::PROMISE, "an empty store is given none", |_| whole_serves::seeded(true, false)),
    case(&revoked::PROMISE, "a revoked token opens a connection", |_| {
        revoked::opened(0, REVOKED, REVOKED + Duration::from_millis(1))
    }),
    case(&heard::PROMISE, "a mistake is taken", |_| {
        heard::called(0, "users.info", Due::Error("invalid_arguments"), None, true)
    }),
    case(&heard::PROMISE, "a mistake is named wrongly", |_| {
        heard::called(0, "users.info", Due::Error("invalid_arguments"), Some("user_not_found"), false)
    }),
    case(&heard::PROMISE, "a lookup is refused", |_| {
        heard::called(0, "team.info", Due::Answer(&["message_not_found"]), Some("team_not_found"), true)
    }),
    case(&no_phantom::PROMISE, "a page of history shows what was said elsewhere", |day| {
        day.oracle.said(C2, "elsewhere");
        no_phantom::history(&day.oracle.book(), 0, C1, &[serde_json::json!({ "text": "elsewhere" })])
    }),
    case(&heard::PROMISE, "a member is told that they are none", |_| {
        heard::refused(0, "post", "not_in_channel", false, true)
    }),
    case(&heard::PROMISE, "a plain message misses another one", |_| {
        heard::refused(0, "post", "message_not_found", true, true)
    }),
    case(&heard::PROMISE, "a refusal is for no reason that people give", |_| {
        heard::refused(0, "react", "fatal_error", true, false)
    }),
    case(&revoked::PROMISE, "a revoked token hears what is said too late", |_| {
        revoked::shown(0, REVOKED, REVOKED + revoked::WITHIN + Duration::from_millis(1))
    }),
];

/// What was deleted, with its words.
fn undeleted(day: &mut Day) -> Event {
    let mut oops = day.event(C1, 6).clone();
    say(&mut oops, content("oops"));
    oops
}

#[test]
fn the_same_answer_may_come_twice() {
    let mut day = super::Day::good();
    let us = day.event(C1, 2).us;
    assert_eq!(day.hears("k-hello", Place { us, seq: Some(2) }), Ok(()));
    assert_eq!(day.hears("k-hello", Place { us, seq: None }), Ok(()), "the Web API names no seq");
}

#[test]
fn a_page_that_was_asked_for_before_a_deletion_or_an_answer_may_lack_them() {
    let mut day = super::Day::good();
    let mut oops = day.event(C1, 6).clone();
    say(&mut oops, content("oops"));
    let page = proto::v1::Page { channel: String::new(), events: vec![oops], tail: 6 };
    let heard = |key| day.oracle.book().commands[key].acked.clone().expect("acknowledged").1;
    assert_eq!(day.oracle.page(0, C1, heard("k-oops"), &page), Ok(()));
    assert!(day.oracle.page(0, C1, heard("k-again"), &page).is_err());
    assert_eq!(day.reads(C1, 5..=8, 13), Ok(()));
    assert_eq!(day.judge(), Ok(()));
}

#[test]
fn own_tags_and_what_only_looks_like_a_tag_are_no_foreign_ones() {
    for bytes in ["zz1zz", "zz1zz zz1zz", "zzz1zz", "zz", "zzz", "zz2z", "z2zz", "zzxzz", "zzzz", ""] {
        assert_eq!(tenants::seen(0, 1, bytes.as_bytes()), Ok(()), "{bytes}");
    }
    assert_eq!(tenants::seen(0, 12, tenants::tag(12).as_bytes()), Ok(()));
}

#[test]
fn refusals_that_people_earn_break_nothing() {
    assert_eq!(heard::refused(0, "post", "not_in_channel", true, true), Ok(()));
    assert_eq!(heard::refused(0, "react", "already_reacted", false, false), Ok(()));
    assert_eq!(heard::refused(0, "edit", "channel_not_found", true, false), Ok(()));
}

#[test]
fn calls_that_are_answered_as_they_must_be_break_nothing() {
    assert_eq!(
        heard::called(0, "users.info", Due::Error("invalid_arguments"), Some("invalid_arguments"), false),
        Ok(())
    );
    assert_eq!(heard::called(0, "team.info", Due::Answer(&[]), None, false), Ok(()));
    let gone = Due::Answer(&["message_not_found"]);
    assert_eq!(heard::called(0, "reactions.get", gone, Some("message_not_found"), false), Ok(()));
    assert_eq!(heard::called(0, "reactions.get", gone, Some("channel_not_found"), true), Ok(()));
    let day = Day::good();
    let page = [
        serde_json::json!({ "text": "alone" }),
        serde_json::json!({ "subtype": "tombstone", "text": "gone" }),
    ];
    assert_eq!(no_phantom::history(&day.oracle.book(), 0, C1, &page), Ok(()));
}

#[test]
fn a_revoked_token_may_hear_on_for_five_seconds() {
    assert_eq!(revoked::shown(0, REVOKED, REVOKED + revoked::WITHIN), Ok(()));
}
