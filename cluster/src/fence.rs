//! The rules that keep a log single-writer whatever nodes believe of each other: F1 to F7, as pure decisions.
//!
//! Safety rests on the log alone: an append is a compare-and-set on the position, epoch and time of the log's
//! head, so two owners at once cost refused appends and never messages. Everything here takes what was
//! observed as arguments and answers what to do next; it asks no clock, no store and no peer, and does not
//! know what a channel is.
//!
//! | rule | says | here |
//! |---|---|---|
//! | F1 | who may take a slot from an owner that is gone | [`forced_claim`] |
//! | F2 | a planned move is made by the old owner for the new one | [`planned_move`] |
//! | F3 | nothing is acknowledged or delivered before its append is known applied | [`Flight::settle`] |
//! | F4 | what a refused append means | [`Flight::settle`] |
//! | F4b | what a guessed tail allows, and when a bucket opens | [`may_guess`], [`may_open_bucket`] |
//! | F5 | an unknown outcome is settled by the same batch, before another is built | [`Flight`] |
//! | F6 | how an owner answers that has not confirmed its claim lately | [`freshness`] |
//! | F7 | what is a log event and what may be dropped | [`EventClass`] |

mod claim;
mod class;
mod flight;
mod fresh;
mod guess;

pub use claim::{
    ClaimDenied, ClaimView, HOLD_MIN, LOOP_LAG_MAX, MoveDenied, MoveReason, MoveView, OwnerSeen,
    WITNESSED_MAX, forced_claim, planned_move, raised_claim,
};
pub use class::EventClass;
pub use flight::{Attempt, Flight, HeadSeen, Next, Outcome, Standing};
pub use fresh::{CONFIRMED_FOR, Freshness, freshness};
pub use guess::{HeadRead, KeyTime, OpenDenied, may_guess, may_open_bucket};
