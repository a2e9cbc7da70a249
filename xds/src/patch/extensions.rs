//! Filters whose configuration is to be found elsewhere, under their name: it is put where it is looked for.
//!
//! `EXTENSION_CONFIG` states such a configuration, which Istio serves as a resource of its own (ECDS). Here it becomes part of the
//! listener: the filter works alike, and a change of it is a change of the listener.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpFilter, http_filter,
};
use pilothouse_core::rules::resolve::envoy_filter::ApplyTo;

use super::apply::Patching;

/// Gives filters that have none the configuration that has their name; of several, the first.
pub(super) fn inline(patching: &mut Patching<'_>, filters: &mut [HttpFilter]) {
    for patch in patching.of(ApplyTo::ExtensionConfig) {
        let Ok(extension) = patch.message::<TypedExtensionConfig>() else {
            continue;
        };
        for filter in filters.iter_mut() {
            let discovered = matches!(
                filter.config_type,
                Some(http_filter::ConfigType::ConfigDiscovery(_))
            );
            if discovered && filter.name == extension.name {
                filter.config_type = extension
                    .typed_config
                    .clone()
                    .map(http_filter::ConfigType::TypedConfig);
                patching.outcome.applied(&patch.patch);
            }
        }
    }
}
