//! Company: nodes of one cell that share a store, while their machines lose power, freeze, run late and are cut off,
//! from all others or from one, and while they are stopped in order. People write at any node, and listen at any; when
//! theirs dies they go on at another one from their cursors.
//!
//! What was acknowledged is in the log, once, at its place; whoever listens is shown every event once and in order;
//! nobody is refused because an owner died. Who is up but not fit to own channels owns none after a while, and nobody
//! takes a channel because it alone does not reach the owner, or while it is cut off from most others.

mod ear;
mod town;

use crate::{
    scenarios::Settings,
    world::{
        World,
        clock::Skew,
        machine::{Crash, Hardware},
        report::Violation,
    },
};
use actors::{
    command::{Command, Verb},
    context::Context,
    router::Router,
    store::LogId,
};
use cluster::{host::Entropy, node::NodeId};
use proto::v1::{Content, Event, event::Body};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use town::{NODES, Town};

/// How long it lasts unless told otherwise.
const HOURS: f64 = 0.05;
/// People who write, and as many who listen.
const PEOPLE: usize = 4;
/// A writer rests at most this long between posts.
const REST_MS: u64 = 400;
/// A writer whose node has died notices within this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever posts at a node that is well has an answer within this long, whatever happens to owners.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Whoever posts where nothing was done waits no longer for the slots of an owner that was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(3);
/// Time in which everybody who listens has everything once all is well.
const LEVEL_WITHIN: Duration = Duration::from_secs(60);
/// Links come up again within this long after a cut.
const LINKS_AGAIN: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(100);
/// How often the rows of the slots are looked at: who has taken some keeps them.
const GLANCE: Duration = Duration::from_millis(500);
/// A wait that the story tells.
const LONG_WAIT: Duration = Duration::from_millis(250);
/// A node that runs late stops for so long, again and again: its links stay up.
const LATE_BY: Duration = Duration::from_millis(300);
const LATE_EVERY: Duration = Duration::from_millis(340);
/// A node that is not fit owns nothing after this long.
const YIELDS_WITHIN: Duration = Duration::from_secs(25);
/// After a cut all nodes have noticed within this long, and until then nobody yields.
const NOTICED_WITHIN: Duration = Duration::from_millis(700);
const YIELDS_AFTER: Duration = Duration::from_millis(4500);
/// One that is cut off from the other nodes, and not from the store, has lost its slots after this long.
const LOST_WITHIN: Duration = Duration::from_secs(12);
/// How far a wrong clock is off.
const CLOCK_OFF_US: i64 = 600_000_000;
/// Steps in which the longest wait after each trouble is counted.
const WAITS_MS: [u64; 8] = [50, 100, 250, 500, 1000, 1500, 2000, 3000];

/// What writers were told and listeners shown.
#[derive(Default)]
struct Ledger {
    /// Log and seq of each text that was acknowledged.
    acked: BTreeMap<String, (LogId, u64)>,
    /// Texts by listener and log, by seq.
    shown: BTreeMap<(usize, LogId), BTreeMap<u64, String>>,
    /// Longest wait for an answer, at gateways to which nothing was done: of all, and since the last trouble.
    longest: Duration,
    longest_lately: Duration,
    over: bool,
    writing: usize,
}

/// Shared by all people.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Ledger>>);

impl Book {
    fn open(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_of(event: &Event) -> String {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.clone().unwrap_or_default().text,
        _ => String::new(),
    }
}

/// Runs it for the given time.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let (town, book) = (Arc::new(Town::new(&world)), Book::default());
    let people = world.boot(world.machine("people", Hardware::default()));
    for number in 0..NODES {
        let town = town.clone();
        people.spawn("boots", async move { town.keep_up(number).await });
    }
    let logs = town.found(PEOPLE).await;
    for person in 0..PEOPLE {
        let (town, book, logs) = (town.clone(), book.clone(), logs.clone());
        book.open().writing += 1;
        let chance = world.entropy(&format!("writer/{person}"));
        let (writes_in, notes) = (town.clone(), book.clone());
        people.spawn("writes", async move { write(&writes_in, &notes, &logs, person, chance).await });
        people.spawn("listens", async move { ear::listen(&town, &book, person).await });
    }
    weather(&world, &town, &book, settings.span_or(HOURS) / 8).await?;
    world.heal_all();
    town.mend();
    book.open().over = true;
    level(&world, &town, &book, &logs).await
}

