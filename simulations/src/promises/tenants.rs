//! Nothing of one workspace is ever seen in another one.

use super::Promise;
use crate::{oracle::book::Book, world::report::Violation};

/// See above.
pub const PROMISE: Promise =
    Promise { name: "tenants are apart", says: "Nothing of one workspace is ever seen in another one." };

/// What every name and text of a workspace carries. No other text has a `z`.
pub fn tag(workspace: usize) -> String {
    format!("zz{workspace}zz")
}

/// Who is said to type in a channel of a workspace has typed there. Ids of channels and people are the same in all
/// workspaces: somebody of another one would pass for somebody of this one.
pub fn typing(book: &Book, client: usize, channel: &str, user: &str) -> Result<(), Violation> {
    let typed = book.typed.contains(&(channel.to_owned(), user.to_owned()));
    PROMISE.holds(typed, || format!("client {client} was told that {user} types in {channel}, who never did"))
}

/// One tag of another workspace in the bytes of a connection breaks the promise.
pub fn seen(client: usize, workspace: usize, bytes: &[u8]) -> Result<(), Violation> {
    let own = workspace.to_string();
    let after_zz =
        bytes.windows(2).enumerate().filter(|(_, two)| two == b"zz").map(|(at, _)| &bytes[at + 2..]);
    let numbers = after_zz.filter_map(|rest| {
        let (number, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        (!number.is_empty() && rest.starts_with(b"zz")).then_some(number)
    });
    let foreign = numbers.into_iter().find(|number| *number != own.as_bytes());
    PROMISE.holds(foreign.is_none(), || {
        format!(
            "client {client} of workspace {workspace} was sent something of {:?}",
            foreign.map(String::from_utf8_lossy)
        )
    })
}
