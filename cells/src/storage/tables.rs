//! Tables of the embedded engine and their rows: bytes to bytes, every value sealed for its key.

use super::engine::Trouble;
use super::keys::Key;
use actors::store::{INLINE_BODY_MAX, fence};
use prost::Message;
use proto::record::{HEADER, Record, open_at, seal_at};
use proto::v1::{BodyRow, Content, LogRow, MessageRow};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

/// A table as redb sees it.
pub type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
/// A table in a write transaction.
pub type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;
/// A table in a read transaction.
pub type Frozen = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// First byte of a row whose content is in `body`; the sealed record, which starts with its version, follows.
const APART: u8 = 0xb0;

macro_rules! tables {
    ($($name:ident),+ $(,)?) => {
        /// All tables, opened once a write transaction.
        pub struct Tables<'t> { $(pub $name: Rows<'t>,)+ }

        impl<'t> Tables<'t> {
            /// Opens, and creates, all tables.
            pub fn open(transaction: &'t WriteTransaction) -> Result<Self, Trouble> {
                Ok(Self { $($name: transaction.open_table(defs::$name)?,)+ })
            }
        }

        /// Definitions, by name.
        #[allow(non_upper_case_globals)]
        pub mod defs {
            $(pub const $name: super::Definition = super::Definition::new(stringify!($name));)+
        }
    };
}
tables! {
    log, head, directory, body, message, thread, reply_of, reaction, member, joined, mark, user, conversation,
    workspace, token, active, partition, format,
}

/// Opens a table of a read transaction.
pub fn frozen(snapshot: &ReadTransaction, table: Definition) -> Result<Frozen, Trouble> {
    Ok(snapshot.open_table(table)?)
}

/// Says which row is damaged and how.
pub fn damaged(table: &str, key: &[u8], why: impl std::fmt::Display) -> Trouble {
    Trouble::Damaged(format!("{table} row {}: {why}", key.escape_ascii()))
}

/// Opens a row found under `key`.
pub fn open<R: Record>(table: &str, key: &[u8], bytes: &[u8]) -> Result<R, Trouble> {
    if cluster::planted!(RotServed)
        && let Some(Ok(record)) = bytes.get(HEADER..).map(R::decode)
    {
        return Ok(record);
    }
    open_at(key, bytes).map_err(|why| damaged(table, key, why))
}

/// Reads one row.
pub fn get<R: Record>(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &str,
    key: &Key,
) -> Result<Option<R>, Trouble> {
    let found = rows.get(key.bytes())?;
    found.map(|row| open(table, key.bytes(), row.value())).transpose()
}

/// Writes one row.
pub fn put<R: Record>(rows: &mut Rows, key: &Key, record: &R) -> Result<(), Trouble> {
    rows.insert(key.bytes(), seal_at(key.bytes(), record).as_slice())?;
    Ok(())
}

/// Records whose content may be kept in `body`.
pub trait Bodied: Record {
    /// The content.
    fn content(&mut self) -> Option<&mut Content>;
}
impl Bodied for LogRow {
    fn content(&mut self) -> Option<&mut Content> {
        self.event.as_mut().and_then(fence::content_mut)
    }
}
impl Bodied for MessageRow {
    fn content(&mut self) -> Option<&mut Content> {
        self.content.as_mut()
    }
}

/// Keys of `body`: the log, which kind of row it belongs to, and that row's number.
#[derive(Debug, Clone, Copy)]
pub enum BodyOf {
    /// The log row of this seq.
    Log(u64),
    /// The message of this us.
    Message(u64),
    /// The reply of this us.
    Reply(u64),
}

impl BodyOf {
    /// The key, after the log's prefix.
    pub fn key(self, log: &Key) -> Key {
        let (tag, number) = match self {
            Self::Log(seq) => (0, seq),
            Self::Message(us) => (1, us),
            Self::Reply(us) => (2, us),
        };
        log.clone().u8(tag).u64(number)
    }
}

/// Writes a row whose content may be large, and takes an older row's body away. Answers whether there was a row.
pub fn put_bodied<R: Bodied>(
    rows: &mut Rows,
    bodies: &mut Rows,
    key: &Key,
    body: &Key,
    mut record: R,
) -> Result<bool, Trouble> {
    let large = record.content().filter(|content| content.encoded_len() > INLINE_BODY_MAX);
    let content = large.map(std::mem::take);
    let mut bytes = seal_at(key.bytes(), &record);
    if content.is_some() {
        bytes.insert(0, APART);
    }
    let old = rows.insert(key.bytes(), bytes.as_slice())?.map(|old| is_apart(old.value()));
    if content.is_some() {
        put(bodies, body, &BodyRow { content })?;
    } else if old == Some(true) {
        bodies.remove(body.bytes())?;
    }
    Ok(old.is_some())
}

/// Removes a row and its body.
pub fn remove_bodied(rows: &mut Rows, bodies: &mut Rows, key: &Key, body: &Key) -> Result<(), Trouble> {
    let old = rows.remove(key.bytes())?.is_some_and(|old| is_apart(old.value()));
    if old {
        bodies.remove(body.bytes())?;
    }
    Ok(())
}

fn is_apart(bytes: &[u8]) -> bool {
    bytes.first() == Some(&APART)
}

/// Opens a row but leaves a content that is kept apart where it is.
pub fn open_header<R: Bodied>(table: &str, key: &[u8], bytes: &[u8]) -> Result<R, Trouble> {
    open(table, key, bytes.strip_prefix(&[APART]).unwrap_or(bytes))
}

/// Opens a row and fetches its content.
pub fn open_bodied<R: Bodied>(
    bodies: &Frozen,
    table: &str,
    key: &[u8],
    body: impl FnOnce() -> Key,
    bytes: &[u8],
) -> Result<R, Trouble> {
    let mut record: R = open_header(table, key, bytes)?;
    if is_apart(bytes) {
        let body = body();
        let row: Option<BodyRow> = get(bodies, "body", &body)?;
        let row = row.ok_or_else(|| damaged("body", body.bytes(), "it is missing"))?;
        if let Some(place) = record.content() {
            *place = row.content.unwrap_or_default();
        }
    }
    Ok(record)
}
