//! The load: 32 native senders with keys, each in two of eight channels, and two readers of everything.

use super::book::{Acked, Book, What};
use crate::native::stage::{Person, Stage, connected};
use anyhow::{Result, ensure};
use cluster::host::Entropy;
use futures::future::{join_all, try_join_all};
use proto::frame::WireForm;
use proto::v1::client_frame::Frame as Command;
use proto::v1::server_frame::Frame as Answer;
use proto::v1::{self, Ack};
use std::sync::Arc;
use tests::client::{Client, ClientError, Keys, Options};
use tests::harness::step;
use tokio::task::JoinSet;

pub(super) const SENDERS: usize = 32;
const CHANNELS: usize = 8;
/// Commands that one sender has on their way.
pub(super) const LANES: usize = 2;
/// First delay before connecting again, in ms.
const BACKOFF_MS: u64 = 10;
/// Characters of a long text: its body is kept apart from its row.
const LONG_CHARS: usize = 6000;

/// Everybody.
pub(super) struct Crowd {
    pub(super) channels: Vec<String>,
    /// A person who is in every channel from its beginning and has not read anything yet.
    pub(super) auditor: Person,
    pub(super) readers: Vec<Client>,
    senders: Vec<Client>,
    lanes: JoinSet<()>,
}

impl Crowd {
    /// Makes channels and people, connects them and starts to send.
    pub(super) async fn gather(stage: &Stage, book: Arc<Book>, chance: &Entropy) -> Result<Self> {
        let auditor = stage.person("auditor").await?;
        let mut channels = Vec::new();
        for n in 0..CHANNELS {
            channels.push(stage.channel(&format!("channel{n}"), &[&auditor]).await?);
        }
        let mut readers = Vec::new();
        for (name, form) in [("reader1", WireForm::Proto), ("reader2", WireForm::Json)] {
            let person = stage.person(name).await?;
            let options =
                Options { form, name: name.into(), backoff_base_ms: BACKOFF_MS, ..stage.options(&person) };
            let client = connected(options).await?;
            let mut keys = Keys::default();
            let joins = channels.iter().map(|channel| (channel, keys.make()));
            let joins = joins.map(async |(channel, key)| client.join(channel, &key).await);
            step("a reader to join", try_join_all(joins.collect::<Vec<_>>())).await??;
            readers.push(client);
        }
        let mut crowd = Self { channels, auditor, readers, senders: Vec::new(), lanes: JoinSet::new() };
        for n in 0..SENDERS {
            crowd.add(stage, n, &book, chance).await?;
        }
        Ok(crowd)
    }

    async fn add(&mut self, stage: &Stage, n: usize, book: &Arc<Book>, chance: &Entropy) -> Result<()> {
        let name = format!("sender{n}");
        let person = stage.person(&name).await?;
        let form = if n % 4 == 3 { WireForm::Json } else { WireForm::Proto };
        let backoff_base_ms = BACKOFF_MS;
        let options = Options { form, name, backoff_base_ms, keep_events: false, ..stage.options(&person) };
        let client = connected(options).await?;
        let channels = [n % CHANNELS, (n + 1 + n / CHANNELS) % CHANNELS].map(|n| self.channels[n].clone());
        for channel in &channels {
            step("a sender to join", client.join(channel, &Keys::default().make())).await??;
        }
        for lane in 0..LANES {
            let number = n * LANES + lane;
            let lane = Lane {
                number,
                client: client.clone(),
                sender: person.id.clone(),
                channels: channels.clone(),
                book: book.clone(),
                chance: chance.fork(&format!("lane {number}")),
                keys: Keys::default(),
                made: 0,
                own: [const { Vec::new() }; 2],
                threads: [0; 2],
            };
            spawn(&mut self.lanes, lane.run());
        }
        self.senders.push(client);
        Ok(())
    }

    /// Commands that were sent and wait for their answer now.
    pub(super) fn in_flight(&self) -> usize {
        self.senders.iter().map(Client::in_flight).sum()
    }

    /// Lets everybody finish what they began.
    pub(super) async fn finish(&mut self, book: &Book) -> Result<()> {
        book.close();
        let all = async { while self.lanes.join_next().await.is_some() {} };
        step("the last acks", all).await?;
        ensure!(book.failure().is_none(), "{:?}", book.failure());
        let unanswered: usize = self.senders.iter().map(Client::unanswered).sum();
        ensure!(unanswered == 0, "{unanswered} commands have no answer");
        Ok(())
    }
    /// Waits until every client has applied its channels up to their tails.
    pub(super) async fn level(&self, tails: &[(String, u64)]) -> Result<()> {
        let clients = self.senders.iter().chain(&self.readers);
        let level = clients.flat_map(|client| {
            let followed = client.cursors();
            let followed = tails.iter().filter(move |(channel, _)| followed.contains_key(channel));
            followed.map(move |(channel, tail)| client.applied(channel, *tail))
        });
        let level = join_all(level.collect::<Vec<_>>());
        step("all clients to come level", level).await?.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(())
    }
}

