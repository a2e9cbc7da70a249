//! Listeners, their chains, and the network filters of these.

use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, ListenerFilter};
use pilothouse_core::rules::resolve::envoy_filter::{ApplyTo, Operation};

use super::apply::Patching;
use super::list::{change, merge_one};
use super::matching::{self, Facts};
use super::{Decoded, cluster, filters};

/// Returns whether the listener stays.
pub(super) fn apply(patching: &mut Patching<'_>, listener: &mut Listener) -> bool {
    let facts = Facts::of(listener);
    for patch in patching.of(ApplyTo::Listener) {
        if !matching::listener(&patch.patch.object, &facts) {
            continue;
        }
        if patch.patch.operation == Operation::Remove {
            patching.outcome.applied(&patch.patch);
            return false;
        }
        let attempt = merge_one(listener, patch).map(|()| true);
        facts.name.clone_into(&mut listener.name);
        patching.outcome.note(&patch.patch, attempt);
    }
    for patch in patching.of(ApplyTo::ListenerFilter) {
        let object = &patch.patch.object;
        if matching::listener(object, &facts) {
            let name = matching::listener_filter(object);
            let attempt = named(
                &mut listener.listener_filters,
                patch,
                name,
                |filter: &ListenerFilter| &filter.name,
            );
            patching.outcome.note(&patch.patch, attempt);
        }
    }
    listener
        .filter_chains
        .retain_mut(|chain| apply_to_chain(patching, chain, &facts));
    if let Some(rest) = &mut listener.default_filter_chain
        && !apply_to_chain(patching, rest, &facts)
    {
        listener.default_filter_chain = None;
    }
    for patch in patching.of(ApplyTo::FilterChain) {
        let adds = patch.patch.operation == Operation::Add;
        if adds && matching::listener(&patch.patch.object, &facts) {
            let attempt = patch.message().map(|chain| {
                listener.filter_chains.push(chain);
                true
            });
            patching.outcome.note(&patch.patch, attempt);
        }
    }
    true
}

/// Returns whether the chain stays.
fn apply_to_chain(patching: &mut Patching<'_>, chain: &mut FilterChain, facts: &Facts) -> bool {
    for patch in patching.of(ApplyTo::FilterChain) {
        let object = &patch.patch.object;
        let is_one = matching::listener(object, facts)
            && matching::chain(
                object,
                facts,
                &chain.name,
                chain.filter_chain_match.as_ref(),
            );
        if !is_one || patch.patch.operation == Operation::Add {
            continue;
        }
        if patch.patch.operation == Operation::Remove {
            patching.outcome.applied(&patch.patch);
            return false;
        }
        let attempt = merge_chain(chain, patch).map(|()| true);
        patching.outcome.note(&patch.patch, attempt);
    }
    let FilterChain {
        name,
        filter_chain_match,
        filters,
        ..
    } = chain;
    let is_one = |patch: &Decoded| {
        let object = &patch.patch.object;
        matching::listener(object, facts)
            && matching::chain(object, facts, name, filter_chain_match.as_ref())
    };
    for patch in patching.of(ApplyTo::NetworkFilter) {
        if is_one(patch) {
            let wanted = matching::filter(&patch.patch.object);
            let attempt = named(filters, patch, wanted, |filter: &Filter| &filter.name);
            patching.outcome.note(&patch.patch, attempt);
        }
    }
    for filter in filters {
        filters::apply(patching, filter, &is_one);
    }
    true
}

fn merge_chain(chain: &mut FilterChain, patch: &Decoded) -> Result<(), String> {
    let wanted: FilterChain = patch.message()?;
    let mut merged = chain.clone();
    if let Some(socket) = &wanted.transport_socket {
        cluster::apart(&mut merged.transport_socket, socket);
    }
    merge_one(&mut merged, patch)?;
    *chain = merged;
    Ok(())
}

/// Changes a list of filters; `wanted` is the name of those that the patch is about, if it says so.
pub(super) fn named<T: super::list::Item>(
    list: &mut Vec<T>,
    patch: &Decoded,
    wanted: Option<&str>,
    name: fn(&T) -> &String,
) -> Result<bool, String> {
    match wanted {
        None => change(list, patch, None),
        Some(wanted) => change(list, patch, Some(&|item| name(item) == wanted)),
    }
}
