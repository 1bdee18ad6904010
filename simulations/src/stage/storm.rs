//! A store in bad weather: late, busy, refusing, or lying about what it did.

use crate::{faults::Lie, world::through::Hook};
use actors::store::{Append, Appended, Store, StoreError};
use cluster::host::{Entropy, Host};
use futures::{FutureExt, future::BoxFuture};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// How long an appender waits for an answer that never comes.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much later a late request arrives, at most.
const LATE_MAX: Duration = Duration::from_secs(6);
/// The task of a late request.
pub const LATE_REQUEST: &str = "late request";
/// Time to a store on another machine, at most.
const NETWORK_MAX: Duration = Duration::from_millis(2);

/// The weather of one store, changed by faults.
#[derive(Debug, Clone, Default)]
pub struct Mood {
    /// Each call takes up to this long.
    pub late: Option<Duration>,
    /// One append in so many is lied about.
    pub lie: Option<(Lie, u64)>,
    /// One append in so many finds no place in the queue.
    pub throttle: Option<u64>,
    /// Nothing is taken.
    pub refuses: bool,
}

/// The mood of a site's store, whoever asks it.
#[derive(Debug, Clone, Default)]
pub struct Moods(Arc<Mutex<Mood>>);

impl Moods {
    /// Reads or changes it.
    pub fn lock(&self) -> MutexGuard<'_, Mood> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands between a node and its store.
#[derive(Clone)]
pub struct Storm {
    /// The node's machine.
    pub node: Host,
    /// The store's machine, where it is another one: what was asked there is done there, whatever becomes of the node.
    pub store: Option<Host>,
    /// Its weather.
    pub moods: Moods,
    /// Its chance.
    pub chance: Entropy,
}

type Answer = Result<Appended, StoreError>;

impl Storm {
    fn up_to(&self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(1 + self.chance.below(micros.max(1)))
    }

    fn lie(&self, kinds: &[Lie]) -> Option<Lie> {
        let (lie, one_in) = self.moods.lock().lie?;
        (kinds.contains(&lie) && self.chance.chance(1, one_in)).then_some(lie)
    }

    /// The wait that the weather asks for; an error is what the caller hears.
    fn weather(&self) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let mood = self.moods.lock().clone();
        let throttled = mood.throttle.is_some_and(|one_in| self.chance.chance(1, one_in));
        let (network, late) = (self.store.as_ref().map(|_| NETWORK_MAX), mood.late);
        let wait = [network, late].into_iter().flatten().map(|most| self.up_to(most)).sum::<Duration>();
        let node = self.node.clone();
        async move {
            if !wait.is_zero() {
                node.sleep(wait).await;
            }
            match (mood.refuses, throttled) {
                (true, _) => Err(StoreError::Unavailable("the store refuses".into())),
                (_, true) => Err(StoreError::Busy),
                _ => Ok(()),
            }
        }
    }

    /// Does it later, on the machine of the store.
    fn later(&self, append: Append, store: Arc<dyn Store>) {
        let (wait, host) = (self.up_to(LATE_MAX), self.store.as_ref().unwrap_or(&self.node).clone());
        let sleeper = host.clone();
        host.spawn(LATE_REQUEST, async move {
            sleeper.sleep(wait).await;
            // Whoever asked has stopped waiting.
            let _ = store.append(append).await;
        });
    }

    /// Does it on the machine of the store; nobody tells if that dies.
    fn there(&self, host: &Host, append: Append, store: Arc<dyn Store>) -> BoxFuture<'static, Answer> {
        let (tell, told) = oneshot::channel();
        host.spawn("request", async move { drop(tell.send(store.append(append).await)) });
        let node = self.node.clone();
        async move {
            match node.timeout(PATIENCE, told).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Err(StoreError::Unknown("no answer came".into())),
            }
        }
        .boxed()
    }
}

impl Hook for Storm {
    fn append(&self, append: &Append, store: &Arc<dyn Store>) -> BoxFuture<'static, Option<Answer>> {
        let (storm, append, store) = (self.clone(), append.clone(), store.clone());
        async move {
            if let Err(error) = storm.weather().await {
                return Some(Err(error));
            }
            let lie = storm.lie(&[Lie::Lost, Lie::Late]);
            if lie == Some(Lie::Late) {
                storm.later(append.clone(), store.clone());
            }
            if lie.is_some() {
                storm.node.sleep(PATIENCE).await;
                return Some(Err(StoreError::Unknown("no answer came".into())));
            }
            let host = storm.store.clone()?;
            let answer = storm.there(&host, append.clone(), store.clone()).await;
            Some(storm.said(&append, &store, answer).await)
        }
        .boxed()
    }

    fn appended(
        &self,
        append: &Append,
        store: &Arc<dyn Store>,
        answer: Answer,
    ) -> BoxFuture<'static, Answer> {
        let (storm, append, store) = (self.clone(), append.clone(), store.clone());
        async move { storm.said(&append, &store, answer).await }.boxed()
    }

    fn delay(&self, _name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let mood = self.moods.lock();
        let calm = self.store.is_none() && mood.late.is_none() && !mood.refuses;
        drop(mood);
        let weather = (!calm).then(|| self.weather())?;
        // Reads have no queue: only writes are throttled.
        Some(weather.map(|result| if result == Err(StoreError::Busy) { Ok(()) } else { result }).boxed())
    }

    fn is_shared(&self) -> bool {
        self.store.is_some()
    }
}

impl Storm {
    /// What the appender hears of what was done.
    async fn said(&self, append: &Append, store: &Arc<dyn Store>, answer: Answer) -> Answer {
        match self.lie(&[Lie::AppliedUnheard, Lie::Twice]) {
            Some(Lie::AppliedUnheard) => {
                self.node.sleep(PATIENCE).await;
                Err(StoreError::Unknown("the answer was lost".into()))
            }
            Some(_) => {
                // A store that says that it did not apply a request has no copy of it left to apply.
                if answer.is_ok() {
                    self.later(append.clone(), store.clone());
                }
                answer
            }
            None => answer,
        }
    }
}
