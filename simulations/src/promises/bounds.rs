//! Queues and memory stay within their limits; coming back costs few reads of the store, and so does all else.

use super::Promise;
use crate::world::{World, gauges::Gauges, report::Violation};
use actors::config::Config;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "work is bounded",
    says: "Queues and memory stay within their limits; coming back costs few reads of the store, and so does all else.",
};

/// Reads of the store that one connection or call may cost: token, user, memberships, the marks of each follow.
const READS_PER_VISIT: u64 = 24;
/// Reads of one command: rows that left memory, keys of old buckets, the log after a refusal.
const READS_PER_COMMAND: u64 = 8;
/// Reads of a start: slot partitions, last activity, and every channel's state once.
const READS_PER_BOOT: u64 = 64 + 400;
/// Reads of a node that takes slots over: last activity, and every channel's state and, later, its tail.
const READS_PER_TAKEOVER: u64 = 400;
/// Reads of a node among others in ten seconds: all partitions of the slot table.
const READS_PER_TEN_SECONDS: u64 = 64;

/// Memory of a whole world, all nodes, disks and clients in it: thirty to fifty MiB, and 300 with a crowd of 10,000 and
/// their logs (measured).
const MEMORY_BYTES_MAX: u64 = 512 << 20;

/// What a world did that costs reads, and the reads.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Connections and calls of the Web API.
    pub visits: u64,
    /// Commands sent, retries included.
    pub commands: u64,
    /// Starts of nodes.
    pub boots: u64,
    /// How often nodes took slots over.
    pub takeovers: u64,
    /// Seconds that nodes among others have run.
    pub seconds_among_others: u64,
    /// Reads of the store.
    pub reads: u64,
}

impl Work {
    /// All of it so far; `among_others`: nodes of cells of several.
    pub fn so_far(world: &World, among_others: usize) -> Self {
        let gauges = world.gauges();
        let writes = ["append", "claim", "retain_log", "retain_views"];
        let writes: u64 = writes.iter().map(|name| gauges.labelled("store_qps", name)).sum();
        Self {
            visits: world.counted("visits"),
            commands: world.counted("commands") + world.counted("point.before append"),
            boots: world.counted("boots"),
            takeovers: gauges.sum("waggle_takeovers_total"),
            seconds_among_others: world.now().as_secs() * among_others as u64,
            reads: gauges.sum("store_qps") - writes,
        }
    }

    /// What has been done since.
    pub fn since(self, before: Self) -> Self {
        Self {
            visits: self.visits - before.visits,
            commands: self.commands - before.commands,
            boots: self.boots - before.boots,
            takeovers: self.takeovers - before.takeovers,
            seconds_among_others: self.seconds_among_others - before.seconds_among_others,
            reads: self.reads - before.reads,
        }
    }
}

/// The longest that queues have been, against their limits.
pub fn queues(gauges: &Gauges, limits: &Config) -> Result<(), Violation> {
    let queues = [
        ("slot", limits.slot_pending_max),
        ("channel", limits.channel_pending_max),
        ("session", limits.posts_in_flight_max),
    ];
    queues.into_iter().try_for_each(|(queue, most)| {
        let peak = gauges.labelled("waggle_queue_peak", queue);
        PROMISE.holds(peak <= most as u64, || format!("{peak} waited at a {queue} that has room for {most}"))
    })
}

/// The most memory that a world has had in use.
pub fn memory(peak_bytes: u64) -> Result<(), Violation> {
    PROMISE.holds(peak_bytes <= MEMORY_BYTES_MAX, || {
        format!("{} MiB of memory were in use, {} are allowed", peak_bytes >> 20, MEMORY_BYTES_MAX >> 20)
    })
}

/// Judges the reads of a day.
pub fn judge(work: Work) -> Result<(), Violation> {
    let Work { visits, commands, boots, takeovers, seconds_among_others, reads } = work;
    let budget = visits * READS_PER_VISIT
        + commands * READS_PER_COMMAND
        + boots * READS_PER_BOOT
        + takeovers * READS_PER_TAKEOVER
        + seconds_among_others * READS_PER_TEN_SECONDS / 10;
    PROMISE
        .holds(reads <= budget, || format!("{reads} reads of the store where {budget} are allowed: {work:?}"))
}

/// Reads of the store by those who asked for what had just been said.
pub fn just_said(reads: u64) -> Result<(), Violation> {
    PROMISE.holds(reads == 0, || format!("{reads} reads of the store for what had just been said"))
}
