//! The table of methods: which scopes, arguments and tokens each needs, and what runs it.
//!
//! Tiers are Slack's calls per minute (1, 20, 50, 100). Scopes are alternatives: one of them is enough; methods on
//! conversations check the scope of the conversation's kind besides.

use super::{Answer, Args, Call, account, chat, conversations, history, membership, reactions, users};
use futures::future::BoxFuture;

/// Slack's rate tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// 1 a minute.
    T1,
    /// 20 a minute.
    T2,
    /// 50 a minute.
    T3,
    /// 100 a minute.
    T4,
    /// 600 a minute, or a rule of its own (`chat.postMessage`: one a second and channel).
    Special,
}

/// What runs a method.
#[derive(Clone, Copy)]
pub enum Run {
    /// Needs no token.
    Open(fn(&Args) -> Answer),
    /// Needs to know who calls.
    Known(for<'a> fn(&'a Call) -> BoxFuture<'a, Answer>),
}

/// One method.
pub struct Method {
    /// Slack's name.
    pub name: &'static str,
    /// Its rate tier.
    pub tier: Tier,
    /// Scopes, any of which is enough; empty: none is needed.
    pub scopes: &'static [&'static str],
    /// Arguments without which it is refused with `invalid_arguments`.
    pub required: &'static [&'static str],
    /// App-level tokens may call it.
    pub apps: bool,
    /// What runs it.
    pub run: Run,
}

const READ: &[&str] = &["channels:read", "groups:read", "im:read", "mpim:read"];
const HISTORY: &[&str] = &["channels:history", "groups:history", "im:history", "mpim:history"];
const MANAGE: &[&str] = &["channels:manage", "channels:write", "groups:write"];
const WRITE: &[&str] = &["channels:manage", "channels:write", "groups:write", "im:write", "mpim:write"];
const OPEN: &[&str] = &["im:write", "mpim:write", "channels:manage", "channels:write", "groups:write"];
const JOIN: &[&str] = &["channels:join", "channels:write"];

macro_rules! known {
    ($name:literal, $tier:ident, $scopes:expr, $required:expr, $run:path) => {
        Method {
            name: $name,
            tier: Tier::$tier,
            scopes: $scopes,
            required: &$required,
            apps: false,
            run: Run::Known(|call| Box::pin($run(call))),
        }
    };
}
macro_rules! anyone {
    ($($row:tt)*) => { Method { apps: true, ..known!($($row)*) } };
}

/// Every method, by name.
pub const METHODS: &[Method] = &[
    Method {
        name: "api.test",
        tier: Tier::T4,
        scopes: &[],
        required: &[],
        apps: true,
        run: Run::Open(super::api_test),
    },
    anyone!("auth.revoke", T3, &[], [], account::auth_revoke),
    anyone!("auth.test", Special, &[], [], account::auth_test),
    known!("chat.delete", T3, &["chat:write"], ["channel", "ts"], chat::delete),
    known!("chat.getPermalink", Special, &[], ["channel", "message_ts"], chat::get_permalink),
    known!("chat.postMessage", Special, &["chat:write"], ["channel"], chat::post_message),
    known!("chat.update", T3, &["chat:write"], ["channel", "ts"], chat::update),
    known!("conversations.create", T2, MANAGE, [], membership::create),
    known!("conversations.history", T3, HISTORY, ["channel"], history::history),
    known!("conversations.info", T3, READ, ["channel"], conversations::info),
    known!("conversations.invite", T3, MANAGE, ["channel"], membership::invite),
    known!("conversations.join", T3, JOIN, ["channel"], membership::join),
    known!("conversations.leave", T3, WRITE, ["channel"], membership::leave),
    known!("conversations.list", T2, READ, [], conversations::list),
    known!("conversations.mark", T3, WRITE, ["channel", "ts"], membership::mark),
    known!("conversations.members", T4, READ, ["channel"], conversations::members),
    known!("conversations.open", T3, OPEN, [], membership::open),
    known!("conversations.replies", T3, HISTORY, ["channel", "ts"], history::replies),
    known!("reactions.add", T3, &["reactions:write"], ["name"], reactions::add),
    known!("reactions.get", T3, &["reactions:read"], [], reactions::get),
    known!("reactions.remove", T2, &["reactions:write"], ["name"], reactions::remove),
    known!("rtm.connect", T1, &["rtm:stream"], [], account::rtm_connect),
    known!("team.info", T3, &["team:read"], [], account::team_info),
    known!("users.conversations", T2, READ, [], conversations::of_user),
    known!("users.info", T4, &["users:read"], ["user"], users::info),
    known!("users.list", T2, &["users:read"], [], users::list),
];

/// The method of this name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.binary_search_by(|method| method.name.cmp(name)).ok().map(|at| &METHODS[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::{BOT_SCOPES, USER_SCOPES};

    #[test]
    fn every_method_is_found_by_its_name() {
        for method in METHODS {
            assert_eq!(find(method.name).map(|found| found.name), Some(method.name), "the table is sorted");
        }
        assert!(find("admin.users.remove").is_none());
        assert!(find("").is_none());
    }

    #[test]
    fn a_token_without_named_scopes_may_call_everything() {
        for method in METHODS {
            for (kind, scopes) in [("bot", BOT_SCOPES), ("user", USER_SCOPES)] {
                let may =
                    method.scopes.is_empty() || method.scopes.iter().any(|scope| scopes.contains(scope));
                assert!(may, "{kind} tokens may not call {}", method.name);
            }
        }
    }
}
