//! What a client knows, and what each frame from the server changes about it. Pure: no socket, no clock.

use super::outbox::Outbox;
use super::receiver::{Receiver, Step};
use super::{ClientError, Options, Stats};
use proto::v1;
use proto::v1::client_frame::Frame as Command;
use proto::v1::server_frame::Frame as Answer;
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// Notices kept; the oldest go first.
const NOTICES_MAX: usize = 10_000;

/// Whoever waits for an answer.
pub(super) type Waiter = oneshot::Sender<Result<Answer, ClientError>>;

/// What is to be done about a frame, besides what the state did by itself.
#[derive(Debug)]
pub(super) enum Effect {
    /// Give this to who waits for it.
    Tell(Waiter, Result<Answer, ClientError>),
    /// Send this command again after so many milliseconds ([`Outbox::unpark`]).
    Unpark(u64, u32),
    /// Leave for the address, if there is one, after so many milliseconds.
    Leave(v1::GoAway),
}

/// A client's state.
pub(super) struct State {
    /// Where to connect next.
    pub(super) url: String,
    /// Positions.
    pub(super) receiver: Receiver,
    /// Commands that wait for their answer.
    pub(super) outbox: Outbox<Waiter>,
    /// Every event in the order it was applied, if `keep_events`.
    pub(super) log: Vec<(String, v1::Event)>,
    /// What the server said by itself, deliveries apart.
    pub(super) notices: VecDeque<Answer>,
    /// Counts; `duplicates` and `resent` are counted elsewhere.
    pub(super) stats: Stats,
    /// Of the last welcome.
    pub(super) limits: v1::Limits,
    /// Of the last welcome.
    pub(super) user: String,
    /// Of the last welcome.
    pub(super) home: String,
    /// Between a welcome and the end of its connection.
    pub(super) online: bool,
    /// Why the client ended.
    pub(super) ended: Option<ClientError>,
    keep_events: bool,
}

impl State {
    /// Before the first connection.
    pub(super) fn new(options: &Options) -> Self {
        let mut receiver = Receiver::default();
        for (channel, seq) in &options.cursors {
            receiver.start(channel, *seq);
        }
        Self {
            url: options.url.clone(),
            receiver,
            outbox: Outbox::default(),
            log: Vec::new(),
            notices: VecDeque::new(),
            stats: Stats::default(),
            limits: v1::Limits::default(),
            user: String::new(),
            home: String::new(),
            online: false,
            ended: None,
            keep_events: options.keep_events,
        }
    }

    /// Takes one frame.
    pub(super) fn take(&mut self, frame: v1::ServerFrame) -> Option<Effect> {
        let re = frame.re;
        let steps = match frame.frame? {
            Answer::Deliver(deliver) => self.receiver.deliver(&deliver.channel, deliver.events),
            Answer::Beacon(beacon) => {
                let tails = beacon.tails.iter();
                let steps = tails.flat_map(|tail| self.receiver.beacon(&tail.channel, tail.seq)).collect();
                self.notice(Answer::Beacon(beacon));
                steps
            }
            Answer::SkipTo(skip) => {
                let steps = self.receiver.skip_to(&skip.channel, skip.seq);
                self.notice(Answer::SkipTo(skip));
                steps
            }
            Answer::Page(page) if self.outbox.is_own(re) => {
                self.outbox.answered(re);
                self.receiver.page(&page.channel, page.events, page.tail)
            }
            Answer::Refused(refused) => return self.refused(re, refused),
            Answer::GoAway(away) => {
                self.stats.go_aways += 1;
                self.notice(Answer::GoAway(away.clone()));
                return Some(Effect::Leave(away));
            }
            Answer::Welcome(welcome) => {
                self.welcomed(&welcome);
                self.notice(Answer::Welcome(welcome));
                return None;
            }
            answer => return self.answered(re, answer),
        };
        for step in steps {
            self.step(step);
        }
        None
    }

    fn notice(&mut self, notice: Answer) {
        if self.notices.len() >= NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    fn welcomed(&mut self, welcome: &v1::Welcome) {
        self.stats.welcomes += 1;
        self.online = true;
        self.user.clone_from(&welcome.user);
        self.home.clone_from(&welcome.home);
        self.limits = welcome.limits.unwrap_or_default();
        for cursor in &welcome.following {
            self.receiver.ends(&cursor.channel, cursor.seq);
        }
        self.started(&welcome.following);
    }

    fn started(&mut self, cursors: &[v1::Cursor]) {
        for cursor in cursors {
            let steps = self.receiver.skip_to(&cursor.channel, cursor.seq.saturating_add(1));
            steps.into_iter().for_each(|step| self.step(step));
        }
    }

    /// An answer to a command, or a word of the server's own.
    fn answered(&mut self, re: u64, answer: Answer) -> Option<Effect> {
        match &answer {
            Answer::Following(following) => self.started(&following.tails),
            Answer::Lagging(_) => self.stats.lagging += 1,
            _ => {}
        }
        match self.outbox.answered(re) {
            Some(answered) => Some(Effect::Tell(answered.waiter?, Ok(answer))),
            None => {
                self.notice(answer);
                None
            }
        }
    }

    /// A refusal that names a delay, or whose outcome is unknown, is no answer yet while the command has a
    /// key.
    fn refused(&mut self, re: u64, refused: v1::Refused) -> Option<Effect> {
        if (refused.retry_after_ms > 0 || refused.state == "unknown") && self.outbox.park(re) {
            return Some(Effect::Unpark(re, refused.retry_after_ms));
        }
        let Some(answered) = self.outbox.answered(re) else {
            self.notice(Answer::Refused(refused));
            return None;
        };
        match (answered.waiter, answered.command) {
            (Some(waiter), _) => Some(Effect::Tell(waiter, Err(ClientError::Refused(refused)))),
            (None, Command::Range(range)) => {
                self.receiver.unasked(&range.channel);
                None
            }
            (None, _) => None,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Apply(channel, event) => {
                self.stats.applied += 1;
                if self.keep_events {
                    self.log.push((channel, *event));
                }
            }
            Step::Ask { channel, after, limit } => {
                self.stats.ranges += 1;
                self.outbox.push(Command::Range(v1::Range { channel, after, limit }), None);
            }
        }
    }
}
