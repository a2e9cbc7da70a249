//! Several objects for one host in one namespace become one: the oldest policy holds, subsets add up.

use std::sync::Arc;

use super::{Blocks, DestinationRule, Policy, Subset};
use crate::registry::ObjectKey;

/// What holds for a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The objects that have a part in it, the oldest first.
    pub rules: Vec<ObjectKey>,
    /// What holds for the whole service.
    pub policy: Option<Arc<Policy>>,
    /// Parts of its endpoints, no two of one name, each with the object that it is from.
    pub subsets: Vec<SubsetOf>,
}

/// A subset, and the object that it is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubsetOf {
    /// The object.
    pub rule: ObjectKey,
    /// What it says.
    pub subset: Arc<Subset>,
}

/// A subset, or the policy for the whole service, that does not count because an older object says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DroppedSubset {
    /// The object.
    pub rule: ObjectKey,
    /// The object that goes first.
    pub to: ObjectKey,
    /// The subset's name; `None`: the policy for the whole service.
    pub subset: Option<Arc<str>>,
}

impl Destination {
    /// What `rules` for one host mean together, the oldest first; and what of them does not count.
    pub fn merge<'a>(
        rules: impl IntoIterator<Item = &'a Arc<DestinationRule>>,
    ) -> (Option<Self>, Vec<DroppedSubset>) {
        let mut dropped = Vec::new();
        let mut merged: Option<(Self, Option<&ObjectKey>)> = None;
        for rule in rules {
            let (all, policy_by) = merged.get_or_insert_with(|| {
                let empty = Self {
                    rules: Vec::new(),
                    policy: None,
                    subsets: Vec::new(),
                };
                (empty, None)
            });
            all.rules.push(rule.key.clone());
            match (&rule.policy, &policy_by) {
                (None, _) => {}
                (Some(policy), None) => {
                    all.policy = Some(policy.clone());
                    *policy_by = Some(&rule.key);
                }
                (Some(_), Some(by)) => dropped.push(DroppedSubset {
                    rule: rule.key.clone(),
                    to: (*by).clone(),
                    subset: None,
                }),
            }
            for subset in &rule.subsets {
                match all.subset(&subset.name) {
                    None => all.subsets.push(SubsetOf {
                        rule: rule.key.clone(),
                        subset: subset.clone(),
                    }),
                    Some(first) => dropped.push(DroppedSubset {
                        rule: rule.key.clone(),
                        to: first.rule.clone(),
                        subset: Some(subset.name.clone()),
                    }),
                }
            }
        }
        (merged.map(|(all, _)| all), dropped)
    }

    /// The subset of this name.
    pub fn subset(&self, name: &str) -> Option<&SubsetOf> {
        self.subsets.iter().find(|of| &*of.subset.name == name)
    }

    /// What holds for a port of the whole service, or of a subset: what the subset says goes before what the service says,
    /// block by block, and what either says for the port alone before what it says for all.
    pub fn policy(&self, subset: Option<&Subset>, port: u16) -> Blocks {
        let general = self.policy.as_deref().map(|policy| policy.of_port(port));
        let own = subset.and_then(|subset| subset.policy.as_deref());
        match (own.map(|policy| policy.of_port(port)), general) {
            (Some(own), Some(general)) => own.over(general),
            (Some(blocks), None) | (None, Some(blocks)) => blocks.clone(),
            (None, None) => Blocks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::Meta;
    use crate::rules::RuleSpec;
    use crate::rules::resolve::destination_rule;

    fn rule(name: &str, spec: Value) -> Arc<DestinationRule> {
        let meta = Meta::new("DestinationRule", "shop", name);
        match RuleSpec::parse("networking.istio.io/v1", "DestinationRule", &spec) {
            Ok((RuleSpec::DestinationRule(spec), _)) => {
                Arc::new(destination_rule(&meta, &spec).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    fn connections(blocks: &Blocks) -> Option<u32> {
        blocks.connection_pool.as_ref()?.max_connections
    }

    fn pool(max: u32) -> Value {
        json!({"tcp": {"maxConnections": max}})
    }

    #[test]
    fn the_oldest_policy_holds_and_subsets_add_up() {
        let first = rule("a", json!({"host": "a.com", "subsets": [{"name": "v1"}]}));
        let second = rule(
            "b",
            json!({"host": "a.com", "trafficPolicy": {"connectionPool": pool(1)}, "subsets": [{"name": "v1"}, {"name": "v2"}]}),
        );
        let third = rule(
            "c",
            json!({"host": "a.com", "trafficPolicy": {"connectionPool": pool(2)}}),
        );
        let (merged, dropped) = Destination::merge([&first, &second, &third]);
        let merged = merged.unwrap();
        assert_eq!(connections(&merged.policy(None, 80)), Some(1));
        let subsets: Vec<_> = merged
            .subsets
            .iter()
            .map(|of| format!("{} of {}", of.subset.name, of.rule.name))
            .collect();
        assert_eq!(subsets, ["v1 of a", "v2 of b"]);
        let dropped: Vec<_> = dropped
            .iter()
            .map(|lost| {
                let what = lost.subset.as_deref().unwrap_or("policy");
                format!("{what} of {} to {}", lost.rule.name, lost.to.name)
            })
            .collect();
        assert_eq!(dropped, ["v1 of b to a", "policy of c to b"]);
        assert_eq!(Destination::merge([]), (None, vec![]));
    }

    #[test]
    fn subsets_override_block_by_block_and_ports_override_everything() {
        let rule = rule(
            "a",
            json!({
                "host": "a.com",
                "trafficPolicy": {
                    "connectionPool": pool(1),
                    "outlierDetection": {},
                    "proxyProtocol": {"version": "V2"},
                    "portLevelSettings": [{"port": {"number": 81}, "tls": {"mode": "DISABLE"}}],
                },
                "subsets": [
                    {"name": "plain"},
                    {"name": "own", "trafficPolicy": {"connectionPool": pool(2)}},
                    {"name": "port", "trafficPolicy": {
                        "connectionPool": pool(3),
                        "portLevelSettings": [{"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}],
                    }},
                ],
            }),
        );
        let (merged, _) = Destination::merge([&rule]);
        let merged = merged.unwrap();
        let check = |subset: &str, port, expected: (Option<u32>, bool, bool, bool)| {
            let subset = merged.subset(subset).map(|of| &*of.subset);
            let found = merged.policy(subset, port);
            let all = (
                connections(&found),
                found.outlier_detection.is_some(),
                found.tls.is_some(),
                found.load_balancer.is_some(),
            );
            assert_eq!(all, expected, "{subset:?} {port}");
            assert_eq!(found.proxy_protocol, Some(super::super::ProxyProtocol::V2));
        };
        check("", 80, (Some(1), true, false, false));
        check("", 81, (None, false, true, false));
        check("plain", 80, (Some(1), true, false, false));
        check("own", 80, (Some(2), true, false, false));
        check("own", 81, (Some(2), false, true, false));
        check("port", 80, (Some(1), true, false, true));
        check("port", 82, (Some(3), true, false, false));
    }
}
