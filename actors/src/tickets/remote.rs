//! Tickets of other nodes.

use super::{Login, Tickets};
use crate::scopes::Scopes;
use bytes::Bytes;
use cluster::link::Class;
use cluster::node::NodeId;
use cluster::switchboard::{Service, Switchboard};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use prost::Message;
use proto::id::{UserId, WorkspaceId};
use proto::v1::{TicketAnswer, TicketCall, TicketLogin};
use std::time::Duration;

/// The switchboard's number of this service.
pub(crate) const TICKETS: u32 = 4;
/// Whoever issued a ticket answers within this long, or the ticket is worth nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Asks a node about a ticket that it has issued. Without an answer it is worth nothing: clients ask for another.
pub(super) async fn ask(board: &Switchboard, issuer: &NodeId, ticket: &str) -> Option<Login> {
    let call = TicketCall { ticket: ticket.to_owned() }.encode_to_vec().into();
    let answer = match board.call(issuer, Class::Normal, TICKETS, call, ANSWER_WITHIN).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::info!(%issuer, %error, "ticket of another node not redeemed");
            return None;
        }
    };
    let login = TicketAnswer::decode(answer).ok()?.login?;
    Some(Login {
        workspace: WorkspaceId::parse(&login.workspace).ok()?,
        user: UserId::parse(&login.user).ok()?,
        token_hash: login.token_hash,
        scopes: Scopes::of_some_kind(login.scopes),
        bot_id: login.bot_id,
        app_id: login.app_id,
    })
}

impl Service for Tickets {
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        let login = match TicketCall::decode(body) {
            Ok(TicketCall { ticket }) => self.redeem_here(&ticket),
            Err(error) => {
                tracing::warn!(peer = %from, %error, "call about a ticket not understood");
                None
            }
        };
        let login = login.map(|login| TicketLogin {
            workspace: login.workspace.as_str().to_owned(),
            user: login.user.as_str().to_owned(),
            token_hash: login.token_hash,
            scopes: login.scopes.to_vec(),
            bot_id: login.bot_id,
            app_id: login.app_id,
        });
        ready(TicketAnswer { login }.encode_to_vec().into()).boxed()
    }
    fn notice(&self, from: &NodeId, _: Bytes) {
        tracing::debug!(peer = %from, "tickets take no notices");
    }
}
