//! What operators ask of a node about its cell.

use super::Node;
use super::clock::{Asked, Clock};
use crate::admin::{self, AdminError};
use crate::gateway::Gateway;
use crate::hops::Hops;
use crate::router::Router;
use bytes::Bytes;
use cluster::charm::Shown;
use cluster::claimant::CellView;
use cluster::gossip::{Gossip, Seat};
use cluster::host::Host;
use cluster::link::Class;
use cluster::link::roles::Roles;
use cluster::node::NodeId;
use cluster::overview::Overview;
use cluster::switchboard::{Service, Switchboard};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, ready};
use prost::Message;
use proto::v1::{FactsAnswer, FactsCall};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The switchboard's number of this service.
pub(super) const FACTS: u32 = 5;
/// A node that says nothing of itself within this long is shown without.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Where a node with others finds what it says of them.
#[derive(Clone)]
pub(super) struct Others {
    pub(super) board: Switchboard,
    pub(super) gossip: Gossip,
    pub(super) shown: Shown,
}

impl Others {
    /// Asks a node something; nothing where it does not answer in time, or so that it is understood.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        node: &NodeId,
        service: u32,
        call: impl Message,
    ) -> Option<A> {
        let call = call.encode_to_vec().into();
        let answer = self.board.call(node, Class::Normal, service, call, ANSWER_WITHIN).await.ok()?;
        A::decode(answer).ok()
    }
}

/// What a node says of itself.
#[derive(Clone)]
pub(super) struct Facts {
    host: Host,
    started: Duration,
    gossip: Option<Gossip>,
    /// Sessions and messages; nothing on a node that only keeps the store.
    work: Option<(Gateway, Hops)>,
}

/// From now on a node that only keeps the store tells others what operators ask of it.
pub fn offer_facts(board: &Switchboard, host: &Host, gossip: &Gossip) {
    board.offer(FACTS, Roles::ALL, Arc::new(Facts::new(host, Some(gossip.clone()), None)));
}

impl Facts {
    pub(super) fn new(host: &Host, gossip: Option<Gossip>, work: Option<(Gateway, Hops)>) -> Self {
        Self { started: host.monotonic(), host: host.clone(), gossip, work }
    }
    fn now(&self) -> FactsAnswer {
        let uptime = self.host.monotonic().saturating_sub(self.started);
        let counts =
            |(gateway, hops): &(Gateway, Hops)| (gateway.sessions() as u64, hops.ordered(), hops.handed());
        let (sessions, ordered, handed) = self.work.as_ref().map(counts).unwrap_or_default();
        FactsAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            sessions,
            slowness: self.gossip.as_ref().map_or(0, |gossip| gossip.view().health),
            ordered,
            handed,
            now_us: self.host.now_us(),
        }
    }
}

impl Service for Facts {
    fn call(&self, _: &NodeId, _: Bytes) -> BoxFuture<'static, Bytes> {
        ready(self.now().encode_to_vec().into()).boxed()
    }
    fn notice(&self, from: &NodeId, _: Bytes) {
        tracing::debug!(peer = %from, "facts take no notices");
    }
}

impl Node {
    /// Answers an operator: verbs that begin with `cluster.` are about the cell, all others are [`admin::run`]'s.
    pub async fn operate(&self, verb: &str, args: &Value) -> Result<Value, AdminError> {
        let asked = || json!({ "v": 1, "asked": self.me.id.as_str(), "cell": self.me.cell.as_str() });
        let with = |key: &str, value: Value| {
            let mut answer = asked();
            answer[key] = value;
            answer
        };
        match verb {
            "cluster.status" => Ok(with("nodes", self.status().await)),
            "cluster.ring" => Ok(with("nodes", json!(self.overview().ring()))),
            "cluster.health" => Ok(with("troubles", json!(self.troubles().await))),
            "cluster.placement" => {
                let (workspace, log) = admin::log_of(&self.context, args).await?;
                let mut answer = with("placement", json!(self.overview().slot(Router::slot(&log))));
                answer["workspace"] = workspace.as_str().into();
                answer["channel"] = log.channel.to_string().into();
                Ok(answer)
            }
            "cluster.trace" => Ok(with("trace", self.trace(args).await?)),
            verb => admin::run(&self.context, verb, args).await,
        }
    }

    fn overview(&self) -> Overview {
        let others = self.others.as_ref();
        let seats = others.map(|others| {
            let view = others.gossip.view();
            let me = (self.me.id.clone(), Seat { identity: view.me.clone(), is_suspected: false });
            view.members.clone().into_iter().chain([me]).collect()
        });
        Overview {
            me: self.me.clone(),
            cell: match others {
                Some(others) => CellView::clone(&others.shown.now()),
                None => CellView::alone(&self.me),
            },
            seats: seats.unwrap_or_default(),
            table: self.context.router.table().now().clone(),
        }
    }

    /// What each node that answers says of itself, and how its clock stands to this one's.
    async fn all_facts(&self) -> BTreeMap<NodeId, (FactsAnswer, Clock)> {
        let own = (self.me.id.clone(), (self.facts.now(), Clock::default()));
        let Some(others) = &self.others else { return [own].into() };
        let host = &self.context.host;
        let ask = async |node| {
            let asked = Asked::now(host);
            let facts: FactsAnswer = others.ask(&node, FACTS, FactsCall {}).await?;
            // An older build does not tell its time.
            let clock = (facts.now_us > 0).then(|| asked.answered(host, facts.now_us));
            Some((node, (facts, clock.unwrap_or_default())))
        };
        let asked = join_all(others.board.peers().into_keys().map(ask)).await;
        asked.into_iter().flatten().chain([own]).collect()
    }

    /// What is not as it should be, a sentence each.
    async fn troubles(&self) -> Vec<String> {
        let (facts, me) = (self.all_facts().await, self.me.id.as_str());
        let clocks = facts.iter().filter_map(|(node, (_, clock))| clock.trouble(node.as_str(), me));
        self.overview().troubles().into_iter().chain(clocks).collect()
    }

    /// The nodes, and what each says of itself.
    async fn status(&self) -> Value {
        let facts = self.all_facts().await;
        let line = |line: cluster::overview::NodeLine| {
            let facts = facts.get(&line.node);
            let mut line = json!(line);
            if let Some((facts, clock)) = facts {
                line["clock_ahead_us"] = clock.ahead_us.into();
                line["version"] = facts.version.as_str().into();
                line["uptime_ms"] = facts.uptime_ms.into();
                line["sessions"] = facts.sessions.into();
                line["slowness"] = facts.slowness.into();
                line["ordered"] = facts.ordered.into();
                line["handed"] = facts.handed.into();
            }
            line
        };
        self.overview().nodes().into_iter().map(line).collect()
    }
}
