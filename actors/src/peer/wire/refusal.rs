//! Refusals and errors of the store: closed lists of kinds, each with its text.

use super::codes;
use crate::store::StoreError;
use proto::key::KeyError;
use proto::refusal::Refusal;
use proto::v1::{PeerRefusalKind, PeerRefused, PeerStoreError, PeerStoreErrorKind};

/// A refusal as the wire has it.
pub fn refusal_message(refusal: &Refusal) -> PeerRefused {
    let (kind, text, retry_after_ms) = match refusal {
        Refusal::Named(code) => (PeerRefusalKind::Named, *code, 0),
        Refusal::Busy { retry_after_ms } => (PeerRefusalKind::Busy, "", *retry_after_ms),
        Refusal::Unavailable(why) => (PeerRefusalKind::Unavailable, why.as_str(), 0),
        Refusal::OutOfReach(why) => (PeerRefusalKind::OutOfReach, why.as_str(), 0),
        Refusal::Unknown => (PeerRefusalKind::OutcomeUnknown, "", 0),
        Refusal::KeyReused => (PeerRefusalKind::KeyReused, "", 0),
        Refusal::BadKey(KeyError::Malformed) => (PeerRefusalKind::KeyMalformed, "", 0),
        Refusal::BadKey(KeyError::TooOld) => (PeerRefusalKind::KeyTooOld, "", 0),
    };
    PeerRefused { kind: kind.into(), text: text.to_owned(), retry_after_ms }
}

/// What [`refusal_message`] made, here or in a later build.
///
/// An error string that only a later build knows is still a named refusal, and those promise that nothing was changed:
/// it becomes `Unavailable`, which promises no more than that. (`Command::refused` takes even this back where an
/// earlier try may have been applied.) Of a kind that only a later build knows nothing is promised: the outcome is not
/// known, and a retry under the same key is safe.
pub fn refusal(PeerRefused { kind, text, retry_after_ms }: PeerRefused) -> Refusal {
    match PeerRefusalKind::try_from(kind).unwrap_or_default() {
        PeerRefusalKind::Named => match codes::known(&text) {
            Some(code) => Refusal::Named(code),
            None => Refusal::Unavailable(format!("the channel's node refused it as {text:?}")),
        },
        PeerRefusalKind::Busy => Refusal::Busy { retry_after_ms },
        PeerRefusalKind::Unavailable => Refusal::Unavailable(text),
        PeerRefusalKind::OutOfReach => Refusal::OutOfReach(text),
        PeerRefusalKind::OutcomeUnknown | PeerRefusalKind::Unknown => Refusal::Unknown,
        PeerRefusalKind::KeyReused => Refusal::KeyReused,
        PeerRefusalKind::KeyMalformed => Refusal::BadKey(KeyError::Malformed),
        PeerRefusalKind::KeyTooOld => Refusal::BadKey(KeyError::TooOld),
    }
}

/// An error of the store as the wire has it.
pub fn store_error_message(error: &StoreError) -> PeerStoreError {
    let (kind, text) = match error {
        StoreError::Unknown(why) => (PeerStoreErrorKind::OutcomeUnknown, why.as_str()),
        StoreError::Full(why) => (PeerStoreErrorKind::Full, why.as_str()),
        StoreError::Damaged(why) => (PeerStoreErrorKind::Damaged, why.as_str()),
        StoreError::Busy => (PeerStoreErrorKind::Busy, ""),
        StoreError::Unavailable(why) => (PeerStoreErrorKind::Unavailable, why.as_str()),
    };
    PeerStoreError { kind: kind.into(), text: text.to_owned() }
}

/// What [`store_error_message`] made. A kind that only a later build knows promises nothing: the outcome is not known.
pub fn store_error(PeerStoreError { kind, text }: PeerStoreError) -> StoreError {
    match PeerStoreErrorKind::try_from(kind).unwrap_or_default() {
        PeerStoreErrorKind::OutcomeUnknown | PeerStoreErrorKind::Unknown => StoreError::Unknown(text),
        PeerStoreErrorKind::Full => StoreError::Full(text),
        PeerStoreErrorKind::Damaged => StoreError::Damaged(text),
        PeerStoreErrorKind::Busy => StoreError::Busy,
        PeerStoreErrorKind::Unavailable => StoreError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The refusals one after the other; a new one does not compile until it has its place in the row.
    fn next(refusal: &Refusal) -> Option<Refusal> {
        match refusal {
            Refusal::Named(_) => Some(Refusal::Busy { retry_after_ms: 200 }),
            Refusal::Busy { .. } => Some(Refusal::Unavailable("the disk is full".into())),
            Refusal::Unavailable(_) => Some(Refusal::OutOfReach("there is no link".into())),
            Refusal::OutOfReach(_) => Some(Refusal::Unknown),
            Refusal::Unknown => Some(Refusal::KeyReused),
            Refusal::KeyReused => Some(Refusal::BadKey(KeyError::Malformed)),
            Refusal::BadKey(KeyError::Malformed) => Some(Refusal::BadKey(KeyError::TooOld)),
            Refusal::BadKey(KeyError::TooOld) => None,
        }
    }

    /// The same of the store's errors.
    fn next_error(error: &StoreError) -> Option<StoreError> {
        match error {
            StoreError::Unknown(_) => Some(StoreError::Full("no room".into())),
            StoreError::Full(_) => Some(StoreError::Damaged("a row does not check out".into())),
            StoreError::Damaged(_) => Some(StoreError::Busy),
            StoreError::Busy => Some(StoreError::Unavailable("closed".into())),
            StoreError::Unavailable(_) => None,
        }
    }

    #[test]
    fn every_refusal_arrives_as_it_was_and_so_does_every_error_of_the_store() {
        for was in std::iter::successors(Some(Refusal::Named("is_archived")), next) {
            assert_eq!(refusal(refusal_message(&was)), was);
        }
        for was in std::iter::successors(Some(StoreError::Unknown("a write".into())), next_error) {
            assert_eq!(store_error(store_error_message(&was)), was);
        }
    }

    #[test]
    fn every_error_string_of_channels_arrives_as_itself() {
        for code in codes::CODES {
            assert_eq!(refusal(refusal_message(&Refusal::Named(code))), Refusal::Named(code));
        }
    }

    #[test]
    fn a_later_builds_error_string_still_says_that_nothing_was_changed() {
        let later =
            PeerRefused { text: "made_up_later".into(), ..refusal_message(&Refusal::Named("too_long")) };
        let taken = refusal(later);
        assert_eq!(taken.state(), "not_applied");
        let Refusal::Unavailable(why) = taken else { panic!("{taken:?}") };
        assert!(why.contains("made_up_later"), "{why}");
    }

    #[test]
    fn a_later_builds_kind_says_nothing() {
        for kind in [0, 9, -1, i32::MAX] {
            let refused = PeerRefused { kind, text: "is_archived".into(), retry_after_ms: 1 };
            assert_eq!(refusal(refused), Refusal::Unknown);
            let error = store_error(PeerStoreError { kind, text: "why".into() });
            assert_eq!(error, StoreError::Unknown("why".into()));
        }
    }
}
