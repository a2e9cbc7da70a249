//! An instance's labels.

use std::collections::BTreeMap;

use pilothouse_core::model::Labels;

use crate::client::Instance;

/// What comes before keys of the service's metadata.
const META: &str = "meta.consul/";
/// What comes before keys of the node's metadata.
const NODE_META: &str = "node-meta.consul/";
/// The value of a tag that has none.
const THERE: &str = "true";

/// The labels: tags `KEY|VALUE` and `KEY=VALUE`, other tags with the value `true`, metadata behind prefixes, and the names that
/// telemetry uses (`canonical-name` and `canonical-revision` of the service's metadata).
pub(super) fn of(instance: &Instance) -> Labels {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (prefix, meta) in [
        (NODE_META, &instance.node.meta),
        (META, &instance.service.meta),
    ] {
        all.extend(
            meta.iter()
                .map(|(key, value)| (format!("{prefix}{key}"), value.clone())),
        );
    }
    for (key, label) in [
        ("canonical-name", "service.istio.io/canonical-name"),
        ("canonical-revision", "service.istio.io/canonical-revision"),
    ] {
        if let Some(value) = instance.service.meta.get(key) {
            all.insert(label.into(), value.clone());
        }
    }
    all.insert("app".into(), instance.service.service.clone());
    for tag in &instance.service.tags {
        let pair = tag.split_once('|').or_else(|| tag.split_once('='));
        let (key, value) = pair.unwrap_or((tag, THERE));
        if !key.is_empty() {
            all.insert(key.into(), value.into());
        }
    }
    Labels::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_metadata_are_labels() {
        let mut instance = Instance::default();
        instance.service.service = "web".into();
        instance.service.tags = ["version|v2", "team=red", "primary", "|odd"]
            .map(String::from)
            .into();
        instance.service.meta = [("zone", "a"), ("canonical-name", "shop")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        instance.node.meta = [("zone".to_owned(), "b".to_owned())].into();
        let labels = of(&instance);
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [
                ("app", "web"),
                ("meta.consul/canonical-name", "shop"),
                ("meta.consul/zone", "a"),
                ("node-meta.consul/zone", "b"),
                ("primary", "true"),
                ("service.istio.io/canonical-name", "shop"),
                ("team", "red"),
                ("version", "v2"),
            ]
        );
    }
}
