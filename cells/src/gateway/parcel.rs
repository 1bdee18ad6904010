//! Moving a connection from the runtime that accepted it to the shard on which its session lives.

use std::io;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// A stream that can be packed where it is and unpacked on a shard.
pub trait Parcel: AsyncRead + AsyncWrite + Unpin + Send + Sized + 'static {
    /// What travels.
    type Packed: Send;
    /// Takes it off the runtime it is on.
    fn pack(self) -> io::Result<Self::Packed>;
    /// Puts it on the runtime of the calling task.
    fn unpack(packed: Self::Packed) -> io::Result<Self>;
}

impl Parcel for TcpStream {
    type Packed = std::net::TcpStream;
    fn pack(self) -> io::Result<Self::Packed> {
        self.into_std()
    }
    fn unpack(packed: Self::Packed) -> io::Result<Self> {
        Self::from_std(packed)
    }
}

impl Parcel for DuplexStream {
    type Packed = Self;
    fn pack(self) -> io::Result<Self> {
        Ok(self)
    }
    fn unpack(packed: Self) -> io::Result<Self> {
        Ok(packed)
    }
}
