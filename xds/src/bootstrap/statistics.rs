//! How the names of Envoy's statistics fall into a metric and its labels. Names of clusters have dots, which is where Envoy's
//! own patterns would cut them: ours end at a `;`, which stands behind the name of every cluster.

use envoy_types::pb::envoy::config::metrics::v3::{StatsConfig, TagSpecifier, tag_specifier};
use envoy_types::pb::google::protobuf::BoolValue;

/// Istio's names of labels, and where the values stand: the first group is taken out of the name, the second is the value.
const TAGS: [(&str, &str); 7] = [
    ("cluster_name", r"^cluster\.(([^;]+);\.)"),
    ("tcp_prefix", r"^tcp\.((.+?)\.)\w+$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    (
        "http_conn_manager_listener_prefix",
        r"^listener\.[^;]+?\.http\.((.+?)\.)downstream",
    ),
    (
        "http_conn_manager_prefix",
        r"^http\.(((?:in|out)bound_\d+\.\d+\.\d+\.\d+_\d+|[^.]+)\.)",
    ),
    (
        "listener_address",
        r"^listener\.(([0-9A-Fa-f_.\[\]:]*?_\d+)\.)",
    ),
];

pub(super) fn statistics() -> StatsConfig {
    let tag = |(name, pattern): (&str, &str)| TagSpecifier {
        tag_name: name.to_owned(),
        tag_value: Some(tag_specifier::TagValue::Regex(pattern.to_owned())),
    };
    StatsConfig {
        stats_tags: TAGS.into_iter().map(tag).collect(),
        use_all_default_tags: Some(BoolValue { value: false }),
        ..StatsConfig::default()
    }
}
