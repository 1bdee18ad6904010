//! Company: nodes of one cell that share a store, and gateways that own no slots, while their machines lose power,
//! freeze, run late and are cut off, from all others or from one, while their way to the store is slow, and while they
//! are stopped in order. People write at any node, and listen at any; when theirs dies they go on at another one from
//! their cursors.
//!
//! What was acknowledged is in the log, once, at its place; whoever listens is shown every event once and in order;
//! nobody is refused because an owner died. Who is up but not fit to own channels owns none after a while, and is
//! nobody's home; nobody takes a channel because it alone does not reach the owner, or while it is cut off from most
//! others.

mod copies;
mod ear;
mod town;
mod troubles;

use crate::{
    scenarios::Settings,
    world::{World, machine::Hardware, report::Violation},
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
use town::{ALL, NODES, Town};

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
/// Time in which everybody who listens has everything once all is well.
const LEVEL_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// A wait that the story tells.
const LONG_WAIT: Duration = Duration::from_millis(250);

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
    for number in 0..ALL {
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
    troubles::weather(&world, &town, &book, settings.span_or(HOURS) / 8).await?;
    world.heal_all();
    town.mend();
    book.open().over = true;
    level(&world, &town, &book, &logs).await
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
    Violation::unless(longest <= ANSWERED_WITHIN, "company", || format!("an answer took {longest:?}"))?;
    copies::are_exact(world, town, logs).await
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

/// Which node it is, by its number: gateways have a letter of their own.
fn name(number: usize) -> NodeId {
    let letter = if number < NODES { 'n' } else { 'g' };
    NodeId::parse(&format!("{letter}{number}")).expect("a plain name")
}
