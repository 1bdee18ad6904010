//! `waggle admin`: asks a running node to make things; prints the new id or token alone.

mod cluster;

use super::{asking::answer, exit};
use crate::operator::Request;
use clap::{Args, Subcommand, ValueEnum};
use cluster::Cluster;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// Make workspaces, users, tokens and channels on a running node.
#[derive(Debug, Args)]
pub(super) struct Admin {
    /// The node's operator socket [default: the one in $WAGGLE_DATA or ./waggle-data].
    #[arg(long, value_name = "OPERATOR", global = true)]
    node: Option<PathBuf>,
    /// Print all of the answer as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Workspaces.
    #[command(subcommand)]
    Workspace(Workspace),
    /// People and bots.
    #[command(subcommand)]
    User(User),
    /// Tokens; each is shown once.
    #[command(subcommand)]
    Token(Token),
    /// Channels.
    #[command(subcommand)]
    Channel(Channel),
    /// What is kept.
    #[command(subcommand)]
    Store(Store),
    /// Certificates with which nodes know each other.
    #[command(subcommand)]
    Cluster(Cluster),
}

#[derive(Debug, Subcommand)]
enum Workspace {
    /// Make one; prints its id.
    Create { name: String },
    /// Print them all.
    List,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Make a person or a bot; prints its id.
    Create {
        name: String,
        /// Name or id.
        #[arg(long)]
        workspace: String,
        /// A program, not a person.
        #[arg(long)]
        bot: bool,
        /// Unique in the workspace.
        #[arg(long)]
        email: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Make one; prints it.
    Create {
        /// Name or id.
        #[arg(long)]
        workspace: String,
        /// Name or id.
        #[arg(long)]
        user: String,
        /// By default a bot's is `bot`, a person's `user`.
        #[arg(long, value_enum)]
        kind: Option<TokenKind>,
        /// Comma-separated; all that its kind may have by default.
        #[arg(long, value_delimiter = ',', value_name = "S,...")]
        scope: Vec<String>,
    },
    /// Take one back: sessions that it opened end.
    Revoke { token: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TokenKind {
    User,
    Bot,
    App,
}

#[derive(Debug, Subcommand)]
enum Channel {
    /// Make one; prints its id.
    Create {
        name: String,
        /// Name or id.
        #[arg(long)]
        workspace: String,
        /// Only for who is invited.
        #[arg(long)]
        private: bool,
    },
    /// Make somebody a member; prints the channel's id.
    Join {
        /// Name or id.
        #[arg(long)]
        workspace: String,
        /// Name or id.
        #[arg(long)]
        channel: String,
        /// Name or id.
        #[arg(long)]
        user: String,
    },
}

#[derive(Debug, Subcommand)]
enum Store {
    /// Count what is kept, by workspace.
    Stat,
}

impl Admin {
    pub(super) fn run(self) -> ExitCode {
        let request = match self.noun.request() {
            Ok(request) => request,
            Err(cluster) => return made(cluster, self.json),
        };
        let result = match answer(self.node, &request, exit::UNKNOWN) {
            Ok(result) => result,
            Err(code) => return code,
        };
        println!("{}", shown(&result, self.json));
        ExitCode::SUCCESS
    }
}

/// What needs no node.
fn made(cluster: Cluster, json: bool) -> ExitCode {
    match cluster.run() {
        Ok(result) => {
            println!("{}", shown(&result, json));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("waggle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The new id or token alone; all of it on request, or where there is neither.
fn shown(result: &Value, json: bool) -> String {
    let word = ["token", "id"].iter().find_map(|name| result[name].as_str());
    match word {
        Some(word) if !json => word.to_owned(),
        _ => result.to_string(),
    }
}

impl Noun {
    /// What is asked of the node, if that is who is asked. Absent options are left out.
    fn request(self) -> Result<Request, Cluster> {
        let (verb, mut args) = match self {
            Self::Workspace(Workspace::Create { name }) => ("workspace.create", json!({ "name": name })),
            Self::Workspace(Workspace::List) => ("workspace.list", json!({})),
            Self::User(User::Create { name, workspace, bot, email }) => {
                ("user.create", json!({ "name": name, "workspace": workspace, "bot": bot, "email": email }))
            }
            Self::Token(Token::Create { workspace, user, kind, scope }) => {
                let kind = kind.and_then(|kind| kind.to_possible_value());
                let kind = kind.map(|kind| kind.get_name().to_owned());
                let scope = Some(scope).filter(|scope| !scope.is_empty());
                (
                    "token.create",
                    json!({ "workspace": workspace, "user": user, "kind": kind, "scope": scope }),
                )
            }
            Self::Token(Token::Revoke { token }) => ("token.revoke", json!({ "token": token })),
            Self::Channel(Channel::Create { name, workspace, private }) => {
                ("channel.create", json!({ "name": name, "workspace": workspace, "private": private }))
            }
            Self::Channel(Channel::Join { workspace, channel, user }) => {
                ("channel.join", json!({ "workspace": workspace, "channel": channel, "user": user }))
            }
            Self::Store(Store::Stat) => ("store.stat", json!({})),
            Self::Cluster(cluster) => return Err(cluster),
        };
        if let Value::Object(map) = &mut args {
            map.retain(|_, value| !value.is_null());
        }
        Ok(Request { verb: verb.to_owned(), args })
    }
}
