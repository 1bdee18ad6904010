//! The ownership protocol, explored exhaustively: the fencing rules F1-F7 (ARCHITECTURE.md) under every order
//! of events.
//!
//! One channel, two nodes that may own it, a store, a gateway and a view. Time does not exist: whatever can
//! happen next, a lost answer or a request that lands after the serial read that looked for it, is tried at
//! every moment. Membership is free to be wrong, since any node may claim at any time; so nothing here rests
//! on leases, clocks or failure detection. The checker is `stateright`, breadth first, so a counterexample is
//! as short as it can be; it is printed in sentences.
//!
//! | room | holds |
//! |---|---|
//! | `store` | heads, rows, slots; the append's condition |
//! | `owner` | claim, what it knows of the log, the one append under way |
//! | `relay`, `view` | a gateway's cursor; a view and its `applied` |
//! | `world` | one state, and what an owner does in it: take, build, load, settle, step down |
//! | `step`, `ownership`, `claims`, `followers` | what can happen next, and what it changes |
//! | `properties` | invariants, and what must be reached lest they hold for nothing |
//! | `config`, `variants`, `cases` | sizes and switches; rules broken on purpose; the list of runs |
//! | `report` | running a case, and its verdict |
//!
//! # What the runs cover
//!
//! - `log`: appends of one and two rows, unknown outcomes with late and repeated landing, crashes, claims
//!   heard and unheard, a planned move that completes, is aborted, or lands after its abort, one bucket roll,
//!   guesses; 3 messages sent up to three times, 3 epochs.
//! - `guess`: first attempts that lie around for any time before they arrive, wherever the slot is by then.
//! - `return`: the same with 2 messages over 3 epochs and a planned move, so that a slot comes back.
//! - `override`: the channel moves to a slot whose epoch is lower, while the old slot's owner goes on.
//! - `relay`: subscribe, replay, live events in any order, broken links, owner changes, a warm hand-off with
//!   subscribers.
//! - `view`: view writes that land late and repeatedly, `applied`, retention of closed buckets, unknown
//!   appends.
//! - `skip`: a gateway's cursor before what retention left.
//! - `window`: keys older than the two buckets an owner holds, stamped by clients whose clocks run ahead.
//!
//! # What the runs say beyond the rules as first written
//!
//! - **A guess rides with the message** (F4b). A report counts only if the gateway had it when it sent the
//!   first attempt. An owner that uses a newer one doubles a first attempt whose retry was kept meanwhile
//!   (`GuessAtArrival`); so does one that, after its own append on a guess, takes every first attempt for new
//!   (`FirstNeedsNoWindow`). The rule: a first attempt skips the look-up only if the owner holds the key of
//!   every row after the report that came with it.
//! - **A key's time is a lower bound, less the skew**: a message may stand in any bucket from there on, and a
//!   client's clock may run ahead. One bucket is not enough (`LookUpOneBucket`), nor is the bare key time
//!   (`TrustKeyTime`).
//! - **Verified means homed**: before a slot is raised above a seen epoch, the block's row is read as well as
//!   the slot's; else two owners of two slots raise against each other for as long as the old one has not
//!   heard (`RaiseUnhomed`).
//! - **Rows of others are fanned out too**: an old owner's batch may land after the takeover's serial read;
//!   its subscribers are not the new owner's, who finds the row when its own append is refused
//!   (`FanOutOwnOnly`).
//! - **Some rules are about speed**: building another batch after a serial read that found the tail unmoved
//!   (F5), or moving a slot in the middle of an append, costs a refusal and no message, as long as every
//!   refusal is followed by a load and a look at the keys (`RebuildAfterRead`, `MoveUnsettled`). This is
//!   said of a linearizable store only.
//!
//! # What they leave out
//!
//! Replicas and Paxos inside the store: a partition is one linearizable register, and reading a head and the
//! rows below its tail is one step. More than two nodes, more than one channel in a slot, batches above two
//! rows. The conditions of F1, F6's staleness and the 10 s hold, which are about liveness and time; of
//! liveness only that an overridden channel is served again. I8 (membership at a seq) and I9 (copies between
//! nodes). Messages without a key, and a key used again with another body. Switches that no run combines: an
//! override with a gateway, views or a hand-off; views with guesses or a hand-off; clients' clocks that run
//! ahead with more than one epoch.

pub mod cases;
pub mod claims;
pub mod config;
pub mod followers;
pub mod owner;
pub mod ownership;
pub mod properties;
pub mod relay;
pub mod report;
pub mod step;
pub mod store;
pub mod variants;
pub mod view;
pub mod world;

use report::Report;
use std::time::Duration;

/// Runs every case, one at each turn of the iterator: the right rules first, then each broken one. A report
/// that is not as expected is a failure. `clock` measures how long they took.
pub fn check_all(clock: &dyn Fn() -> Duration) -> impl Iterator<Item = Report> {
    cases::right().into_iter().chain(cases::broken()).map(move |case| report::check(&case, clock))
}
