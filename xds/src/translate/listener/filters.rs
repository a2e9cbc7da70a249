//! Listener filters: what is found out about a connection before a chain is chosen.

use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::{
    MatchSet, Rule,
};
use envoy_types::pb::envoy::config::listener::v3::{
    ListenerFilter, ListenerFilterChainMatchPredicate, listener_filter,
};
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::original_src::v3::OriginalSrc;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::util::pack_any;
use prost::{Message, Name};

use crate::extensions::Extension;

/// The mark of connections whose source address is the client's: routing rules find them by it.
const ORIGINAL_SOURCE_MARK: u32 = 1337;

/// Finds out whether there is TLS, and with which server name.
pub(in crate::translate) fn tls_inspector() -> ListenerFilter {
    filter(Extension::TlsInspector, TlsInspector::default())
}

/// Finds out whether it is HTTP.
pub(super) fn http_inspector() -> ListenerFilter {
    filter(Extension::HttpInspector, HttpInspector::default())
}

/// Finds out where the connection was going before it was captured.
pub(super) fn original_destination() -> ListenerFilter {
    filter(Extension::OriginalDestination, OriginalDst::default())
}

/// Keeps the client's address as source of the connection to the workload.
pub(super) fn original_source() -> ListenerFilter {
    filter(
        Extension::OriginalSource,
        OriginalSrc {
            mark: ORIGINAL_SOURCE_MARK,
            ..Default::default()
        },
    )
}

/// The filter, except for connections to these ports.
pub(super) fn except(filter: ListenerFilter, ports: &[u16]) -> ListenerFilter {
    let mut rules: Vec<_> = ports.iter().map(|port| to_port(*port)).collect();
    let rule = if rules.len() > 1 {
        Some(Rule::OrMatch(MatchSet { rules }))
    } else {
        rules.pop().and_then(|only| only.rule)
    };
    ListenerFilter {
        filter_disabled: rule.map(|rule| ListenerFilterChainMatchPredicate { rule: Some(rule) }),
        ..filter
    }
}

fn to_port(port: u16) -> ListenerFilterChainMatchPredicate {
    let (start, end) = (i32::from(port), i32::from(port) + 1);
    ListenerFilterChainMatchPredicate {
        rule: Some(Rule::DestinationPortRange(Int32Range { start, end })),
    }
}

fn filter<T: Message + Name>(extension: Extension, config: T) -> ListenerFilter {
    ListenerFilter {
        name: extension.name().into(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(pack_any(config))),
        ..Default::default()
    }
}
