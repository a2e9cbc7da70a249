//! What holds for a proxy, by what mesh config and the rules around it say.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::mesh::{Mesh, MeshConfig, Rule, Source};
use crate::registry::RegistryId;
use crate::rules::resolve::mesh_config;
use crate::rules::{Resolved, RuleSpec};

/// A config with providers `a`, `b` of logs, and `zipkin` and `otel` of spans.
fn config(more: &Json) -> MeshConfig {
    let mut written = json!({"extensionProviders": [
        {"name": "a", "envoyFileAccessLog": {"path": "/a"}},
        {"name": "b", "envoyFileAccessLog": {"path": "/b"}},
        {"name": "zipkin", "zipkin": {"service": "z.test", "port": 9411}},
        {"name": "otel", "opentelemetry": {"service": "o.test", "port": 4317}},
    ]});
    for (key, value) in more.as_object().unwrap() {
        written[key] = value.clone();
    }
    let (config, problems) = mesh_config(&written).unwrap();
    assert_eq!(problems, []);
    config
}

/// A mesh of rules, by namespace and name, the first of a namespace the oldest.
fn mesh(config: MeshConfig, rules: &[(&str, &str, Json)]) -> Mesh {
    let mut mesh = Mesh::default();
    mesh.set_config(Arc::new(config));
    for (second, (namespace, name, spec)) in (1..).zip(rules) {
        let (spec, _) = RuleSpec::parse("telemetry.istio.io/v1", "Telemetry", spec).unwrap();
        let meta = Meta {
            created: Some(Timestamp::from_second(second).unwrap()),
            ..Meta::new("Telemetry", namespace, name)
        };
        let key = meta.key.clone();
        let rule = Rule {
            source: Source {
                registry: RegistryId::new("Static", "test"),
                object: key.clone(),
            },
            resolved: Resolved::of(&meta, &spec),
            meta,
            spec,
        };
        mesh.set_rule(&key, Some(Arc::new(rule)));
    }
    mesh
}

/// What holds for a side of a proxy in `shop` of the application `web`.
fn of(mesh: &Mesh, side: TelemetrySide) -> Option<Effective> {
    let labels = [("app", "web")].into_iter().collect();
    let rules = effective_rules(mesh, &"shop".into(), &labels);
    effective(mesh.config(), &rules, side)
}

/// Who takes logs of the client and of the server side: `provider` or `provider if filter`, `-` for mesh config's own file.
fn check_logs(more: Json, rules: &[(&str, &str, Json)], client: &str, server: &str) {
    let mesh = mesh(config(&more), rules);
    let shown = |side| {
        let Some(found) = of(&mesh, side) else {
            return "nothing said".to_owned();
        };
        let all = found.logs.iter().map(|(to, filter)| {
            let to = match to {
                LogProvider::MeshConfig => "-",
                LogProvider::Named(provider) => &provider.name,
            };
            filter
                .as_ref()
                .map_or_else(|| to.to_owned(), |filter| format!("{to} if {filter}"))
        });
        all.collect::<Vec<_>>().join(", ")
    };
    let found = (shown(TelemetrySide::Client), shown(TelemetrySide::Server));
    assert_eq!(
        (found.0.as_str(), found.1.as_str()),
        (client, server),
        "{more} {rules:?}"
    );
}

fn logs(entries: Json) -> Json {
    json!({ "accessLogging": entries })
}

fn to(name: &str) -> Json {
    json!([{ "name": name }])
}

#[test]
fn logs_go_where_the_narrowest_rule_says() {
    let none = || json!({});
    let defaults = || json!({"defaultProviders": {"accessLogging": ["a"]}});
    let root = |spec| ("istio-system", "root", spec);
    let wide = |spec| ("shop", "wide", spec);
    let narrow = |mut spec: Json| {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        ("shop", "narrow", spec)
    };
    let by = |name: &str| logs(json!([{ "providers": to(name) }]));
    let off = || logs(json!([{ "disabled": true }]));
    let check = check_logs;
    check(none(), &[], "nothing said", "nothing said");
    check(defaults(), &[], "a", "a");
    check(none(), &[root(by("a"))], "a", "a");
    check(none(), &[root(by("a")), wide(by("b"))], "b", "b");
    check(
        none(),
        &[root(by("a")), wide(by("b")), narrow(by("a"))],
        "a",
        "a",
    );
    check(defaults(), &[wide(off())], "", "");
    check(none(), &[root(by("a")), wide(off())], "", "");
    check(none(), &[root(by("a")), ("bank", "other", off())], "a", "a");
    let mine = json!({"accessLogFile": "/dev/stdout"});
    check(mine.clone(), &[wide(off())], "", "");
    check(mine.clone(), &[wide(json!({"tracing": [{}]}))], "-", "-");
    check(mine, &[wide(by("b"))], "b", "b");
    let filter = || json!({"expression": "response.code >= 500"});
    check(
        defaults(),
        &[wide(logs(json!([{ "filter": filter() }])))],
        "a if response.code >= 500",
        "a if response.code >= 500",
    );
    let modes = logs(json!([
        {"match": {"mode": "CLIENT"}, "providers": to("a")},
        {"match": {"mode": "SERVER"}, "providers": to("b"), "filter": filter()},
    ]));
    check(none(), &[wide(modes)], "a", "b if response.code >= 500");
    let one_side = logs(json!([{"match": {"mode": "SERVER"}, "disabled": true}]));
    check(none(), &[root(by("a")), wide(one_side)], "a", "");
    check(none(), &[wide(by("nobody"))], "", "");
    check(
        none(),
        &[wide(by("a")), ("shop", "later", by("b"))],
        "a",
        "a",
    );
    let attached = json!({"targetRefs": [{"kind": "Service", "name": "web"}], "accessLogging": [{"disabled": true}]});
    check(
        none(),
        &[wide(attached), ("shop", "later", by("b"))],
        "b",
        "b",
    );
}

