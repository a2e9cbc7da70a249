//! Ports for processes that must be told theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// Below Linux' ephemeral range, so that no outgoing connection takes one while it is unbound.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// An address on 127.0.0.1 that nobody listens on. Processes that run side by side begin at different places of the range.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(COUNT / 40)) as u16 * 40;
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        .find(|address| TcpListener::bind(address).is_ok())
        .with_context(|| {
            format!(
                "no free port on 127.0.0.1 between {FIRST} and {}",
                FIRST + COUNT
            )
        })
}
