//! Whether another process goes by a node's name. Two that did would take each other's links and slots in turn.

use super::{
    MeetError, Met, StreamLinks, Transport,
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

impl<T: Transport> StreamLinks<T> {
    /// Asks whoever is at an address whether it knows another life that goes by this node's name and is there: one to
    /// which it has a link, or itself. A life that has died is not, as soon as its link is silent.
    ///
    /// # Errors
    /// Nobody there, or somebody who gives no answer: it is not known.
    pub async fn ask_holder(&self, address: &T::Address) -> Result<Option<Life>, MeetError> {
        let shared = &self.0;
        let asking = async {
            let Met { mut stream, .. } = shared.transport.connect(address).await?;
            let mut decoder = Decoder::new(&shared.config);
            say(&mut stream, &LinkHello { asks: true, ..shared.hello() }).await?;
            let _who = hear(&mut stream, &mut decoder).await?;
            Ok(hello::holder(&hear(&mut stream, &mut decoder).await?))
        };
        shared.host.timeout(ANSWERED_WITHIN, asking).await.unwrap_or(Err(MeetError::Silent))
    }

    /// Which other life goes by this node's name at an address: where the transport proves who is there, it has shown a
    /// certificate with this name. `None`: this life itself.
    ///
    /// # Errors
    /// Nobody there, or somebody else.
    pub async fn meet_namesake(&self, address: &T::Address) -> Result<Option<Life>, MeetError> {
        let (shared, me) = (&self.0, &self.0.node);
        let asking = async {
            let Met { mut stream, proved } = shared.transport.connect(address).await?;
            let mut decoder = Decoder::new(&shared.config);
            say(&mut stream, &LinkHello { asks: true, ..shared.hello() }).await?;
            let said = hear(&mut stream, &mut decoder).await?;
            let found = hello::peer(&said)?;
            match proved.map_or(found.id, |proved| proved.node) {
                name if name != me.id => Err(MeetError::OtherNode { expected: me.id.clone(), found: name }),
                _ => {
                    Ok((found.boot != me.boot)
                        .then_some(Life { started_us: said.started_us, boot: found.boot }))
                }
            }
        };
        shared.host.timeout(ANSWERED_WITHIN, asking).await.unwrap_or(Err(MeetError::Silent))
    }

    /// Whether this life stays where another one has its name.
    pub fn outlives(&self, other: &Life) -> bool {
        Life { started_us: self.0.started_us, boot: self.0.node.boot } > *other
    }
}
