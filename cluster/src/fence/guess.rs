//! F4b: what may be appended before the log was read, and when a bucket may be opened.

/// What an idempotency key says of its own age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTime {
    /// No key: a retry of it may double, so there is nothing to look up.
    NoKey,
    /// The key carries its time (UUIDv7): on its first attempt it cannot be in the log yet.
    Timed,
    /// A key without a time counts as a retry and is looked up.
    Untimed,
}

/// Whether a command may be appended now. After a takeover the tail is a guess and the keys of the last two
/// buckets are still loading: only what was never tried before may go ahead; everything else waits for the
/// window.
pub fn may_guess(attempt: u32, key: KeyTime, window_loaded: bool) -> bool {
    window_loaded || (attempt == 0 && key != KeyTime::Untimed)
}

/// The head of the newest bucket as known in some epoch: by a serial read, or by an own append that was known
/// applied, whose condition read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRead {
    /// Epoch of our claim at that moment.
    pub in_epoch: u64,
    /// Last seq in the bucket.
    pub tail: u64,
}

/// Why the next bucket may not be opened yet. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenDenied {
    /// The head was not read since the claim: a guess never opens a bucket.
    #[error("the head of the last bucket was not read in epoch {epoch}: read it serially first")]
    NotRead {
        /// Epoch of our claim.
        epoch: u64,
    },
    /// The bucket still takes rows.
    #[error("the last bucket ends at {tail} and takes rows up to {full_at}")]
    NotFull {
        /// Last seq in it.
        tail: u64,
        /// Last seq it takes.
        full_at: u64,
    },
}

/// Whether the bucket after the one that ends at `full_at` may be opened under our claim of `epoch`.
pub fn may_open_bucket(epoch: u64, full_at: u64, read: Option<HeadRead>) -> Result<(), OpenDenied> {
    match read {
        Some(read) if read.in_epoch != epoch => Err(OpenDenied::NotRead { epoch }),
        None => Err(OpenDenied::NotRead { epoch }),
        Some(HeadRead { tail, .. }) if tail < full_at => Err(OpenDenied::NotFull { tail, full_at }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_attempt_goes_ahead_of_the_window() {
        use KeyTime::{NoKey, Timed, Untimed};
        for (attempt, key, may) in [
            (0, Timed, true),
            (0, NoKey, true),
            (0, Untimed, false),
            (1, Timed, false),
            (1, NoKey, false),
            (7, Untimed, false),
        ] {
            assert_eq!(may_guess(attempt, key, false), may, "attempt {attempt}, {key:?}");
            assert!(may_guess(attempt, key, true));
        }
    }

    #[test]
    fn a_bucket_is_opened_only_after_its_predecessor_was_seen_full_in_this_epoch() {
        let read = |in_epoch, tail| Some(HeadRead { in_epoch, tail });
        assert_eq!(may_open_bucket(5, 4096, read(5, 4096)), Ok(()));
        assert_eq!(may_open_bucket(5, 4096, None), Err(OpenDenied::NotRead { epoch: 5 }));
        assert_eq!(may_open_bucket(5, 4096, read(4, 4096)), Err(OpenDenied::NotRead { epoch: 5 }));
        let not_full = OpenDenied::NotFull { tail: 4095, full_at: 4096 };
        assert_eq!(may_open_bucket(5, 4096, read(5, 4095)), Err(not_full));
        assert_eq!(not_full.to_string(), "the last bucket ends at 4095 and takes rows up to 4096");
    }
}
