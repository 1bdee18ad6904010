use super::*;
use crate::world::{machine::Hardware, pipe::WINDOW_BYTES, trace::Telling};
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PORT: u16 = 7;

/// A world of two running machines; `scenario` gets both ends of a connection from the first to the second.
fn connected<F>(scenario: impl FnOnce(World, Ends) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let report = World::simulate(11, Telling::Silent, |world| async move {
        let machines = [0, 1].map(|number| world.machine(format!("m{number}"), Hardware::default()));
        machines.iter().for_each(|machine| drop(world.boot(*machine)));
        let mut listener = world.listen(machines[1], PORT);
        let near = world.connect(machines[0], machines[1], PORT).await.expect("somebody listens");
        let far = listener.accept().await.expect("it was connected");
        scenario(world, Ends { machines, near, far }).await;
        Ok(())
    });
    assert_eq!(report.violation, None);
}

struct Ends {
    machines: [MachineId; 2],
    near: SimStream,
    far: SimStream,
}

#[test]
fn bytes_come_in_order_and_an_end_after_them() {
    connected(|world, mut ends| async move {
        let sent: Vec<u8> = (0..100_000u32).map(|byte| byte as u8).collect();
        let began = world.now();
        ends.near.write_all(&sent).await.unwrap();
        ends.near.shutdown().await.unwrap();
        let mut read = Vec::new();
        ends.far.read_to_end(&mut read).await.unwrap();
        assert!(read == sent, "{} bytes came of {}", read.len(), sent.len());
        assert!(world.now() > began, "bytes take time");
        assert_eq!(ends.near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_writer_waits_while_nobody_reads() {
    connected(|world, mut ends| async move {
        let (mut near, written) = (ends.near, Arc::new(std::sync::Mutex::new(0)));
        let count = written.clone();
        let writer = async move {
            while let Ok(some) = near.write(&[7; 10_000]).await {
                *count.lock().unwrap() += some;
            }
        };
        let reader = async {
            world.sleep(Duration::from_secs(1)).await;
            assert_eq!(*written.lock().unwrap(), WINDOW_BYTES);
            let mut some = vec![0; 1000];
            ends.far.read_exact(&mut some).await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            assert_eq!(*written.lock().unwrap(), WINDOW_BYTES + 1000);
            drop(ends.far);
        };
        futures::future::join(writer, reader).await;
    });
}

#[test]
fn a_cut_delays_and_loses_nothing() {
    connected(|world, mut ends| async move {
        let [one, other] = ends.machines;
        world.cut(one, other);
        ends.near.write_all(b"first").await.unwrap();
        ends.far.write_all(b"the way back stays").await.unwrap();
        world.sleep(Duration::from_secs(60)).await;
        ends.near.write_all(b" second").await.unwrap();
        let mut back = [0; 18];
        ends.near.read_exact(&mut back).await.unwrap();
        world.heal(one, other);
        let healed = world.now();
        let mut text = [0; 12];
        ends.far.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"first second");
        assert!(world.now() > healed);
    });
}

#[test]
fn a_killed_process_resets_its_connections() {
    connected(|world, mut ends| async move {
        let _far = ends.far;
        world.crash(ends.machines[1], Crash::Process);
        assert_eq!(ends.near.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(ends.near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let again = world.connect(ends.machines[0], ends.machines[1], PORT).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_machine_without_power_is_silent_until_it_is_back() {
    connected(|world, mut ends| async move {
        let _far = ends.far;
        world.crash(ends.machines[1], Crash::Power);
        ends.near.write_all(b"anybody?").await.unwrap();
        let again = world.connect(ends.machines[0], ends.machines[1], PORT).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::TimedOut);
        let silent = world.sleep(Duration::from_secs(600));
        let heard = futures::future::select(Box::pin(silent), Box::pin(ends.near.read_u8())).await;
        assert!(matches!(heard, futures::future::Either::Left(_)), "silence was broken");
        drop(heard);
        world.boot(ends.machines[1]);
        assert_eq!(ends.near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn an_idle_connection_to_a_machine_that_was_off_is_reset_at_the_next_write() {
    connected(|world, mut ends| async move {
        let _far = ends.far;
        world.crash(ends.machines[1], Crash::Power);
        world.boot(ends.machines[1]);
        ends.near.write_all(b"still there?").await.unwrap();
        assert_eq!(ends.near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}
