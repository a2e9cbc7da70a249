//! `pilotctl diff`: what is said of two versions of a resource, and of files without discovery as a shell sees it.
//! `INSTA_UPDATE=always` writes what is expected.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::process::Command;

use pilotctl::diff::{fields, words};
use serde_json::{Value, json};

const MESH: &str = include_str!("diff/mesh.yaml");
const PROXY: &str = "sidecar~10.0.0.9~web-1.shop~shop.svc.cluster.local";

/// What is printed, and exited with, for a change of the mesh by replacing texts in it.
fn diff(replaced: &[(&str, &str)], args: &[&str]) -> String {
    let mut change = MESH.to_owned();
    for (from, to) in replaced {
        assert!(change.contains(from), "{from}");
        change = change.replace(from, to);
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mesh.yaml"), MESH).unwrap();
    std::fs::write(dir.path().join("change.yaml"), change).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilotctl"));
    command.args(["diff", "--from", "mesh.yaml", "--proxy", PROXY]);
    command.args([
        "--proxy",
        "sidecar~10.0.0.8~other-1.far~far.svc.cluster.local",
    ]);
    if !replaced.is_empty() {
        command.args(["-f", "change.yaml"]);
    }
    let output = command.args(args).current_dir(dir.path()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!(
        "{}{}exit code {}\n",
        text(output.stdout),
        text(output.stderr),
        output.status.code().unwrap()
    )
}

#[test]
fn weights_move() {
    let moved = [("weight: 80", "weight: 5"), ("weight: 20", "weight: 95")];
    insta::assert_snapshot!(diff(&moved, &["--exit-code"]));
}

#[test]
fn times_and_tries() {
    let less = [
        ("timeout: 5s", "timeout: 2s"),
        ("attempts: 2", "attempts: 4"),
    ];
    insta::assert_snapshot!(diff(&less, &[]));
}

#[test]
fn a_subset_and_outliers() {
    let more = [
        ("consecutive5xxErrors: 3", "consecutive5xxErrors: 5"),
        (
            "subsets: [",
            "subsets: [{ name: v3, labels: { version: v3 } }, ",
        ),
    ];
    insta::assert_snapshot!(diff(&more, &[]));
}

#[test]
fn an_endpoint() {
    let more = [(
        "  - { address: 10.0.0.2,",
        "  - { address: 10.0.0.3, labels: {version: v2} }\n  - { address: 10.0.0.2,",
    )];
    insta::assert_snapshot!(diff(&more, &[]));
}

#[test]
fn a_rule_goes() {
    insta::assert_snapshot!(diff(
        &[],
        &["--delete", "virtualservice", "reviews", "-n", "shop"]
    ));
}

#[test]
fn what_changes_nothing() {
    let same = [("name: api\n", "name: api\n")];
    let expected = "nothing differs for 2 proxies\nexit code 0\n";
    assert_eq!(diff(&same, &["--exit-code"]), expected);
}

#[test]
fn what_cannot_be_deleted_or_is_wrong() {
    let gone = diff(&[], &["--delete", "VirtualService", "other"]);
    assert_eq!(
        gone,
        "pilotctl: VirtualService default/other is not in the files, so it cannot be deleted\nexit code 1\n"
    );
    let wrong = diff(&[("weight: 80", "weight: -1")], &[]);
    assert!(wrong.contains("spec.http[0].route[0].weight"), "{wrong}");
    assert!(wrong.ends_with("exit code 1\n"), "{wrong}");
}

#[test]
fn as_json() {
    let text = diff(&[("timeout: 5s", "timeout: 2s")], &["-o", "json"]);
    let answer: Value = serde_json::from_str(text.trim_end_matches("exit code 0\n")).unwrap();
    let path = "virtual_hosts[reviews.test:80].routes[0].route.timeout";
    let field = json!([{ "path": path, "before": "5s", "after": "2s" }]);
    assert_eq!(answer["changes"][0]["fields"], field);
    assert_eq!(answer["groups"][0]["namespaces"], json!({ "shop": 1 }));
    assert_eq!(
        answer["groups"][0]["words"],
        json!(["the timeout of /api on reviews.test becomes 2s (5s before)"])
    );
}

#[track_caller]
fn check(of: &str, name: &str, before: Value, after: Value, expected: &[&str]) {
    assert_eq!(words(of, name, &before, &after), expected);
}

/// A route configuration of one virtual host.
fn routes(routes: Value) -> Value {
    json!({ "virtual_hosts": [{ "name": "web.shop.svc.cluster.local:80", "routes": routes }] })
}

fn to(path: &str, cluster: &str) -> Value {
    json!({ "match": { "prefix": path }, "route": { "cluster": cluster } })
}

#[test]
fn words_of_routes() {
    let (web, v2) = (
        "outbound|80||web.shop.svc.cluster.local",
        "outbound|80|v2|web.shop.svc.cluster.local",
    );
    let all = to("/", web);
    check(
        "rds",
        "80",
        routes(json!([all])),
        routes(json!([to("/", v2)])),
        &["100 % of all requests to web.shop moves to subset v2"],
    );
    check(
        "rds",
        "80",
        routes(json!([all])),
        routes(json!([to("/api", "outbound|81|a|b.test"), all])),
        &["a new route takes /api on web.shop to subset a of b.test:81"],
    );
    check(
        "rds",
        "80",
        routes(json!([to("/api", v2), all])),
        routes(json!([all])),
        &["the route of /api on web.shop is removed"],
    );
    check(
        "rds",
        "80",
        routes(json!([to("/a", v2), to("/", web)])),
        routes(json!([to("/", web), to("/a", v2)])),
        &["the routes of web.shop have another order"],
    );
    let mut hashed = all.clone();
    hashed["route"]["hash_policy"] = json!([{ "header": { "header_name": "user" } }]);
    check(
        "rds",
        "80",
        routes(json!([all])),
        routes(json!([hashed])),
        &["the route of all requests to web.shop changes: hash_policy"],
    );
    let redirect = json!({ "match": { "prefix": "/" }, "redirect": { "host_redirect": "b.test" } });
    check(
        "rds",
        "80",
        routes(json!([all])),
        routes(json!([redirect])),
        &["the route of all requests to web.shop changes: redirect, route"],
    );
}

#[test]
fn words_of_clusters() {
    let name = "outbound|80|v1|web.test";
    let with = |more: Value| {
        let mut cluster =
            json!({ "name": name, "lb_policy": "LEAST_REQUEST", "metadata": { "of": more } });
        for (key, value) in more.as_object().unwrap() {
            cluster[key] = value.clone();
        }
        cluster
    };
    let limits =
        |n: u64| json!({ "circuit_breakers": { "thresholds": [{ "max_connections": n }] } });
    for (before, after, expected) in [
        (
            Value::Null,
            with(json!({})),
            "a cluster for subset v1 of web.test:80 is added",
        ),
        (
            with(json!({})),
            Value::Null,
            "the cluster for subset v1 of web.test:80 is removed",
        ),
        (
            with(json!({})),
            with(json!({ "lb_policy": "RANDOM" })),
            "load balancing of subset v1 of web.test:80 becomes RANDOM (LEAST_REQUEST before)",
        ),
        (
            with(limits(7)),
            with(limits(3)),
            "circuit breakers of subset v1 of web.test:80 change: max_connections 7 → 3",
        ),
        (
            with(json!({})),
            with(json!({ "outlier_detection": { "consecutive_5xx": 3 } })),
            "bad endpoints of subset v1 of web.test:80 are ejected",
        ),
        (
            with(json!({})),
            with(json!({ "transport_socket": { "name": "tls" } })),
            "connections to subset v1 of web.test:80 use TLS",
        ),
        (
            with(json!({ "connect_timeout": "1s" })),
            with(json!({ "connect_timeout": "2s" })),
            "the cluster for subset v1 of web.test:80 changes: connect_timeout",
        ),
    ] {
        check("cds", name, before, after, &[expected]);
    }
}

#[test]
fn items_of_lists_are_found_again() {
    let shown = |before: Value, after: Value| -> Vec<String> {
        fields(&before, &after)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let named = |name: &str, port: u64| json!({ "name": name, "port": port });
    assert_eq!(
        shown(
            json!({ "filters": [named("a", 1), named("b", 2)] }),
            json!({ "filters": [named("b", 3), named("c", 4)] }),
        ),
        [
            r#"filters[a] - {"name":"a","port":1}"#,
            "filters[b].port 2 → 3",
            r#"filters[c] + {"name":"c","port":4}"#,
        ]
    );
    assert_eq!(
        shown(
            json!({ "domains": ["a", "b"] }),
            json!({ "domains": ["b", "c"] })
        ),
        ["domains - a", "domains + c"]
    );
    assert_eq!(
        shown(json!({ "n": [1, 2, 3] }), json!({ "n": [1, 5, 2, 3] })),
        ["n[1] + 5"]
    );
    assert_eq!(
        shown(
            json!({ "filters": [named("a", 1), named("b", 2)] }),
            json!({ "filters": [named("b", 2), named("a", 1)] }),
        ),
        ["filters (order)"]
    );
}
