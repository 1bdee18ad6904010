//! Asking a node as its operator. Blocking: it is for command lines.

use super::{LINE_BYTES_MAX, Reply, Request};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// An answer takes at most this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there: nothing was done.
    #[error("no node answers at {0}: {1}")]
    NoNode(String, io::Error),
    /// The connection ended before the answer: whether it was done is not known.
    #[error("the node at {0} did not answer: {1}; whether it was done is not known")]
    NoAnswer(String, io::Error),
}

/// Sends one request and waits for its answer.
pub fn ask(operator: &Path, request: &Request) -> Result<Reply, AskError> {
    let place = operator.display().to_string();
    let mut stream = UnixStream::connect(operator).map_err(|e| AskError::NoNode(place.clone(), e))?;
    converse(&mut stream, request).map_err(|e| AskError::NoAnswer(place, e))
}

fn converse(stream: &mut UnixStream, request: &Request) -> io::Result<Reply> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
