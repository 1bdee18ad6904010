//! Bends of what the logs hold, and of what was promised about it.

use super::{
    Case, case,
    day::{C1, C2, content, gone, post, say},
};
use crate::{
    oracle::book::{Command, Place, RTM_POST},
    promises::{
        deleted_is_gone, kept, linear, no_phantom, one_place, refused_is_not_done, sound_log, unchanged,
    },
};
use proto::v1::{Content, event::Body};
use std::time::Duration;

pub const CASES: &[Case] = &[
    case(&sound_log::PROMISE, "a log has a hole", |day| {
        day.log(C1).remove(3);
        Ok(())
    }),
    case(&sound_log::PROMISE, "time stands still", |day| {
        day.event(C1, 5).us = day.event(C1, 4).us;
        Ok(())
    }),
    case(&sound_log::PROMISE, "an owner that was replaced writes", |day| {
        day.event(C1, 5).epoch = 2;
        Ok(())
    }),
    case(&one_place::PROMISE, "a key is in a log twice", |day| {
        day.event(C1, 5).key = "k-well".into();
        Ok(())
    }),
    case(&one_place::PROMISE, "a key is in two logs", |day| {
        day.event(C2, 4).key = "k-well".into();
        Ok(())
    }),
    case(&kept::PROMISE, "what was acknowledged is lost", |day| {
        day.log(C2).pop();
        Ok(())
    }),
    case(&kept::PROMISE, "it is another one's", |day| {
        day.event(C1, 11).sender = "U1".into();
        Ok(())
    }),
    case(&kept::PROMISE, "it stands at another time", |day| {
        day.event(C1, 11).us += 1;
        Ok(())
    }),
    case(&kept::PROMISE, "it stands at another seq", |day| {
        day.bend("k-well", |command| acked(command).seq = Some(4));
        Ok(())
    }),
    case(&kept::PROMISE, "a bot's message says something else", |day| {
        say(day.event(C1, 12), content("boop"));
        Ok(())
    }),
    case(&kept::PROMISE, "a bot was given the place of somebody's message", |day| {
        let us = day.event(C1, 11).us;
        day.bend("k-bot", |command| {
            command.sender = "U2".into();
            acked(command).us = us;
        });
        Ok(())
    }),
    case(&kept::PROMISE, "two messages of a bot have one place", |day| {
        let twin = Command { kind: RTM_POST, ..day.command(C1, "U1", &post("beep")) };
        day.oracle.sent("k-twin", twin);
        let us = day.event(C1, 12).us;
        day.hears("k-twin", Place { us, seq: None })
    }),
    case(&kept::PROMISE, "two messages have one place", |day| {
        day.sends(C1, "U1", "k-twin", &post("hello"));
        let us = day.event(C1, 2).us;
        day.hears("k-twin", Place { us, seq: Some(2) })
    }),
    case(&kept::PROMISE, "a message was said to be nothing to do", |day| {
        day.sends(C1, "U1", "k-void", &post("void"));
        day.hears("k-void", Place { us: 0, seq: None })
    }),
    case(&kept::PROMISE, "a blackout takes an event", |day| {
        let before = day.logs();
        day.log(C1).pop();
        kept::same(&before, &day.logs())
    }),
    case(&kept::PROMISE, "a blackout changes an event", |day| {
        let before = day.logs();
        say(day.event(C1, 13), content("found"));
        kept::same(&before, &day.logs())
    }),
    case(&no_phantom::PROMISE, "a message was never sent", |day| forgotten(day, "k-alone")),
    case(&no_phantom::PROMISE, "a reaction was never sent", |day| forgotten(day, "k-react")),
    case(&no_phantom::PROMISE, "a message was sent to another channel", |day| {
        day.bend("k-lost", |command| command.channel = C2.into());
        Ok(())
    }),
    case(&no_phantom::PROMISE, "a message says something else", |day| {
        say(day.event(C1, 9), content("not alone"));
        Ok(())
    }),
    case(&unchanged::PROMISE, "a reaction has become another one", |day| {
        let Some(Body::Reacted(reacted)) = &mut day.event(C1, 5).body else { panic!("a reaction") };
        reacted.name = "wave".into();
        Ok(())
    }),
    case(&linear::PROMISE, "a message was sent after the answer to one that follows it", |day| {
        day.bend("k-hello", |command| command.sent = Duration::from_secs(10_000));
        Ok(())
    }),
    case(&linear::PROMISE, "one that nobody answered was sent after such an answer", |day| {
        day.bend("k-alone", |command| {
            (command.acked, command.given_up) = (None, Some(("internal_error".into(), true)));
            command.sent = Duration::from_secs(10_000);
        });
        Ok(())
    }),
    case(&refused_is_not_done::PROMISE, "what was refused is there", |day| {
        day.bend("k-lost", |command| command.given_up = Some(("not_in_channel".into(), false)));
        Ok(())
    }),
    case(&deleted_is_gone::PROMISE, "a deleted message stays", |day| {
        say(day.event(C1, 6), content("oops"));
        Ok(())
    }),
    case(&deleted_is_gone::PROMISE, "a deleted message is marked and still has its words", |day| {
        say(day.event(C1, 6), Some(Content { text: "oops".into(), redacted: true, ..Content::default() }));
        Ok(())
    }),
    case(&deleted_is_gone::PROMISE, "a message is gone that nobody deleted", |day| {
        say(day.event(C1, 9), gone());
        Ok(())
    }),
    case(&deleted_is_gone::PROMISE, "an edit is gone whose message nobody deleted", |day| {
        say(day.event(C1, 4), gone());
        Ok(())
    }),
];

fn acked(command: &mut Command) -> &mut Place {
    &mut command.acked.as_mut().expect("it was acknowledged").0
}

fn forgotten(day: &mut super::Day, key: &str) -> Result<(), super::Violation> {
    day.oracle.book().commands.remove(key).expect("a command of this day");
    Ok(())
}

#[test]
fn an_edit_that_changes_nothing_is_answered_with_its_message() {
    let mut day = super::Day::good();
    let edit = proto::v1::Edited { target_us: day.event(C1, 11).us, content: content("again") };
    let us = edit.target_us;
    day.sends(C1, "U2", "k-same", &Body::Edited(edit));
    assert_eq!(day.hears("k-same", Place { us, seq: None }), Ok(()));
    assert_eq!(day.judge(), Ok(()));
}

#[test]
fn a_join_that_had_nothing_to_do_may_be_done_when_it_is_sent_once_more() {
    let mut day = super::Day::good();
    day.does(C1, "U1", "k-gone", super::day::leave("U1"));
    let us = day.writes(C1, "U1", "k-idle", super::day::join("U1"));
    assert_eq!(day.hears("k-idle", Place { us, seq: Some(15) }), Ok(()));
    assert_eq!(day.judge(), Ok(()));
}

#[test]
fn a_blackout_may_keep_more_than_was_read_before_it() {
    let mut day = super::Day::good();
    let before = day.logs();
    day.writes(C1, "U1", "k-late", post("late"));
    assert_eq!(kept::same(&before, &day.logs()), Ok(()));
}
