//! Keys of the embedded engine: bytes whose order is the order of the tuples they are made of.
//!
//! Ids end with a zero byte, which no id contains; free text is escaped (0 becomes `00 FF`, the end is `00 01`);
//! numbers are big-endian. The workspace comes first in every key but those of `token` and `active`.

use actors::store::LogId;
use cluster::slots::Slot;
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};

/// A key under construction, and a prefix of all keys that continue it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl Key {
    /// Starts with a workspace.
    pub fn workspace(workspace: &WorkspaceId) -> Self {
        Self::default().id(workspace.as_str())
    }
    /// Starts with a log: workspace, region, generation, channel.
    pub fn log(log: &LogId) -> Self {
        if cluster::planted!(KeyWithoutWorkspace) {
            return Self::default().id(&log.channel.to_string());
        }
        Self::default().and_log(log)
    }
    /// Starts with a slot.
    pub fn slot(slot: Slot) -> Self {
        Self::default().u16(slot.number())
    }
    /// Continues with a log.
    pub fn and_log(self, log: &LogId) -> Self {
        let start = self.id(log.workspace.as_str()).u16(log.region).u32(log.generation);
        start.id(&log.channel.to_string())
    }
    /// Continues with an id: printable, without a zero byte.
    pub fn id(mut self, id: &str) -> Self {
        self.0.extend_from_slice(id.as_bytes());
        self.0.push(0);
        self
    }
    /// Continues with any text.
    pub fn text(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xff);
            }
        }
        self.0.extend_from_slice(&[0, 1]);
        self
    }
    /// Continues with parts that are encoded already.
    pub fn raw(mut self, parts: &[u8]) -> Self {
        self.0.extend_from_slice(parts);
        self
    }
    /// Continues with a number.
    pub fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }
    /// Continues with a number.
    pub fn u16(mut self, number: u16) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    /// Continues with a number.
    pub fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    /// Continues with a number.
    pub fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// The first key after all that start with this one. After an empty prefix: above every text.
    pub fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        while end.pop_if(|last| *last == 0xff).is_some() {}
        match end.last_mut() {
            Some(last) => *last += 1,
            None => end.push(0xff),
        }
        end
    }
}

/// Reads a key's parts back, in order. Each answers `None` when the bytes are not such a part.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The parts of a whole key.
    pub fn of(key: &'a [u8]) -> Self {
        Self(key)
    }
    /// The parts after a prefix.
    pub fn after(prefix: &Key, key: &'a [u8]) -> Option<Self> {
        key.strip_prefix(prefix.bytes()).map(Self)
    }
    /// An id.
    pub fn id(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let id = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(id)
    }
    /// Any text.
    pub fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            if byte == 0 {
                let (&escape, rest) = self.0.split_first()?;
                self.0 = rest;
                match escape {
                    0xff => {}
                    1 => return String::from_utf8(text).ok(),
                    _ => return None,
                }
            }
            text.push(byte);
        }
    }
    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (number, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*number)
    }
    /// A number.
    pub fn u16(&mut self) -> Option<u16> {
        self.number().map(u16::from_be_bytes)
    }
    /// A number.
    pub fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_be_bytes)
    }
    /// A number.
    pub fn u64(&mut self) -> Option<u64> {
        self.number().map(u64::from_be_bytes)
    }
    /// A user's id.
    pub fn user(&mut self) -> Option<UserId> {
        UserId::parse(self.id()?).ok()
    }
    /// A conversation's id.
    pub fn conversation(&mut self) -> Option<ConversationId> {
        ConversationId::parse(self.id()?).ok()
    }
    /// A workspace's id.
    pub fn workspace(&mut self) -> Option<WorkspaceId> {
        WorkspaceId::parse(self.id()?).ok()
    }
    /// A log's name.
    pub fn log(&mut self) -> Option<LogId> {
        let workspace = self.workspace()?;
        let (region, generation) = (self.u16()?, self.u32()?);
        let channel = ChannelId::parse(self.id()?).ok()?;
        Some(LogId { workspace, region, generation, channel })
    }
    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Tuple = (String, u16, u32, String, u64, String);

    fn tuple() -> impl Strategy<Value = Tuple> {
        let number = prop_oneof![Just(0u64), Just(u64::MAX), Just(255), Just(256), any::<u64>()];
        (
            "T[A-C0]{1,3}",
            0u16..3,
            any::<u32>(),
            "(C|user:U|ws:T)[A-B0]{1,2}",
            number,
            "[\\x00\\x01a\u{ff}]{0,4}",
        )
    }

    fn encode((workspace, region, generation, channel, us, name): &Tuple) -> Key {
        let log = LogId {
            workspace: WorkspaceId::parse(workspace).expect("an id"),
            region: *region,
            generation: *generation,
            channel: ChannelId::parse(channel).expect("a channel"),
        };
        Key::log(&log).u64(*us).text(name)
    }

    proptest! {
        #[test]
        fn the_order_of_keys_is_the_order_of_tuples(a in tuple(), b in tuple()) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn a_key_reads_back_as_its_tuple(a in tuple()) {
            let key = encode(&a);
            let mut parts = Parts::of(key.bytes());
            let log = parts.log().expect("a log");
            let back = (
                log.workspace.to_string(), log.region, log.generation, log.channel.to_string(),
                parts.u64().expect("a number"), parts.text().expect("a text"),
            );
            prop_assert!(parts.rest().is_empty());
            prop_assert_eq!(back, a);
        }

        #[test]
        fn the_end_of_a_prefix_is_above_its_keys_and_below_the_next(a in tuple(), b in tuple()) {
            let (prefix, other) = (encode(&a), encode(&b));
            let inside = other.bytes().starts_with(prefix.bytes());
            let between = other >= prefix && other.bytes() < prefix.end().as_slice();
            prop_assert_eq!(inside, between);
            let longest = prefix.clone().u64(u64::MAX);
            prop_assert!(longest.bytes() < prefix.end().as_slice());
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut parts = Parts::of(&bytes);
            let _ = (parts.log(), parts.user(), parts.text(), parts.u16(), parts.u32(), parts.u64());
        }
    }
}
