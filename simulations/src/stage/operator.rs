//! What operators do at a node's own door: admin verbs, and in the names of admins putting people out and ending
//! tokens.

use crate::{
    oracle::book::{Command as Sent, Place},
    plan::{Deed, Do},
    promises::{heard, tenants},
    stage::{Stage, tenant::log_name},
};
use actors::{
    admin::{self, AdminError},
    auth,
    command::{Command, Verb},
    context::Context,
    store::LogId,
};
use proto::id::{ConversationId, UserId};
use serde_json::{Value, json};
use std::{sync::PoisonError, time::Duration};

/// How long an operator waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many kinds of admin verbs there are; the last one stands for every mistake.
pub const ADMIN_VERBS: usize = 9;

/// What an operator gets wrong: a verb and its arguments, the workspace besides.
const MISTAKES: [(&str, &str); 12] = [
    ("workspace.destroy", "{}"),
    ("user.create", "{}"),
    ("user.create", r#"{"name": 1}"#),
    ("user.create", r#"{"name": "x", "bot": "maybe"}"#),
    ("token.create", r#"{"user": "nobody"}"#),
    ("token.create", r#"{"user": "U0000000000", "kind": "royal"}"#),
    ("token.create", r#"{"user": "U0000000000", "kind": "bot"}"#),
    ("token.create", r#"{"user": "U0000000000", "scope": "chat:write"}"#),
    ("token.create", r#"{"user": "U0000000000", "scope": ["no scope at all"]}"#),
    ("token.revoke", r#"{"token": "xoxp-never-given"}"#),
    ("channel.join", r#"{"user": "U0000000000", "channel": "nowhere"}"#),
    ("channel.create", r#"{"workspace": "elsewhere", "name": "x"}"#),
];

impl Stage {
    /// Does what a deed asks of an operator.
    pub async fn operate(&self, deed: &Deed) {
        self.world.count_deed(deed.what.name());
        match deed.what {
            Do::Kick { channel, person } => self.kick(deed.client, channel, person).await,
            Do::Revoke => self.revoke(deed.client).await,
            Do::Administer { what, channel, person } => {
                self.administer(deed.client, what, channel, person).await;
            }
            _ => {}
        }
    }

    async fn kick(&self, client: usize, channel: usize, person: usize) {
        let tenant = &self.tenants[self.places[client].tenant];
        let (Some(channel), Some((user, _))) = (tenant.channels.get(channel), tenant.people.get(person))
        else {
            return;
        };
        if person == 0 {
            // Somebody has to be left to read everything in the end.
            return;
        }
        let (admin, log) = (tenant.people[0].0.clone(), tenant.log(channel));
        self.world.tell(|| format!("an admin removes {user} from {channel}"));
        self.run(client, log, &admin, "kick", Verb::Kick { user: user.clone() }).await;
    }

    async fn revoke(&self, client: usize) {
        let place = &self.places[client];
        let tenant = &self.tenants[place.tenant];
        let Some((user, _)) = tenant.people.iter().find(|(user, _)| user.as_str() == place.user) else {
            return;
        };
        let Some(node) = self.any_node(place.tenant) else { return };
        let old = place.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A token to go on with, before the old one ends.
        let fresh = self.patiently(tenant.token(&node.context, user)).await;
        let Some(Ok(fresh)) = fresh else { return };
        *place.token.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        let log = Context::user(&tenant.workspace, user);
        self.world.tell(|| format!("the token of client {client} is revoked"));
        let done = self.run(client, log, user, "revoke", Verb::RevokeToken { hash: auth::hash(&old) }).await;
        if done {
            let mut revoked = place.revoked.lock().unwrap_or_else(PoisonError::into_inner);
            *revoked = Some((old, self.world.now()));
        }
    }

    /// Waits for an answer as long as an operator does.
    async fn patiently<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = doing => Some(answer),
            () = self.world.sleep(PATIENCE) => None,
        }
    }

    /// Runs admin verbs as `waggle admin` would, and some as it must not.
    async fn administer(&self, client: usize, what: usize, channel: usize, person: usize) {
        let tenant = &self.tenants[self.places[client].tenant];
        let (Some(node), Some(channel)) =
            (self.any_node(tenant.number), tenant.channels.get(channel).or(tenant.channels.first()))
        else {
            return;
        };
        let workspace = tenant.workspace.as_str();
        let chance = self.world.entropy("operator").fork(&format!("{client} {:?}", self.world.now()));
        let name = format!("{}-{:x}", tenants::tag(tenant.number), chance.below(1 << 40));
        let handle = format!("@{}-person{person}", tenants::tag(tenant.number));
        let of = |mut args: Value| {
            if args["workspace"].is_null() {
                args["workspace"] = workspace.into();
            }
            args
        };
        let user = json!({ "user": handle, "channel": channel.as_str() });
        let called = json!({ "name": name, "private": chance.chance(1, 2), "bot": chance.chance(1, 2) });
        let (verb, args) = match what % ADMIN_VERBS {
            0 => ("workspace.list", json!({})),
            1 => ("store.stat", json!({})),
            2 => ("user.create", of(called)),
            3 => ("token.create", of(user)),
            4 => ("channel.create", of(called)),
            5 => ("channel.join", of(user)),
            6 => return self.describe(client, channel, &name).await,
            7 => ("workspace.create", json!({ "name": format!("Team {}", chance.below(1 << 40)) })),
            _ => {
                let wrong = MISTAKES[chance.below(MISTAKES.len() as u64) as usize];
                let args = serde_json::from_str(wrong.1).expect("a table of JSON");
                return self.mistake(&node.context, wrong.0, &of(args)).await;
            }
        };
        let answer = self.ask_admin(&node.context, verb, &args).await;
        if let Some(Err(
            error @ (AdminError::UnknownVerb(_) | AdminError::Usage(_) | AdminError::NotFound { .. }),
        )) = &answer
        {
            self.world.violate(heard::PROMISE.broken(format!("{verb} of {args} was answered with {error}")));
        }
        // A token that was given is taken back.
        if let Some(Ok(answer)) = answer
            && answer["token"].is_string()
        {
            self.ask_admin(&node.context, "token.revoke", &json!({ "token": answer["token"] })).await;
        }
    }

    /// A verb that must not be done.
    async fn mistake(&self, context: &Context, verb: &str, args: &Value) {
        if let Some(Ok(answer)) = self.ask_admin(context, verb, args).await {
            self.world.violate(heard::PROMISE.broken(format!("{verb} of {args} was done: {answer}")));
        }
    }

    async fn ask_admin(
        &self,
        context: &Context,
        verb: &str,
        args: &Value,
    ) -> Option<Result<Value, AdminError>> {
        self.world.tell(|| format!("an operator runs {verb} {args}"));
        let answer = self.patiently(admin::run(context, verb, args)).await;
        if let Some(Err(AdminError::Refused(refusal))) = &answer {
            self.world.count_refusal(refusal.code());
        }
        answer
    }

    /// Gives a conversation another name, topic and purpose.
    async fn describe(&self, client: usize, channel: &ConversationId, name: &str) {
        let tenant = &self.tenants[self.places[client].tenant];
        let admin = tenant.people[0].0.clone();
        let rename = Verb::RenameConversation { channel: channel.clone(), name: name.to_owned() };
        self.run(client, Context::workspace(&tenant.workspace), &admin, "rename", rename).await;
        for verb in [
            Verb::SetPurpose { purpose: format!("what {name} is for") },
            Verb::SetTopic { topic: format!("what {name} is about") },
        ] {
            self.run(client, tenant.log(channel), &admin, "describe", verb).await;
        }
    }

    /// Runs a command at the node; true when it was acknowledged.
    async fn run(&self, client: usize, log: LogId, by: &UserId, kind: &'static str, verb: Verb) -> bool {
        let Some(node) = self.any_node(self.places[client].tenant) else { return false };
        let key = format!(
            "{kind}-{}",
            self.world
                .entropy("operator")
                .fork(&format!("{client} {verb:?} {:?}", self.world.now()))
                .next_u64()
        );
        let sent = Sent {
            channel: log_name(&log),
            sender: by.to_string(),
            kind,
            text: None,
            deletes: None,
            sent: self.world.now(),
            acked: None,
            // Who stops waiting when the weather clears does not learn what became of it.
            given_up: Some(("no answer".to_owned(), true)),
        };
        self.oracle.sent(&key, sent);
        let executing = node.context.execute(log, Command::by(by, verb).keyed(key.clone()));
        let result = self.patiently(executing).await;
        match result {
            Some(Ok(done)) => {
                let place = Place { us: done.us, seq: (done.seq > 0).then_some(done.seq) };
                if let Err(violation) = self.oracle.acked(&key, place, self.world.now()) {
                    self.world.violate(violation);
                }
                return true;
            }
            Some(Err(refusal)) => {
                self.world.count_refusal(refusal.code());
                self.oracle.given_up(&key, refusal.code(), refusal.state() == "unknown");
            }
            None => {}
        }
        false
    }
}
