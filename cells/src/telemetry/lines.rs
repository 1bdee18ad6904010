//! Log records on their way to stderr, by a thread of their own: whoever does not read stderr must not hold up a node.

use std::{
    io::{self, Write},
    mem,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Records that may wait for stderr; those beyond are dropped and counted.
const RECORDS_MAX: usize = 4096;

enum Line {
    Record(Vec<u8>),
    /// Everything before it is written: tell so.
    Flush(SyncSender<()>),
}

/// The way to the thread that writes.
#[derive(Clone)]
pub(super) struct Lines(SyncSender<Line>);

impl Lines {
    /// Starts the thread, which ends with the process.
    pub(super) fn start(into: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = sync_channel(RECORDS_MAX);
        thread::Builder::new().name("waggle-log".into()).spawn(move || write(&lines, into))?;
        Ok(Self(sender))
    }
    /// Waits until what was logged is written, at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Line::Flush(done)).is_ok() {
            let _ = written.recv_timeout(limit); // a reader that stands still must not keep the process
        }
    }
}

/// Nothing can be logged of a stderr that fails; the record is lost.
fn write(lines: &Receiver<Line>, mut into: impl Write) {
    for line in lines {
        match line {
            Line::Record(record) => drop(into.write_all(&record)),
            Line::Flush(done) => {
                let _ = into.flush();
                let _ = done.send(());
            }
        }
    }
}

/// One record while it is formatted; it is sent when it is dropped.
pub(super) struct Record {
    bytes: Vec<u8>,
    lines: SyncSender<Line>,
}

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Record(mem::take(&mut self.bytes))) {
            metrics::counter!("waggle_log_records_dropped_total").increment(1);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Record;
    fn make_writer(&'a self) -> Record {
        Record { bytes: Vec::new(), lines: self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// A stderr that takes a record only when it is allowed to.
    struct Slow {
        allowed: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(io::Error::other)?;
            self.taken.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(lines: &Lines, number: usize) {
        writeln!(lines.make_writer(), "{number}").unwrap();
    }

    #[test]
    fn nobody_waits_for_who_does_not_read_and_what_fits_comes_in_order() {
        let (allow, allowed) = channel();
        let (taken, took) = channel();
        let lines = Lines::start(Slow { allowed, taken }).unwrap();
        let logged = RECORDS_MAX + 100;
        (0..logged).for_each(|number| log(&lines, number));
        lines.flush(Duration::from_millis(1));
        drop(lines);
        (0..logged).for_each(|_| allow.send(()).unwrap());
        let written: Vec<String> = took.iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert!((RECORDS_MAX..=RECORDS_MAX + 1).contains(&written.len()), "{}", written.len());
        assert!(written.iter().enumerate().all(|(at, line)| *line == format!("{at}\n")));
    }

    #[test]
    fn a_flush_waits_for_what_was_logged() {
        let (taken, took) = channel();
        let (allow, allowed) = channel();
        (0..3).for_each(|_| allow.send(()).unwrap());
        let lines = Lines::start(Slow { allowed, taken }).unwrap();
        (0..3).for_each(|number| log(&lines, number));
        lines.flush(Duration::from_secs(60));
        assert_eq!(took.try_iter().count(), 3);
    }
}
