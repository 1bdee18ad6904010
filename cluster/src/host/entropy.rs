//! Chance that can be replayed: one seed at `main`, one independent stream per label.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// A stream of random numbers. Clones draw from the same stream; [`Entropy::fork`] makes an independent one.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    stream: Arc<Mutex<ChaCha12Rng>>,
}

impl Entropy {
    /// The stream of a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, stream: Arc::new(Mutex::new(ChaCha12Rng::from_seed(seed))) }
    }
    /// The stream of a small seed, as the simulator's command line gives it.
    pub fn from_u64(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_seed(bytes)
    }
    /// An independent stream, the same for the same seed and label whatever else was drawn.
    pub fn fork(&self, label: &str) -> Self {
        let mut seed = self.seed;
        for (chunk, salt) in seed.chunks_mut(8).zip(0u64..) {
            let mixed = xxhash_rust::xxh3::xxh3_64_with_seed(label.as_bytes(), salt ^ 0x5761_6767_6c65);
            chunk.iter_mut().zip(mixed.to_le_bytes()).for_each(|(byte, mix)| *byte ^= mix);
        }
        Self::from_seed(seed)
    }
    /// 64 random bits.
    pub fn next_u64(&self) -> u64 {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
    /// Uniform in `0..bound` (`bound > 0`); the bias of the multiply-shift is below 2^-64 * bound.
    pub fn below(&self, bound: u64) -> u64 {
        assert!(bound > 0, "below(0) has no value to give");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
    /// True in `n` of `of` cases.
    pub fn chance(&self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }
}
