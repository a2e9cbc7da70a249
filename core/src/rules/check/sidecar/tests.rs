use serde_json::{Value, json};

use crate::rules::check::problems;

fn check(spec: &Value, expected: &[&str]) {
    assert_eq!(problems("Sidecar", spec), expected, "{spec}");
}

fn egress(listeners: &Value, expected: &[&str]) {
    check(&json!({"egress": listeners}), expected);
}

fn ingress(listener: &Value, expected: &[&str]) {
    check(&json!({"ingress": [listener]}), expected);
}

#[test]
fn what_istio_accepts_is_accepted() {
    check(
        &json!({
            "workloadSelector": {"labels": {"app": "web"}},
            "ingress": [
                {
                    "port": {"number": 9080, "protocol": "HTTP", "name": "http"},
                    "defaultEndpoint": "127.0.0.1:8080",
                    "connectionPool": {"http": {"http1MaxPendingRequests": 1}},
                },
                {"port": {"number": 9443, "protocol": "HTTPS", "name": "https"}, "bind": "10.0.0.1",
                 "capture_mode": "NONE", "defaultEndpoint": "unix:///var/run/web.sock",
                 "tls": {"mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca"}},
                {"port": {"number": 9000, "protocol": "TCP", "name": "tcp"}, "defaultEndpoint": "[::1]:9000"},
                {"port": {"number": 9001, "protocol": "TCP", "name": "a"}, "defaultEndpoint": "0.0.0.0:9000"},
                {"port": {"number": 9002, "protocol": "TCP", "name": "b"}, "defaultEndpoint": ":9000"},
            ],
            "egress": [
                {"port": {"number": 3306, "protocol": "MYSQL", "name": "db"}, "bind": "127.0.0.1",
                 "captureMode": "NONE", "hosts": ["*/mysql.example.com"]},
                {"hosts": ["./*", "bank/*.bank.svc.cluster.local", "~/*"]},
            ],
            "inboundConnectionPool": {"tcp": {"maxConnections": 10}},
            "outboundTrafficPolicy": {
                "mode": "ALLOW_ANY",
                "egressProxy": {"host": "proxy.example.com", "subset": "v1", "port": {"number": 3128}},
            },
        }),
        &[],
    );
}

#[test]
fn something_is_said() {
    check(&json!({}), &["E spec: says nothing"]);
    check(
        &json!({"workloadSelector": {}, "outboundTrafficPolicy": {}}),
        &["W spec.workloadSelector: selects nothing: it has no labels"],
    );
}

#[test]
fn egress_listeners_have_their_own_ports_and_the_last_one_may_have_none() {
    let at =
        |number: u32| json!({"port": {"number": number, "protocol": "HTTP"}, "hosts": ["*/*"]});
    let rest = json!({"hosts": ["./*"]});
    egress(&json!([at(80), at(81), rest]), &[]);
    egress(
        &json!([at(80), at(80), rest]),
        &["E spec.egress[1].port.number: 80 has a listener already: every port once"],
    );
    egress(
        &json!([rest, at(80)]),
        &["E spec.egress[0]: has no port and is not the last"],
    );
    let two = problems("Sidecar", &json!({"egress": [rest, rest]}));
    assert_eq!(two.len(), 2, "{two:?}");
    egress(
        &json!([at(0), at(65536)]),
        &[
            "E spec.egress[0].port.number: 0 is not a port: ports are from 1 to 65535",
            "E spec.egress[1].port.number: 65536 is not a port: ports are from 1 to 65535",
        ],
    );
}