/// Eight troubles, each followed by a rest.
async fn weather(world: &World, town: &Town, book: &Book, part: Duration) -> Result<(), Violation> {
    let chance = world.entropy("company");
    let half_ms = u64::try_from((part / 2).as_millis()).unwrap_or(u64::MAX).max(1);
    for _ in 0..8 {
        // One at a time: of three, two that are left are a majority.
        while !town.all_run() {
            world.sleep(LOOK).await;
        }
        world.sleep(part / 2).await;
        let node = chance.below(NODES as u64) as usize;
        let machine = town.machine(node);
        town.trouble(Some(node));
        book.open().longest_lately = Duration::ZERO;
        let kind = chance.below(10);
        match kind {
            9 => cut_from_nodes(world, town, node).await?,
            8 => one_after_another(world, town, node).await,
            7 => wrong_clock(world, town, node, &chance).await?,
            5 => cut_one(world, town, node, &chance).await?,
            6 => run_late(world, town, node).await?,
            4 => town.leave(node).await,
            0 => world.crash(machine, Crash::Process),
            1 => world.crash(machine, Crash::Power),
            2 => world.pause(machine, Duration::from_millis(10 + chance.below(half_ms))),
            _ => {
                town.machines()
                    .filter(|other| *other != machine)
                    .for_each(|other| world.part(other, machine));
            }
        }
        world.sleep(part / 4).await;
        town.look(&chance).await?;
        world.sleep(part / 4).await;
        let waited = u64::try_from(book.open().longest_lately.as_millis()).unwrap_or(u64::MAX);
        let upto = WAITS_MS.into_iter().find(|upto| waited <= *upto).unwrap_or(u64::MAX);
        match kind {
            0 | 1 | 8 => {
                world.count(&format!("company.waited_for_killed_ms.{upto:05}"), 1);
                let within = u128::from(waited) <= KILLED_WITHIN.as_millis();
                Violation::unless(within, "company", || {
                    format!("a post waited {waited} ms for a dead owner")
                })?;
            }
            4 => world.count(&format!("company.waited_for_stopped_ms.{upto:05}"), 1),
            _ => {}
        }
        world.heal_all();
        world.sleep(LINKS_AGAIN).await;
        town.trouble(None);
    }
    Ok(())
}

/// A node dies; when it is back the next one does, whose slots are for one that has just started.
async fn one_after_another(world: &World, town: &Town, node: usize) {
    world.crash(town.machine(node), Crash::Process);
    world.sleep(LOOK).await;
    while !town.all_run() {
        world.sleep(LOOK).await;
    }
    let next = (node + 1) % NODES;
    town.trouble(Some(next));
    world.crash(town.machine(next), Crash::Process);
}

/// Two nodes do not reach each other, and all others reach both: the later one by name yields. Where no datagram
/// reaches that one either, whoever has no link to it takes it for gone.
async fn cut_one(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let other = (node + 1) % NODES;
    world.part(town.machine(node), town.machine(other));
    let yields = node.max(other);
    if chance.chance(1, 2) {
        world.deafen(town.machine(yields));
    }
    town.trouble(Some(yields));
    world.sleep(NOTICED_WITHIN).await;
    let (pair, cut_at) = ([node, other], world.now());
    let mut before = town.rows(pair).await;
    while world.now() < cut_at + YIELDS_AFTER - NOTICED_WITHIN {
        world.sleep(GLANCE).await;
        let now = town.rows(pair).await;
        Violation::unless(before.iter().zip(now).all(|(before, now)| *before <= now), "company", || {
            format!("n{node} and n{other}, which others reach, owned {before:?} slots and own {now:?}")
        })?;
        before = now;
    }
    world.sleep(YIELDS_WITHIN - YIELDS_AFTER).await;
    world.count("company.yielded", 1);
    town.owns_nothing(yields)
}

