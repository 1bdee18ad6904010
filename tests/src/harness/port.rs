//! Ports for servers that come back where they were.

use anyhow::{Context, Result};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports below this are kept away from.
const FIRST: u16 = 10_000;
/// Where the system's own choices begin, unless it says otherwise.
const EPHEMERAL_FIRST: u16 = 32_768;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on 127.0.0.1 that is free now and that the system gives to no outgoing connection. From the system's own
/// range a client that tries to reach a server which is down could be given the server's port, and be connected to
/// itself.
pub fn lasting() -> Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    let last = first.unwrap_or(EPHEMERAL_FIRST).max(FIRST + 1);
    let span = u32::from(last - FIRST);
    let start = std::process::id().wrapping_mul(97);
    (0..span)
        .map(|_| {
            let offset = start.wrapping_add(u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % span;
            FIRST + u16::try_from(offset).unwrap_or_default()
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port below the system's own range")
}
