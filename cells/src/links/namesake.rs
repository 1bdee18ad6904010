//! Whether another process goes by a node's name. Two that did would take each other's links and slots in turn.

use super::{
    MeetError, Met, Proved, StreamLinks, Transport,
    carry::{hear, say},
};
use cluster::link::{
    codec::Decoder,
    hello::{self, Life},
};
use proto::v1::LinkHello;
use std::time::Duration;

/// Who is asked answers within this long, or nothing is known: a node that starts waits for it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Somebody who was asked and has said who they are; what they know of the name comes next.
struct Asked<S> {
    proved: Option<Proved>,
    said: LinkHello,
    stream: S,
    decoder: Decoder,
}

impl<T: Transport> StreamLinks<T> {
    /// Asks whoever is at an address whether it knows another life that goes by this node's name and is there: one to
    /// which it has a link, or itself. A life that has died is not, as soon as its link is silent.
    ///
    /// # Errors
    /// Nobody there, or somebody who gives no answer: it is not known.
    pub async fn ask_holder(&self, address: &T::Address) -> Result<Option<Life>, MeetError> {
        let asking = async {
            let Asked { mut stream, mut decoder, .. } = self.ask(address).await?;
            Ok(hello::holder(&hear(&mut stream, &mut decoder).await?))
        };
        self.0.host.timeout(ANSWERED_WITHIN, asking).await.unwrap_or(Err(MeetError::Silent))
    }

    /// Which other life goes by this node's name at an address: where the transport proves who is there, it has shown a
    /// certificate with this name. `None`: this life itself.
    ///
    /// # Errors
    /// Nobody there, or somebody else.
    pub async fn meet_namesake(&self, address: &T::Address) -> Result<Option<Life>, MeetError> {
        let (host, me) = (&self.0.host, &self.0.node);
        let asked = host.timeout(ANSWERED_WITHIN, self.ask(address)).await;
        let Asked { proved, said, .. } = asked.unwrap_or(Err(MeetError::Silent))?;
        let peer = hello::peer(&said)?;
        let found = proved.map_or(peer.id, |proved| proved.node);
        if found != me.id {
            return Err(MeetError::OtherNode { expected: me.id.clone(), found });
        }
        Ok((peer.boot != me.boot).then_some(Life { started_us: said.started_us, boot: peer.boot }))
    }

    /// Says who asks, and hears who is there.
    async fn ask(&self, address: &T::Address) -> Result<Asked<T::Stream>, MeetError> {
        let shared = &self.0;
        let Met { mut stream, proved } = shared.transport.connect(address).await?;
        let mut decoder = Decoder::new(&shared.config);
        say(&mut stream, &LinkHello { asks: true, ..shared.hello() }).await?;
        let said = hear(&mut stream, &mut decoder).await?;
        Ok(Asked { proved, said, stream, decoder })
    }

    /// Whether this life stays where another one has its name.
    pub fn outlives(&self, other: &Life) -> bool {
        Life { started_us: self.0.started_us, boot: self.0.node.boot } > *other
    }
}
