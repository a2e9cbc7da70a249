//! Automatic addresses in the status of a `ServiceEntry`, where they survive restarts and are the same to all replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, Source};
use pilothouse_core::model::{AutomaticAddress, Host, ServiceKey};
use pilothouse_core::rules::RuleSpec;
use serde_json::{Value, json};

/// Host and address, as they stand in a status.
pub(super) type Addresses = BTreeSet<(String, String)>;

/// What stands in a status.
pub(super) fn written(status: &Value) -> Addresses {
    let all = status["addresses"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    all.filter_map(|one| Some((text(&one["host"])?, text(&one["value"])?)))
        .collect()
}

/// The addresses that a status keeps for hosts, as far as they are automatic ones: one of each version of IP.
pub(crate) fn kept(status: &Value) -> Option<Arc<BTreeMap<Host, AutomaticAddress>>> {
    let mut found: BTreeMap<String, (Option<_>, Option<_>)> = BTreeMap::new();
    for (host, value) in written(status) {
        let entry = found.entry(host).or_default();
        match value.parse() {
            Ok(IpAddr::V4(v4)) => entry.0 = entry.0.or(Some(v4)),
            Ok(IpAddr::V6(v6)) => entry.1 = entry.1.or(Some(v6)),
            Err(_) => {}
        }
    }
    let both = |(host, (v4, v6)): (String, (Option<_>, Option<_>))| {
        let address = AutomaticAddress { v4: v4?, v6: v6? };
        Some((Host::new(&host).ok()?, address))
    };
    let kept: BTreeMap<_, _> = found.into_iter().filter_map(both).collect();
    (!kept.is_empty()).then(|| Arc::new(kept))
}

/// What the status of an object should keep; `None`: it is none of our business.
pub(super) fn wanted(mesh: &Mesh, source: &Source) -> Option<Addresses> {
    let rule = mesh
        .rule(&source.object)
        .filter(|rule| rule.source == *source)?;
    let RuleSpec::ServiceEntry(entry) = &rule.spec else {
        return None;
    };
    let mut wanted = Addresses::new();
    for host in entry.hosts.iter().filter_map(|host| Host::new(host).ok()) {
        let key = ServiceKey {
            namespace: source.object.namespace.clone(),
            host,
        };
        let Some(given) = mesh.service(&key).and_then(|service| service.automatic) else {
            continue;
        };
        let host = key.host.as_str().to_owned();
        wanted.insert((host.clone(), given.v4.to_string()));
        wanted.insert((host, given.v6.to_string()));
    }
    Some(wanted)
}

/// As a status says it.
pub(super) fn status(addresses: &Addresses) -> Value {
    let one = |(host, value): &(String, String)| json!({"value": value, "host": host});
    let mut sorted: Vec<_> = addresses.iter().collect();
    sorted.sort_by_key(|(host, value)| (host, value.contains(':'), value));
    let all: Vec<_> = sorted.into_iter().map(one).collect();
    if all.is_empty() {
        json!({})
    } else {
        json!({"addresses": all})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_versions_are_kept_for_a_host() {
        let check = |status: Value, expected: &[(&str, &str, &str)]| {
            let kept = kept(&status).unwrap_or_default();
            let kept = kept.iter().map(|(host, address)| {
                let (v4, v6) = (address.v4.to_string(), address.v6.to_string());
                (host.as_str().to_owned(), v4, v6)
            });
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()))
                .collect();
            assert_eq!(kept.collect::<Vec<_>>(), expected, "{status}");
        };
        check(Value::Null, &[]);
        check(json!({"addresses": null}), &[]);
        check(json!({"addresses": [{"value": "240.240.0.1"}, 7]}), &[]);
        check(
            json!({"addresses": [
                {"value": "240.240.0.1", "host": "a.example.com"},
                {"value": "2001:2::1", "host": "a.example.com"},
                {"value": "240.240.0.2", "host": "b.example.com"},
                {"value": "soon", "host": "b.example.com"},
            ]}),
            &[("a.example.com", "240.240.0.1", "2001:2::1")],
        );
    }

    #[test]
    fn what_was_written_is_read_again() {
        let addresses: Addresses = [
            ("a".to_owned(), "240.240.0.1".to_owned()),
            ("a".to_owned(), "2001:2::1".to_owned()),
        ]
        .into();
        assert_eq!(written(&status(&addresses)), addresses);
        assert_eq!(status(&Addresses::new()), json!({}));
    }
}
