//! Nothing of one workspace is ever seen in another one.

use super::Promise;
use crate::world::report::Violation;

/// See above.
pub const PROMISE: Promise =
    Promise { name: "tenants are apart", says: "Nothing of one workspace is ever seen in another one." };

/// What every name and text of a workspace carries. No other text has a `z`.
pub fn tag(workspace: usize) -> String {
    format!("zz{workspace}zz")
}

/// One tag of another workspace in the bytes of a connection breaks the promise.
pub fn seen(client: usize, workspace: usize, bytes: &[u8]) -> Result<(), Violation> {
    let digit = b'0' + u8::try_from(workspace).unwrap_or(u8::MAX - b'0');
    let foreign = bytes.windows(5).find(|window| match window {
        [b'z', b'z', other, b'z', b'z'] => other.is_ascii_digit() && *other != digit,
        _ => false,
    });
    PROMISE.holds(foreign.is_none(), || {
        format!(
            "client {client} of workspace {workspace} was sent something of {:?}",
            foreign.map(|tag| tag[2] as char)
        )
    })
}