/// A node reaches none of the others, and the store: they take its slots, and it takes none of theirs.
async fn cut_from_nodes(world: &World, town: &Town, node: usize) -> Result<(), Violation> {
    let others = [(node + 1) % NODES, (node + 2) % NODES];
    others.iter().for_each(|other| world.part(town.machine(*other), town.machine(node)));
    let cut_at = world.now();
    world.sleep(NOTICED_WITHIN).await;
    let mut theirs: usize = town.rows(others).await.iter().sum();
    while world.now() < cut_at + YIELDS_WITHIN {
        world.sleep(GLANCE).await;
        let [owned, one, other] = town.rows([node, others[0], others[1]]).await;
        let may_own = world.now() < cut_at + LOST_WITHIN;
        Violation::unless(owned == 0 || may_own, "company", || {
            format!("n{node}, alone, owns {owned} slots")
        })?;
        Violation::unless(one + other >= theirs, "company", || {
            format!("n{node}, alone, took slots of the others: they owned {theirs} and own {}", one + other)
        })?;
        theirs = one + other;
    }
    world.count("company.alone", 1);
    town.owns_nothing(node)
}

/// A node runs, and its loop is late all the time.
async fn run_late(world: &World, town: &Town, node: usize) -> Result<(), Violation> {
    let until = world.now() + YIELDS_WITHIN;
    while world.now() < until {
        world.pause(town.machine(node), LATE_BY);
        world.sleep(LATE_EVERY).await;
    }
    world.count("company.yielded", 1);
    town.owns_nothing(node)
}

/// The clock of a node is ten minutes off for a while: nothing comes of it but a word to operators.
async fn wrong_clock(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let offset_us = if chance.chance(1, 2) { CLOCK_OFF_US } else { -CLOCK_OFF_US };
    let clock = |offset_us| world.set_skew(town.machine(node), Skew { offset_us, ..Skew::default() });
    clock(offset_us);
    world.sleep(LINKS_AGAIN).await;
    let told = town.tells_of_clock(node, chance).await;
    clock(0);
    told
}

/// Posts again and again, each time at any node that runs.
async fn write(town: &Town, book: &Book, logs: &[LogId], person: usize, chance: Entropy) {
    for number in 0.. {
        if book.open().over {
            break;
        }
        town.world.sleep(Duration::from_millis(chance.below(REST_MS))).await;
        let log = &logs[chance.below(logs.len() as u64) as usize];
        let text = format!("{person}-{number}");
        let Posted { seq, us, waited, is_calm } = post(town, log, person, &text, &chance).await;
        town.acked(log, us);
        let mut ledger = book.open();
        if is_calm {
            ledger.longest = ledger.longest.max(waited);
            ledger.longest_lately = ledger.longest_lately.max(waited);
            if waited >= LONG_WAIT {
                town.world.tell(|| format!("{text} waited {waited:?} for its place in {:?}", log.channel));
            }
        }
        ledger.acked.insert(text, (log.clone(), seq));
        drop(ledger);
        town.world.count("acked", 1);
    }
    book.open().writing -= 1;
}

/// A post that was acknowledged.
struct Posted {
    seq: u64,
    us: u64,
    /// Since a gateway was found.
    waited: Duration,
    /// Nothing was done to the gateways that were asked.
    is_calm: bool,
}

