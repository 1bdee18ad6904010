//! Sealed datagrams: XChaCha20-Poly1305 (RFC 8439 with the extended nonce of draft-irtf-cfrg-xchacha) under a key that
//! all members of the cluster have. A datagram is `version, key, life, counter, ciphertext`; nobody without the key can
//! make one or read one, and one that comes twice is dropped.
//!
//! Keys rotate by being known before they are used: every node accepts all keys of its ring and seals with the first.

use crate::node::BootId;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use std::collections::BTreeMap;

/// Bytes that a seal adds.
pub const SEAL_BYTES: usize = HEADER_BYTES + TAG_BYTES;
/// Version of the seal.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 + 8 + 8;
const TAG_BYTES: usize = 16;
/// Datagrams that may overtake one another and are taken still.
const WINDOW: u64 = 1024;
/// Lives whose counters are remembered; beyond it those that were heard longest ago are forgotten.
const LIVES_MAX: usize = 4096;

/// A key of the cluster.
pub type Key = [u8; 32];

/// Why a datagram is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Shorter than a seal, or of another version.
    #[error("no sealed datagram of this version")]
    Malformed,
    /// Sealed under a key that this node does not have: another cluster, or one that was rotated out.
    #[error("sealed under another cluster's key")]
    Key,
    /// Changed on its way, or made by somebody without the key.
    #[error("the seal is broken")]
    Broken,
    /// It came before, or is too old to say.
    #[error("it came before")]
    Replayed,
}

impl SealError {
    /// A word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Key => "key",
            Self::Broken => "broken",
            Self::Replayed => "replayed",
        }
    }
}

/// A key with its name on the wire.
struct Named {
    name: [u8; 4],
    cipher: XChaCha20Poly1305,
}

impl Named {
    fn new(key: &Key) -> Self {
        let name = (xxhash_rust::xxh3::xxh3_64(key) as u32).to_be_bytes();
        Self { name, cipher: XChaCha20Poly1305::new(&(*key).into()) }
    }
}

/// Which of the latest datagrams of a life have come.
#[derive(Default)]
struct Heard {
    highest: u64,
    /// Bit `n`: `highest - n` has come.
    come: [u64; (WINDOW / 64) as usize],
    /// When it was heard last, in datagrams.
    at: u64,
}

impl Heard {
    /// Enters a counter; false if it came before or is too old.
    fn enter(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            self.shift(counter - self.highest);
            self.highest = counter;
        }
        let back = self.highest - counter;
        if back >= WINDOW {
            return false;
        }
        let (word, bit) = ((back / 64) as usize, 1 << (back % 64));
        let new = self.come[word] & bit == 0;
        self.come[word] |= bit;
        new
    }
    fn shift(&mut self, by: u64) {
        if by >= WINDOW {
            self.come = Default::default();
            return;
        }
        let (words, bits) = ((by / 64) as usize, by % 64);
        for word in (0..self.come.len()).rev() {
            let from = |word: Option<usize>| word.map_or(0, |word| self.come[word]);
            let (high, low) = (from(word.checked_sub(words)), from(word.checked_sub(words + 1)));
            self.come[word] = if bits == 0 { high } else { high << bits | low >> (64 - bits) };
        }
    }
}

/// Seals and opens the datagrams of one life.
pub struct Seal {
    keys: Vec<Named>,
    boot: BootId,
    counter: u64,
    opened: u64,
    heard: BTreeMap<u64, Heard>,
}

impl Seal {
    /// The first key seals, all of them open. At least one.
    pub fn new(keys: &[Key], boot: BootId) -> Self {
        assert!(!keys.is_empty(), "datagrams are sealed under some key");
        let keys = keys.iter().map(Named::new).collect();
        Self { keys, boot, counter: 0, opened: 0, heard: BTreeMap::new() }
    }

    /// Seals a datagram.
    pub fn seal(&mut self, datagram: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(datagram.len() + SEAL_BYTES);
        sealed.push(VERSION);
        sealed.extend(key.name);
        sealed.extend(self.boot.0.to_be_bytes());
        sealed.extend(self.counter.to_be_bytes());
        let header: [u8; HEADER_BYTES] = sealed.as_slice().try_into().expect("it was just written");
        sealed.extend(datagram);
        let text = &mut sealed[HEADER_BYTES..];
        let tag = key.cipher.encrypt_inout_detached(&nonce(&header), &header, text.into());
        sealed.extend(tag.expect("a datagram is far shorter than a cipher's limit"));
        sealed
    }

