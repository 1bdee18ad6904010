//! The condition of an append, and that it is all or nothing.

use super::Engine;
use super::draft::{Log, STEP_US, everything, log_id, text};
use actors::store::{Append, Appended, BatchId};
use futures::future::join_all;
use proto::v1::Head;

fn refused_head(outcome: Appended) -> Head {
    match outcome {
        Appended::Refused(Some(head)) => head,
        other => panic!("expected a refusal with a head, got {other:?}"),
    }
}

pub async fn a_log_starts_at_seq_one_in_bucket_zero(store: impl Engine) {
    let mut log = Log::new("C1");
    assert_eq!(store.head(&log.id).await, Ok(None));
    let page = store.log(&log.id, 0, 10).await.expect("an empty log");
    assert_eq!((page.events.len(), page.first, page.tail), (0, 1, 0));
    let wrong_tail = Append { tail: 5, ..Log { tail: 5, ..log.clone() }.posts(&["x"]) };
    assert_eq!(store.append(wrong_tail).await, Ok(Appended::Refused(None)));
    let wrong_bucket = Append { bucket: 1, ..log.posts(&["x"]) };
    assert_eq!(store.append(wrong_bucket).await, Ok(Appended::Refused(None)));
    log.post(&store, &["one", "two"]).await;
    let (bucket, head) = store.head(&log.id).await.expect("a head").expect("rows");
    assert_eq!((bucket, head.tail, head.epoch, head.last_us), (0, 2, 1, log.last_us));
}

pub async fn an_append_continues_only_the_tail_it_names(store: impl Engine) {
    let mut log = Log::new("C1");
    let stale = log.posts(&["stale"]);
    log.post(&store, &["one"]).await;
    let head = refused_head(store.append(stale).await.expect("an answer"));
    assert_eq!(head.tail, 1);
    let ahead = Log { tail: 2, last_us: log.last_us + STEP_US, ..log.clone() }.posts(&["ahead"]);
    assert_eq!(refused_head(store.append(ahead).await.expect("an answer")), head);
    log.post(&store, &["two"]).await;
}

pub async fn a_lower_epoch_is_refused_and_a_higher_one_taken(store: impl Engine) {
    let mut log = Log { epoch: 5, ..Log::new("C1") };
    log.post(&store, &["five"]).await;
    let older = Log { epoch: 4, ..log.clone() }.posts(&["four"]);
    assert_eq!(refused_head(store.append(older).await.expect("an answer")).epoch, 5);
    log.epoch = 9;
    log.post(&store, &["nine"]).await;
    let head = store.head(&log.id).await.expect("a head").expect("rows").1;
    assert_eq!((head.tail, head.epoch), (2, 9));
}

pub async fn time_rises_along_a_log(store: impl Engine) {
    let mut log = Log::new("C1");
    log.post(&store, &["one"]).await;
    for back in [0, STEP_US] {
        let early = Log { last_us: log.last_us - STEP_US - back, ..log.clone() }.posts(&["early"]);
        assert_eq!(refused_head(store.append(early).await.expect("an answer")).last_us, log.last_us);
    }
    log.post(&store, &["two"]).await;
}

pub async fn a_batch_that_is_already_in_is_not_applied_twice(store: impl Engine) {
    let mut log = Log::new("C1");
    log.post(&store, &["one"]).await;
    let append = log.shown(&["two", "three"]);
    log.apply(&store, append.clone()).await;
    assert_eq!(store.append(append.clone()).await, Ok(Appended::Already));
    let other = Append { batch: BatchId([0xee; 16]), ..append };
    assert_eq!(refused_head(store.append(other).await.expect("an answer")).tail, 3);
    assert_eq!(store.log(&log.id, 0, 10).await.expect("a page").events.len(), 3);
}

