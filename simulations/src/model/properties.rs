//! What must always hold, and what must happen at least once lest the rest hold for nothing.

use super::config::Config;
use super::owner::Duty;
use super::ownership::Ownership;
use super::store::{Row, SEQS, bucket_of};
use super::world::World;
use stateright::Property;

/// I1.
pub const CONTENT: &str = "I1 a seq never changes content";
/// I2.
pub const ACKED: &str = "I2 what was acked is in the log";
/// I3.
pub const DELIVERED: &str = "I3 what was delivered is in the log";
/// I4.
pub const CONTIGUOUS: &str = "I4 seqs are applied one after the other";
/// What I4 rests on.
pub const NO_GAP: &str = "replay meets live without a gap";
/// I5.
pub const EPOCHS: &str = "I5 epoch never decreases along seq";
/// I6.
pub const ONE_SEQ: &str = "I6 one seq per key";
/// I7.
pub const HELD: &str = "I7 what an owner holds equals the log";
/// I10.
pub const FOLD: &str = "I10 a view equals the fold of its log";
/// No seq is left out, within and across buckets.
pub const DENSE: &str = "seq is dense";
/// `ts` rises with seq.
pub const TS: &str = "ts rises strictly";
/// Of slots, only the channel's home is raised on its behalf.
pub const HOME: &str = "only the home slot is raised";

/// Of the model: nothing was left out for want of room.
pub const ROOM: &str = "the model has room for every request";

/// Reached: a bucket after the first was opened.
pub const ROLLED: &str = "a bucket rolled";
/// Reached: every message was acked.
pub const ALL_ACKED: &str = "every message was acked";
/// Reached: the new owner of a planned move holds what the old one copied to it.
pub const HANDED_OFF: &str = "a hand-off completed";
/// Reached: a batch landed after the serial read that followed its time-out.
pub const LATE: &str = "a batch landed after the serial read";
/// Reached: an old owner's row follows a newer claim.
pub const ZOMBIE: &str = "an old owner appended under a newer claim";
/// Reached: three epochs wrote rows.
pub const THREE_EPOCHS: &str = "three epochs wrote rows";
/// Reached: an append on a guess was applied.
pub const GUESSED: &str = "an append on a guess was applied";
/// Reached: the slot that counted lower was raised and its owner wrote.
pub const RAISED: &str = "a message was kept after the override";
/// Reached: the gateway applied live events after a replay.
pub const MET: &str = "replay met live";
/// Reached: rows of a closed bucket were dropped.
pub const RETAINED: &str = "retention ran";
/// Reached: a gateway skipped rows that retention had dropped.
pub const SKIPPED: &str = "a cursor older than the log skipped";
/// Reached: a key older than the previous bucket was sent again.
pub const OLD_KEY: &str = "a key from before the window was sent again";

/// All that must hold, and what `config` must reach.
pub fn of(config: &Config) -> Vec<Property<Ownership>> {
    let always = [
        Property::always(CONTENT, |_, world: &World| !world.store.rewritten),
        Property::always(ACKED, |_, world| acked_is_in_log(world)),
        Property::always(DELIVERED, |_, world| delivered_is_in_log(world)),
        Property::always(CONTIGUOUS, |_, world: &World| world.relay.is_contiguous()),
        Property::always(NO_GAP, |_, world| subscriber_has_all(world)),
        Property::always(EPOCHS, |_, world| rows_follow(world, |before, after| before.epoch <= after.epoch)),
        Property::always(ONE_SEQ, |_, world| every_key_stands_once(world)),
        Property::always(HELD, |_, world| holdings_equal_log(world)),
        Property::always(FOLD, |model: &Ownership, world| view_equals_fold(&model.config, world)),
        Property::always(DENSE, |model, world| log_is_dense(&model.config, world)),
        Property::always(TS, |_, world| rows_follow(world, |before, after| before.us < after.us)),
        Property::always(ROOM, |_, world: &World| !world.is_cramped),
        Property::always(HOME, |model: &Ownership, world: &World| {
            !model.config.moves_home || world.store.slots[0].epoch <= model.config.epoch_max
        }),
    ];
    let reached = reachable().into_iter().filter(|property| config.reaches.contains(&property.name));
    always.into_iter().chain(reached).collect()
}

