//! Who a member is, as gossip has it.

use crate::node::{BootId, CellId, Node, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 128;

/// Where something listens: host and port, as text. This crate opens no socket and does not look into it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// A text that is too long for an address, or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address has 1 to {ADDRESS_BYTES_MAX} bytes")]
pub struct AddressError;

impl Address {
    /// Takes the text.
    pub fn parse(text: impl Into<String>) -> Result<Self, AddressError> {
        let text = text.into();
        if (1..=ADDRESS_BYTES_MAX).contains(&text.len()) { Ok(Self(text)) } else { Err(AddressError) }
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A member in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name: of two identities with one name the one of the higher rank is believed.
    pub node: NodeId,
    /// Which life.
    pub boot: BootId,
    /// Its cell.
    pub cell: CellId,
    /// Where it hears gossip.
    pub gossip: Address,
    /// Where it accepts links.
    pub link: Address,
    /// When it started, in microseconds of its wall clock, and one more whenever it was taken for dead.
    pub rank: u64,
}

impl Identity {
    /// The node that it is.
    pub fn to_node(&self) -> Node {
        Node { id: self.node.clone(), boot: self.boot, cell: self.cell.clone() }
    }
    /// Whether this one is believed where both go by one name.
    pub fn outranks(&self, other: &Self) -> bool {
        (self.rank, self.boot) > (other.rank, other.boot)
    }
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        Some(Self { rank: self.rank.saturating_add(1), ..self.clone() })
    }
    fn addr(&self) -> NodeId {
        self.node.clone()
    }
    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.outranks(adversary)
    }
}
