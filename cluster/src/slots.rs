//! Slots: 4096 places on which channels sit; a channel's slot is a pure function of bytes.
//!
//! `block = override or (xxh3(workspace) + xxh3(channel) mod span) mod 256`, `slot = 16 * block +
//! xxh3(channel) mod 16`.

pub mod told;

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

/// The slot of a channel. `span` is 1 for most workspaces and a power of two for those that need several
/// blocks; `block` overrides the computed one.
pub fn slot_of(workspace: &[u8], channel: &[u8], span: u16, block: Option<u16>) -> Slot {
    assert!(span.is_power_of_two() && span <= BLOCKS, "span is a power of two up to 256");
    let channel_hash = xxhash_rust::xxh3::xxh3_64(channel);
    let block = block.unwrap_or_else(|| {
        let home = xxhash_rust::xxh3::xxh3_64(workspace);
        (home.wrapping_add(channel_hash % u64::from(span.max(1))) % u64::from(BLOCKS)) as u16
    });
    Slot((block % BLOCKS) * SLOTS_PER_BLOCK + (channel_hash % u64::from(SLOTS_PER_BLOCK)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(workspace: &str, channel: &str, span: u16, block: Option<u16>) -> u16 {
        slot_of(workspace.as_bytes(), channel.as_bytes(), span, block).number()
    }

    /// (workspace, channel) -> slot at span 1 and at span 8. These are part of the format: a build that
    /// answers otherwise looks for channels where they are not. The last row follows from XXH3's published
    /// value for no bytes, 0x2d06800538d394c2: block 0xc2, place 2.
    const GOLDEN: [(&str, &str, u16, u16); 8] = [
        ("T0000000001", "C0000000001", 3030, 3126),
        ("T0000000001", "C0000000002", 3034, 3066),
        ("T0000000001", "D0000000003", 3035, 3083),
        ("T0000000001", "ws:T0000000001", 3033, 3049),
        ("T0000000001", "user:U0000000001", 3024, 3024),
        ("T024BE7LD", "C024BE91L", 3735, 3847),
        ("TZZZZZZZZZZ", "CZZZZZZZZZZ", 489, 505),
        ("", "", 3106, 3138),
    ];

    #[test]
    fn golden_slots_never_change() {
        let now = GOLDEN.map(|(ws, ch, ..)| (ws, ch, slot(ws, ch, 1, None), slot(ws, ch, 8, None)));
        assert_eq!(now, GOLDEN);
    }

    #[test]
    fn a_workspace_of_span_one_stays_in_one_block_and_a_wide_one_in_as_many_as_its_span() {
        let blocks = |span| {
            let channels =
                (0..2000).map(|i| slot("T0000000001", &format!("C{i:010}"), span, None) / SLOTS_PER_BLOCK);
            channels.collect::<std::collections::BTreeSet<u16>>()
        };
        let home = blocks(1);
        assert_eq!(home.len(), 1);
        let first = *home.first().unwrap();
        assert_eq!(blocks(8), (0..8).map(|i| (first + i) % BLOCKS).collect());
        assert_eq!(blocks(256).len(), 256);
    }

    #[test]
    fn an_override_moves_the_block_and_keeps_the_place_in_it() {
        for (workspace, channel, computed, _) in GOLDEN {
            let moved = slot(workspace, channel, 1, Some(200));
            assert_eq!((moved / SLOTS_PER_BLOCK, moved % SLOTS_PER_BLOCK), (200, computed % SLOTS_PER_BLOCK));
            assert_eq!(slot(workspace, channel, 8, Some(200)), moved, "an override ignores the span");
        }
    }

    #[test]
    fn there_are_4096_slots_of_256_blocks() {
        assert_eq!(Slot::new(4095).map(Slot::block), Some(255));
        assert_eq!(Slot::new(4096), None);
        assert_eq!(Slot::all().count(), 4096);
    }

    #[test]
    fn channels_of_many_workspaces_spread_evenly() {
        let mut blocks = [0u32; 256];
        (0..25_600).for_each(|i| {
            let slot = slot(&format!("T{i:010}"), "C0000000001", 1, None);
            blocks[usize::from(slot / SLOTS_PER_BLOCK)] += 1;
        });
        assert!(blocks.iter().all(|n| (50..=150).contains(n)), "{blocks:?}");
    }
}
