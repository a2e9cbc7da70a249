//! What a `ServiceEntry` may say.

use serde_json::{Value, json};

use crate::rules::check::problems;

/// A valid entry with some of its fields replaced; `null` removes one.
fn check(fields: Value, expected: &[&str]) {
    let mut spec = json!({
        "hosts": ["db.example.com"],
        "addresses": ["10.1.2.3"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.1"}],
    });
    let (Some(base), Value::Object(fields)) = (spec.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    assert_eq!(problems("ServiceEntry", &spec), expected, "{spec}");
}

#[test]
fn hosts() {
    check(json!({"hosts": ["a", "*.b.com", "C.com."]}), &[]);
    check(json!({"hosts": []}), &["E spec.hosts: is empty"]);
    check(json!({"hosts": null}), &["E spec.hosts: is empty"]);
    check(
        json!({"hosts": ["*"]}),
        &[r#"E spec.hosts[0]: "*" would claim every name"#],
    );
    check(
        json!({"hosts": ["a.com", "A.com."]}),
        &["W spec.hosts[1]: is named twice"],
    );
    for (host, why) in [
        ("10.0.0.1", "is an IP address, not a host name"),
        ("::1", "is an IP address, not a host name"),
        ("a.10", "is not a host name: its last label is a number"),
        ("*a.com", "has a wildcard within or behind a name"),
        ("a.*.com", "has a wildcard within or behind a name"),
        ("", "is not a host name: it is empty"),
        ("a..b", "is not a host name: a label is empty"),
        (
            "-a.b",
            "is not a host name: a label begins or ends with '-'",
        ),
    ] {
        check(
            json!({"hosts": [host]}),
            &[&format!("E spec.hosts[0]: {host:?} {why}")],
        );
    }
    let many: Vec<_> = (0..257).map(|number| format!("h{number}.com")).collect();
    check(
        json!({ "hosts": many }),
        &["E spec.hosts: has 257 items, the limit is 256"],
    );
}

#[test]
fn several_hosts_need_a_protocol_that_tells_them_apart() {
    const APART: &str = "W spec.hosts: cannot be told apart on ports that are neither HTTP nor TLS";
    let with = |protocol: &str, resolution: &str, expected: &[&str]| {
        check(
            json!({
                "hosts": ["a.com", "b.com"], "addresses": ["10.0.0.1"], "resolution": resolution, "endpoints": null,
                "ports": [{"number": 99, "name": "x", "protocol": protocol}],
            }),
            expected,
        );
    };
    const EMPTY: &str = "W spec.endpoints: is empty: requests to the service are refused";
    const SHARED: &str =
        "W spec.addresses: several hosts share them on a TCP port: only one of them is reached";
    with("GRPC", "STATIC", &[EMPTY]);
    with("TLS", "STATIC", &[EMPTY]);
    with("TCP", "STATIC", &[APART, EMPTY]);
    with("", "STATIC", &[APART, EMPTY]);
    with("TCP", "NONE", &[]);
    with("TCP", "DNS", &[APART, SHARED]);
    with("TLS", "DNS", &[SHARED]);
    with("HTTP", "DNS", &[]);
}

#[test]
fn addresses() {
    check(
        json!({"addresses": ["10.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32"]}),
        &[],
    );
    check(
        json!({"addresses": ["10.0.0.0/8"], "resolution": "NONE", "endpoints": null}),
        &[],
    );
    for bad in [
        "10.0.0",
        "a.com",
        "10.0.0.1/33",
        "10.0.0.1/",
        "",
        "10.0.0.1:80",
    ] {
        let expected = format!(
            "E spec.addresses[0]: {bad:?} is neither an IP address nor a block such as 10.0.0.0/8"
        );
        check(json!({"addresses": [bad]}), &[&expected]);
    }
    check(
        json!({"addresses": ["10.0.0.0/8"], "resolution": "DNS"}),
        &["E spec.addresses[0]: is a block of addresses"],
    );
    for wide in ["0.0.0.0/0", "0.0.0.0", "::/0", "10.0.0.0/7", "2000::/3"] {
        let expected = format!(
            "W spec.addresses[0]: {wide} captures much of what clients in all namespaces that see this send"
        );
        check(json!({"addresses": [wide]}), &[&expected]);
    }
}

#[test]
fn ports() {
    for protocol in [
        "http", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO", "MYSQL", "REDIS",
        "UDP", "",
    ] {
        check(
            json!({"ports": [{"number": 80, "name": "x", "protocol": protocol}]}),
            &[],
        );
    }
    check(
        json!({"ports": []}),
        &["W spec.ports: is empty: nothing can be sent to the service"],
    );
    check(
        json!({"ports": [
            {"number": 0, "name": "", "protocol": "HTTP"},
            {"number": 65536, "name": "a b", "protocol": "SPDY", "targetPort": 70000},
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 80, "name": "http", "protocol": "HTTP"},
        ]}),
        &[
            "E spec.ports[0].name: is missing",
            "E spec.ports[0].number: 0 is not a port: ports are from 1 to 65535",
            r#"E spec.ports[1].name: "a b" is not a port name"#,
            "E spec.ports[1].number: 65536 is not a port: ports are from 1 to 65535",
            r#"E spec.ports[1].protocol: "SPDY" is not a protocol"#,
            "E spec.ports[1].targetPort: 70000 is not a port: ports are from 1 to 65535",
            r#"E spec.ports[3].name: another port has the name "http""#,
            "E spec.ports[3].number: another port has the number 80",
        ],
    );
    check(json!({"ports": [null]}), &["E spec.ports[0]: is null"]);
}

#[test]
fn a_tcp_port_wants_an_address() {
    const CLAIMS: &str = "W spec.ports[0]: the service has no address of its own, so that this port claims its number for all destinations";
    for (name, protocol, expected) in [
        ("x", "TCP", &[CLAIMS][..]),
        ("x", "", &[CLAIMS]),
        ("tcp-x", "", &[CLAIMS]),
        ("http", "", &[]),
        ("x", "TLS", &[]),
    ] {
        check(
            json!({"addresses": [], "ports": [{"number": 9, "name": name, "protocol": protocol}]}),
            expected,
        );
    }
}

#[test]
fn resolution_none() {
    check(json!({"resolution": "NONE", "endpoints": null}), &[]);
    check(json!({"resolution": null, "endpoints": null}), &[]);
    check(
        json!({"resolution": "NONE"}),
        &["E spec.endpoints: are given with resolution NONE"],
    );
    check(
        json!({
            "resolution": "NONE", "endpoints": null, "workloadSelector": {"labels": {"a": "b"}},
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 81}],
        }),
        &[
            "W spec.ports[0].targetPort: has no effect with resolution NONE",
            "W spec.workloadSelector: has no effect on clients with resolution NONE",
        ],
    );
}

