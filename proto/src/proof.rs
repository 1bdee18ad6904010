//! Proofs about every message of the schema at once: what [`kinds`] lists is round-tripped, damaged, and
//! compared with its golden sample. Records are listed by themselves; any other message that crosses a border
//! (a socket, a link) belongs in the list.

mod decoders;
mod descriptor;
mod golden;
mod protocol;
mod schema;

use crate::{frame, record, v1};
use prost::Message;
use schema::{Pick, Schema};
use serde::{Serialize, de::DeserializeOwned};

/// One kind of message with its codecs, types erased; errors are their text.
struct Kind {
    /// Folder of its golden samples.
    border: &'static str,
    /// Name of the message in the schema.
    message: &'static str,
    /// Decodes the bytes at the border and encodes them again.
    again: fn(&[u8]) -> Result<Vec<u8>, String>,
    /// Bytes at the border to JSON.
    to_json: fn(&[u8]) -> Result<String, String>,
    /// JSON to bytes at the border.
    from_json: fn(&str) -> Result<Vec<u8>, String>,
    /// What the border puts around the protobuf bytes.
    wrap: fn(&[u8]) -> Result<Vec<u8>, String>,
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A message that travels as it is.
fn bare<M: Message + Default + Serialize + DeserializeOwned>(
    border: &'static str,
    message: &'static str,
) -> Kind {
    Kind {
        border,
        message,
        again: |bytes| Ok(M::decode(bytes).map_err(text)?.encode_to_vec()),
        to_json: |bytes| frame::json(&M::decode(bytes).map_err(text)?).map_err(text),
        from_json: |json| Ok(serde_json::from_str::<M>(json).map_err(text)?.encode_to_vec()),
        wrap: |bytes| Ok(bytes.to_vec()),
    }
}

/// A message that is kept in a sealed record.
fn sealed<R: record::Record + Serialize + DeserializeOwned>(message: &'static str) -> Kind {
    Kind {
        border: "record",
        message,
        again: |bytes| Ok(record::seal(&record::open::<R>(bytes).map_err(text)?)),
        to_json: |bytes| frame::json(&record::open::<R>(bytes).map_err(text)?).map_err(text),
        from_json: |json| Ok(record::seal(&serde_json::from_str::<R>(json).map_err(text)?)),
        wrap: |bytes| Ok(record::seal(&R::decode(bytes).map_err(text)?)),
    }
}

/// Is shown every kind of record by [`record::for_each`].
pub(crate) trait Visit {
    /// One kind, with the name of its message.
    fn kind<R: record::Record + Serialize + DeserializeOwned>(&mut self, message: &'static str);
}

impl Visit for Vec<Kind> {
    fn kind<R: record::Record + Serialize + DeserializeOwned>(&mut self, message: &'static str) {
        self.push(sealed::<R>(message));
    }
}

/// Every kind of message that crosses a border.
fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        bare::<v1::ClientFrame>("client", "ClientFrame"),
        bare::<v1::ServerFrame>("server", "ServerFrame"),
        bare::<v1::Event>("event", "Event"),
        bare::<v1::LinkHello>("link", "LinkHello"),
        bare::<v1::Parcel>("link", "Parcel"),
        bare::<v1::CellNotice>("link", "CellNotice"),
        bare::<v1::LinkBatch>("link", "LinkBatch"),
        bare::<v1::FactsCall>("link", "FactsCall"),
        bare::<v1::FactsAnswer>("link", "FactsAnswer"),
        bare::<v1::PeerCall>("peer_call", "PeerCall"),
        bare::<v1::PeerVerb>("peer_verb", "PeerVerb"),
        bare::<v1::PeerAnswer>("peer_answer", "PeerAnswer"),
        bare::<v1::PeerNotice>("peer_notice", "PeerNotice"),
        bare::<v1::HopsCall>("hops", "HopsCall"),
        bare::<v1::HopsAnswer>("hops", "HopsAnswer"),
        bare::<v1::TicketCall>("ticket", "TicketCall"),
        bare::<v1::TicketAnswer>("ticket", "TicketAnswer"),
        bare::<v1::StoreCall>("store_call", "StoreCall"),
        bare::<v1::StoreView>("store_view", "StoreView"),
        bare::<v1::StoreAnswer>("store_answer", "StoreAnswer"),
    ];
    record::for_each(&mut kinds);
    kinds
}

impl Kind {
    /// A message of this kind with the values that `pick` chooses, as bytes at the border.
    fn invent(&self, schema: &Schema, pick: &mut impl Pick) -> Vec<u8> {
        let bytes = schema.invent(self.message, pick);
        (self.wrap)(&bytes).expect("what is made from the schema parses")
    }
}
