//! Random histories: people doing what people do to one channel, in bursts, and its actor failing in between. What
//! they ask may be refused; what is accepted makes the log.

use crate::core::rig::{Rig, user_id};
use actors::command::{Command, Verb};
use actors::opening;
use actors::store::LogId;
use cluster::host::Entropy;
use proto::id::UserId;
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::Content;
use std::collections::BTreeMap;

/// Refusals that such a crowd earns.
const EARNED: [&str; 14] = [
    "already_archived",
    "already_reacted",
    "cant_delete_message",
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "is_archived",
    "message_not_found",
    "name_taken",
    "no_reaction",
    "not_archived",
    "not_in_channel",
    "thread_not_found",
    "too_long",
];
const EMOJI: [&str; 5] = ["tada", "eyes", "wave", "+1", "wave::skin-tone-2"];

pub(super) struct History<'a> {
    rig: &'a Rig,
    chance: Entropy,
    channel: String,
    log: LogId,
    people: Vec<UserId>,
    /// Messages and replies that were accepted, deleted ones included, and whose they are.
    known: Vec<(Micros, UserId)>,
    /// Text of each accepted post and edit, by its seq.
    pub(super) said: BTreeMap<u64, String>,
    pub(super) refused: BTreeMap<&'static str, usize>,
    words: u64,
    names: u64,
}

impl<'a> History<'a> {
    pub(super) async fn begin(rig: &'a Rig, seed: u64, crowd: usize) -> Self {
        let names: Vec<String> = (0..crowd).map(|number| format!("p{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        rig.found(&rig.workspace, &names).await;
        let channel = rig.channel("general", &names[..crowd / 2]).await;
        Self {
            rig,
            chance: Entropy::from_u64(seed),
            log: rig.log(&channel),
            channel,
            people: names.into_iter().map(user_id).collect(),
            known: Vec::new(),
            said: BTreeMap::new(),
            refused: BTreeMap::new(),
            words: 0,
            names: 0,
        }
    }
    pub(super) fn log(&self) -> &LogId {
        &self.log
    }
    pub(super) fn people(&self) -> &[UserId] {
        &self.people
    }

    /// Commands that are on their way together; the channel's actor may fail among them.
    pub(super) async fn burst(&mut self, most: u64) {
        let size = 1 + self.chance.below(most);
        let mut commands: Vec<_> = (0..size).map(|_| self.command()).collect();
        if self.chance.chance(1, 4)
            && let Some(command) = commands.first()
        {
            // A retry that overtakes the answer.
            commands.push(command.clone());
        }
        if self.chance.chance(1, 12) {
            self.rig.panic(&self.channel);
        }
        let results = futures::future::join_all(commands.iter().map(|command| {
            let log = self.log.clone();
            self.rig.context.execute(log, command.clone())
        }));
        for (command, result) in commands.iter().zip(results.await) {
            match result {
                Ok(done) if done.seq > 0 => self.accepted(command, done.seq, done.us),
                Ok(_) => {}
                Err(Refusal::Named(code)) if EARNED.contains(&code) => {
                    *self.refused.entry(code).or_default() += 1;
                }
                Err(refusal) => panic!("{command:?}: {refusal}"),
            }
        }
        if self.chance.chance(1, 40) {
            self.rename().await;
        }
    }

    fn accepted(&mut self, command: &Command, seq: u64, us: Micros) {
        match &*command.verb {
            Verb::Post { content, .. } => _ = self.said.insert(seq, content.text.clone()),
            Verb::Edit { content, .. } => {
                self.said.insert(seq, content.text.clone());
                return;
            }
            Verb::Join | Verb::Leave => {}
            _ => return,
        }
        self.known.extend(command.sender.clone().map(|sender| (us, sender)));
    }

    async fn rename(&mut self) {
        self.names += 1;
        let (name, log) = (format!("general-{}", self.names), opening_log(self.rig));
        let channel = self.log.channel.conversation().expect("a conversation").clone();
        let rename = Command::system("", Verb::RenameConversation { channel, name });
        let done = self.rig.context.execute(log.clone(), rename).await.unwrap();
        opening::follow_up(&self.rig.context, log, done).await.unwrap();
    }

    fn command(&mut self) -> Command {
        let kind = self.chance.below(100);
        if kind < 2 {
            let verb = if kind == 0 { Verb::Archive } else { Verb::Unarchive };
            return self.rig.context.router.keyed(Command::system("", verb));
        }
        let (target_us, author) = self.target();
        let own = self.chance.chance(3, 4) && (40..64).contains(&kind);
        let sender = if own { author } else { self.person() };
        let command = Command::by(&sender, self.verb(kind, target_us));
        self.rig.context.router.keyed(command)
    }

    fn verb(&mut self, kind: u64, target_us: Micros) -> Verb {
        match kind {
            ..20 => self.post(0),
            20..40 => self.post(target_us),
            40..54 => Verb::Edit { target_us, content: self.content() },
            54..64 => Verb::Delete { target_us },
            64..78 => Verb::React { target_us, name: self.emoji() },
            78..86 => Verb::Unreact { target_us, name: self.emoji() },
            86..91 => Verb::Join,
            91..94 => Verb::Leave,
            94..96 => Verb::Invite { user: self.person() },
            96..97 => Verb::Kick { user: self.person() },
            97..98 => Verb::SetPurpose { purpose: self.content().text.chars().take(200).collect() },
            98..99 => Verb::Unarchive,
            _ => Verb::SetTopic { topic: self.content().text.chars().take(260).collect() },
        }
    }

    fn post(&mut self, thread_us: Micros) -> Verb {
        let reply_broadcast = self.chance.chance(1, 4);
        let client_msg_id = format!("c{}", self.words);
        Verb::Post { content: self.content(), thread_us, reply_broadcast, client_msg_id }
    }

    fn content(&mut self) -> Content {
        self.words += 1;
        let mut text = format!("word {}", self.words);
        if self.chance.chance(1, 10) {
            text.push_str(" <!channel>");
        }
        if self.chance.chance(1, 20) {
            text.push_str(&format!(" <@{}>", self.person()));
        }
        if self.chance.chance(1, 30) {
            text.push_str(&"x".repeat(5000));
        }
        let blocks = if self.chance.chance(1, 10) { "[]".to_owned() } else { String::new() };
        Content { text, blocks, ..Content::default() }
    }

    fn person(&self) -> UserId {
        self.people[self.chance.below(self.people.len() as u64) as usize].clone()
    }
    fn emoji(&self) -> String {
        EMOJI[self.chance.below(EMOJI.len() as u64) as usize].to_owned()
    }
    /// Mostly something recent, sometimes something old, rarely something that never was.
    fn target(&self) -> (Micros, UserId) {
        let count = self.known.len() as u64;
        if count == 0 || self.chance.chance(1, 50) {
            return (1 + self.chance.below(1_000_000), self.person());
        }
        let reach = if self.chance.chance(2, 3) { count.min(12) } else { count };
        self.known[(count - 1 - self.chance.below(reach)) as usize].clone()
    }
}

fn opening_log(rig: &Rig) -> LogId {
    actors::context::Context::workspace(&rig.workspace)
}
