//! What a `WorkloadEntry` may say.

use serde_json::{Value, json};

use crate::rules::check::problems;

fn check(spec: &Value, expected: &[&str]) {
    assert_eq!(problems("WorkloadEntry", spec), expected, "{spec}");
}

#[test]
fn accepted() {
    for spec in [
        json!({"address": "10.0.0.1"}),
        json!({"address": "2001:db8::1", "ports": {"http": 8080, "grpc-web": "9090"}}),
        json!({"address": "db.example.com", "weight": 7, "locality": "eu/a/1", "network": "west", "serviceAccount": "db"}),
        json!({"address": "unix:///run/db.sock"}),
        json!({"address": "10.0.0.1", "labels": {"app": "web", "acme.io/tier": "front", "empty": ""}}),
    ] {
        check(&spec, &[]);
    }
}

#[test]
fn an_address_or_a_network_is_needed() {
    check(&json!({}), &["E spec.address: is missing"]);
    check(&Value::Null, &["E spec.address: is missing"]);
    check(
        &json!({"network": "west"}),
        &[
            "W spec.address: is empty: the workload is only found behind the gateways of its network",
        ],
    );
}

#[test]
fn addresses_are_ips_names_or_sockets() {
    for address in [
        "10.0.0.256",
        "10.0.0.0/8",
        "10.0.0.1:80",
        "*.example.com",
        "a b",
        "http://a",
        "fe80::1%eth0",
        "1.2",
    ] {
        let expected =
            format!("E spec.address: {address:?} is neither an IP address nor a DNS name");
        check(&json!({ "address": address }), &[&expected]);
    }
    for (address, expected) in [
        (
            "unix://",
            r#"E spec.address: "" is not the absolute path of a socket"#,
        ),
        (
            "unix://@abstract",
            r#"E spec.address: "@abstract" is not the absolute path of a socket"#,
        ),
        (
            "unix:///run/",
            r#"E spec.address: "/run/" is not the absolute path of a socket"#,
        ),
    ] {
        check(&json!({ "address": address }), &[expected]);
    }
    let long = format!("unix:///{}", "x".repeat(107));
    check(
        &json!({ "address": long }),
        &[
            "E spec.address: is no path that a socket can have: longer than 107 bytes, or with a NUL in it",
        ],
    );
    check(
        &json!({"address": "unix:///a", "ports": {"http": 80}}),
        &["E spec.ports: a socket has no ports"],
    );
}

#[test]
fn the_own_machine_is_a_warning() {
    for address in [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
    ] {
        let expected =
            format!("W spec.address: {address} is the own machine of each proxy that dials it");
        check(&json!({ "address": address }), &[&expected]);
    }
}

#[test]
fn every_problem_at_once() {
    check(
        &json!({
            "address": "?", "ports": {"a_b": 0, "http": 65536}, "labels": {"-x": "y", "x": "y z", "/": "", "a/b/c": ""},
            "locality": "a\nb", "network": "\u{1b}[2J", "serviceAccount": "x/../../ns/prod/sa/admin"
        }),
        &[
            r#"E spec.address: "?" is neither an IP address nor a DNS name"#,
            r#"E spec.ports.a_b: "a_b" is not a port name"#,
            "E spec.ports.a_b: 0 is not a port: ports are from 1 to 65535",
            "E spec.ports.http: 65536 is not a port: ports are from 1 to 65535",
            "E spec.labels.-x: is not a label's key",
            r#"E spec.labels["/"]: is not a label's key"#,
            r#"E spec.labels["a/b/c"]: is not a label's key"#,
            r#"E spec.labels.x: "y z" is not a label's value"#,
            "E spec.network: has control characters in it",
            "E spec.locality: has control characters in it",
            r#"E spec.serviceAccount: "x/../../ns/prod/sa/admin" is not an account's name"#,
        ],
    );
}
