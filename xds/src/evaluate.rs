//! What an Envoy does with a request: a walk over the resources that it holds, in the order in which Envoy walks them.
//!
//! ```text
//! Configuration ┐
//! Call ─────────┴─► listener ─► chain ─► network ─► http (virtual host, route, filters, action) ─► cluster ─► Walk
//! ```
//!
//! Pure: it reads messages of Envoy's API and nothing else, so it answers for any configuration, wherever that comes from: a
//! [`Snapshot`](crate::snapshot::Snapshot), files, or an Envoy's own dump. What depends on chance depends on [`Call::random`] and
//! is told with all its alternatives.
//!
//! It is not a proxy: of the HTTP filters it knows the router, faults and CORS, and names the others; health is what
//! assignments say, not what an Envoy has found out.

mod action;
mod ask;
mod chain;
mod cluster;
mod configuration;
mod cors;
mod fault;
mod headers;
mod http;
mod listener;
mod matcher;
mod network;
mod path;
mod redirect;
mod route;
#[cfg(test)]
mod tests;
mod virtual_host;
mod walk;

pub use ask::{Call, ClientHello, Entrance, Payload, Request, Version};
pub use configuration::{Configuration, Unreadable};
pub use headers::Headers;
pub use walk::{
    Address, Candidate, ChainStep, ClusterStep, Considered, Detected, EndpointGroup, Fault,
    FlagCode, HeaderEdit, HttpStep, ListenerStep, Mirror, Outcome, Retries, Rule, Tls, Upstream,
    Walk,
};

use crate::names;
use listener::Found;

/// What becomes of `call` at an Envoy that holds `configuration`.
///
/// ```
/// use pilothouse_xds::evaluate::{Call, Configuration, Entrance, Outcome, evaluate};
///
/// let call = Call::get(Entrance::Outbound(([10, 0, 0, 9], 80).into()), "web", "/");
/// let walk = evaluate(&Configuration::default(), &call);
/// assert!(matches!(walk.outcome, Outcome::Refused { .. }));
/// ```
pub fn evaluate(configuration: &Configuration, call: &Call) -> Walk {
    let mut walk = Walk::default();
    let Found { listener, from, to } = match listener::find(configuration, &call.entrance) {
        Ok(found) => found,
        Err(why) => {
            walk.outcome = Outcome::Refused { why };
            return walk;
        }
    };
    let detected = listener::detect(listener, to, call);
    walk.listener = Some(ListenerStep {
        name: listener.name.clone(),
        handed_over_by: from.map(|from| from.name.clone()),
        filters: listener
            .listener_filters
            .iter()
            .map(|filter| filter.name.clone())
            .collect(),
        detected: detected.clone(),
        rule: Rule::of(listener.metadata.as_ref()),
    });
    if listener.filter_chain_matcher.is_some() {
        walk.outcome = Outcome::Unknown {
            why: format!(
                "the listener {} chooses its chains by a matcher, which is not followed here",
                listener.name
            ),
        };
        return walk;
    }
    let facts = chain::Facts {
        destination: to,
        source: call.source,
        detected: &detected,
    };
    let choice = chain::choose(listener, &facts);
    let Some(chosen) = choice.chain else {
        walk.outcome = Outcome::Closed {
            flag: FlagCode::NR,
            why: format!("no filter chain of the listener {} matches", listener.name),
        };
        walk.chain = Some(ChainStep {
            considered: choice.considered,
            ..ChainStep::default()
        });
        return walk;
    };
    walk.chain = Some(ChainStep {
        name: choice.name,
        default: choice.default,
        considered: choice.considered,
        filters: chosen
            .filters
            .iter()
            .map(|filter| filter.name.clone())
            .collect(),
        terminates_tls: chosen.transport_socket.is_some(),
        rule: Rule::of(chosen.metadata.as_ref()),
    });
    // Only what captures connections restores where they were going.
    let captures = from.is_some()
        || [names::VIRTUAL_OUTBOUND, names::VIRTUAL_INBOUND].contains(&listener.name.as_str());
    network::go_on(configuration, call, chosen, captures.then_some(to), walk)
}
