//! Reads of logs: ranges, limits, the directory, keys, active channels; and that workspaces never mix.

use super::Engine;
use super::draft::{
    Log, START_US, STEP_US, conversation, everything, log_id, slot, text, texts, user, workspace,
};
use actors::store::fence::ACTIVE_MINUTES_MAX;
use actors::store::page::LOG_PAGE_BYTES;
use actors::store::{Append, READ_ROWS_MAX, Store, ViewWrite, key_hash};
use prost::Message;
use proto::v1::{MemberRow, UserRow};

async fn seqs(store: &impl Store, log: &Log, after: u64, limit: usize) -> Vec<u64> {
    let page = store.log(&log.id, after, limit).await.expect("a page");
    page.events.iter().map(|event| event.seq).collect()
}

pub async fn a_log_is_read_in_ranges_with_limits(store: impl Engine) {
    let mut log = Log::new("C1");
    log.fill(&store, 7).await;
    log.roll();
    log.fill(&store, 3).await;
    assert_eq!(seqs(&store, &log, 0, 4).await, [1, 2, 3, 4]);
    assert_eq!(seqs(&store, &log, 4, 4).await, [5, 6, 7, 8]);
    assert_eq!(seqs(&store, &log, 8, 4).await, [9, 10]);
    assert!(seqs(&store, &log, 10, 4).await.is_empty());
    assert!(seqs(&store, &log, u64::MAX, 4).await.is_empty());
    assert!(seqs(&store, &log, 0, 0).await.is_empty());
    let page = store.log(&log.id, 4, 1).await.expect("a page");
    assert_eq!((page.first, page.tail, text(&page.events[0])), (1, 10, "post 4".to_owned()));
}

pub async fn one_read_never_returns_more_than_the_limit_of_rows(store: impl Engine) {
    let mut log = Log::new("C1");
    log.fill(&store, READ_ROWS_MAX + 5).await;
    assert_eq!(seqs(&store, &log, 0, usize::MAX).await.len(), READ_ROWS_MAX);
    let shown = store.messages(&log.id, everything(usize::MAX)).await.expect("a page");
    assert_eq!(shown.len(), READ_ROWS_MAX);
    let views = (0..READ_ROWS_MAX + 1).map(|n| ViewWrite::Member {
        user: user(&format!("U{n:05}")),
        row: MemberRow { seq: 1, ..MemberRow::default() },
    });
    log.view(&store, views.collect()).await;
    let members = store.members(&log.id, None, usize::MAX).await.expect("a page");
    assert_eq!((members.rows.len(), members.more), (READ_ROWS_MAX, true));
}

pub async fn a_page_ends_after_a_mebibyte_but_never_empty(store: impl Engine) {
    let mut log = Log::new("C1");
    let large = "x".repeat(LOG_PAGE_BYTES / 4);
    for _ in 0..6 {
        log.post(&store, &[&large]).await;
    }
    let page = store.log(&log.id, 0, 100).await.expect("a page");
    assert_eq!(page.events.len(), 3);
    assert!(page.events.iter().map(Message::encoded_len).sum::<usize>() <= LOG_PAGE_BYTES);
    assert_eq!(seqs(&store, &log, 3, 100).await, [4, 5, 6]);
    let huge = "y".repeat(LOG_PAGE_BYTES * 2);
    log.post(&store, &[&huge]).await;
    log.post(&store, &["small"]).await;
    assert_eq!(seqs(&store, &log, 6, 100).await, [7]);
    assert_eq!(seqs(&store, &log, 7, 100).await, [8]);
}

pub async fn the_directory_names_buckets_with_their_times(store: impl Engine) {
    let mut log = Log::new("C1");
    for posts in [3, 2, 4] {
        log.fill(&store, posts).await;
        log.roll();
    }
    let buckets = store.directory(&log.id, 10).await.expect("buckets");
    let at = |seq: u64| START_US + (seq - 1) * STEP_US;
    let seen: Vec<_> =
        buckets.iter().map(|(n, row)| (*n, row.first_seq, row.last_seq, row.first_us, row.last_us)).collect();
    assert_eq!(seen, [(0, 1, 3, at(1), at(3)), (1, 4, 5, at(4), at(5)), (2, 6, 9, at(6), at(9))]);
    assert!(buckets.iter().all(|(_, row)| !row.dropped));
    assert_eq!(store.directory(&log.id, 2).await.expect("buckets"), buckets[1..]);
}

pub async fn keys_of_a_bucket_are_listed_in_order(store: impl Engine) {
    let mut log = Log::new("C1");
    log.post(&store, &["one"]).await;
    log.roll();
    let mut append = log.shown(&["two", "three", "four"]);
    append.events[1].key = String::new();
    log.apply(&store, append).await;
    let keys = store.keys(&log.id, 1).await.expect("keys");
    let seen: Vec<_> = keys.iter().map(|seen| (seen.key, seen.seq, seen.us, seen.body)).collect();
    let at = |seq: u64| START_US + (seq - 1) * STEP_US;
    assert_eq!(seen, [(key_hash("U1", "key-2"), 2, at(2), 14), (key_hash("U1", "key-4"), 4, at(4), 28)]);
    assert!(store.keys(&log.id, 2).await.expect("keys").is_empty());
}

