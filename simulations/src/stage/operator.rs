//! What operators do in the names of admins, at a node's own door: putting people out, ending tokens.

use crate::{
    oracle::book::{Command as Sent, Place},
    plan::{Deed, Do},
    stage::{Stage, tenant::log_name},
};
use actors::{
    auth,
    command::{Command, Verb},
    context::Context,
    store::LogId,
};
use proto::id::UserId;
use std::{sync::PoisonError, time::Duration};

/// How long an operator waits.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stage {
    /// Does what a deed asks of an operator.
    pub async fn operate(&self, deed: &Deed) {
        self.world.count_deed(deed.what.name());
        match deed.what {
            Do::Kick { channel, person } => self.kick(deed.client, channel, person).await,
            Do::Revoke => self.revoke(deed.client).await,
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
        let Some(node) = self.site_of(place.tenant).node() else { return };
        let old = place.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A token to go on with, before the old one ends.
        let fresh = tokio::select! {
            biased;
            fresh = tenant.token(&node.context, user) => fresh.ok(),
            () = self.world.sleep(PATIENCE) => None,
        };
        let Some(fresh) = fresh else { return };
        *place.token.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        let log = Context::user(&tenant.workspace, user);
        self.world.tell(|| format!("the token of client {client} is revoked"));
        let done = self.run(client, log, user, "revoke", Verb::RevokeToken { hash: auth::hash(&old) }).await;
        if done {
            let mut revoked = place.revoked.lock().unwrap_or_else(PoisonError::into_inner);
            *revoked = Some((old, self.world.now()));
        }
    }

    /// Runs a command at the node; true when it was acknowledged.
    async fn run(&self, client: usize, log: LogId, by: &UserId, kind: &'static str, verb: Verb) -> bool {
        let Some(node) = self.site_of(self.places[client].tenant).node() else { return false };
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
        let result = tokio::select! {
            biased;
            result = executing => Some(result),
            () = self.world.sleep(PATIENCE) => None,
        };
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
