//! Nodes: a process with a name that its operator chose and a number that says which of its lives this is.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Longest name of a node or a cell, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a text cannot name a node or a cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot name a node or a cell: 1 to 64 of a-z, A-Z, 0-9, '.', '-' and '_'")]
pub struct NameError(String);

fn check(text: &str) -> Result<Arc<str>, NameError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(allowed) {
        return Err(NameError(text.chars().take(NAME_BYTES_MAX).collect()));
    }
    Ok(text.into())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl $name {
            /// Checks and takes the text.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check(text).map(Self)
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A node's configured name; it survives restarts, and no two running nodes may share it.
    NodeId
);
name_type!(
    /// A cell's configured name.
    CellId
);

/// One life of a node: drawn anew at every start, so that a row of an earlier life is told from one of this
/// life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub u64);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A node in one of its lives, and the cell it stands in: what a claim names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// This life of it.
    pub boot: BootId,
    /// Its cell.
    pub cell: CellId,
}

impl Node {
    /// True for another life of the same node.
    pub fn is_other_life_of(&self, other: &Node) -> bool {
        self.id == other.id && self.boot != other.boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(NodeId::parse("node-1.eu_a").unwrap().as_str(), "node-1.eu_a");
        for wrong in ["", "a b", "ä", "a/b", "x\n", &"x".repeat(65)] {
            assert!(NodeId::parse(wrong).is_err(), "{wrong:?} was taken");
        }
        assert_eq!(NodeId::parse(&"x".repeat(64)).unwrap().as_str().len(), 64);
    }

    #[test]
    fn a_restarted_node_is_another_life_and_another_node_is_not() {
        let cell = CellId::parse("a").unwrap();
        let life =
            |name, boot| Node { id: NodeId::parse(name).unwrap(), boot: BootId(boot), cell: cell.clone() };
        assert!(life("n", 2).is_other_life_of(&life("n", 1)));
        assert!(!life("n", 1).is_other_life_of(&life("n", 1)));
        assert!(!life("m", 2).is_other_life_of(&life("n", 1)));
    }
}
