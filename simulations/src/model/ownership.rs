//! The model proper: which steps are possible in a world, and what the steps of the log change.

use super::config::Config;
use super::owner::{Duty, Known};
use super::step::Step;
use super::store::{Batch, SEQS, bucket_of, is_boundary};
use super::variants::Variant;
use super::world::{Message, STRAYS, World};
use stateright::{Model, Property};

/// The model: a configuration whose worlds are explored one step at a time.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    /// Sizes, switches and rules.
    pub config: Config,
}

impl Model for Ownership {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.config)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for node in [0, 1] {
            self.owner_steps(world, node, steps);
            self.claim_steps(node, steps);
        }
        steps.extend((0..STRAYS as u8).map(Step::LandStray));
        if self.config.mail {
            steps.extend((1..=self.config.keys).map(Step::Mail));
        }
        if self.config.moves_home {
            steps.push(Step::MoveHome);
        }
        if self.config.relay {
            steps.extend([Step::Subscribe(0), Step::Subscribe(1), Step::Register, Step::BreakLink]);
            steps.extend((1..=SEQS as u8).map(Step::Receive));
        }
        if self.config.view {
            steps.extend([Step::WriteView(0), Step::WriteView(1), Step::Apply]);
            steps.extend((1..=SEQS as u8).map(Step::LandView));
        }
        if self.config.retention {
            steps.push(Step::Retain);
        }
        if self.config.variant == Variant::HeadTtl {
            steps.push(Step::ExpireHead);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = *world;
        self.apply(&mut next, step)?;
        next.forget_the_dead(&self.config);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties::of(&self.config)
    }
}

impl Ownership {
    /// Steps of the log: each is tried, and refused by `apply` where it makes no sense.
    fn owner_steps(&self, world: &World, node: u8, steps: &mut Vec<Step>) {
        let config = &self.config;
        match world.owners[usize::from(node)].duty {
            Duty::Idle => {
                steps.push(Step::Load(node));
                steps.extend((1..=config.keys).map(|key| Step::Post(node, key)));
                if config.mail {
                    steps.extend((1..=config.keys).map(|key| Step::TakeMail(node, key)));
                }
                if config.pairs {
                    let pairs = (1..=config.keys).flat_map(|a| (a + 1..=config.keys).map(move |b| [a, b]));
                    steps.extend(pairs.map(|keys| Step::PostPair(node, keys)));
                }
            }
            Duty::Waiting(_) => {
                steps.push(Step::Answer(node));
                if config.unknown {
                    steps.push(Step::TimeOut(node));
                }
            }
            Duty::Unknown { .. } => {
                steps.extend([Step::LandLate(node), Step::ReadUnknown(node), Step::Resend(node)]);
                if config.variant == Variant::OpenOnUnknown {
                    steps.extend((1..=config.keys).map(|key| Step::Post(node, key)));
                }
            }
            Duty::Rereading(_) => steps.push(Step::Reread(node)),
        }
    }

    fn claim_steps(&self, node: u8, steps: &mut Vec<Step>) {
        steps.extend([Step::Claim(node), Step::Learn(node)]);
        if self.config.unknown {
            steps.push(Step::ClaimUnheard(node));
        }
        if self.config.crash {
            steps.push(Step::Crash(node));
        }
        if self.config.handoff {
            steps.extend([Step::AskMove(node), Step::Moved(node)]);
            steps.extend([Step::MovedUnheard(node), Step::AbortMove(node)]);
        }
    }

    fn apply(&self, world: &mut World, step: Step) -> Option<()> {
        match step {
            Step::Post(node, key) => self.post(world, node.into(), [key, 0]),
            Step::PostPair(node, keys) => self.post(world, node.into(), keys),
            Step::Mail(key) => self.mail(world, key),
            Step::TakeMail(node, key) => self.take_mail(world, node.into(), key),
            Step::Load(node) => self.load(world, node.into()),
            Step::Answer(node)
            | Step::TimeOut(node)
            | Step::LandLate(node)
            | Step::ReadUnknown(node)
            | Step::Resend(node)
            | Step::Reread(node) => self.append(world, node.into(), step),
            Step::LandStray(stray) => {
                let batch = world.strays[usize::from(stray)]?;
                world.store.land(&batch, self.config.bucket_rows, self.config.variant);
                Some(())
            }
            Step::Crash(node) => {
                world.owners[usize::from(node)].claim?;
                world.step_down(&self.config, node.into());
                Some(())
            }
            Step::Claim(node) => self.claim(world, node, true),
            Step::ClaimUnheard(node) => self.claim(world, node, false),
            Step::Learn(node) => self.learn(world, node),
            Step::AskMove(node) => self.ask_move(world, node.into()),
            Step::Moved(node) => self.moved(world, node.into(), true),
            Step::MovedUnheard(node) => self.moved(world, node.into(), false),
            Step::AbortMove(node) => self.abort_move(world, node.into()),
            Step::MoveHome => {
                world.store.home = 1;
                Some(())
            }
            Step::Subscribe(..) | Step::Register | Step::Receive(..) | Step::BreakLink => {
                self.relay(world, step)
            }
            Step::WriteView(..) | Step::LandView(..) | Step::Apply | Step::Retain => self.view(world, step),
            Step::ExpireHead => {
                *world.store.heads.iter_mut().rev().find(|head| head.is_some())? = None;
                Some(())
            }
        }
    }