fn reachable() -> [Property<Ownership>; 12] {
    [
        Property::sometimes(ROLLED, |_, world: &World| world.store.heads[1].is_some()),
        Property::sometimes(ALL_ACKED, |model: &Ownership, world: &World| {
            world.messages[..usize::from(model.config.keys)].iter().all(|message| message.acked != 0)
        }),
        Property::sometimes(HANDED_OFF, |_, world: &World| has_copied_state(world)),
        Property::sometimes(LATE, |model: &Ownership, world: &World| {
            world.owners.iter().any(|owner| match owner.duty {
                Duty::Unknown { batch, read: true } => world.store.contains(&batch, model.config.bucket_rows),
                _ => false,
            })
        }),
        Property::sometimes(ZOMBIE, |_, world: &World| {
            let newer = world.owners[1].known;
            newer.is_some_and(|known| known.read && world.store.tail() > known.tail)
                && world.store.head().is_some_and(|head| head.epoch == 1)
        }),
        Property::sometimes(THREE_EPOCHS, |_, world: &World| {
            (1..=3).all(|epoch| world.store.rows.iter().flatten().any(|row| row.epoch == epoch))
        }),
        Property::sometimes(GUESSED, |model: &Ownership, world: &World| {
            let rows = model.config.bucket_rows;
            world.owners.iter().any(|owner| owner.known.is_some_and(|known| known.is_blind(rows)))
        }),
        Property::sometimes(RAISED, |_, world: &World| {
            world.store.home == 1
                && world.store.head().is_some_and(|head| head.epoch >= 3 && head.batch.owner == 1)
        }),
        Property::sometimes(MET, |_, world: &World| {
            world.relay.snapshot > 0 && world.relay.last > world.relay.snapshot
        }),
        Property::sometimes(RETAINED, |_, world: &World| world.store.dropped > 0),
        Property::sometimes(SKIPPED, |model: &Ownership, world: &World| {
            let oldest = world.store.dropped * model.config.bucket_rows;
            oldest > 0 && world.relay.last == oldest && world.relay.snapshot > oldest
        }),
        Property::sometimes(OLD_KEY, |model: &Ownership, world: &World| {
            let base = world.owners[0].known.map_or(0, |known| known.base);
            let is_old = |key: u8| world.store.find(key, 0).is_some_and(|seq| seq <= base);
            (1..=model.config.keys).any(|key| world.messages[usize::from(key) - 1].sent == 2 && is_old(key))
        }),
    ]
}

fn acked_is_in_log(world: &World) -> bool {
    world
        .messages
        .iter()
        .zip(1..)
        .filter(|(message, _)| message.acked != 0)
        .all(|(message, key)| world.store.row(message.acked).is_some_and(|row| row.key == key))
}

fn delivered_is_in_log(world: &World) -> bool {
    let handed = world.relay.flight | world.relay.held;
    (1..=SEQS as u8)
        .filter(|seq| *seq <= world.relay.last || handed & (1 << seq) != 0)
        .all(|seq| world.store.row(seq).is_some())
}

/// What the owner knows of the log, its subscriber has applied, holds, or is about to get.
fn subscriber_has_all(world: &World) -> bool {
    world.relay.at.is_none_or(|node| {
        let known = world.owners[usize::from(node)].known;
        known.is_none_or(|known| world.relay.has_all(known.tail))
    })
}

fn every_key_stands_once(world: &World) -> bool {
    (1..).take(world.messages.len()).all(|key| {
        let first = world.store.find(key, 0);
        first.is_none_or(|seq| world.store.find(key, seq).is_none())
    })
}

fn holdings_equal_log(world: &World) -> bool {
    world.owners.iter().all(|owner| owner.known.is_none_or(|known| known.equals(&world.store)))
}

fn view_equals_fold(config: &Config, world: &World) -> bool {
    world.view.equals_fold()
        && (!config.retention || world.store.dropped * config.bucket_rows <= world.view.applied)
}

/// Rows stand without a hole and only the newest head's bucket is not full.
fn log_is_dense(config: &Config, world: &World) -> bool {
    let store = &world.store;
    let no_hole = store.rows.windows(2).all(|pair| pair[0].is_some() || pair[1].is_none());
    no_hole
        && store.heads.iter().enumerate().all(|(bucket, head)| match head {
            None => store.heads[bucket..].iter().all(Option::is_none),
            Some(head) => {
                bucket_of(head.tail, config.bucket_rows) == bucket && store.row(head.tail).is_some()
            }
        })
}

fn rows_follow(world: &World, holds: fn(&Row, &Row) -> bool) -> bool {
    world.store.rows.windows(2).all(|pair| match pair {
        [Some(before), Some(after)] => holds(before, after),
        _ => true,
    })
}

fn has_copied_state(world: &World) -> bool {
    world.owners[1].known.is_some_and(|known| !known.read && known.tail > 0)
}
