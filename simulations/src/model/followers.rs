//! What follows the log: the gateway's relay, the view, retention.

use super::ownership::Ownership;
use super::relay::seqs;
use super::step::Step;
use super::store::bucket_of;
use super::variants::Variant;
use super::world::World;

impl Ownership {
    pub(super) fn relay(&self, world: &mut World, step: Step) -> Option<()> {
        match step {
            Step::Subscribe(node) => {
                let owner = world.owners[usize::from(node)];
                owner.claim?;
                if world.relay.at == Some(node) || world.relay.joining == Some(node) {
                    return None;
                }
                let oldest = world.store.dropped * self.config.bucket_rows;
                world.relay.subscribe(node, owner.known?.tail, oldest);
                if self.config.variant == Variant::TwoTurns {
                    world.relay.joining = world.relay.at.take();
                }
            }
            Step::Register => world.relay.at = Some(world.relay.joining.take()?),
            Step::Receive(seq) if world.relay.flight & (1 << seq) != 0 => {
                world.relay.receive(seq, self.config.variant == Variant::ApplyEarly);
            }
            Step::BreakLink => {
                world.relay.at?;
                world.relay.disconnect();
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn view(&self, world: &mut World, step: Step) -> Option<()> {
        let next = world.view.applied + 1;
        match step {
            Step::WriteView(node) => {
                let known = world.owners[usize::from(node)].known?;
                let open = seqs(world.view.applied, known.tail) & !world.view.sent;
                let seq = open.trailing_zeros() as u8;
                if open == 0 || bucket_of(seq, self.config.bucket_rows) < usize::from(world.store.dropped) {
                    return None;
                }
                world.view.sent |= 1 << seq;
                if self.config.variant == Variant::AppliedFirst {
                    world.view.applied = seq;
                }
            }
            Step::LandView(seq) if world.view.sent & (1 << seq) != 0 => {
                world.view.land(seq, self.config.variant == Variant::ViewByArrival);
            }
            Step::Apply if world.view.rows & (1 << next) != 0 => world.view.applied = next,
            Step::Retain => {
                let dropped = world.store.dropped;
                let newest = bucket_of(world.store.tail(), self.config.bucket_rows);
                let is_applied = world.view.applied >= (dropped + 1) * self.config.bucket_rows;
                let may = is_applied || self.config.variant == Variant::RetainEarly;
                if newest < usize::from(dropped) + 2 || !may {
                    return None;
                }
                if self.config.variant == Variant::DropHeads {
                    world.store.heads[usize::from(dropped)] = None;
                }
                world.store.dropped += 1;
            }
            _ => return None,
        }
        Some(())
    }
}