#[test]
fn spans_are_put_together_field_by_field() {
    let check =
        |more: Json, rules: &[(&str, &str, Json)], expected: Option<(&str, f64, &[&str])>| {
            let mesh = mesh(config(&more), rules);
            let found = of(&mesh, TelemetrySide::Client).and_then(|found| found.spans);
            let found = found.map(|spans| {
                let tags = spans.tags.iter().map(|(name, _)| name.to_string());
                let host = spans.provider.kind.collector().unwrap().host.to_string();
                (host, spans.sampling.percent(), tags.collect::<Vec<_>>())
            });
            let expected = expected.map(|(host, percent, tags)| {
                let tags = tags.iter().map(ToString::to_string).collect();
                (host.to_owned(), percent, tags)
            });
            assert_eq!(found, expected, "{more} {rules:?}");
        };
    let tracing = |spec: Json| json!({ "tracing": [spec] });
    let tag = |name: &str| json!({name: {"literal": {"value": "x"}}});
    let defaults = || json!({"defaultProviders": {"tracing": ["zipkin"]}});
    check(json!({}), &[("shop", "wide", tracing(json!({})))], None);
    check(defaults(), &[], Some(("z.test", 1.0, &[])));
    let half = tracing(json!({"randomSamplingPercentage": 50, "customTags": tag("t")}));
    check(
        defaults(),
        &[("shop", "wide", half.clone())],
        Some(("z.test", 50.0, &["t"])),
    );
    let otel = tracing(json!({"providers": to("otel"), "customTags": tag("u")}));
    check(
        defaults(),
        &[
            ("istio-system", "root", half.clone()),
            ("shop", "wide", otel),
        ],
        Some(("o.test", 50.0, &["u"])),
    );
    let off = tracing(json!({"disableSpanReporting": true}));
    check(defaults(), &[("shop", "wide", off.clone())], None);
    let on = tracing(json!({"disableSpanReporting": false}));
    check(
        defaults(),
        &[("istio-system", "root", off), ("shop", "wide", on)],
        Some(("z.test", 1.0, &[])),
    );
    let server = tracing(json!({"match": {"mode": "SERVER"}, "disableSpanReporting": true}));
    check(
        defaults(),
        &[("shop", "wide", server)],
        Some(("z.test", 1.0, &[])),
    );
    let legacy = json!({
        "enableTracing": true,
        "defaultConfig": {"tracing": {
            "zipkin": {"address": "old.test:9411"}, "sampling": 10, "customTags": tag("old"), "maxPathTagLength": 64,
        }},
    });
    check(legacy.clone(), &[], Some(("old.test", 10.0, &["old"])));
    check(
        legacy,
        &[("shop", "wide", half)],
        Some(("old.test", 50.0, &["t"])),
    );
}

#[test]
fn metrics_are_counted_for_whoever_scrapes() {
    let check = |more: Json, spec: Json, side, expected: Option<Vec<String>>| {
        let mesh = mesh(config(&more), &[("shop", "wide", spec.clone())]);
        let found = of(&mesh, side).and_then(|found| found.metrics);
        let found = found.map(|counted| {
            let one = |(metric, tags)| match tags {
                tags if tags == Default::default() => format!("{metric:?}"),
                tags => format!("{metric:?} {:?}", tags),
            };
            counted.into_iter().map(one).collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{spec}");
    };
    let all = || Metric::ALL.map(|metric| format!("{metric:?}")).to_vec();
    let client = TelemetrySide::Client;
    let by = |overrides: Json| json!({"metrics": [{"providers": to("prometheus"), "overrides": overrides}]});
    check(json!({}), json!({"metrics": [{}]}), client, None);
    check(json!({}), by(json!([])), client, Some(all()));
    check(
        json!({"defaultProviders": {"metrics": ["prometheus"]}}),
        json!({}),
        client,
        Some(all()),
    );
    check(json!({}), by(json!([{"disabled": true}])), client, None);
    let only_count = by(json!([
        {"disabled": true},
        {"match": {"metric": "REQUEST_COUNT"}, "disabled": false, "tagOverrides": {
            "reporter": {"operation": "REMOVE"}, "host": {"value": "request.host"},
        }},
    ]));
    let tags = r#"RequestCount {"host": Value("request.host"), "reporter": Removed}"#;
    check(json!({}), only_count, client, Some(vec![tags.to_owned()]));
    let server_off = by(json!([{"match": {"mode": "SERVER"}, "disabled": true}]));
    check(json!({}), server_off.clone(), client, Some(all()));
    check(json!({}), server_off, TelemetrySide::Server, None);
    check(
        json!({}),
        by(json!([{"match": {"customMetric": "x"}, "disabled": true}])),
        client,
        Some(all()),
    );
}
