//! Retention: rows of closed buckets and old views go, heads never.

use super::Engine;
use super::draft::{Log, START_US, STEP_US, everything, text, texts, user};
use actors::store::{Appended, INLINE_BODY_MAX, MessageRange, Store, ViewWrite};
use proto::v1::MessageRow;

fn at(seq: u64) -> u64 {
    START_US + (seq - 1) * STEP_US
}

/// Three closed buckets of two rows and an open one of two.
async fn four_buckets(store: &impl Store) -> Log {
    let mut log = Log::new("C1");
    let large = "x".repeat(INLINE_BODY_MAX + 1);
    for bucket in 0..4 {
        if bucket > 0 {
            log.roll();
        }
        log.post(store, &[&large, "small"]).await;
    }
    log
}

pub async fn closed_buckets_are_dropped_by_age_and_heads_stay(store: impl Engine) {
    let mut log = four_buckets(&store).await;
    assert_eq!(store.retain_log(&log.id, at(4), 1).await, Ok(1), "the second bucket's last row is not older");
    assert_eq!(store.retain_log(&log.id, at(5), 1).await, Ok(1));
    assert_eq!(store.retain_log(&log.id, at(5), 1).await, Ok(0), "nothing is dropped twice");
    let page = store.log(&log.id, 0, 100).await.expect("a page");
    assert_eq!((page.first, page.tail), (5, 8));
    assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [5, 6, 7, 8]);
    assert_eq!(store.log(&log.id, 6, 100).await.expect("a page").events.len(), 2);
    let stale = Log { bucket: 0, tail: 2, last_us: at(2), ..log.clone() }.posts(&["late"]);
    let Ok(Appended::Refused(Some(head))) = store.append(stale).await else { panic!("the head is gone") };
    assert_eq!(head.tail, 2);
    log.post(&store, &["and on"]).await;
    assert_eq!(store.messages(&log.id, everything(100)).await.expect("a page").len(), 9, "views stay");
}

pub async fn the_newest_buckets_are_kept_whatever_their_age(store: impl Engine) {
    let log = four_buckets(&store).await;
    assert_eq!(store.retain_log(&log.id, u64::MAX, 3).await, Ok(1));
    assert_eq!(store.log(&log.id, 0, 100).await.expect("a page").first, 3);
    assert_eq!(store.retain_log(&log.id, u64::MAX, 0).await, Ok(2), "the open bucket stays");
    let page = store.log(&log.id, 0, 100).await.expect("a page");
    assert_eq!((page.first, page.tail, page.events.len()), (7, 8, 2));
    assert_eq!(store.retain_log(&Log::new("C9").id, u64::MAX, 0).await, Ok(0));
}

pub async fn a_dropped_bucket_is_listed_as_such_and_redaction_skips_it(store: impl Engine) {
    let mut log = four_buckets(&store).await;
    assert_eq!(store.retain_log(&log.id, at(3), 1).await, Ok(1));
    let buckets = store.directory(&log.id, 10).await.expect("buckets");
    let seen: Vec<_> =
        buckets.iter().map(|(n, row)| (*n, row.first_seq, row.last_seq, row.dropped)).collect();
    assert_eq!(seen, [(0, 1, 2, true), (1, 3, 4, false), (2, 5, 6, false), (3, 7, 8, false)]);
    assert!(store.keys(&log.id, 0).await.expect("keys").is_empty());
    log.view(&store, vec![ViewWrite::Redact { rows: vec![(0, 1), (1, 3)] }]).await;
    let page = store.log(&log.id, 0, 2).await.expect("a page");
    assert_eq!(page.events.iter().map(text).collect::<Vec<_>>(), ["", "small"]);
    assert_eq!(page.first, 3);
}

pub async fn views_are_dropped_by_age(store: impl Engine) {
    let mut log = four_buckets(&store).await;
    let reply = |us| ViewWrite::Reply(MessageRow { us, thread_us: at(1), ..MessageRow::default() });
    let reaction = |us| ViewWrite::Reaction { bucket: 0, us, name: "tada".into(), user: user("U1"), seq: 1 };
    let views =
        vec![reply(at(1) + 5), reply(at(7) + 5), reaction(at(1)), reaction(at(4)), reaction(at(7) + 5)];
    log.view(&store, views).await;
    assert_eq!(store.retain_views(&log.id, at(4)).await, Ok(3));
    assert_eq!(store.retain_views(&log.id, at(4)).await, Ok(0));
    let shown = store.messages(&log.id, everything(100)).await.expect("a page");
    assert_eq!(shown.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    assert_eq!(texts(&shown[..1]), ["small"]);
    let thread = store.thread(&log.id, at(1), everything(100)).await.expect("a page");
    assert_eq!(thread.iter().map(|row| row.us).collect::<Vec<_>>(), [at(7) + 5]);
    assert_eq!(store.message(&log.id, at(1) + 5).await, Ok(None));
    let reactions = store.reactions(&log.id, 0, u64::MAX).await.expect("counts");
    assert_eq!(reactions.iter().map(|count| count.us).collect::<Vec<_>>(), [at(4), at(7) + 5]);
    let all = MessageRange { newest_first: true, ..everything(1) };
    assert_eq!(store.messages(&log.id, all).await.expect("a page")[0].seq, 8);
    assert_eq!(store.log(&log.id, 0, 100).await.expect("a page").events.len(), 9, "the log stays");
}