pub async fn a_bucket_opens_on_the_tail_of_the_one_before_and_on_nothing_else(store: impl Engine) {
    let mut log = Log::new("C1");
    log.post(&store, &["one", "two"]).await;
    log.roll();
    let guesses = [
        Log { tail: 1, ..log.clone() },
        Log { tail: 3, ..log.clone() },
        Log { epoch: 0, ..log.clone() },
        Log { bucket: 2, ..log.clone() },
        Log { last_us: log.last_us - STEP_US, ..log.clone() },
    ];
    for mut guess in guesses {
        let append = guess.posts(&["a guess"]);
        assert_eq!(store.append(append).await, Ok(Appended::Refused(None)), "{guess:?}");
    }
    log.post(&store, &["three"]).await;
    assert_eq!(
        store.head(&log.id).await.expect("a head").map(|(bucket, head)| (bucket, head.tail)),
        Some((1, 3))
    );
}

pub async fn a_closed_bucket_takes_nothing_more(store: impl Engine) {
    let mut log = Log::new("C1");
    let first = log.shown(&["one"]);
    log.apply(&store, first.clone()).await;
    let mut late = log.clone();
    log.roll();
    log.post(&store, &["two"]).await;
    let head = refused_head(store.append(late.posts(&["late"])).await.expect("an answer"));
    assert_eq!(head.tail, 1);
    assert_eq!(store.append(first).await, Ok(Appended::Already));
    let page = store.log(&log.id, 0, 10).await.expect("a page");
    assert_eq!(page.events.iter().map(text).collect::<Vec<_>>(), ["one", "two"]);
}

pub async fn a_refused_append_leaves_no_trace(store: impl Engine) {
    let mut log = Log::new("C1");
    let stale = log.shown(&["stale", "staler"]);
    log.post(&store, &["one"]).await;
    let before = store.log(&log.id, 0, 10).await.expect("a page");
    refused_head(store.append(stale).await.expect("an answer"));
    assert_eq!(store.log(&log.id, 0, 10).await.expect("a page"), before);
    let shown = store.messages(&log.id, everything(10)).await.expect("a page");
    assert_eq!(shown.len(), 1);
    assert_eq!(store.directory(&log.id, 10).await.expect("buckets").len(), 1);
}

pub async fn of_racing_appends_on_one_tail_exactly_one_is_applied(store: impl Engine) {
    let mut log = Log::new("C1");
    log.post(&store, &["one"]).await;
    let race = (0..20u8).map(|n| Append { batch: BatchId([n; 16]), ..log.clone().posts(&[&n.to_string()]) });
    let outcomes = join_all(race.map(|append| store.append(append))).await;
    let applied: Vec<usize> =
        (0..20).filter(|n| outcomes[*n].as_ref().expect("an answer") == &Appended::Applied).collect();
    assert_eq!(applied.len(), 1, "{outcomes:?}");
    let page = store.log(&log.id, 0, 10).await.expect("a page");
    assert_eq!(page.events.iter().map(text).collect::<Vec<_>>(), ["one", &applied[0].to_string()]);
}

pub async fn appends_that_wait_together_see_each_other_in_order(store: impl Engine) {
    let mut logs: Vec<Log> = (0..5).map(|n| Log::new(&format!("C{n}"))).collect();
    let mut queued = Vec::new();
    for round in 0..10 {
        for log in &mut logs {
            let append = log.shown(&[&format!("{round} a"), &format!("{round} b")]);
            log.take(&append);
            queued.push(store.append(append));
        }
    }
    for outcome in join_all(queued).await {
        assert_eq!(outcome, Ok(Appended::Applied));
    }
    for log in &logs {
        let page = store.log(&log.id, 0, 100).await.expect("a page");
        assert_eq!(
            page.events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            (1..=20).collect::<Vec<_>>()
        );
    }
}

pub async fn the_head_keeps_counts_and_the_follow_up_cursor(store: impl Engine) {
    let mut log = Log::new("C1");
    let mut append = Append { followed: 41, ..log.shown(&["one", "two"]) };
    (append.events[1].countable, append.events[1].broadcast) = (12, 3);
    log.apply(&store, append.clone()).await;
    let (_, head) = store.head(&log.id).await.expect("a head").expect("rows");
    assert_eq!((head.countable, head.broadcast, head.followed), (12, 3, 41));
    assert_eq!(head.batch, append.batch.0);
    assert_eq!(store.head(&log_id("T1", "C2")).await, Ok(None));
}
