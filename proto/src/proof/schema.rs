//! Messages invented from the schema itself, so that a new field or message is tested without being written
//! down again: [`Schema::invent`] walks a message's descriptor and asks a [`Pick`] for every choice and
//! value.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;

const PACKAGE: &str = ".waggle.v1.";

/// Who chooses what a message contains.
pub(super) trait Pick {
    /// How often a field appears; more than once only if `repeated`.
    fn count(&mut self, field: &str, repeated: bool) -> usize;
    /// Which of a oneof's `variants` is set, if any.
    fn variant(&mut self, message: &str, variants: &[&str]) -> Option<usize>;
    /// A number; narrower fields take its low bits.
    fn number(&mut self, field: &str) -> u64;
    /// A text.
    fn text(&mut self, field: &str) -> String;
}

/// The messages and enums of `schema/*.proto` by name without the package.
pub(super) struct Schema {
    /// Messages.
    pub(super) messages: BTreeMap<String, DescriptorProto>,
    /// Enums.
    pub(super) enums: BTreeMap<String, EnumDescriptorProto>,
}

impl Schema {
    /// Reads the descriptor that the build embedded.
    pub(super) fn load() -> Self {
        let set = FileDescriptorSet::decode(crate::DESCRIPTOR).expect("the build wrote a descriptor set");
        let mut schema = Self { messages: BTreeMap::new(), enums: BTreeMap::new() };
        for file in set.file {
            let nested =
                file.message_type.iter().any(|m| !m.nested_type.is_empty() || !m.enum_type.is_empty());
            assert!(!nested, "{:?}: nested types would go unproved; declare them at the top", file.name);
            schema.messages.extend(file.message_type.into_iter().map(|m| (m.name().to_owned(), m)));
            schema.enums.extend(file.enum_type.into_iter().map(|e| (e.name().to_owned(), e)));
        }
        schema
    }

    /// Names of the variants of a message's oneof, in order; empty when it has none.
    pub(super) fn variants(&self, message: &str) -> Vec<&str> {
        let fields = &self.messages[message].field;
        fields.iter().filter(|f| f.oneof_index.is_some()).map(|f| f.name()).collect()
    }

    /// The protobuf bytes of a message with the values that `pick` chooses.
    pub(super) fn invent(&self, message: &str, pick: &mut impl Pick) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (oneof, plain): (Vec<_>, Vec<_>) =
            self.messages[message].field.iter().partition(|f| f.oneof_index.is_some());
        for field in plain {
            for _ in 0..pick.count(field.name(), field.label() == Label::Repeated) {
                self.field(field, pick, &mut bytes);
            }
        }
        if !oneof.is_empty()
            && let Some(chosen) = pick.variant(message, &self.variants(message))
        {
            self.field(oneof[chosen], pick, &mut bytes);
        }
        bytes
    }

    fn field(&self, field: &FieldDescriptorProto, pick: &mut impl Pick, bytes: &mut Vec<u8>) {
        let tag = u32::try_from(field.number()).expect("field numbers are positive");
        let name = field.name();
        let type_name = || field.type_name().trim_start_matches(PACKAGE).to_owned();
        let mut varint = |value: u64| {
            encode_key(tag, WireType::Varint, bytes);
            encode_varint(value, bytes);
        };
        let block = match field.r#type() {
            Type::Uint64 => return varint(pick.number(name)),
            Type::Uint32 => return varint(pick.number(name) & u64::from(u32::MAX)),
            Type::Bool => return varint(pick.number(name) & 1),
            Type::Enum => {
                let values = &self.enums[&type_name()].value;
                let at = usize::try_from(pick.number(name) % values.len() as u64).expect("a small index");
                return varint(u64::try_from(values[at].number()).expect("our enums count up from 0"));
            }
            Type::Fixed64 => {
                encode_key(tag, WireType::SixtyFourBit, bytes);
                bytes.extend_from_slice(&pick.number(name).to_le_bytes());
                return;
            }
            Type::String | Type::Bytes => pick.text(name).into_bytes(),
            Type::Message => self.invent(&type_name(), pick),
            other => panic!("the schema has no {other:?} yet; teach this walk about it"),
        };
        encode_key(tag, WireType::LengthDelimited, bytes);
        encode_varint(block.len() as u64, bytes);
        bytes.extend_from_slice(&block);
    }
}

/// Choices read from a tape of arbitrary bytes; past its end everything is absent, 0 and empty, so that a
/// shorter tape is a simpler message.
pub(super) struct Tape<'a>(pub(super) &'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }
}

impl Pick for Tape<'_> {
    fn count(&mut self, _: &str, repeated: bool) -> usize {
        usize::from(self.byte() % if repeated { 4 } else { 2 })
    }
    fn variant(&mut self, _: &str, variants: &[&str]) -> Option<usize> {
        usize::from(self.byte()).checked_sub(1).map(|at| at % variants.len())
    }
    fn number(&mut self, _: &str) -> u64 {
        match self.byte() % 6 {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => (1 << 53) + 1,
            3 => u64::MAX,
            4 => u64::from(u32::MAX) + u64::from(self.byte()),
            _ => (0..8).fold(0, |number, _| (number << 8) | u64::from(self.byte())),
        }
    }
    fn text(&mut self, _: &str) -> String {
        const PIECES: [&str; 8] = ["a", "C0123ABCD", "é", "𝄞", "\0", "\"\\\n", "\u{202e}", "</script>"];
        let pieces = self.byte() % 5;
        (0..pieces).map(|_| PIECES[usize::from(self.byte()) % PIECES.len()]).collect()
    }
}
