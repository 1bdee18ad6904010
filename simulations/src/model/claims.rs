//! How the slot changes hands: forced claims, planned moves, and the node that was not told.

use super::owner::{Claim, Duty, Known, Move};
use super::ownership::Ownership;
use super::store::Slot;
use super::variants::Variant;
use super::world::World;

impl Ownership {
    pub(super) fn claim(&self, world: &mut World, node: u8, is_heard: bool) -> Option<()> {
        let home = world.store.home;
        let slot = *world.home_slot();
        let owner = &mut world.owners[usize::from(node)];
        if owner.claim.is_some()
            || slot.epoch >= self.config.epoch_max
            || (slot.owner == node && slot.epoch > owner.past)
        {
            return None;
        }
        if is_heard {
            owner.claim = Some(Claim { slot: home, epoch: slot.epoch + 1 });
            owner.moving = Move::No;
        }
        *world.home_slot() = Slot { epoch: slot.epoch + 1, owner: node };
        Some(())
    }

    /// The one planned move of a run. The compare-and-set is sent when nothing is under way: freeze, settle
    /// the one append, then move.
    pub(super) fn ask_move(&self, world: &mut World, node: usize) -> Option<()> {
        let epoch = world.owners[node].claim?.epoch;
        let owner = &world.owners[node];
        let is_settled = owner.duty == Duty::Idle || self.config.variant == Variant::MoveUnsettled;
        if node != 0 || epoch != 1 || !is_settled || owner.moving != Move::No {
            return None;
        }
        world.owners[node].moving = Move::Asked;
        Some(())
    }

    pub(super) fn moved(&self, world: &mut World, node: usize, is_heard: bool) -> Option<()> {
        let old = world.owners[node];
        let to = 1 - node;
        let epoch = old.epoch() + 1;
        let row = *world.home_slot();
        let is_due = old.moving == Move::Asked || (old.moving == Move::Late && !is_heard);
        if !is_due || row != (Slot { epoch: old.epoch(), owner: node as u8 }) || epoch > self.config.epoch_max
        {
            return None;
        }
        *world.home_slot() = Slot { epoch, owner: to as u8 };
        if is_heard {
            let has_relay = world.relay.at == Some(node as u8);
            let slot = world.store.home;
            if has_relay {
                world.relay.at = Some(to as u8);
            }
            world.step_down(&self.config, node);
            world.owners[node].moving = Move::No;
            let new = &mut world.owners[to];
            new.claim = Some(Claim { slot, epoch });
            new.known = old.known.map(|known| Known { read: false, ..known });
        }
        Some(())
    }

    /// What the row says now does not say what it will say: the compare-and-set may land after this read.
    pub(super) fn abort_move(&self, world: &mut World, node: usize) -> Option<()> {
        if world.owners[node].moving != Move::Asked {
            return None;
        }
        if world.is_verified(node, self.config.variant) {
            world.owners[node].moving = Move::Late;
        } else {
            world.step_down(&self.config, node);
            world.owners[node].moving = Move::No;
        }
        Some(())
    }

    /// The node reads of a claim or a move of which it had not heard.
    pub(super) fn learn(&self, world: &mut World, node: u8) -> Option<()> {
        let slot = world.store.home;
        let row = *world.home_slot();
        let owner = &mut world.owners[usize::from(node)];
        if owner.claim.is_some() || row.owner != node || row.epoch <= owner.past {
            return None;
        }
        owner.claim = Some(Claim { slot, epoch: row.epoch });
        owner.moving = Move::No;
        Some(())
    }
}
