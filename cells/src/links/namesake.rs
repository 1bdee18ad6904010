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

impl<T: Transport> StreamLinks<T> {
    /// Asks whoever is at an address whether it knows another life that goes by this node's name and is there: one to
    /// which it has a link, or itself. A life that has died is not, as soon as its link is silent.
    ///
    /// # Errors
    /// Nobody there, or somebody who gives no answer: it is not known.
    pub async fn holder(&self, address: &T::Address) -> Result<Option<Life>, MeetError> {
        let shared = &self.0;
        let asking = async {
            let Met { mut stream, .. } = shared.transport.connect(address).await?;
            let mut decoder = Decoder::new(&shared.config);
            say(&mut stream, &LinkHello { asks: true, ..shared.hello() }).await?;
            let _who = hear(&mut stream, &mut decoder).await?;
            Ok(hello::holder(&hear(&mut stream, &mut decoder).await?))
        };
        shared.host.timeout(shared.config.reconnect_max, asking).await.unwrap_or(Err(MeetError::Silent))
    }

    /// Whether this life stays where another one has its name.
    pub fn outlives(&self, other: &Life) -> bool {
        Life { started_us: self.0.started_us, boot: self.0.node.boot } > *other
    }
}