pub async fn active_channels_are_found_by_slot_and_minute(store: impl Engine) {
    let minute = START_US / 60_000_000;
    let mut logs: Vec<Log> = ["C1", "user:U1", "ws:T1"].into_iter().map(Log::new).collect();
    for log in &mut logs {
        let append = Append { slot: slot(7), ..log.posts(&["x"]) };
        log.apply(&store, append).await;
    }
    let mut found = store.active(slot(7), minute).await.expect("channels");
    found.sort();
    let mut expected: Vec<_> = logs.iter().map(|log| log.id.clone()).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(store.active(slot(8), minute).await.expect("channels").is_empty());
    assert!(store.active(slot(7), minute + 1).await.expect("channels").is_empty());
    let mut spanning = Append { slot: slot(7), ..logs[0].posts(&["a", "b"]) };
    spanning.events[1].us += 60_000_000;
    logs[0].apply(&store, spanning).await;
    let next = store.active(slot(7), minute + 1).await.expect("channels");
    assert_eq!(next, [logs[0].id.clone()]);
}

pub async fn the_last_active_channels_of_every_slot_are_found_in_one_read(store: impl Engine) {
    assert_eq!(store.last_active().await, Ok(Vec::new()));
    let minute_us = 60_000_000;
    // (slot, channel, minute): the newest three minutes of each slot count, however far apart they are.
    let appends = [
        (7, "C0", 0),
        (7, "C1", 4),
        (7, "C2", 5),
        (7, "C3", 50),
        (9, "C4", 1),
        (9, "C5", 1),
        (4095, "user:U1", 2),
    ];
    for (number, channel, minute) in appends {
        let mut log = Log { last_us: START_US + minute * minute_us, ..Log::new(channel) };
        let append = Append { slot: slot(number), ..log.posts(&["x"]) };
        log.apply(&store, append).await;
    }
    let mut found = store.last_active().await.expect("channels");
    found.sort();
    let mut expected = ["C1", "C2", "C3", "C4", "C5", "user:U1"].map(|channel| log_id("T1", channel));
    expected.sort();
    assert_eq!(found, expected);
}

pub async fn what_is_appended_after_the_clock_went_back_is_among_the_last_active(store: impl Engine) {
    let minute_us = 60_000_000;
    let newest = START_US / minute_us + 44;
    let mut first = Log::new("C1");
    let append = Append { slot: slot(7), ..first.posts(&["x"]) };
    first.apply(&store, append).await;
    let mut ahead = Log { last_us: newest * minute_us, ..Log::new("C2") };
    let append = Append { slot: slot(7), ..ahead.posts(&["x"]) };
    ahead.apply(&store, append).await;
    // Also one that is recorded under this very minute, from before the clock went ahead.
    for log in [&mut first, &mut Log::new("C3")] {
        let append = Append { slot: slot(7), ..log.posts(&["x"]) };
        log.apply(&store, append).await;
    }
    let mut found = store.last_active().await.expect("channels");
    found.sort();
    assert_eq!(found, ["C1", "C2", "C3"].map(|channel| log_id("T1", channel)));
    assert_eq!(store.active(slot(7), newest).await.expect("channels").len(), 3);
}

pub async fn old_active_rows_make_room_for_new_ones(store: impl Engine) {
    let minute = START_US / 60_000_000;
    let mut log = Log::new("C1");
    for age in [0, 1] {
        let append = Append {
            slot: slot(7),
            ..Log { last_us: START_US + age * 60_000_000, ..log.clone() }.posts(&["x"])
        };
        log.apply(&store, append).await;
    }
    log.last_us += ACTIVE_MINUTES_MAX * 60_000_000;
    let append = Append { slot: slot(7), ..log.posts(&["x"]) };
    log.apply(&store, append).await;
    let mut left = Vec::new();
    for at in [minute, minute + 1, minute + ACTIVE_MINUTES_MAX + 1] {
        left.push(store.active(slot(7), at).await.expect("channels").len());
    }
    assert_eq!(left, [0, 1, 1]);
}

pub async fn workspaces_never_mix(store: impl Engine) {
    for name in ["T1", "T2", "T11"] {
        let mut log = Log::of(name, "C1");
        let append = log.shown(&[&format!("secret of {name}")]);
        let us = append.events[0].us;
        log.apply(&store, append).await;
        let member = ViewWrite::Member { user: user(&format!("U{name}")), row: MemberRow::default() };
        let reaction = ViewWrite::Reaction { bucket: 0, us, name: name.into(), user: user("U1"), seq: 2 };
        log.view(&store, vec![member, reaction]).await;
        let mut ws = Log::of(name, &format!("ws:{name}"));
        let row = UserRow { name: name.to_lowercase(), ..UserRow::default() };
        ws.view(&store, vec![ViewWrite::User { user: user("U1"), row }]).await;
    }
    for name in ["T1", "T2", "T11"] {
        let log = log_id(name, "C1");
        let shown = store.messages(&log, everything(10)).await.expect("a page");
        assert_eq!(texts(&shown), [format!("secret of {name}")]);
        assert_eq!(
            text(&store.log(&log, 0, 1).await.expect("a page").events[0]),
            format!("secret of {name}")
        );
        let members = store.members(&log, None, 10).await.expect("members").rows;
        assert_eq!(
            members.into_iter().map(|(user, _)| user).collect::<Vec<_>>(),
            [user(&format!("U{name}"))]
        );
        let reactions = store.reactions(&log, 0, u64::MAX).await.expect("reactions");
        assert_eq!(reactions.iter().map(|count| count.name.as_str()).collect::<Vec<_>>(), [name]);
        let users = store.users(&workspace(name), None, 10).await.expect("users").rows;
        assert_eq!(users.len(), 1);
        assert_eq!(users[0].1.name, name.to_lowercase());
        assert!(
            store.conversation(&workspace(name), &conversation("C1")).await.expect("an answer").is_none()
        );
    }
    assert_eq!(store.messages(&log_id("T3", "C1"), everything(10)).await, Ok(Vec::new()));
}
