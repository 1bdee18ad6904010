//! Events of a log for those who are behind. What an owner answers never goes back: it shows nothing that it does not
//! hold for durable, and holds back nothing that the store was seen to have.

use super::{ChannelMessage, ChannelState, load};
use crate::command::Aside;
use crate::delivery::Delivery;
use crate::gate::Permit;
use crate::store::StoreError;
use cluster::host::FaultPoint;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The cursor of who wants a channel awake and no events.
pub const NO_EVENTS: u64 = u64::MAX;

/// Events of a log, ready to be sent, and its tail.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// After the asked cursor, dense; starts later when retention dropped rows.
    pub events: Vec<Arc<Delivery>>,
    /// Lowest seq that can still be had.
    pub first: u64,
    /// Last durable seq.
    pub tail: u64,
}

/// Somebody who asked for events.
pub struct Reader {
    /// Events after this seq.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// The way back.
    pub reply: oneshot::Sender<Result<Replay, StoreError>>,
    /// The place behind the gate.
    pub place: Permit,
}

impl Reader {
    pub(super) fn answer(self, replay: Result<Replay, StoreError>) {
        let _ = self.reply.send(replay);
    }
}

impl ChannelState {
    /// Answers from memory what memory is sure of. As with commands, the log may have gone on without an owner that has
    /// not written yet.
    pub(super) fn read(&mut self, reader: Reader) {
        if let Some(lost) = &self.lost {
            return reader.answer(Err(lost.clone()));
        }
        let Some(hot) = &self.hot else { return self.readers.push(reader) };
        let (tail, after) = (hot.log.durable(), reader.after);
        let nothing = |tail| Replay { events: Vec::new(), first: 1, tail };
        if after == NO_EVENTS || (after >= tail && hot.log.has_written()) {
            return reader.answer(Ok(nothing(tail)));
        }
        if after >= tail {
            let (id, store) = (self.args.id.clone(), self.args.pilot.store.clone());
            return self.look(reader, async move { load::tail(&*store, &id).await.map(nothing) });
        }
        if let Some(events) = self.recent.after(after, reader.limit)
            && !cluster::planted!(RecentNotAsked)
        {
            return reader.answer(Ok(Replay { events, first: 1, tail }));
        }
        metrics::counter!("waggle_replay_store_reads_total").increment(1);
        self.args.pilot.host.fault(FaultPoint::ReplayRead);
        let late = cluster::planted!(StoreReplaySkipsFirst) && after + 1 < tail;
        let id = self.args.id.clone();
        let page = self.args.pilot.store.log(&id, after + u64::from(late), reader.limit);
        self.look(reader, async move {
            let page = page.await?;
            let delivery = |event| Arc::new(Delivery::new(id.clone(), event, Aside::default()));
            Ok(Replay {
                events: page.events.into_iter().map(delivery).collect(),
                first: page.first,
                tail: page.tail,
            })
        });
    }

    /// Looks at the store in the background.
    fn look(
        &self,
        reader: Reader,
        replay: impl Future<Output = Result<Replay, StoreError>> + Send + 'static,
    ) {
        let myself = self.myself.clone();
        self.args.pilot.host.spawn("channel read", async move {
            // An actor that ends lets go of who waits, who then asks the next one.
            let _ = myself.cast(ChannelMessage::Replayed(Box::new((reader, replay.await))));
        });
    }

    /// The store answered. It may have more than memory holds for durable: this owner's own batch, which is not back
    /// yet, or another owner's. The end of the batch tells; without one, it is another owner's.
    pub(super) fn replayed(&mut self, reader: Reader, replay: Result<Replay, StoreError>) {
        let Some(hot) = &self.hot else { return self.read(reader) };
        match replay {
            Ok(replay) if replay.tail > hot.log.durable() && hot.log.is_idle() => {
                self.readers.push(reader);
                self.tail_seen(replay.tail);
            }
            Ok(replay) if replay.tail > hot.log.durable() => self.ahead.push((reader, replay)),
            replay => reader.answer(replay),
        }
    }

    /// The batch under way is back. Who was at the end may find it in memory now.
    pub(super) fn replay_ahead(&mut self) {
        for (reader, replay) in std::mem::take(&mut self.ahead) {
            match replay.events.is_empty() {
                true => self.read(reader),
                false => self.replayed(reader, Ok(replay)),
            }
        }
    }
}
