//! Bends of what clients were shown, judged against the logs when the day is over.

use super::{
    Case, Day, case,
    day::{C1, C2, U1, content, leave, post, say, told},
};
use crate::{
    oracle::book::Told,
    promises::{in_order, members_only, no_phantom, unchanged},
    world::report::Violation,
};
use proto::v1::{ConversationKind, Created, Event, Page, event::Body};
use std::time::Duration;

/// Another device of U1.
const NEW_OF_U1: usize = 4;
/// Another device of U2.
const NEW_OF_U2: usize = 5;

pub const CASES: &[Case] = &[
    case(&no_phantom::PROMISE, "somebody was shown more than there is", |day| {
        let phantom = Event { seq: 14, ..day.event(C1, 13).clone() };
        day.oracle.shown(0, C1, &phantom)
    }),
    case(&members_only::PROMISE, "somebody else was given a page of a closed conversation", |day| {
        let kind = ConversationKind::Private.into();
        let created = Created { name: "closed".into(), kind, members: vec!["U1".into()] };
        day.writes("T1/C9", "", "ws:9", Body::Created(created));
        let page = Page { channel: String::new(), events: day.log("T1/C9").clone(), tail: 1 };
        day.oracle.page(1, "T1/C9", Duration::ZERO, &page)
    }),
    case(&no_phantom::PROMISE, "a page held more than there is", |day| {
        let phantom = Event { seq: 14, ..day.event(C1, 13).clone() };
        day.page(C1, vec![phantom], 14)
    }),
    case(&no_phantom::PROMISE, "a bot was shown a message of a time that nobody wrote at", |day| {
        let told = day.told_of(0, C1, 11);
        bot(day, Told { us: told.us + 1, ..told })
    }),
    case(&no_phantom::PROMISE, "a bot was shown somebody's message as another one's", |day| {
        let told = day.told_of(0, C1, 11);
        bot(day, Told { sender: "U1".into(), ..told })
    }),
    case(&no_phantom::PROMISE, "a bot was shown other words", |day| {
        let (told, other) = (day.told_of(0, C1, 11), day.told_of(0, C1, 12));
        bot(day, Told { text: other.text, ..told })
    }),
    case(&no_phantom::PROMISE, "a bot was shown a reaction as a message", |day| {
        let (told, reaction) = (day.told_of(0, C1, 3), day.event(C1, 5).us);
        bot(day, Told { us: reaction, ..told })
    }),
    case(&unchanged::PROMISE, "somebody was shown other words", |day| {
        let mut other = day.event(C1, 13).clone();
        say(&mut other, content("found"));
        day.oracle.follows(NEW_OF_U1, C1, 12)?;
        day.oracle.shown(NEW_OF_U1, C1, &other)
    }),
    case(&unchanged::PROMISE, "somebody was shown no words where there are some", |day| {
        let mut other = day.event(C1, 13).clone();
        say(&mut other, super::day::gone());
        day.oracle.follows(NEW_OF_U1, C1, 12)?;
        day.oracle.shown(NEW_OF_U1, C1, &other)
    }),
    case(&unchanged::PROMISE, "a page held other words", |day| {
        let mut other = day.event(C1, 9).clone();
        say(&mut other, content("not alone"));
        day.page(C1, vec![other], 13)
    }),
    case(&in_order::PROMISE, "an event is left out", |day| {
        let next = Event { seq: 15, ..day.event(C1, 13).clone() };
        day.oracle.shown(0, C1, &next)
    }),
    case(&in_order::PROMISE, "an event comes twice", |day| day.shown(0, C1, 13)),
    case(&in_order::PROMISE, "an event comes that has no place", |day| {
        day.oracle.shown(NEW_OF_U1, C1, &Event::default())
    }),
    case(&in_order::PROMISE, "a connection goes back", |day| day.oracle.follows(0, C1, 5)),
    case(&in_order::PROMISE, "a connection goes on where nobody joined", |day| {
        day.oracle.follows(NEW_OF_U1, C1, 2)?;
        day.oracle.follows(NEW_OF_U1, C1, 5)
    }),
    case(&in_order::PROMISE, "a channel begins by itself where nobody joined", |day| {
        day.shown(NEW_OF_U1, C2, 2)
    }),
    case(&in_order::PROMISE, "a channel begins by itself after the join", |day| {
        let own = day.tail(super::day::U2);
        day.oracle.follows(NEW_OF_U2, super::day::U2, own - 1)?;
        day.shown(NEW_OF_U2, super::day::U2, own)?;
        day.shown(NEW_OF_U2, C2, 4)
    }),
    case(&in_order::PROMISE, "somebody's own log tells of a join that never was", |day| {
        day.writes(U1, "", "joined:C1:6", told("C1", 6));
        day.oracle.follows(NEW_OF_U1, C1, 2)?;
        day.oracle.follows(NEW_OF_U1, U1, 2)?;
        day.shown(NEW_OF_U1, U1, 3)?;
        day.shown(NEW_OF_U1, C1, 6)
    }),
    case(&in_order::PROMISE, "a page has a gap", |day| {
        let events = [7, 9].map(|seq| day.event(C1, seq).clone());
        day.page(C1, events.into(), 13)
    }),
    case(&in_order::PROMISE, "a page goes beyond its own end", |day| day.reads(C1, 5..=13, 12)),
    case(&members_only::PROMISE, "somebody is shown what was said after they left", |day| {
        day.oracle.follows(NEW_OF_U2, C1, 8)?;
        day.shown(NEW_OF_U2, C1, 9)
    }),
    case(&members_only::PROMISE, "somebody is shown what was said before they came", |day| {
        day.oracle.follows(NEW_OF_U2, C2, 1)?;
        day.shown(NEW_OF_U2, C2, 2)
    }),
    case(&members_only::PROMISE, "somebody left twice and is shown what was said between", |day| {
        day.does(C2, "U2", "k-out", leave("U2"));
        day.does(C2, "U1", "k-between", post("between"));
        day.does(C2, "U2", "k-out-again", leave("U2"));
        day.oracle.follows(NEW_OF_U2, C2, 6)?;
        day.shown(NEW_OF_U2, C2, 7)
    }),
    case(&members_only::PROMISE, "a bot is shown what was said after its user left", |day| {
        day.tells(NEW_OF_U2, C1, 9);
        Ok(())
    }),
    case(&members_only::PROMISE, "somebody follows another one's own log", |day| {
        day.oracle.follows(1, U1, 0)
    }),
    case(&members_only::PROMISE, "somebody follows another workspace's log", |day| {
        day.oracle.follows(1, "T1/ws:T2", 0)
    }),
];

fn bot(day: &Day, told: Told) -> Result<(), Violation> {
    day.oracle.told(told);
    Ok(())
}

#[test]
fn joins_that_were_told_before_anything_of_their_channel_came_are_remembered() {
    let day = Day::good();
    day.oracle.follows(NEW_OF_U2, super::day::U2, 0).expect("it begins");
    for seq in 1..=day.tail(super::day::U2) {
        day.shown(NEW_OF_U2, super::day::U2, seq).expect("it is next");
    }
    assert_eq!(day.oracle.cursors(NEW_OF_U2).len(), 1, "what has not come has no cursor");
    for seq in (1..=8).chain(10..=13) {
        day.shown(NEW_OF_U2, C1, seq).expect("it is next, or a join that was told");
    }
    assert_eq!(day.judge(), Ok(()));
}
