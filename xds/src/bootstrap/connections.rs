//! How many connections Envoy takes: as many as come, which has to be said. Limits are a matter of the platform and of rules.

use envoy_types::pb::envoy::config::overload::v3::{
    OverloadManager, ResourceMonitor, resource_monitor,
};
use envoy_types::pb::envoy::extensions::resource_monitors::downstream_connections::v3::DownstreamConnectionsConfig;
use envoy_types::util::pack_any;

pub(super) fn connections() -> OverloadManager {
    let config = DownstreamConnectionsConfig {
        max_active_downstream_connections: i64::from(i32::MAX),
    };
    OverloadManager {
        resource_monitors: vec![ResourceMonitor {
            name: "envoy.resource_monitors.global_downstream_max_connections".to_owned(),
            config_type: Some(resource_monitor::ConfigType::TypedConfig(pack_any(config))),
        }],
        ..OverloadManager::default()
    }
}