/// Posts under one key until it is acknowledged.
async fn post(town: &Town, log: &LogId, person: usize, text: &str, chance: &Entropy) -> Posted {
    let content = Content { text: text.to_owned(), ..Content::default() };
    let verb = Verb::Post { content, thread_us: 0, reply_broadcast: false, client_msg_id: String::new() };
    let mut command = Command::by(&town::user(person), verb).keyed(format!("key-{text}"));
    let (mut is_calm, mut began) = (true, None);
    loop {
        let (number, life, context) = town.anyone(chance).await;
        let began = *began.get_or_insert_with(|| town.world.now());
        is_calm &= !town.is_troubled(number);
        let done = context.execute(log.clone(), command.clone());
        let done = town.with_patience(life, PATIENCE, done).await;
        is_calm &= !town.is_troubled(number);
        match done {
            Some(Ok(done)) => {
                return Posted { seq: done.seq, us: done.us, waited: town.world.now() - began, is_calm };
            }
            Some(Err(refusal)) => {
                town.world.count_refusal(refusal.code());
                // Only a gateway that reaches neither owner nor store may say so.
                let who =
                    if town.is_troubled(number) { "company.refused" } else { "company.refused_in_calm" };
                town.world.count(who, 1);
                town.world.tell(|| format!("{text} was refused at n{number}: {refusal}"));
            }
            // Its node has died, or was frozen for long: what became of it is not known.
            None => town.world.count("company.gateway_lost", 1),
        }
        command.attempt += 1;
        town.world.sleep(LOOK).await;
    }
}

/// In the end everything that was acknowledged is in the log, and everybody has been shown it.
async fn level(world: &World, town: &Town, book: &Book, logs: &[LogId]) -> Result<(), Violation> {
    let until = world.now() + LEVEL_WITHIN;
    loop {
        let verdict = judge(town, book, logs).await;
        match verdict {
            Err(_) if world.now() < until => world.sleep(LOOK).await,
            Ok(()) => break,
            verdict => return verdict,
        }
    }
    let longest = book.open().longest;
    world.count("company.longest_ms", u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
    let refused = world.counted("company.refused_in_calm");
    Violation::unless(refused == 0, "company", || {
        format!("{refused} posts were refused at nodes that were well")
    })?;
    let (left, clean) = (world.counted("company.left"), world.counted("company.left_with_nothing"));
    Violation::unless(left == clean, "company", || {
        format!("{} of {left} nodes that were stopped kept slots, or did not end in time", left - clean)
    })?;
    Violation::unless(longest <= ANSWERED_WITHIN, "company", || format!("an answer took {longest:?}"))
}

async fn judge(town: &Town, book: &Book, logs: &[LogId]) -> Result<(), Violation> {
    let broken = |detail: String| Violation::new("company", detail);
    if book.open().writing > 0 {
        return Err(broken("somebody still waits for an answer".to_owned()));
    }
    for log in logs {
        let events = town.everything(log).await;
        let kept: BTreeMap<u64, String> = events.iter().map(|event| (event.seq, text_of(event))).collect();
        let ledger = book.open();
        let texts: Vec<&String> = kept.values().filter(|text| !text.is_empty()).collect();
        let once: BTreeSet<&String> = texts.iter().copied().collect();
        Violation::unless(texts.len() == once.len(), "company", || format!("a text is in {log:?} twice"))?;
        for (text, (of, seq)) in ledger.acked.iter().filter(|(_, (of, _))| of == log) {
            let is_there = kept.get(seq) == Some(text);
            Violation::unless(is_there, "company", || format!("{text:?} is not at {seq} of {of:?}"))?;
        }
        for person in 0..PEOPLE {
            let shown = ledger.shown.get(&(person, log.clone()));
            let last = shown.and_then(|shown| shown.keys().next_back().copied()).unwrap_or_default();
            let tail = kept.keys().next_back().copied().unwrap_or_default();
            if last != tail {
                return Err(broken(format!("listener {person} has {log:?} to {last} of {tail}")));
            }
            let other = shown.into_iter().flatten().find(|(seq, text)| kept.get(*seq) != Some(*text));
            Violation::unless(other.is_none(), "company", || format!("{person} was shown {other:?}"))?;
        }
    }
    Ok(())
}

/// The slot of a log is owned by somebody, as far as a node knows.
fn is_owned(context: &Context, log: &LogId) -> bool {
    context.router.table().now().owner(Router::slot(log)).is_some()
}

/// Which node it is, by its number.
fn name(number: usize) -> NodeId {
    NodeId::parse(&format!("n{number}")).expect("a plain name")
}
