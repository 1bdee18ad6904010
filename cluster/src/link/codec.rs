//! Bytes of a link: each message is its length (4 bytes, big-endian) and its protobuf.
//!
//! The decoder never panics, never holds more than one message beyond what it was fed, and after its first
//! error answers nothing but that error: a stream that lost its frame has no next message.

use crate::link::LinkConfig;
use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use proto::v1::{LinkBatch, LinkHello};

/// Bytes of the length before each message.
pub const LENGTH_BYTES: usize = 4;
/// Largest hello.
pub const HELLO_BYTES_MAX: usize = 256;
/// Field number of `LinkBatch.envelopes`.
const ENVELOPES: u32 = 2;

/// Why bytes are not what a link carries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The length is beyond the limit; the message was not read.
    #[error("a message of {bytes} bytes is longer than {max}")]
    TooLong {
        /// Length that was announced.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More envelopes in a batch than allowed; they were not decoded.
    #[error("a batch of {count} frames has more than {max}")]
    TooMany {
        /// Envelopes found.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Not the message that was expected.
    #[error("the message does not parse: {0}")]
    Malformed(String),
}

/// A message with its length, ready to write.
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(LENGTH_BYTES + length);
    bytes.put_u32(u32::try_from(length).expect("batches are bounded far below 4 GiB"));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    batch_bytes_max: usize,
    frames_max: usize,
    failed: Option<CodecError>,
}

impl Decoder {
    /// A decoder with the limits of this link.
    pub fn new(config: &LinkConfig) -> Self {
        Self {
            buffer: BytesMut::new(),
            batch_bytes_max: config.wire_bytes_max(),
            frames_max: config.batch_frames_max,
            failed: None,
        }
    }
    /// Where a socket reads into; feed it no more than a read buffer before asking for messages.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }
    /// The peer's hello: the first message. `None` until all of it is there.
    pub fn hello(&mut self) -> Result<Option<LinkHello>, CodecError> {
        self.step(HELLO_BYTES_MAX, |bytes| LinkHello::decode(bytes).map_err(malformed))
    }
    /// The next batch. `None` until all of it is there.
    pub fn batch(&mut self) -> Result<Option<LinkBatch>, CodecError> {
        let max = self.frames_max;
        self.step(self.batch_bytes_max, |bytes| {
            let count = count_envelopes(bytes.clone())?;
            if count > max {
                return Err(CodecError::TooMany { count, max });
            }
            LinkBatch::decode(bytes).map_err(malformed)
        })
    }
    fn step<T>(
        &mut self,
        max: usize,
        decode: impl FnOnce(Bytes) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let answer = self.cut(max).and_then(|message| message.map(decode).transpose());
        self.failed = answer.as_ref().err().cloned();
        answer
    }
    /// The bytes of the next message.
    fn cut(&mut self, max: usize) -> Result<Option<Bytes>, CodecError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*length) as usize;
        if bytes > max {
            return Err(CodecError::TooLong { bytes, max });
        }
        if rest.len() < bytes {
            return Ok(None);
        }
        let message = self.buffer.split_to(LENGTH_BYTES + bytes).split_off(LENGTH_BYTES);
        Ok(Some(message.freeze()))
    }
}

fn malformed(error: prost::DecodeError) -> CodecError {
    CodecError::Malformed(error.to_string())
}

/// Counts before decoding: an empty envelope is two bytes on the wire and some forty in memory.
fn count_envelopes(mut bytes: Bytes) -> Result<usize, CodecError> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes).map_err(malformed)?;
        skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).map_err(malformed)?;
        count += usize::from(tag == ENVELOPES);
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