#[test]
fn resolution_static() {
    check(
        json!({"endpoints": [{"address": "10.0.0.1", "ports": {"http": 8080}}, {"address": "::2"}]}),
        &[],
    );
    check(
        json!({"endpoints": [{"address": "unix:///run/x.sock"}]}),
        &[],
    );
    check(
        json!({"endpoints": [{"address": "a.com"}, {}, {"address": "10.0.0.1", "ports": {"grpc": 1}}, {"network": "n"}]}),
        &[
            r#"E spec.endpoints[0].address: "a.com" is a name, which resolution STATIC does not resolve"#,
            "E spec.endpoints[1].address: is missing",
            "E spec.endpoints[2].ports.grpc: is not a port of the service",
            "W spec.endpoints[3].address: is empty: the endpoint is not used",
        ],
    );
    check(
        json!({
            "endpoints": [{"address": "unix:///run/x.sock"}],
            "ports": [{"number": 80, "name": "a", "protocol": "HTTP"}, {"number": 81, "name": "b", "protocol": "HTTP"}],
        }),
        &["E spec.ports: a service whose endpoint is a socket has exactly one port"],
    );
    check(
        json!({"endpoints": [{"address": "10.0.0.1", "weight": u32::MAX}, {"address": "10.0.0.2"}]}),
        &["E spec.endpoints: their weights add up to more than 4294967295"],
    );
}

