//! The first message of a connection: which life of which node speaks, in which version of the lane.

use crate::node::{BootId, CellId, NameError, Node, NodeId};
use proto::{ts::Micros, v1::LinkHello};

/// Version of the lane that this build speaks.
pub const LANE_VERSION: u32 = 1;

/// Why a peer's hello is not taken; the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// A build that speaks another version.
    #[error("the peer speaks version {0} of the lane, this build version {LANE_VERSION}")]
    Version(u32),
    /// No name of a node or a cell.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A life of a node. Of two that go by one name the later one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// When it began, by its own clock.
    pub started_us: Micros,
    /// Which one it is.
    pub boot: BootId,
}

/// What this node says, which began then.
pub fn hello(node: &Node, started_us: Micros) -> LinkHello {
    let Node { id, boot, cell } = node;
    let (version, node, boot, cell) = (LANE_VERSION, id.to_string(), boot.0, cell.to_string());
    LinkHello { version, node, boot, cell, started_us, ..LinkHello::default() }
}

/// Adds to a hello what the peer asked for: another life of its name that is there.
pub fn answer(hello: LinkHello, holder: Option<Life>) -> LinkHello {
    let (holder, holder_started_us) = holder.map_or((0, 0), |life| (life.boot.0, life.started_us));
    LinkHello { holder, holder_started_us, ..hello }
}

/// The life that an answer names.
pub fn holder(answer: &LinkHello) -> Option<Life> {
    let life = Life { started_us: answer.holder_started_us, boot: BootId(answer.holder) };
    (answer.holder != 0).then_some(life)
}

/// Who a peer says it is. Whether it may say so is for the transport's certificates.
pub fn peer(hello: &LinkHello) -> Result<Node, HelloError> {
    if hello.version != LANE_VERSION {
        return Err(HelloError::Version(hello.version));
    }
    let (id, cell) = (NodeId::parse(&hello.node)?, CellId::parse(&hello.cell)?);
    Ok(Node { id, boot: BootId(hello.boot), cell })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_names_its_node_and_a_strange_one_is_refused_with_the_reason() {
        let node =
            Node { id: NodeId::parse("n").unwrap(), boot: BootId(9), cell: CellId::parse("a").unwrap() };
        let said = hello(&node, 7);
        assert_eq!(peer(&said), Ok(node));
        let later = LinkHello { version: 2, ..said.clone() };
        let words = "the peer speaks version 2 of the lane, this build version 1";
        assert_eq!(peer(&later).unwrap_err().to_string(), words);
        let unnamed = LinkHello { node: String::new(), ..said };
        assert!(matches!(peer(&unnamed), Err(HelloError::Name(_))));
    }

    #[test]
    fn an_answer_names_the_life_that_has_the_name_or_none() {
        let node =
            Node { id: NodeId::parse("n").unwrap(), boot: BootId(9), cell: CellId::parse("a").unwrap() };
        let (first, second) =
            (Life { started_us: 5, boot: BootId(9) }, Life { started_us: 6, boot: BootId(1) });
        assert!(first < second, "who began later stays");
        for life in [None, Some(first), Some(second)] {
            assert_eq!(holder(&answer(hello(&node, 5), life)), life);
        }
    }
}
