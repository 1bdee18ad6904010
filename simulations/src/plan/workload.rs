//! Workloads: what kinds of people live in a world, by name. A seed draws one of them, and from it who does what.

use crate::plan::Device;

/// A kind of deed, with how often it is done against the others.
pub type Weight = (&'static str, u64);

/// A kind of world.
pub struct Workload {
    /// As `--workload` names it.
    pub name: &'static str,
    /// What it is like.
    pub about: &'static str,
    /// Of a hundred seeds, so many live in it.
    pub share: u64,
    /// People of a workspace, fewest and most.
    pub people: (u64, u64),
    /// Channels of a workspace, fewest and most.
    pub channels: (u64, u64),
    /// Members of its first channel who never connect, fewest and most; see [`CROWD_SMALLER_BY`].
    pub silent_members: (u64, u64),
    /// Mean time between two deeds of a client, ms.
    pub gap_ms: u64,
    /// One person in so many has a second device.
    pub second_device_one_in: u64,
    /// What they do.
    pub deeds: &'static [Weight],
}

/// How people connect, in every world.
pub const DEVICES: &[(Device, u64)] =
    &[(Device::Proto, 5), (Device::Json, 3), (Device::Rtm, 2), (Device::Web, 2)];

/// All workloads.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "office",
        about: "people talk, in threads too, edit, react, read and type; an admin now and then removes somebody",
        share: 30,
        people: (3, 6),
        channels: (2, 4),
        silent_members: (0, 0),
        gap_ms: 620,
        second_device_one_in: 4,
        deeds: &[
            ("post", 50),
            ("burst", 25),
            ("edit", 8),
            ("delete", 4),
            ("react", 10),
            ("unreact", 4),
            ("mark", 10),
            ("typing", 6),
            ("range", 3),
            ("history", 2),
            ("again", 3),
            ("nonsense", 1),
            ("reconnect", 1),
            ("direct", 2),
            ("kick", 1),
            ("invite", 2),
            ("join", 1),
            ("leave", 1),
            ("look", 30),
            ("administer", 2),
            ("pause", 3),
        ],
    },
    Workload {
        name: "commuters",
        about: "everybody has two devices and keeps losing the connection of one of them",
        share: 15,
        people: (2, 4),
        channels: (2, 3),
        silent_members: (0, 0),
        gap_ms: 680,
        second_device_one_in: 1,
        deeds: &[
            ("post", 50),
            ("burst", 25),
            ("reconnect", 12),
            ("mark", 10),
            ("again", 10),
            ("react", 6),
            ("range", 4),
            ("revoke", 1),
            ("look", 20),
            ("pause", 6),
        ],
    },
    Workload {
        name: "editors",
        about: "more is edited, deleted and reacted to than is written",
        share: 15,
        people: (3, 5),
        channels: (2, 3),
        silent_members: (0, 0),
        gap_ms: 590,
        second_device_one_in: 5,
        deeds: &[
            ("post", 30),
            ("burst", 15),
            ("edit", 20),
            ("delete", 10),
            ("react", 20),
            ("unreact", 10),
            ("range", 4),
            ("history", 3),
            ("again", 3),
            ("look", 30),
            ("administer", 1),
        ],
    },
    Workload {
        name: "flood",
        about: "bots write as fast as they are allowed, a few people read",
        share: 12,
        people: (3, 4),
        channels: (2, 2),
        silent_members: (0, 0),
        gap_ms: 1550,
        second_device_one_in: 6,
        deeds: &[
            ("flood", 30),
            ("post", 40),
            ("mark", 10),
            ("reconnect", 2),
            ("again", 4),
            ("nonsense", 4),
            ("look", 30),
        ],
    },
    Workload {
        name: "churn",
        about: "people come and go: joins, leaves, invitations, removals in the middle of a sentence, direct messages",
        share: 18,
        people: (4, 6),
        channels: (2, 4),
        silent_members: (0, 0),
        gap_ms: 590,
        second_device_one_in: 4,
        deeds: &[
            ("post", 40),
            ("burst", 15),
            ("join", 10),
            ("leave", 6),
            ("kick", 8),
            ("invite", 8),
            ("direct", 6),
            ("mark", 6),
            ("react", 4),
            ("reconnect", 3),
            ("look", 20),
            ("administer", 4),
            ("pause", 3),
        ],
    },
    Workload {
        name: "lurkers",
        about: "many read, mark read and unread, and go; hardly anybody writes; channels fall asleep and are woken",
        share: 9,
        people: (5, 8),
        channels: (3, 5),
        silent_members: (0, 0),
        gap_ms: 1550,
        second_device_one_in: 3,
        deeds: &[
            ("post", 25),
            ("burst", 15),
            ("mark", 30),
            ("typing", 15),
            ("range", 10),
            ("history", 8),
            ("reconnect", 8),
            ("look", 30),
            ("administer", 2),
            ("pause", 8),
        ],
    },
    Workload {
        name: "stadium",
        about: "one channel of a hundred to ten thousand members of whom a few are there",
        share: 0,
        people: (4, 6),
        channels: (2, 2),
        silent_members: (100, 10_000),
        gap_ms: 590,
        second_device_one_in: 4,
        deeds: &[("post", 60), ("react", 10), ("mark", 10), ("reconnect", 3), ("kick", 2), ("invite", 4)],
    },
];

/// One seed in so many lives in the stadium, whose making takes long.
pub const STADIUM_ONE_IN: u64 = 500;
/// The first of its crowds is the largest. The others are smaller by this, for ten thousand take as long as a hundred
/// seeds.
pub const CROWD_SMALLER_BY: u64 = 10;

/// The workload of this name.
pub fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}