    /// A message arrives at a ready owner without having lain around: its report is of this moment.
    fn post(&self, world: &mut World, node: usize, keys: [u8; 2]) -> Option<()> {
        if let Duty::Unknown { batch, .. } = world.owners[node].duty {
            self.count_as_applied(world, node, &batch)?;
        }
        if !world.owners[node].is_ready() {
            return None;
        }
        let mut is_first = true;
        for key in keys.into_iter().filter(|key| *key != 0) {
            let post = &mut world.messages[usize::from(key) - 1];
            if post.sent >= self.config.sends_max || (self.config.mail && post.sent == 0) {
                return None;
            }
            is_first &= post.sent == 0;
            post.sent += 1;
        }
        let as_first = is_first || self.config.variant == Variant::GuessedRetry;
        let report = as_first.then(|| world.report(keys[0]));
        world.take(&self.config, node, keys, report)
    }

    /// The wrong guess that an unanswered append filled its bucket.
    fn count_as_applied(&self, world: &mut World, node: usize, batch: &Batch) -> Option<()> {
        let rows = self.config.bucket_rows;
        if !is_boundary(batch.last(), rows) {
            return None;
        }
        world.stray(&self.config, *batch);
        let owner = &mut world.owners[node];
        owner.known = Some(Known::extend(owner.known, batch, batch.first, rows));
        owner.duty = Duty::Idle;
        Some(())
    }

    fn mail(&self, world: &mut World, key: u8) -> Option<()> {
        let report = world.report(key);
        let minted = bucket_of(report.tail + 1, self.config.bucket_rows);
        let post = world.messages.get_mut(usize::from(key) - 1).filter(|post| post.sent == 0)?;
        *post = Message { sent: 1, mail: Some(report), minted: minted as u8 + self.config.skew, acked: 0 };
        Some(())
    }

    fn take_mail(&self, world: &mut World, node: usize, key: u8) -> Option<()> {
        if !world.owners[node].is_ready() {
            return None;
        }
        let mut report = world.messages[usize::from(key) - 1].mail.take()?;
        if self.config.variant == Variant::GuessAtArrival {
            report = world.report(key);
        }
        world.take(&self.config, node, [key, 0], Some(report))
    }

    fn load(&self, world: &mut World, node: usize) -> Option<()> {
        let owner = &world.owners[node];
        let has_all = owner.known.is_some_and(|known| known.read && !known.is_blind(self.config.bucket_rows));
        if !owner.is_ready() || has_all {
            return None;
        }
        world.load(&self.config, node);
        Some(())
    }

    fn append(&self, world: &mut World, node: usize, step: Step) -> Option<()> {
        let owner = &mut world.owners[node];
        match (owner.duty, step) {
            (Duty::Waiting(batch), Step::Answer(..)) => world.answer(&self.config, node, &batch),
            (Duty::Waiting(batch), Step::TimeOut(..)) => owner.duty = Duty::Unknown { batch, read: false },
            (Duty::Unknown { batch, .. }, Step::LandLate(..)) => {
                world.store.land(&batch, self.config.bucket_rows, self.config.variant);
            }
            (Duty::Unknown { batch, .. }, Step::ReadUnknown(..)) => {
                world.read_unknown(&self.config, node, &batch);
            }
            (Duty::Unknown { batch, read: true }, Step::Resend(..)) => owner.duty = Duty::Waiting(batch),
            (Duty::Rereading(batch), Step::Reread(..)) => {
                if world.is_verified(node, self.config.variant) {
                    world.settle_applied(&self.config, node, &batch, batch.first);
                } else {
                    world.step_down(&self.config, node);
                }
            }
            _ => return None,
        }
        Some(())
    }
}
