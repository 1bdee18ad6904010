//! Planted bugs: what a simulator has to find, one at a time.
//!
//! They are compiled under `--cfg planted` only and chosen when a process runs. Without the cfg,
//! [`planted!`](crate::planted!) is `false` and no bug's name is in the build.

use std::sync::atomic::{AtomicU8, Ordering};

/// The chosen bug's number; 0 for none.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

macro_rules! bugs {
    ($($(#[doc = $about:literal])+ $bug:ident: $name:literal breaks $breaks:literal,)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[doc = $about])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$bug),+];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Bug::$bug => $name,)+ }
            }
            /// What the code now does wrong.
            pub fn about(self) -> &'static str {
                match self { $(Bug::$bug => concat!($($about),+).trim_start(),)+ }
            }
            /// The rule, invariant or promise that it breaks.
            pub fn breaks(self) -> &'static str {
                match self { $(Bug::$bug => $breaks,)+ }
            }
        }
    };
}

bugs! {
    /// The store gives a slot to whoever claims it, whatever its row says.
    ClaimUnconditional: "claim-unconditional" breaks "F1",
    /// A node that starts again leaves the slots of its own earlier life to that life.
    OwnSlotsNotTaken: "own-slots-not-taken" breaks "F1",

    /// A node takes the slots of one that it alone takes for gone.
    OneObserver: "one-observer" breaks "F1",
    /// Nodes that are no majority take the slots of those that they do not reach.
    MinorityTakes: "minority-takes" breaks "F1",
    /// A node takes slots from an owner that is up.
    SlotsOfTheLivingTaken: "slots-of-the-living-taken" breaks "F1",

    /// A node hands over slots that are another's.
    OthersSlotsMoved: "others-slots-moved" breaks "F2",
    /// Slots are given away at every look, whether they have just come or not.
    SlotsNeverRest: "slots-never-rest" breaks "F2",
    /// A node that reads that another life has its slots takes them back.
    ClaimsBack: "claims-back" breaks "F2",

    /// A command is acknowledged when it is staged, before its batch is in the store.
    AckBeforeCommit: "ack-before-commit" breaks "F3",
    /// An event is delivered when it is staged, before its batch is in the store.
    DeliverBeforeCommit: "deliver-before-commit" breaks "F3, I3",
    /// A retry that comes while the first try is under way is acknowledged at once.
    RetryAckedEarly: "retry-acked-early" breaks "F3",

    /// The store takes an append that does not continue the tail, and overwrites the rows that are there.
    TailUnchecked: "tail-unchecked" breaks "F4",
    /// A batch that was refused because of another's rows is acknowledged.
    RefusalTakenForSuccess: "refusal-taken-for-success" breaks "F4, I2",

    /// An append whose outcome is not known is answered as not applied.
    UnknownIsRefused: "unknown-is-refused" breaks "F5",
    /// An append whose outcome is not known is taken for applied.
    UnknownIsApplied: "unknown-is-applied" breaks "F5, I2",
    /// A command whose answer got lost is sent again under a fresh key.
    FreshKeyOnResend: "fresh-key-on-resend" breaks "F5, I6",
    /// The engine calls a commit that failed not applied, without looking at what is on the disk.
    FailedCommitNotSettled: "failed-commit-not-settled" breaks "F5",
    /// After a lost answer, a refusal of the next try is passed on as if the first had done nothing.
    RefusalHidesFirstTry: "refusal-hides-first-try" breaks "F5",

    /// A claim counts as confirmed for good, and whoever was replaced stays.
    StaleReadGrant: "stale-read-grant" breaks "F6",

    /// A reaction is acknowledged and passed on like typing: it has no place in the log.
    ReactionLikeTyping: "reaction-like-typing" breaks "F7, I2",

    /// The text of a message is cut to what a log row holds itself, and nobody is told.
    LongTextCut: "long-text-cut" breaks "I2",

    /// An edit also rewrites the posted event in the memory of recent events.
    EditRewritesRecent: "edit-rewrites-recent" breaks "I1",

    /// A replay from the store begins one event too late.
    StoreReplaySkipsFirst: "store-replay-skips-first" breaks "I4",
    /// A replay from memory is given though the first missing event is one older than memory.
    RecentOffByOne: "recent-off-by-one" breaks "I4",
    /// A live event is sent while older ones are still being read.
    LiveOvertakesReplay: "live-overtakes-replay" breaks "I4",
    /// A relay drops the events that it held for a gap once the gap is closed.
    HeldEventsDropped: "held-events-dropped" breaks "I4",
    /// A relay repairs one gap of a log and no further one.
    RepairedOnce: "repaired-once" breaks "I4",

    /// An owner writes its first batch in its own epoch and the next ones in the one before, and the store lets it.
    EpochFalls: "epoch-falls" breaks "I5",
    /// A log that is loaded again takes its times from the clock alone, and the store lets it.
    TimeGoesBack: "time-goes-back" breaks "times",

    /// The newest bucket's keys are not loaded when a channel wakes.
    KeysNotLoaded: "keys-not-loaded" breaks "F4b, I6",
    /// When a bucket is full, its keys are forgotten at once.
    PreviousKeysDropped: "previous-keys-dropped" breaks "I6",
    /// A known key with another body is answered as a retry.
    OtherBodyIsRetry: "other-body-is-retry" breaks "I6",

    /// After a refused append the log is loaded again, but the memory of recent events is kept.
    RecentKeptOnReload: "recent-kept-on-reload" breaks "I7",
    /// A shard does not note how far a followed log has come: who follows later is told an old tail.
    StaleTailOfShard: "stale-tail-of-shard" breaks "I7",

    /// A session keeps following a conversation that its user has left.
    LeftStillFollows: "left-still-follows" breaks "I8",
    /// A joined conversation is followed from the event before the join.
    JoinFollowedEarly: "join-followed-early" breaks "I8",
    /// A client's cursor may lie before its user joined.
    CursorBeforeJoin: "cursor-before-join" breaks "I8",
    /// Somebody who was removed from a conversation may still post there.
    KickedMayPost: "kicked-may-post" breaks "I8",

    /// A relay does not unsubscribe when the last local listener leaves.
    NeverUnsubscribes: "never-unsubscribes" breaks "I9",
    /// A gateway that subscribes twice gets two copies, and does so when two shards ask at once.
    TwoCopies: "two-copies" breaks "I9",

    /// An edit does not reach the message's row in the view.
    EditNotShown: "edit-not-shown" breaks "I10",
    /// The reactions of a deleted message stay in the view.
    ReactionsOutlive: "reactions-outlive" breaks "I10",
    /// A deleted reply is still counted by its parent.
    ReplyCountKept: "reply-count-kept" breaks "I10",

    /// A reply that is also shown in the channel is not counted as unread.
    BroadcastNotCounted: "broadcast-not-counted" breaks "unread",

    /// The body of a deleted message stays in the log.
    BodyStaysInLog: "body-stays-in-log" breaks "deletion, I1",
    /// The body of a deleted message stays in the memory of recent events.
    BodyStaysInRecent: "body-stays-in-recent" breaks "deletion, I1",
    /// The bodies of a deleted message's edits stay in the log.
    EditedBodyStays: "edited-body-stays" breaks "deletion",

    /// The store's keys of a log leave the workspace out: equal channel ids share one log.
    KeyWithoutWorkspace: "key-without-workspace" breaks "tenants",
    /// A shard looks listeners of typing up by the channel alone.
    TypingCrossesTenants: "typing-crosses-tenants" breaks "tenants",

    /// The gate in front of a channel has no bound.
    GateWithoutBound: "gate-without-bound" breaks "limits",
    /// A session may have any number of commands under way.
    PostsUnbounded: "posts-unbounded" breaks "limits",
    /// A place in a session's mailbox is never given back.
    PlaceLeak: "place-leak" breaks "limits",

    /// The engine commits without making the commit durable.
    LazyCommit: "lazy-commit" breaks "durability, I2",
    /// The disk's sync does nothing.
    SkippedSync: "skipped-sync" breaks "durability, I2",
    /// A row whose checksum is wrong is served if it can be decoded.
    RotServed: "rot-served" breaks "damage, I1",

    /// An append says that the follow-ups of its own events are done.
    FollowedTooSoon: "followed-too-soon" breaks "follow-ups",
    /// A follow-up that is refused for now is not tried again.
    FollowUpGivesUp: "follow-up-gives-up" breaks "follow-ups",

    /// No gateway is told the tails that moved.
    NoTailBeacon: "no-tail-beacon" breaks "liveness",
    /// Commands that need a second row are parked for good.
    ParkedForGood: "parked-for-good" breaks "liveness",
    /// A channel does not hear that a task which it started has failed.
    PromiseBroken: "promise-broken" breaks "liveness",
    /// A session does not hear that its command got lost, and never sends it again.
    LostNotTold: "lost-not-told" breaks "liveness",
    /// A gateway does not listen again when the link to an owner is up again.
    NotRenewedOnLink: "not-renewed-on-link" breaks "liveness",
    /// A gateway does not listen again at the next owner of a slot.
    NotRenewedOnMove: "not-renewed-on-move" breaks "liveness",
    /// Who takes slots over does not look at the channels that were written to last.
    ActiveNotLookedAt: "active-not-looked-at" breaks "follow-ups",
    /// A command that may have been done at another node is sent again under a fresh key.
    ForwardedAnew: "forwarded-anew" breaks "F5, I6",
    /// A command whose answer from another node got lost is answered as not done.
    LostIsRefused: "lost-is-refused" breaks "F5",
    /// A write that could not be sent to another node's store is taken for written.
    UnsentIsApplied: "unsent-is-applied" breaks "F5, I2",
    /// A write whose answer from another node's store got lost is taken for not written.
    LostWriteIsRefused: "lost-write-is-refused" breaks "F5",
    /// What a node hears of a slot replaces what it knows, however old it is.
    OlderNewsWins: "older-news-wins" breaks "routing",
    /// Who has taken slots tells nobody, and nobody reads the rows again.
    NewsOfSlotsKept: "news-of-slots-kept" breaks "routing",
    /// Events that another node asks for are sent without the first one.
    PeerReplaySkipsFirst: "peer-replay-skips-first" breaks "I4",
    /// A channel that failed is not started again before somebody asks for it.
    NoEagerRestart: "no-eager-restart" breaks "liveness",

    /// A live session goes on after its token was revoked.
    RevokedStaysOpen: "revoked-stays-open" breaks "tokens",
    /// A revoked token still logs in.
    RevokedLogsIn: "revoked-logs-in" breaks "tokens",

    /// Every replay reads the store, also of events that are in memory.
    RecentNotAsked: "recent-not-asked" breaks "reads",

    /// A session that ends does not tell its shard, and the shard does not look.
    EndNotTold: "end-not-told" breaks "leak",
    /// A shard keeps a closed session in the lists of the logs that it followed.
    ListenersLeak: "listeners-leak" breaks "leak, I9",
}

impl Bug {
    /// Whether it shows only where links of a cell are cut for a while, and the rows are looked at meanwhile.
    pub fn is_of_cut_links(self) -> bool {
        matches!(self, Bug::OneObserver | Bug::MinorityTakes)
    }

    /// Whether it shows only where several nodes share the slots.
    pub fn is_of_cells(self) -> bool {
        const OF_CELLS: [Bug; 12] = [
            Bug::ActiveNotLookedAt,
            Bug::ClaimUnconditional,
            Bug::ForwardedAnew,
            Bug::LostIsRefused,
            Bug::LostWriteIsRefused,
            Bug::NewsOfSlotsKept,
            Bug::NotRenewedOnLink,
            Bug::NotRenewedOnMove,
            Bug::OlderNewsWins,
            Bug::PeerReplaySkipsFirst,
            Bug::SlotsNeverRest,
            Bug::UnsentIsApplied,
        ];
        OF_CELLS.contains(&self)
    }
}

/// Chooses the bug of this process, or none.
pub fn choose(bug: Option<Bug>) {
    CHOSEN.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
}

/// Whether this bug is chosen.
pub fn is(bug: Bug) -> bool {
    CHOSEN.load(Ordering::Relaxed) == bug as u8 + 1
}
