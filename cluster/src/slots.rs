//! Slots: 4096 places on which channels sit; a channel's slot is a pure function of bytes.
//!
//! `block = override or (xxh3(workspace) + xxh3(channel) mod span) mod 256`, `slot = 16 * block + xxh3(channel) mod 16`.

use std::fmt;

/// Number of slots.
pub const SLOTS: u16 = 4096;
/// Number of blocks; a block is homed in one cell.
pub const BLOCKS: u16 = 256;
/// Slots of a block.
pub const SLOTS_PER_BLOCK: u16 = SLOTS / BLOCKS;

/// One of the 4096 slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// `None` from 4096 on.
    pub fn new(number: u16) -> Option<Self> {
        (number < SLOTS).then_some(Self(number))
    }
    /// 0..4096.
    pub fn number(self) -> u16 {
        self.0
    }
    /// 0..256.
    pub fn block(self) -> u16 {
        self.0 / SLOTS_PER_BLOCK
    }
    /// All slots in order.
    pub fn all() -> impl Iterator<Item = Slot> {
        (0..SLOTS).map(Slot)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The slot of a channel. `span` is 1 for most workspaces and a power of two for those that need several blocks;
/// `block` overrides the computed one.
pub fn slot_of(workspace: &[u8], channel: &[u8], span: u16, block: Option<u16>) -> Slot {
    debug_assert!(span.is_power_of_two() && span <= BLOCKS, "span is a power of two up to 256");
    let channel_hash = xxhash_rust::xxh3::xxh3_64(channel);
    let block = block.unwrap_or_else(|| {
        let home = xxhash_rust::xxh3::xxh3_64(workspace);
        (home.wrapping_add(channel_hash % u64::from(span.max(1))) % u64::from(BLOCKS)) as u16
    });
    Slot((block % BLOCKS) * SLOTS_PER_BLOCK + (channel_hash % u64::from(SLOTS_PER_BLOCK)) as u16)
}
