//! When an endpoint is left out for a while.

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection as Envoys};
use envoy_types::pb::envoy::r#type::v3::Percent;
use pilothouse_core::rules::resolve::OutlierDetection;

use super::super::super::common::{duration, uint};

pub(super) fn apply(cluster: &mut Cluster, detection: &OutlierDetection) {
    // A reason counts always or, where it is said to take no failures at all, never.
    let enforced =
        |count: Option<u32>| count.and_then(|count| uint(if count == 0 { 0 } else { 100 }));
    let counted = |count: Option<u32>| count.filter(|count| *count != 0).and_then(uint);
    let local = detection
        .local_failures
        .filter(|count| detection.split_local && *count != 0);
    cluster.outlier_detection = Some(Envoys {
        // Comparing endpoints with each other is not part of what rules say.
        enforcing_success_rate: uint(0),
        consecutive_5xx: counted(detection.server_errors),
        enforcing_consecutive_5xx: enforced(detection.server_errors),
        consecutive_gateway_failure: counted(detection.gateway_errors),
        enforcing_consecutive_gateway_failure: enforced(detection.gateway_errors),
        interval: detection.interval.and_then(duration),
        base_ejection_time: detection.base_ejection_time.and_then(duration),
        max_ejection_percent: detection.max_ejection_percent.and_then(uint),
        split_external_local_origin_errors: detection.split_local,
        consecutive_local_origin_failure: local.and_then(uint),
        enforcing_consecutive_local_origin_failure: enforced(local),
        enforcing_local_origin_success_rate: if detection.split_local { uint(0) } else { None },
        ..Default::default()
    });
    if let Some(common) = &mut cluster.common_lb_config {
        common.healthy_panic_threshold = Some(Percent {
            value: detection.min_health_percent.into(),
        });
    }
}