#[allow(clippy::disallowed_methods, reason = "clients stand outside of the product: they have no Host")]
pub(super) fn spawn(set: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
    set.spawn(task);
}

/// A message of one's own that can still be changed.
struct Own {
    us: u64,
    reactions: u32,
}

/// One command after the other.
struct Lane {
    number: usize,
    client: Client,
    sender: String,
    channels: [String; 2],
    book: Arc<Book>,
    chance: Entropy,
    keys: Keys,
    made: u64,
    /// By channel.
    own: [Vec<Own>; 2],
    /// The message to whose thread this lane replies, by channel; 0: none.
    threads: [u64; 2],
}

impl Lane {
    async fn run(mut self) {
        while !self.book.is_over() {
            let at = usize::from(self.chance.below(2) == 1);
            let what = self.choose(at);
            let key = self.keys.make();
            let channel = self.channels[at].clone();
            match self.book.timed(self.ask(&channel, &what, &key)).await {
                Ok(ack) if ack.channel == channel && ack.seq > 0 => {
                    self.learn(at, &what, &ack);
                    let (lane, sender) = (self.number, self.sender.clone());
                    let (seq, us) = (ack.seq, ack.us);
                    self.book.acked(Acked { lane, sender, channel, key, what, seq, us }, &ack);
                }
                other => return self.book.failed(format!("{what:?} under {key} was answered {other:?}")),
            }
        }
    }

    async fn ask(&self, channel: &str, what: &What, key: &str) -> Result<Ack, ClientError> {
        let client = &self.client;
        match what {
            What::Post { text, thread_us, broadcast } => {
                let post = v1::Post {
                    channel: channel.to_owned(),
                    key: key.to_owned(),
                    content: Some(v1::Content { text: text.clone(), ..v1::Content::default() }),
                    thread_us: *thread_us,
                    reply_broadcast: *broadcast,
                };
                match client.call(Command::Post(post)).await? {
                    Answer::Ack(ack) => Ok(ack),
                    other => Err(ClientError::Unexpected(Box::new(other))),
                }
            }
            What::Edit { target_us, text } => client.edit(channel, *target_us, text, key).await,
            What::Delete { target_us } => client.delete(channel, *target_us, key).await,
            What::React { target_us, name } => client.react(channel, *target_us, name, key).await,
            What::Unreact { target_us, name } => client.unreact(channel, *target_us, name, key).await,
        }
    }

    /// What to do next: mostly posts, and some of everything that changes them.
    fn choose(&mut self, at: usize) -> What {
        self.made += 1;
        let mut text = format!("lane {} message {}", self.number, self.made);
        let dice = self.chance.below(1000);
        if dice.is_multiple_of(50) {
            text.push_str(&".".repeat(LONG_CHARS));
        }
        let last = self.own[at].last();
        match (dice, last) {
            (650..760, _) if self.threads[at] != 0 => {
                What::Post { text, thread_us: self.threads[at], broadcast: dice.is_multiple_of(4) }
            }
            (760..820, Some(own)) => What::Edit { target_us: own.us, text },
            (820..900, Some(own)) => What::React { target_us: own.us, name: self.emoji(own.reactions) },
            (900..930, Some(own)) if own.reactions > 0 => {
                What::Unreact { target_us: own.us, name: self.emoji(own.reactions - 1) }
            }
            (930..990, Some(own)) => What::Delete { target_us: own.us },
            (990..992, _) if self.threads[at] != 0 => What::Delete { target_us: self.threads[at] },
            _ => What::Post { text, thread_us: 0, broadcast: false },
        }
    }
    /// One of a lane's own names, so that nobody reacts twice with one.
    fn emoji(&self, n: u32) -> String {
        format!("lane{}_{n}", self.number % LANES)
    }

    /// What the ack changes about what can be done next.
    fn learn(&mut self, at: usize, what: &What, ack: &Ack) {
        let own = &mut self.own[at];
        match what {
            What::Post { thread_us, .. } => {
                if *thread_us == 0 && self.threads[at] == 0 {
                    self.threads[at] = ack.us;
                } else {
                    own.push(Own { us: ack.us, reactions: 0 });
                }
            }
            What::Delete { target_us } if *target_us == self.threads[at] => self.threads[at] = 0,
            What::Delete { target_us } => own.retain(|own| own.us != *target_us),
            What::React { .. } => own.last_mut().into_iter().for_each(|own| own.reactions += 1),
            What::Unreact { .. } => own.last_mut().into_iter().for_each(|own| own.reactions -= 1),
            What::Edit { .. } => {}
        }
    }
}
