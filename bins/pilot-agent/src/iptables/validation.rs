//! Whether capturing works here: a connection to this machine's own address must come to the port of Envoy, from where it was
//! going can still be asked.
//!
//! It has to be made by the user that Envoy runs as, because what other users send to this machine itself is left alone, and before
//! Envoy has the port.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};

use super::args::Mode;
use super::host::Host;
use super::settings::Settings;

/// Connects to `port` of each of this machine's addresses whose version of IP is captured.
pub(super) fn run(settings: &Settings, port: u16, within: Duration) -> Result<()> {
    if settings.mode == Mode::Tproxy {
        tracing::warn!(
            "--run-validation has no effect with TPROXY: only Envoy's own sockets are handed such connections"
        );
        return Ok(());
    }
    let user = rustix::process::geteuid().as_raw();
    ensure!(
        settings.proxy_users.contains(&user),
        "--run-validation: it runs as user {user}, and only what the users {:?} send to this machine is captured",
        settings.proxy_users
    );
    let mut tried = 0;
    for v6 in [false, true] {
        let addresses = Host::read()?.addresses;
        let own = addresses.iter().find(|ip| ip.is_ipv6() == v6);
        if let Some(own) = own.filter(|_| settings.v6 || !v6) {
            let target = SocketAddr::new(*own, port);
            check(settings.inbound_port, target, within)
                .with_context(|| format!("--run-validation: connecting to {target}"))?;
            tracing::info!(%target, "a connection was captured");
            tried += 1;
        }
    }
    ensure!(
        tried > 0,
        "--run-validation: this machine has no address that others can reach"
    );
    Ok(())
}

fn check(inbound_port: u16, target: SocketAddr, within: Duration) -> Result<()> {
    // A redirected connection comes to the address of the interface that it came in by.
    let any: IpAddr = match target {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = TcpListener::bind((any, inbound_port))
        .with_context(|| format!("listening on port {inbound_port}, as Envoy would"))?;
    let client = TcpStream::connect_timeout(&target, within)
        .context("nothing has taken the connection: it is not captured, or the kernel drops it")?;
    // It is established, so it waits in the listener's queue, or in that of somebody else.
    listener
        .set_nonblocking(true)
        .context("preparing to accept")?;
    let accepted = match listener.accept() {
        Ok((accepted, _)) => accepted,
        Err(_) => bail!("somebody else has taken the connection: it is not captured"),
    };
    let original: SocketAddr = match target {
        SocketAddr::V4(_) => ip_original_dst(&accepted).map(SocketAddr::V4),
        SocketAddr::V6(_) => ipv6_original_dst(&accepted).map(SocketAddr::V6),
    }
    .context("asking where the connection was going")?;
    ensure!(
        original.ip() == target.ip() && original.port() == target.port(),
        "it was captured as one to {original}"
    );
    drop(client);
    Ok(())
}
