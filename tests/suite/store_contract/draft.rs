//! Appends for tests, and the shortest way to make them.

use actors::store::{Append, Appended, BatchId, LogId, MessageRange, Store, ViewWrite};
use cluster::slots::{Slot, slot_of};
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::v1::{Content, Event, MessageKind, MessageRow, Posted, event::Body};

/// Time of seq 1: a second apart from each other.
pub const START_US: u64 = crate::inline::START_US;
/// Time between two events of [`Log`].
pub const STEP_US: u64 = 1_000_000;

pub fn workspace(name: &str) -> WorkspaceId {
    WorkspaceId::parse(name).expect("a workspace id")
}
pub fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}
pub fn conversation(name: &str) -> ConversationId {
    ConversationId::parse(name).expect("a conversation id")
}
pub fn log_id(workspace_id: &str, channel: &str) -> LogId {
    LogId::new(workspace(workspace_id), ChannelId::parse(channel).expect("a channel id"))
}
pub fn slot(number: u16) -> Slot {
    Slot::new(number).expect("a slot")
}

/// A log as its owner knows it: makes appends that fit.
#[derive(Debug, Clone)]
pub struct Log {
    pub id: LogId,
    pub bucket: u32,
    pub tail: u64,
    pub epoch: u64,
    pub last_us: u64,
    pub batches: u8,
}

impl Log {
    pub fn new(channel: &str) -> Self {
        Self::of("T1", channel)
    }
    pub fn of(workspace: &str, channel: &str) -> Self {
        let id = log_id(workspace, channel);
        Self { id, bucket: 0, tail: 0, epoch: 1, last_us: START_US - STEP_US, batches: 0 }
    }

    /// An append of these texts that fits, if the log is as this knows it.
    pub fn posts(&mut self, texts: &[&str]) -> Append {
        self.batches = self.batches.wrapping_add(1);
        let events: Vec<Event> = texts.iter().zip(1..).map(|(text, n)| self.event(n, text)).collect();
        let mut batch = [self.batches; 16];
        batch[..8].copy_from_slice(&self.tail.to_le_bytes());
        batch[8..12].copy_from_slice(&self.bucket.to_le_bytes());
        Append {
            log: self.id.clone(),
            slot: slot_of(
                self.id.workspace.as_str().as_bytes(),
                self.id.channel.to_string().as_bytes(),
                1,
                None,
            ),
            bucket: self.bucket,
            tail: self.tail,
            epoch: self.epoch,
            batch: BatchId(batch),
            followed: 0,
            events,
            views: Vec::new(),
        }
    }

    fn event(&self, n: u64, text: &str) -> Event {
        let seq = self.tail + n;
        let content = Some(Content { text: text.into(), ..Content::default() });
        Event {
            seq,
            us: self.last_us + n * STEP_US,
            epoch: self.epoch,
            sender: "U1".into(),
            key: format!("key-{seq}"),
            countable: seq,
            fingerprint: seq * 7,
            body: Some(Body::Posted(Posted { content, ..Posted::default() })),
            ..Event::default()
        }
    }

    /// The same with a message row for each.
    pub fn shown(&mut self, texts: &[&str]) -> Append {
        let mut append = self.posts(texts);
        append.views =
            append.events.iter().map(|event| ViewWrite::Message(row(event, append.bucket))).collect();
        append
    }

    /// An append of one event with these views.
    pub fn with(&mut self, views: Vec<ViewWrite>) -> Append {
        Append { views, ..self.posts(&["views"]) }
    }

    /// Remembers that this append was applied.
    pub fn take(&mut self, append: &Append) {
        let last = append.events.last().expect("an event");
        (self.tail, self.last_us, self.bucket) = (last.seq, last.us, append.bucket);
    }

    /// Applies an append that must fit.
    pub async fn apply(&mut self, store: &impl Store, append: Append) {
        self.take(&append);
        assert_eq!(store.append(append).await, Ok(Appended::Applied));
    }

    /// Appends these texts, shown in the channel.
    pub async fn post(&mut self, store: &impl Store, texts: &[&str]) {
        let append = self.shown(texts);
        self.apply(store, append).await;
    }

    /// Appends `count` posts.
    pub async fn fill(&mut self, store: &impl Store, count: usize) {
        let texts: Vec<String> = (0..count).map(|n| format!("post {n}")).collect();
        for some in texts.chunks(100) {
            self.post(store, &some.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }

    /// Applies views with one event.
    pub async fn view(&mut self, store: &impl Store, views: Vec<ViewWrite>) {
        let append = self.with(views);
        self.apply(store, append).await;
    }

    /// The bucket that follows.
    pub fn roll(&mut self) {
        self.bucket += 1;
    }

    /// Time of the event after next `ahead` ones.
    pub fn next_us(&self) -> u64 {
        self.last_us + STEP_US
    }
}

/// The content of an event.
pub fn text(event: &Event) -> String {
    actors::store::fence::content(event).map(|content| content.text.clone()).unwrap_or_default()
}

/// The row that shows an event.
pub fn row(event: &Event, bucket: u32) -> MessageRow {
    MessageRow {
        us: event.us,
        seq: event.seq,
        sender: event.sender.clone(),
        kind: MessageKind::Plain.into(),
        content: actors::store::fence::content(event).cloned(),
        body_seqs: vec![event.seq],
        bucket,
        ..MessageRow::default()
    }
}

/// All of a view.
pub fn everything(limit: usize) -> MessageRange {
    MessageRange { from_us: 0, to_us: u64::MAX, newest_first: false, limit }
}

/// Texts of rows, in their order.
pub fn texts(rows: &[MessageRow]) -> Vec<&str> {
    rows.iter().map(|row| row.content.as_ref().map_or("", |content| content.text.as_str())).collect()
}
