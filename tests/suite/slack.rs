//! The Slack surface: what methods mean, what they refuse, what RTM tells; first inside one process, every answer
//! checked against Slack's own names and types, then with Slack's own SDK against a real node.

mod admin;
mod afterwards;
mod conversations;
mod history;
mod messages;
mod oracle;
mod refusals;
mod rtm;
mod stage;
mod wire;
