//! The first message of a connection: which life of which node speaks, in which version of the lane.

use crate::node::{BootId, CellId, NameError, Node, NodeId};
use proto::v1::LinkHello;

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

/// What this node says.
pub fn hello(node: &Node) -> LinkHello {
    let Node { id, boot, cell } = node;
    LinkHello { version: LANE_VERSION, node: id.to_string(), boot: boot.0, cell: cell.to_string() }
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
        let said = hello(&node);
        assert_eq!(peer(&said), Ok(node));
        let later = LinkHello { version: 2, ..said.clone() };
        let words = "the peer speaks version 2 of the lane, this build version 1";
        assert_eq!(peer(&later).unwrap_err().to_string(), words);
        let unnamed = LinkHello { node: String::new(), ..said };
        assert!(matches!(peer(&unnamed), Err(HelloError::Name(_))));
    }
}