    /// Opens a datagram that has come for the first time.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (header, rest) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(SealError::Malformed)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(SealError::Malformed)?;
        if header[0] != VERSION {
            return Err(SealError::Malformed);
        }
        let key = self.keys.iter().find(|key| key.name == header[1..5]).ok_or(SealError::Key)?;
        let mut opened = text.to_vec();
        key.cipher
            .decrypt_inout_detached(&nonce(header), header, opened.as_mut_slice().into(), &Tag::from(*tag))
            .map_err(|_| SealError::Broken)?;
        let number = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        if self.is_new(number(5), number(13)) { Ok(opened) } else { Err(SealError::Replayed) }
    }

    fn is_new(&mut self, life: u64, counter: u64) -> bool {
        self.opened += 1;
        if self.heard.len() >= LIVES_MAX && !self.heard.contains_key(&life) {
            let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(life, _)| *life);
            oldest.map(|life| self.heard.remove(&life));
        }
        let heard = self.heard.entry(life).or_default();
        heard.at = self.opened;
        heard.enter(counter)
    }
}

/// Life and counter: no two datagrams of a key have the same, since lives are drawn anew.
fn nonce(header: &[u8; HEADER_BYTES]) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(&header[5..]);
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &[u8], boot: u64) -> Seal {
        let keys: Vec<Key> = keys.iter().map(|key| [*key; 32]).collect();
        Seal::new(&keys, BootId(boot))
    }

    #[test]
    fn a_datagram_opens_once_for_those_who_have_its_key() {
        let (mut from, mut to) = (seal(&[1], 7), seal(&[1], 8));
        for text in [&b""[..], b"hello", &[9; 1200]] {
            let sealed = from.seal(text);
            assert_eq!(sealed.len(), text.len() + SEAL_BYTES);
            assert_eq!(to.open(&sealed).as_deref(), Ok(text));
            assert_eq!(to.open(&sealed), Err(SealError::Replayed));
        }
        assert_eq!(seal(&[2], 8).open(&from.seal(b"x")), Err(SealError::Key));
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let (mut from, sealed) = (seal(&[1], 7), seal(&[1], 7).seal(b"hello"));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(from.open(&changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(from.open(&sealed[..length]).is_err(), "cut to {length}");
        }
        assert!(from.open(&sealed).is_ok());
    }

    #[test]
    fn a_key_is_rotated_by_being_known_first_and_used_then() {
        let (mut old, mut both, mut new) = (seal(&[1], 1), seal(&[1, 2], 2), seal(&[2, 1], 3));
        let said = [old.seal(b"a"), both.seal(b"b"), new.seal(b"c")];
        assert!(said.iter().all(|sealed| both.open(sealed).is_ok()));
        assert!(said.iter().all(|sealed| new.open(sealed).is_ok()));
        assert_eq!(old.open(&said[2]), Err(SealError::Key), "it did not know the key yet");
    }

    #[test]
    fn what_overtakes_is_taken_within_the_window_and_nothing_twice() {
        let (mut from, mut to) = (seal(&[1], 7), seal(&[1], 8));
        let said: Vec<_> = (0..WINDOW + 2).map(|_| from.seal(b"x")).collect();
        assert!(to.open(&said[1]).is_ok());
        assert!(to.open(&said[WINDOW as usize + 1]).is_ok());
        assert_eq!(to.open(&said[0]), Err(SealError::Replayed), "too old to say");
        assert_eq!(to.open(&said[1]), Err(SealError::Replayed), "too old to say");
        for late in (2..said.len() - 1).rev() {
            assert!(to.open(&said[late]).is_ok(), "{late}");
            assert_eq!(to.open(&said[late]), Err(SealError::Replayed), "{late}");
        }
    }

    #[test]
    fn lives_that_are_remembered_are_bounded() {
        let mut to = seal(&[1], 0);
        for life in 0..LIVES_MAX as u64 + 100 {
            assert!(to.open(&seal(&[1], life).seal(b"x")).is_ok());
        }
        assert_eq!(to.heard.len(), LIVES_MAX);
    }
}
