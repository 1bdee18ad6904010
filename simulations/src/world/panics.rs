//! Panics: runtime and actors catch them, so only a hook sees them all. An unplanned one is a broken promise.

use crate::{
    promises::no_panic,
    world::{Inner, World},
};
use std::{
    cell::RefCell,
    panic::{self, PanicHookInfo},
    sync::{Arc, Once, Weak},
};

/// A panic whose message starts so is part of the scenario.
pub const PLANNED_PANIC: &str = "planned panic";
/// Count of those.
pub const PLANNED_PANICS: &str = "panics.planned";

/// Count that a scenario raises when it damages a database behind the engine's back: redb promises no more than a panic
/// then, which the product catches and names damage.
pub const ENGINE_MAY_PANIC: &str = "rot";

thread_local! {
    static WATCHED: RefCell<Weak<Inner>> = const { RefCell::new(Weak::new()) };
}

/// Until dropped, panics of this thread belong to the world.
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.set(Weak::new());
    }
}

pub(crate) fn watch(world: &World) -> Watch {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let other = panic::take_hook();
        panic::set_hook(Box::new(move |info| match WATCHED.with_borrow(Weak::upgrade) {
            Some(world) => seen(&World(world), info),
            None => other(info),
        }));
    });
    WATCHED.set(Arc::downgrade(&world.0));
    Watch
}

fn seen(world: &World, info: &PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("a panic without text");
    world.note(None, "panic", [0, 0], text);
    if text.starts_with(PLANNED_PANIC) {
        world.count(PLANNED_PANICS, 1);
    } else if world.counted(ENGINE_MAY_PANIC) > 0
        && info.location().is_some_and(|place| place.file().contains("/redb-"))
    {
        world.count("panics.engine", 1);
    } else {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        world.violate(no_panic::PROMISE.broken(format!("{text} at {place}")));
    }
}
