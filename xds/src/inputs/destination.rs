//! What `DestinationRule`s say of a port of a service, for one kind of client.

use std::sync::Arc;

use pilothouse_core::model::{Host, Preference, Service};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{
    Algorithm, Blocks, Destination, HashBy, LocalityLb, Subset, Tunnel,
};

use crate::selection::Whereabouts;
use crate::view::View;

/// What holds for a port of a service, or of a subset of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Governed {
    /// The rules that say it, the oldest first; none where nothing is said.
    pub rules: Vec<ObjectKey>,
    /// The subset.
    pub subset: Option<Arc<Subset>>,
    /// What is said.
    pub blocks: Blocks,
}

impl Governed {
    /// What holds for a port of `host` for clients that the rules `selected` are for; `None` where there is no such subset.
    pub fn of(
        view: &View,
        selected: &[ObjectKey],
        host: &Host,
        subset: &str,
        port: u16,
    ) -> Option<Self> {
        let Some(destination) = destination(view, selected, host) else {
            return subset.is_empty().then(Self::default);
        };
        let subset = match subset {
            "" => None,
            name => Some(destination.subset(name)?.subset.clone()),
        };
        Some(Self {
            rules: destination.rules.clone(),
            blocks: destination.policy(subset.as_deref(), port),
            subset,
        })
    }

    /// By what an endpoint is chosen.
    pub fn algorithm(&self) -> Algorithm {
        let balancer = self.blocks.load_balancer.as_ref();
        balancer.map_or_else(Algorithm::default, |balancer| balancer.algorithm.clone())
    }

    /// Whether connections go where the client dialled, whatever endpoints there are.
    pub fn is_passthrough(&self) -> bool {
        self.algorithm() == Algorithm::Passthrough
    }

    /// In what requests are alike that get to the same endpoint: routes say it.
    pub fn hash_by(&self) -> Option<HashBy> {
        match self.algorithm() {
            Algorithm::Hash(by, _) => Some(by),
            _ => None,
        }
    }

    /// How endpoints of `service` are spread for a client that is here. What a rule says of localities goes before what the
    /// service prefers.
    pub fn spread(&self, service: &Service, client: Option<&Whereabouts>) -> Option<Spread> {
        let client = client?;
        let balancer = self.blocks.load_balancer.as_ref();
        let is_said = balancer.is_some_and(|balancer| balancer.locality.is_some());
        let (is_placed, is_on_node) = (!client.locality.is_empty(), client.node.is_some());
        let how = self.blocks.locality().filter(|_| is_placed);
        let spread = Spread {
            client: client.clone(),
            how: how.unwrap_or(LocalityLb::Off),
            prefers: match service.prefers {
                Preference::NodeOnly if is_on_node => Preference::NodeOnly,
                Preference::Node if is_on_node && !is_said => Preference::Node,
                Preference::Hints if is_placed && !is_said => Preference::Hints,
                Preference::Node | Preference::Zone if is_placed && !is_said => Preference::Zone,
                _ => Preference::Any,
            },
        };
        (spread.how != LocalityLb::Off || spread.prefers != Preference::Any).then_some(spread)
    }

    /// What whoever forwards connections to it has to know.
    pub fn forwarding(&self) -> Forwarding {
        let pool = self.blocks.connection_pool.as_ref();
        Forwarding {
            idle_timeout: pool.and_then(|pool| pool.tcp_idle_timeout),
            max_duration: pool.and_then(|pool| pool.max_connection_duration),
            by_source: self.hash_by() == Some(HashBy::SourceIp),
            tunnel: self.blocks.tunnel.clone(),
            rules: self.rules.clone(),
        }
    }
}

/// How endpoints are spread over localities for a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spread {
    /// Where the client is.
    pub client: Whereabouts,
    /// How localities are chosen.
    pub how: LocalityLb,
    /// What the service itself prefers, as far as it counts.
    pub prefers: Preference,
}

/// How bytes are forwarded to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Forwarding {
    /// How long a connection may be idle.
    pub idle_timeout: Option<std::time::Duration>,
    /// How long a connection may last.
    pub max_duration: Option<std::time::Duration>,
    /// Whether connections from one address get to the same endpoint.
    pub by_source: bool,
    /// That connections go through an HTTP proxy.
    pub tunnel: Option<Arc<Tunnel>>,
    /// The rules that say it.
    pub rules: Vec<ObjectKey>,
}

/// What holds for clients of a host that the rules `selected` are for.
pub fn destination<'a>(
    view: &'a View,
    selected: &[ObjectKey],
    host: &Host,
) -> Option<&'a Arc<Destination>> {
    view.rules(host)?.destinations.of(selected)
}

/// The names of all subsets that one client or another has of a host, and the empty one of the whole service.
pub fn subsets<'a>(view: &'a View, host: &Host) -> impl Iterator<Item = &'a str> {
    let all = view.rules(host).into_iter();
    let all = all.flat_map(|rules| rules.destinations.all());
    let named = all.flat_map(|destination| destination.subsets.iter());
    std::iter::once("").chain(named.map(|of| &*of.subset.name))
}
