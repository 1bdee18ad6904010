//! In the end, with everybody level, a message crosses to each node that has a listener, once, and to no other (I9).

use super::town::Town;
use crate::world::{World, report::Violation};
use actors::{
    command::{Command, Verb},
    store::LogId,
};
use std::time::Duration;

/// A message is where it is going within this long.
const ARRIVES_WITHIN: Duration = Duration::from_millis(500);

/// Says something in one channel after the other, and counts its copies.
pub(super) async fn are_exact(world: &World, town: &Town, logs: &[LogId]) -> Result<(), Violation> {
    let moved = || {
        let gauges = world.gauges();
        (gauges.sum("waggle_events_total"), gauges.sum("waggle_fanout_copies_total"))
    };
    let chance = world.entropy("copies");
    for log in logs {
        let (listened_at, (events, copies)) = (town.listened_at(), moved());
        let (_, _, context) = town.anyone(&chance).await;
        let topic = Command::system("copies", Verb::SetTopic { topic: "is everybody there".into() });
        let said = context.execute(log.clone(), topic).await;
        said.map_err(|refusal| Violation::new("company", format!("nothing could be said: {refusal}")))?;
        world.sleep(ARRIVES_WITHIN).await;
        if town.listened_at() != listened_at {
            continue; // somebody has moved meanwhile
        }
        let (events, copies) = (moved().0 - events, moved().1 - copies);
        Violation::unless(events == 1 && copies == listened_at.len() as u64, "company", || {
            format!("{copies} copies of {events} events in {log:?}, and {listened_at:?} listen")
        })?;
        world.count("company.copies_exact", 1);
    }
    Ok(())
}