#[test]
fn egress_addresses_are_addresses() {
    let bound = |number: u32, bind: &str, mode: &str| json!([{"port": {"number": number, "protocol": "HTTP"}, "bind": bind, "captureMode": mode, "hosts": ["*/*"]}]);
    egress(
        &bound(80, "localhost", "NONE"),
        &[r#"E spec.egress[0].bind: "localhost" is not an IP address"#],
    );
    egress(
        &bound(80, "", "NONE"),
        &["W spec.egress[0].bind: is missing: the loopback address is used"],
    );
    egress(
        &bound(80, "unix:///a", "NONE"),
        &[r#"E spec.egress[0].bind: "unix:///a" is a file, and there is a port"#],
    );
    egress(
        &bound(0, "unix:///a", "NONE"),
        &["W spec.egress[0].bind: is not listened on: clients cannot reach services by a file"],
    );
}

#[test]
fn egress_hosts_have_a_namespace_and_a_name() {
    let hosts = |hosts: &[&str]| json!([{"hosts": hosts}]);
    egress(&hosts(&[]), &["E spec.egress[0].hosts: is empty"]);
    egress(
        &hosts(&["a.com", "a b/a.com", "./a..b", "~/a.com"]),
        &[
            r#"E spec.egress[0].hosts[0]: "a.com" has no namespace"#,
            r#"E spec.egress[0].hosts[1]: "a b" is not a namespace"#,
            r#"E spec.egress[0].hosts[2]: "a..b" is not a host name: a label is empty"#,
            "W spec.egress[0].hosts[3]: stands for no service, whatever the name",
        ],
    );
    egress(
        &hosts(&["a/x.com", "a/x.com", "a/*", "a/y.com", "*/*", "b/z.com"]),
        &[
            "W spec.egress[0].hosts[1]: is covered by an earlier host",
            "W spec.egress[0].hosts[3]: is covered by an earlier host",
            "W spec.egress[0].hosts[5]: is covered by an earlier host",
        ],
    );
}

#[test]
fn ingress_ports_are_given_once() {
    check(
        &json!({"ingress": [
            {"defaultEndpoint": "127.0.0.1:80"},
            {"port": {"number": 80, "protocol": "HTTP"}},
            {"port": {"number": 80, "protocol": "NONSENSE"}},
        ]}),
        &[
            "E spec.ingress[0].port: is missing",
            r#"E spec.ingress[2].port.protocol: "NONSENSE" is not a protocol"#,
            "E spec.ingress[2].port.number: 80 is listened on already: every port once",
        ],
    );
}

#[test]
fn workloads_listen_on_their_own_machine() {
    let at = |endpoint: &str| json!({"port": {"number": 80, "protocol": "HTTP"}, "defaultEndpoint": endpoint});
    for good in [
        "127.0.0.1:1",
        "0.0.0.0:1",
        "[::1]:1",
        "[::]:1",
        ":1",
        "unix:///a",
        "unix://@a",
    ] {
        ingress(&at(good), &[]);
    }
    for bad in [
        "10.0.0.1:80",
        "localhost:80",
        "::1:80",
        "127.0.0.1",
        "unix://a",
        "unix:///",
        "127.0.0.1:x",
        "127.0.0.1:0",
    ] {
        let found = problems("Sidecar", &json!({"ingress": [at(bad)]}));
        assert_eq!(found.len(), 1, "{bad} {found:?}");
        assert!(
            found[0].starts_with("E spec.ingress[0].defaultEndpoint: "),
            "{found:?}"
        );
    }
    let bound = json!({"port": {"number": 80, "protocol": "HTTP"}, "captureMode": "NONE"});
    let found = problems("Sidecar", &json!({"ingress": [bound]}));
    assert!(
        found[0].starts_with("W spec.ingress[0].defaultEndpoint: is missing"),
        "{found:?}"
    );
}

#[test]
fn a_sidecar_ends_tls_with_files() {
    let tls = |protocol: &str, tls: Value| json!({"port": {"number": 443, "protocol": protocol}, "tls": tls});
    let files = json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"});
    ingress(&tls("HTTPS", files.clone()), &[]);
    ingress(
        &tls("HTTP", files.clone()),
        &["E spec.ingress[0].tls: is given for a port without TLS"],
    );
    ingress(
        &tls(
            "TLS",
            json!({"mode": "SIMPLE", "credentialName": "secret", "httpsRedirect": true, "subjectAltNames": ["a"]}),
        ),
        &[
            "E spec.ingress[0].tls.httpsRedirect: is for routers only",
            "E spec.ingress[0].tls.subjectAltNames: is for routers only",
            "E spec.ingress[0].tls.credentialName: is for routers only",
        ],
    );
    let missing = problems(
        "Sidecar",
        &json!({"ingress": [tls("HTTPS", json!({"mode": "MUTUAL"}))]}),
    );
    assert_eq!(missing.len(), 3, "{missing:?}");
    ingress(
        &tls("HTTPS", json!({"mode": "ISTIO_MUTUAL"})),
        &["E spec.ingress[0].tls.mode: is for routers only"],
    );
}

#[test]
fn an_egress_proxy_takes_what_is_allowed() {
    let policy = |policy: Value, expected: &[&str]| {
        check(&json!({"outboundTrafficPolicy": policy}), expected);
    };
    let proxy = json!({"host": "proxy.com", "port": {"number": 80}});
    policy(json!({"mode": "ALLOW_ANY", "egressProxy": proxy}), &[]);
    policy(
        json!({"mode": "REGISTRY_ONLY", "egressProxy": proxy}),
        &["E spec.outboundTrafficPolicy.egressProxy: is given where unknown traffic is blocked"],
    );
    policy(
        json!({"mode": "ALLOW_ANY", "egressProxy": {"host": "*.a.com", "subset": "a b"}}),
        &[
            r#"E spec.outboundTrafficPolicy.egressProxy.host: "*.a.com" is not the name of a service"#,
            r#"E spec.outboundTrafficPolicy.egressProxy.subset: "a b" is not a subset's name"#,
            "E spec.outboundTrafficPolicy.egressProxy.port: is missing",
        ],
    );
    policy(
        json!({"mode": "ALLOW_ANY_DYNAMIC_DNS"}),
        &[
            "W spec.outboundTrafficPolicy.mode: means ALLOW_ANY here: names in requests are not resolved",
        ],
    );
}
