//! The two engines agree: random histories of everything that can be written, every answer compared, and every read
//! after every few steps, also across closing and opening.

use super::config;
use super::draft::{Log, STEP_US, conversation, row, slot, user, workspace};
use crate::inline::Inline;
use actors::store::memory::MemoryStore;
use actors::store::{Append, Appended, INLINE_BODY_MAX, MessageRange, Store, ViewWrite};
use cells::storage::RedbStore;
use cluster::claims::{Claim, Claims};
use cluster::host::Entropy;
use proto::v1::{ConversationRow, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, TokenRow, UserRow};
use simulations::world::disk::SimDisk;

const SEEDS: u64 = 24;
const STEPS: usize = 120;
/// After so many steps everything is read and the embedded store opened again.
const COMPARED_EVERY: usize = 30;
const CHANNELS: [(&str, &str); 5] =
    [("T1", "C1"), ("T1", "C2"), ("T2", "C1"), ("T1", "user:U1"), ("T1", "ws:T1")];

struct History {
    entropy: Entropy,
    logs: Vec<Log>,
    /// Times of events of each log, to be aimed at.
    times: Vec<Vec<(u64, u32)>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let logs: Vec<Log> =
            CHANNELS.iter().map(|(workspace, channel)| Log::of(workspace, channel)).collect();
        Self { entropy: Entropy::from_u64(seed), times: vec![Vec::new(); logs.len()], logs }
    }

    fn pick(&self, below: usize) -> usize {
        self.entropy.below(below as u64) as usize
    }

    fn text(&self) -> String {
        let long = self.entropy.chance(1, 6);
        let len = if long { INLINE_BODY_MAX + self.pick(3000) } else { self.pick(40) };
        format!("{}{}", self.entropy.below(1000), "x".repeat(len))
    }

    /// An append that mostly fits, and its log.
    fn append(&mut self) -> (usize, Append) {
        let n = self.pick(self.logs.len());
        let texts: Vec<String> = (0..1 + self.pick(4)).map(|_| self.text()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut log = self.logs[n].clone();
        if log.tail > 0 && self.entropy.chance(1, 8) {
            log.roll();
        }
        if self.entropy.chance(1, 10) {
            match self.pick(4) {
                0 => log.tail = log.tail.saturating_sub(1),
                1 => log.tail += 1,
                2 => log.epoch = self.entropy.below(3),
                _ => log.last_us -= log.last_us.min(3 * STEP_US),
            }
        }
        let mut append = log.posts(&texts);
        self.entropy.fill(&mut append.batch.0[12..]);
        append.slot = slot(7);
        let views: Vec<Vec<ViewWrite>> = (0..self.pick(4)).map(|_| self.view(n, &append)).collect();
        append.views = views.concat();
        (n, append)
    }

    /// Some write that this kind of log may do, at a time that exists or not.
    fn view(&self, n: usize, append: &Append) -> Vec<ViewWrite> {
        let here = append.events.iter().map(|event| (event.us, append.bucket));
        let times: Vec<(u64, u32)> = self.times[n].iter().copied().chain(here).collect();
        let (us, bucket) = times[self.pick(times.len())];
        let parent_us = us - (us / STEP_US % 3) * STEP_US; // a reply never changes its parent
        let seq = self.entropy.below(append.tail + 3);
        let who = user(&format!("U{}", self.pick(4)));
        let channel = conversation(&format!("C{}", self.pick(4)));
        let name = ["tada", "+1", "a\0b"][self.pick(3)].to_owned();
        let event = &append.events[self.pick(append.events.len())];
        let shown = MessageRow { us, ..row(event, bucket) };
        vec![match (self.pick(13), n) {
            (0, 3) => ViewWrite::Joined { channel, row: JoinedRow { seq, ..JoinedRow::default() } },
            (1, 3) => ViewWrite::Mark { channel, row: MarkRow { us, ..MarkRow::default() } },
            (2, 3) => ViewWrite::Token {
                hash: name,
                row: TokenRow { user: who.to_string(), ..TokenRow::default() },
            },
            (0, 4) => ViewWrite::User { user: who, row: UserRow { updated_us: us, ..UserRow::default() } },
            (1, 4) => ViewWrite::Conversation {
                channel,
                row: ConversationRow { created_us: us, ..Default::default() },
            },
            (0..=3, _) => ViewWrite::Message(shown),
            (4, _) => ViewWrite::MessageGone { bucket, us },
            (5, _) => ViewWrite::Reply(MessageRow { thread_us: parent_us, ..shown }),
            (11, _) => ViewWrite::ReplyGone { parent_us, us },
            (6, _) => ViewWrite::Reaction { bucket, us, name, user: who, seq },
            (7, _) => ViewWrite::ReactionGone { bucket, us, name, user: who },
            (8, _) => ViewWrite::ReactionsGone { bucket, us },
            (9, _) => ViewWrite::Member { user: who, row: MemberRow { seq, ..MemberRow::default() } },
            (10, _) => ViewWrite::MemberGone { user: who },
            _ => ViewWrite::Redact { rows: vec![(bucket, seq)] },
        }]
    }

    async fn step(&mut self, memory: &MemoryStore, redb: &RedbStore) {
        let n = self.pick(self.logs.len());
        let (log, before_us) =
            (self.logs[n].id.clone(), self.logs[n].last_us - self.entropy.below(20) * STEP_US);
        match self.pick(20) {
            0 => {
                let keep = self.pick(3);
                assert_eq!(
                    redb.retain_log(&log, before_us, keep).await,
                    memory.retain_log(&log, before_us, keep).await
                );
            }
            1 => assert_eq!(
                redb.retain_views(&log, before_us).await,
                memory.retain_views(&log, before_us).await
            ),
            2 => {
                let from_epoch = self.entropy.below(4);
                let to = SlotRow { epoch: from_epoch + 1 + self.entropy.below(2), ..SlotRow::default() };
                let claims = vec![Claim { slot: slot(self.pick(3) as u16), from_epoch, to }];
                assert_eq!(redb.claim(claims.clone()).await, memory.claim(claims).await);
            }
            _ => {
                let (n, append) = self.append();
                let outcome = memory.append(append.clone()).await;
                assert_eq!(redb.append(append.clone()).await, outcome);
                if outcome == Ok(Appended::Applied) {
                    self.times[n].extend(append.events.iter().map(|event| (event.us, append.bucket)));
                    (self.logs[n].epoch, self.logs[n].batches) = (append.epoch, self.logs[n].batches + 1);
                    self.logs[n].take(&append);
                }
            }
        }
    }

    async fn compare(&self, memory: &MemoryStore, redb: &RedbStore) {
        for (log, times) in self.logs.iter().zip(&self.times) {
            self.compare_log(memory, redb, log, times).await;
        }
        for name in ["T1", "T2"] {
            let (here, who) = (workspace(name), user("U1"));
            let all = usize::MAX;
            assert_eq!(redb.users(&here, None, all).await, memory.users(&here, None, all).await);
            assert_eq!(
                redb.conversations(&here, None, all).await,
                memory.conversations(&here, None, all).await
            );
            assert_eq!(
                redb.joined(&here, &who, None, all).await,
                memory.joined(&here, &who, None, all).await
            );
            assert_eq!(redb.marks(&here, &who).await, memory.marks(&here, &who).await);
        }
        assert_eq!(redb.last_active().await, memory.last_active().await);
        assert_eq!(redb.token("a\0b").await, memory.token("a\0b").await);
        assert_eq!(redb.read(0).await, memory.read(0).await);
    }

    async fn compare_log(&self, memory: &MemoryStore, redb: &RedbStore, log: &Log, times: &[(u64, u32)]) {
        let id = &log.id;
        let (after, limit) = (self.entropy.below(log.tail + 1), 1 + self.pick(50));
        assert_eq!(redb.head(id).await, memory.head(id).await);
        assert_eq!(redb.log(id, after, limit).await, memory.log(id, after, limit).await);
        assert_eq!(redb.log(id, 0, 1000).await, memory.log(id, 0, 1000).await);
        assert_eq!(redb.directory(id, limit).await, memory.directory(id, limit).await);
        assert_eq!(redb.keys(id, log.bucket).await, memory.keys(id, log.bucket).await);
        assert_eq!(redb.members(id, None, 2).await, memory.members(id, None, 2).await);
        for newest_first in [true, false] {
            let range = MessageRange { from_us: 0, to_us: log.last_us, newest_first, limit };
            assert_eq!(redb.messages(id, range).await, memory.messages(id, range).await);
            for (us, _) in times {
                assert_eq!(redb.thread(id, *us, range).await, memory.thread(id, *us, range).await);
            }
        }
        for (us, _) in times {
            assert_eq!(redb.message(id, *us).await, memory.message(id, *us).await);
        }
        assert_eq!(redb.reactions(id, 0, u64::MAX).await, memory.reactions(id, 0, u64::MAX).await);
    }
}

#[test]
fn the_embedded_engine_answers_like_the_one_in_memory_in_random_histories() {
    let mut tails = 0;
    for seed in 0..SEEDS {
        let (machine, disk) = (Inline::new(), SimDisk::new());
        let open = || RedbStore::open(machine.host(), disk.clone(), config()).expect("the store opens");
        let (memory, mut redb) = (MemoryStore::new(), open());
        let mut history = History::new(seed);
        machine.run(async {
            for step in 1..=STEPS {
                history.step(&memory, &redb).await;
                if step.is_multiple_of(COMPARED_EVERY) {
                    redb.close().await;
                    redb = open();
                    history.compare(&memory, &redb).await;
                }
            }
        });
        tails += history.logs.iter().map(|log| log.tail).sum::<u64>();
    }
    assert!(tails > SEEDS * STEPS as u64, "{tails} events are too few to mean anything");
}