#[test]
fn resolution_dns() {
    check(json!({"resolution": "DNS", "endpoints": null}), &[]);
    check(
        json!({"resolution": "DNS", "endpoints": [{"address": "a.com"}, {"address": "10.0.0.1"}]}),
        &[],
    );
    check(json!({"resolution": "DNS", "hosts": ["*.a.com"]}), &[]);
    check(
        json!({"resolution": "DNS_ROUND_ROBIN", "endpoints": [{"address": "a.com"}]}),
        &[],
    );
    check(
        json!({"resolution": "DNS", "hosts": ["*.a.com"], "endpoints": null}),
        &[r#"E spec.hosts[0]: "*.a.com" cannot be resolved"#],
    );
    check(
        json!({"resolution": "DNS", "endpoints": [{"address": "unix:///a"}, {"address": "*.com"}]}),
        &[
            "E spec.endpoints[0].address: is a socket, which DNS does not resolve",
            r#"E spec.endpoints[1].address: "*.com" is neither an IP address nor a DNS name"#,
        ],
    );
    check(
        json!({"resolution": "DNS_ROUND_ROBIN", "endpoints": [{"address": "a.com"}, {"address": "b.com"}]}),
        &["E spec.endpoints: are more than one with resolution DNS_ROUND_ROBIN"],
    );
}

#[test]
fn dynamic_dns_is_for_wildcards_and_protocols_that_carry_names() {
    let entry = |hosts: Value, ports: Value| {
        json!({
            "resolution": "DYNAMIC_DNS", "hosts": hosts, "ports": ports, "addresses": null, "endpoints": null,
        })
    };
    let ports = json!([
        {"number": 80, "protocol": "HTTP", "name": "http"}, {"number": 90, "protocol": "GRPC", "name": "grpc"},
        {"number": 443, "protocol": "TLS", "name": "tls"},
    ]);
    check(entry(json!(["*.a.com"]), ports), &[]);
    let ports = json!([
        {"number": 80, "protocol": "TCP", "name": "tcp"},
        {"number": 81, "protocol": "HTTP", "name": "http", "targetPort": 8080},
    ]);
    check(
        entry(json!(["*.a.com", "b.com"]), ports),
        &[
            "W spec.hosts: cannot be told apart on ports that are neither HTTP nor TLS",
            "W spec.ports[0]: the service has no address of its own, so that this port claims its number for all destinations",
            "E spec.hosts[1]: \"b.com\" is a single name",
            "E spec.ports[0].protocol: carries no name that could be resolved",
            "W spec.ports[1].targetPort: has no effect with resolution DYNAMIC_DNS",
        ],
    );
    check(
        json!({
            "resolution": "DYNAMIC_DNS", "hosts": ["*.a.com"], "addresses": ["10.0.0.1"],
            "endpoints": [{"address": "10.0.0.1"}], "workloadSelector": {"labels": {"app": "web"}},
        }),
        &[
            "E spec.endpoints: are given beside a workloadSelector",
            "E spec.addresses: is given with resolution DYNAMIC_DNS",
            "E spec.endpoints: is given with resolution DYNAMIC_DNS",
            "E spec.workloadSelector: is given with resolution DYNAMIC_DNS",
        ],
    );
}

#[test]
fn the_own_machine_is_warned_of_once_and_the_proxys_ports_each() {
    check(
        json!({"endpoints": [
            {"address": "127.0.0.1", "ports": {"http": 9080}},
            {"address": "127.0.0.1", "ports": {"http": 15000}},
        ]}),
        &[
            "W spec.endpoints[0].address: 127.0.0.1 is the own machine of each proxy that dials it",
            "W spec.endpoints[1]: port 15000 of the own machine is one of the proxy that dials it",
        ],
    );
}

#[test]
fn selectors() {
    check(
        json!({"endpoints": null, "workloadSelector": {"labels": {"app": "web"}}}),
        &[],
    );
    check(
        json!({"workloadSelector": {"labels": {"app": "web"}}}),
        &["E spec.endpoints: are given beside a workloadSelector"],
    );
    check(
        json!({"endpoints": null, "workloadSelector": {}}),
        &["W spec.workloadSelector: selects nothing: it has no labels"],
    );
    check(
        json!({"endpoints": null, "workloadSelector": {"labels": {"": "a", "b": "c*"}}}),
        &[
            r#"E spec.workloadSelector.labels[""]: has no key"#,
            "E spec.workloadSelector.labels.b: selectors have no wildcards",
        ],
    );
}

#[test]
fn export_to() {
    for fine in [
        json!(["*"]),
        json!(["."]),
        json!(["~"]),
        json!([".", "other"]),
        json!(["a", "b"]),
    ] {
        check(json!({ "exportTo": fine }), &[]);
    }
    check(
        json!({"exportTo": [".", "shop"]}),
        &[r#"E spec.exportTo[1]: names "shop" for the second time"#],
    );
    check(
        json!({"exportTo": ["a/b"]}),
        &[r#"E spec.exportTo[0]: "a/b" is not a namespace"#],
    );
    check(
        json!({"exportTo": ["*", "."]}),
        &[r#"E spec.exportTo: names namespaces beside "*", which stands for everybody"#],
    );
    check(
        json!({"exportTo": ["~", "a"]}),
        &[r#"E spec.exportTo: names namespaces beside "~", which stands for nobody"#],
    );
}

#[test]
fn what_cannot_be_read_names_its_place() {
    check(
        json!({
            "host": ["a"], "resolution": "STATC", "location": 7, "endpoints": [{"adress": "10.0.0.1"}],
            "subjectAltNames": [""], "ports": "80",
        }),
        &[
            "E spec.ports: expected a list, found the text \"80\"",
            "E spec.location: the number 7 is not known here",
            "E spec.resolution: the text \"STATC\" is not known here",
            "E spec.endpoints[0].adress: unknown field \"adress\"",
            "E spec.host: unknown field \"host\"",
        ],
    );
    check(
        json!({"subjectAltNames": ["", "a\u{0}"]}),
        &[
            "E spec.subjectAltNames[0]: is empty",
            "E spec.subjectAltNames[1]: has control characters in it",
        ],
    );
}
