//! How servers of several gateways share addresses and ports: those of older gateways go first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Bind, Gateway, Security, Server, ServerHost};

use super::{From, LostServer};

/// What tells servers of one slot apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The host of requests.
    Http,
    /// The server name.
    Tls,
    /// Nothing: there is only one.
    Opaque,
}

/// A server that is opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) gateway: Arc<Gateway>,
    pub(super) server: Arc<Server>,
}

/// An address and port, with the servers that share it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) bind: Bind,
    /// The port that is listened on.
    pub(super) port: u16,
    pub(super) kind: Kind,
    opened: Vec<Opened>,
}

impl Slot {
    /// Its servers; those of the oldest gateway first.
    pub(super) fn servers(&self) -> &[Opened] {
        &self.opened
    }

    /// Whose servers these are.
    pub(super) fn gateways(&self) -> Vec<ObjectKey> {
        gateways(&self.opened)
    }
}

/// Whose servers these are.
pub(super) fn gateways(servers: &[Opened]) -> Vec<ObjectKey> {
    let keys = servers.iter().map(|one| one.gateway.key.clone());
    let keys: BTreeSet<_> = keys.collect();
    keys.into_iter().collect()
}

/// Gives every server a place, or notes to whom it has lost it.
pub(super) fn divide(from: &From<'_>, lost: &mut BTreeSet<LostServer>) -> Vec<Slot> {
    let mut slots: BTreeMap<(Bind, u16), Slot> = BTreeMap::new();
    for gateway in &from.rules.gateways {
        for server in &gateway.servers {
            let Some(kind) = kind(server) else {
                continue;
            };
            let port = from.projection.target_port(server.port);
            let opened = Opened {
                gateway: gateway.clone(),
                server: server.clone(),
            };
            let at = (server.bind.clone(), port);
            let Some(slot) = slots.get_mut(&at) else {
                let slot = Slot {
                    bind: server.bind.clone(),
                    port,
                    kind,
                    opened: vec![opened],
                };
                slots.insert(at, slot);
                continue;
            };
            match conflict(slot, kind, server) {
                None => slot.opened.push(opened),
                Some((winner, why)) => drop(lost.insert(LostServer {
                    loser: gateway.key.clone(),
                    field: server.field.clone(),
                    to: winner.gateway.key.clone(),
                    why: why.into(),
                })),
            }
        }
    }
    slots.into_values().collect()
}

/// `None` for a server that nobody has a certificate for.
fn kind(server: &Server) -> Option<Kind> {
    match server.security {
        Security::Unserved => None,
        _ if server.is_tls() => Some(Kind::Tls),
        _ if server.protocol.is_http() => Some(Kind::Http),
        _ => Some(Kind::Opaque),
    }
}

/// Which server of a slot leaves no room for another one, and why.
fn conflict<'a>(slot: &'a Slot, kind: Kind, server: &Server) -> Option<(&'a Opened, String)> {
    let first = slot.opened.first()?;
    let what = |of: &Opened| {
        format!(
            "{} of {} listens on port {}",
            of.server.field, of.gateway.key, slot.port
        )
    };
    if slot.kind != kind || kind == Kind::Opaque {
        let why = format!(
            "{} with {:?}, which nothing tells from {:?}: of several, the server of the oldest gateway is opened",
            what(first),
            first.server.protocol,
            server.protocol
        );
        return Some((first, why));
    }
    if kind != Kind::Tls {
        return None;
    }
    slot.opened.iter().find_map(|known| {
        let mut pairs = known
            .server
            .hosts
            .iter()
            .flat_map(|a| server.hosts.iter().map(move |b| (a, b)));
        let both_end = ends(&known.server) && ends(server);
        let is_same = |a: &ServerHost, b: &ServerHost| a == b || both_end && a.host == b.host;
        let (host, _) = pairs.find(|(a, b)| is_same(a, b))?;
        let why = format!(
            "{} for {}: of servers for one server name, that of the oldest gateway is opened",
            what(known),
            host.host
        );
        Some((known, why))
    })
}

/// Whether server names of its hosts are told from others by the listener itself.
fn ends(server: &Server) -> bool {
    matches!(server.security, Security::Terminate(_))
}
