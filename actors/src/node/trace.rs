//! What became of a message: the hops that the nodes of a cell remember of it, on one clock.

use super::Node;
use super::clock::{Asked, Clock};
use crate::admin::{self, AdminError};
use crate::hops::{Hop, Hops};
use crate::peer::PeerError;
use crate::router::Router;
use crate::store::LogId;
use bytes::Bytes;
use cluster::link::roles::Role;
use cluster::node::NodeId;
use cluster::switchboard::Service;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, ready};
use prost::Message;
use proto::ts::{self, Micros};
use proto::v1::{HopKind, HopSpan, HopsAnswer, HopsCall};
use serde_json::{Value, json};

/// The switchboard's number of this service.
pub(super) const HOPS: u32 = 6;

/// What a message is called: `CHANNEL/TS`, or Slack's permalink.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    channel: String,
    us: Micros,
}

fn parse(message: &str) -> Option<Named> {
    let (channel, ts) = message.trim_end_matches('/').rsplit_once('/')?;
    let permalink = || {
        let us: Micros = ts.strip_prefix('p')?.parse().ok()?;
        Some(Named { channel: channel.rsplit_once('/')?.1.to_owned(), us })
    };
    let plain = || Some(Named { channel: channel.to_owned(), us: ts::parse(ts)? });
    plain().or_else(permalink)
}

fn kind(hop: Hop) -> HopKind {
    match hop {
        Hop::Asked => HopKind::Asked,
        Hop::Ordered => HopKind::Ordered,
        Hop::Durable => HopKind::Durable,
        Hop::Arrived => HopKind::Arrived,
        Hop::Handed => HopKind::Handed,
        Hop::Answered => HopKind::Answered,
    }
}

fn name(hop: HopKind) -> &'static str {
    match hop {
        HopKind::Unknown => "unknown",
        HopKind::Asked => "asked",
        HopKind::Ordered => "ordered",
        HopKind::Durable => "durable",
        HopKind::Arrived => "arrived",
        HopKind::Handed => "handed",
        HopKind::Answered => "answered",
    }
}

/// Tells other nodes what is remembered here.
pub(super) struct Memory {
    pub(super) router: Router,
}

fn answer(hops: &Hops, log: &LogId, us: Micros, now_us: Micros) -> HopsAnswer {
    let span = |span: crate::hops::Span| HopSpan {
        hop: kind(span.hop).into(),
        at_us: span.at_us,
        seq: span.seq,
        count: span.count,
    };
    HopsAnswer { now_us, hops: hops.of(log, us).into_iter().map(span).collect() }
}

impl Memory {
    fn tell(&self, body: Bytes) -> Result<HopsAnswer, PeerError> {
        let HopsCall { log, us } = HopsCall::decode(body)?;
        let log = log.ok_or(PeerError::Absent("log"))?.try_into()?;
        Ok(answer(self.router.hops(), &log, us, self.router.host().now_us()))
    }
}

impl Service for Memory {
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        let told = self.tell(body).unwrap_or_else(|error| {
            tracing::warn!(peer = %from, %error, "question for hops not understood");
            HopsAnswer::default()
        });
        ready(told.encode_to_vec().into()).boxed()
    }
    fn notice(&self, from: &NodeId, _: Bytes) {
        tracing::debug!(peer = %from, "a memory of hops takes no notices");
    }
}

/// What a node told, and how its clock stands to that of the node that was asked.
struct Told {
    node: NodeId,
    clock: Clock,
    answer: HopsAnswer,
}

impl Told {
    fn lines(&self) -> impl Iterator<Item = Value> + '_ {
        self.answer.hops.iter().map(|span| {
            let at_us = i64::try_from(span.at_us).unwrap_or(i64::MAX).saturating_sub(self.clock.shift_us());
            json!({
                "hop": name(span.hop()), "node": self.node.as_str(), "at_us": at_us, "clock_us": span.at_us,
                "seq": span.seq, "count": span.count,
            })
        })
    }
}

impl Node {
    /// The hops of a message, as all nodes that can be asked remember them.
    pub(super) async fn trace(&self, args: &Value) -> Result<Value, AdminError> {
        let message = args["message"].as_str().unwrap_or_default();
        let Some(Named { channel, us }) = parse(message) else {
            let how = "a message is CHANNEL/TS (general/1767225600.000100), or the link to it";
            return Err(AdminError::Usage(format!("{message:?} names no message: {how}")));
        };
        let mut place = args.clone();
        place["channel"] = channel.into();
        let (workspace, log) = admin::log_of(&self.context, &place).await?;
        let (told, silent) = self.ask_all(&log, us).await;
        let mut hops: Vec<Value> = told.iter().flat_map(Told::lines).collect();
        if hops.is_empty() {
            return Err(AdminError::Forgotten(message.to_owned()));
        }
        hops.sort_by_key(|hop| hop["at_us"].as_i64());
        let clock = |told: &Told| {
            let Clock { ahead_us, unsure_us } = told.clock;
            json!({ "node": told.node.as_str(), "ahead_us": ahead_us, "unsure_us": unsure_us })
        };
        let others = told.iter().filter(|told| told.node != self.me.id);
        Ok(json!({
            "workspace": workspace.as_str(), "channel": log.channel.to_string(), "ts": ts::format(us),
            "hops": hops, "clocks": others.map(clock).collect::<Vec<_>>(), "silent": silent,
        }))
    }

    /// What each node remembers, and those that did not tell.
    async fn ask_all(&self, log: &LogId, us: Micros) -> (Vec<Told>, Vec<String>) {
        let host = &self.context.host;
        let own = answer(self.context.router.hops(), log, us, host.now_us());
        let mut told = vec![Told { node: self.me.id.clone(), clock: Clock::default(), answer: own }];
        let Some(others) = &self.others else { return (told, Vec::new()) };
        let ask = async |node: NodeId| {
            let call = HopsCall { log: Some(log.into()), us };
            let asked = Asked::now(host);
            let answer: Option<HopsAnswer> = others.ask(&node, HOPS, call).await;
            let Some(answer) = answer.filter(|told| told.now_us > 0) else { return Err(node.to_string()) };
            Ok(Told { node, clock: asked.answered(host, answer.now_us), answer })
        };
        let carries = |node: &NodeId| {
            let roles = others.board.roles(node);
            roles.has(Role::Gateway) || roles.has(Role::Channels)
        };
        let mut silent = Vec::new();
        for answer in join_all(others.board.peers().into_keys().filter(carries).map(ask)).await {
            match answer {
                Ok(answer) => told.push(answer),
                Err(node) => silent.push(node),
            }
        }
        (told, silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_time_or_by_its_link() {
        let named = |channel: &str| Some(Named { channel: channel.to_owned(), us: 1_767_225_600_000_100 });
        assert_eq!(parse("general/1767225600.000100"), named("general"));
        assert_eq!(parse("C024BE7LD/1767225600.000100"), named("C024BE7LD"));
        let link = "https://team.example.org/archives/C024BE7LD/p1767225600000100";
        assert_eq!(parse(link), named("C024BE7LD"));
        assert_eq!(parse("archives/C024BE7LD/p1767225600000100/"), named("C024BE7LD"));
        for nothing in ["", "general", "general/", "general/yesterday", "/p17", "p1767225600000100"] {
            assert_eq!(parse(nothing), None, "{nothing:?}");
        }
    }
}
