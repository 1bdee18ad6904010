use super::*;
use tokio::sync::{mpsc, oneshot};

fn small() -> Machine {
    Machine::start_seeded(Threads { shards: 2, workers: 1, blocking_max: 1 }, Entropy::from_u64(7)).unwrap()
}

#[test]
fn a_task_stays_on_its_shard() {
    let machine = small();
    let host = machine.host();
    let (tell, mut told) = mpsc::channel(16);
    for shard in [0, 1, 0, 1] {
        let (tell, host_in) = (tell.clone(), host.clone());
        host.spawn_on(shard, "test", async move {
            host_in.sleep(Duration::from_millis(1)).await;
            let name = thread::current().name().unwrap_or_default().to_owned();
            tell.send((shard, name)).await.unwrap();
        });
    }
    drop(tell);
    let seen = machine.block_on(async {
        let mut seen = Vec::new();
        while let Some(one) = told.recv().await {
            seen.push(one);
        }
        seen
    });
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|(shard, name)| *name == format!("waggle-shard-{shard}")), "{seen:?}");
    assert!(machine.stop(Duration::from_secs(10)));
}

#[test]
fn stopping_drops_what_still_runs_and_says_that_nothing_is_left() {
    let machine = small();
    let host = machine.host();
    let (alive, mut dead) = mpsc::channel::<()>(1);
    for place in 0..3 {
        let alive = alive.clone();
        let forever = async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        };
        if place < 2 { host.spawn_on(place, "test", forever) } else { host.spawn("test", forever) }
    }
    drop(alive);
    assert_eq!(machine.tasks(), 3);
    assert!(machine.stop(Duration::from_secs(10)));
    assert_eq!(dead.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
}

#[test]
fn a_panic_ends_its_own_task_only() {
    let machine = small();
    let host = machine.host();
    let (answer, result) = oneshot::channel();
    host.spawn_on(0, "test", async { panic!("a planted panic") });
    host.spawn_on(0, "test", async move { answer.send(1).unwrap() });
    assert_eq!(machine.block_on(result), Ok(1));
    assert_eq!(machine.block_on(host.blocking(|| -> u8 { panic!("a planted panic") })), None);
    assert_eq!(machine.block_on(host.blocking(|| 2)), Some(2));
}

#[test]
fn stopping_reports_a_closure_that_does_not_end_in_time() {
    let machine = small();
    let host = machine.host();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = oneshot::channel();
    host.spawn("test", {
        let host = host.clone();
        async move {
            host.blocking(move || {
                entered.send(()).unwrap();
                wait.recv().ok()
            })
            .await;
        }
    });
    machine.block_on(inside).unwrap();
    assert!(!machine.stop(Duration::from_millis(1)));
    drop(release);
}
