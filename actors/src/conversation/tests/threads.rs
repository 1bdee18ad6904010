//! Tests of threads: what a parent says of its replies.

use super::*;

#[test]
fn a_reply_to_a_reply_hangs_on_the_parent() {
    let mut desk = Desk::public();
    let parent = desk.does("UANN", post("p")).unwrap();
    let first = desk.does("UBOB", reply(parent, "r")).unwrap();
    let second = desk.does("UANN", reply(first, "r")).unwrap();
    assert_eq!(desk.rows[&second].thread_us, parent);
    assert_eq!(desk.parent(parent), (2, second));
    assert_eq!(desk.does("UANN", reply(55, "r")), Err("thread_not_found"));
}

#[test]
fn a_threads_last_reply_is_right_though_its_rows_come_and_go() {
    let mut desk = Desk::new(ConversationKind::Public, 3);
    let parent = desk.does("UANN", post("p")).unwrap();
    let replies: Vec<_> = (0..5).map(|_| desk.does("UBOB", reply(parent, "r")).unwrap()).collect();
    for last in (1..5).rev() {
        // The parent, its replies and what is known of them leave memory before each.
        desk.others(6);
        desk.does("UBOB", delete(replies[last])).unwrap();
        assert_eq!(desk.parent(parent), (last as u32, replies[last - 1]));
    }
    desk.does("UBOB", delete(replies[0])).unwrap();
    assert_eq!(desk.parent(parent), (0, 0));
}

#[test]
fn a_threads_last_reply_is_right_though_its_rows_stay() {
    let mut desk = Desk::public();
    let parent = desk.does("UANN", post("p")).unwrap();
    let replies: Vec<_> = (0..5).map(|_| desk.does("UBOB", reply(parent, "r")).unwrap()).collect();
    for last in (1..5).rev() {
        // The newest two were read for the one before: of that reading only the older is still there.
        desk.does("UBOB", delete(replies[last])).unwrap();
        assert_eq!(desk.parent(parent), (last as u32, replies[last - 1]));
    }
    let later = desk.does("UBOB", reply(parent, "r")).unwrap();
    assert_eq!(desk.parent(parent), (2, later));
    desk.does("UBOB", delete(replies[0])).unwrap();
    assert_eq!(desk.parent(parent), (1, later), "it was not the last");
}

#[test]
fn what_was_read_of_one_thread_says_nothing_of_another_or_of_a_later_day() {
    let mut desk = Desk::new(ConversationKind::Public, 3);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let parent = desk.does("UANN", post("p")).unwrap();
            (parent, [(); 3].map(|()| desk.does("UBOB", reply(parent, "r")).unwrap()))
        })
        .collect();
    desk.others(6);
    for (parent, [_, second, third]) in &threads {
        desk.does("UBOB", delete(*third)).unwrap();
        assert_eq!(desk.parent(*parent), (2, *second));
    }
    // The parent leaves memory before its newest reply, which was edited since.
    let (parent, [_, second, _]) = threads[1];
    let newest = desk.does("UBOB", reply(parent, "r")).unwrap();
    desk.does("UBOB", edit(newest, "R")).unwrap();
    desk.others(2);
    desk.does("UBOB", delete(newest)).unwrap();
    assert_eq!(desk.parent(parent), (2, second));
}

#[test]
fn a_parent_names_who_replied_until_their_last_reply_is_gone() {
    let mut desk = Desk::public();
    let parent = desk.does("UANN", post("p")).unwrap();
    let users = |desk: &Desk| -> Vec<(String, u32)> {
        desk.rows[&parent].reply_users.iter().map(|user| (user.user.clone(), user.count)).collect()
    };
    let first = desk.does("UBOB", reply(parent, "r")).unwrap();
    desk.does("UANN", reply(parent, "r")).unwrap();
    let second = desk.does("UBOB", reply(parent, "r")).unwrap();
    assert_eq!(users(&desk), [("UBOB".into(), 2), ("UANN".into(), 1)]);
    desk.does("UBOB", delete(first)).unwrap();
    assert_eq!(users(&desk), [("UBOB".into(), 1), ("UANN".into(), 1)]);
    desk.does("UBOB", delete(second)).unwrap();
    assert_eq!(users(&desk), [("UANN".into(), 1)]);
    // So many are named and no more; who is not named and goes takes nobody along.
    let crowd: Vec<_> = (0..REPLY_USERS_MAX).map(|number| format!("UX{number}")).collect();
    let mut last = 0;
    for name in &crowd {
        desk.does(name, Verb::Join).unwrap();
        last = desk.does(name, reply(parent, "r")).unwrap();
    }
    assert_eq!(users(&desk).len(), REPLY_USERS_MAX);
    assert!(
        users(&desk).iter().all(|(name, _)| name != crowd.last().unwrap()),
        "one too many is counted only"
    );
    desk.does(crowd.last().unwrap(), delete(last)).unwrap();
    assert_eq!((users(&desk).len(), desk.parent(parent).0), (REPLY_USERS_MAX, REPLY_USERS_MAX as u32));
}
