//! What a `Gateway` may say.

use serde_json::{Value, json};

use crate::rules::check::problems;

/// A gateway of one server with these fields in place of what is fine; paths begin with `spec.servers[0].`.
fn server(fields: Value, expected: &[&str]) {
    let mut server = json!({
        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
        "hosts": ["*"],
    });
    let (Some(base), Value::Object(fields)) = (server.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    let expected: Vec<_> = expected
        .iter()
        .map(|line| {
            let (severity, rest) = line.split_at(2);
            format!("{severity}spec.servers[0].{rest}")
        })
        .collect();
    let spec = json!({"servers": [server]});
    assert_eq!(problems("Gateway", &spec), expected, "{spec}");
}

/// A server that deals with TLS like this; paths begin with `tls`.
fn tls(fields: Value, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| {
            let (severity, rest) = line.split_at(2);
            format!("{severity}tls{rest}")
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    server(
        json!({"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "tls": fields}),
        &expected,
    );
}

#[test]
fn gateways() {
    let check = |spec: Value, expected: &[&str]| assert_eq!(problems("Gateway", &spec), expected);
    check(json!({}), &["E spec.servers: is empty"]);
    let one = json!({"port": {"number": 80, "name": "a", "protocol": "HTTP"}, "hosts": ["*"]});
    check(json!({"servers": [one], "selector": {"app": "gw"}}), &[]);
    check(
        json!({"servers": [one, one], "selector": {"a b": "c"}}),
        &[
            r#"E spec.selector["a b"]: is not a label's key"#,
            r#"E spec.servers[1].port.name: another server's port has the name "a""#,
        ],
    );
}

#[test]
fn ports_and_addresses() {
    let port = |port: Value, expected: &[&str]| server(json!({"port": port}), expected);
    server(json!({"port": null}), &["E port: is missing"]);
    port(
        json!({}),
        &[
            "E port.number: 0 is not a port: ports are from 1 to 65535",
            "E port.name: is missing",
            "E port.protocol: is missing",
        ],
    );
    let with = |protocol: &str| json!({"number": 1, "name": "a", "protocol": protocol});
    for fine in ["http", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "MONGO", "REDIS"] {
        port(with(fine), &[]);
    }
    for odd in ["UDP", "HTTP_PROXY", "HTTP9"] {
        let what = format!("E port.protocol: {odd:?} is not a protocol of routers");
        port(with(odd), &[&what]);
    }
    port(
        json!({"number": 80, "name": "a", "protocol": "HTTP", "targetPort": 8080}),
        &["W port.targetPort: has no effect"],
    );
    server(json!({"bind": "10.0.0.1"}), &[]);
    server(json!({"bind": "fd00::1"}), &[]);
    server(
        json!({"bind": "web.local"}),
        &[r#"E bind: "web.local" is not an address"#],
    );
    let file = json!({"number": 0, "name": "a", "protocol": "HTTP"});
    server(json!({"bind": "unix:///run/gw", "port": file}), &[]);
    server(
        json!({"bind": "unix://run"}),
        &[
            "E port.number: 80 is given with a socket that is a file",
            r#"E bind: "run" is not the path of a socket"#,
        ],
    );
    server(
        json!({"defaultEndpoint": "127.0.0.1:1"}),
        &["W defaultEndpoint: has no effect on routers"],
    );
}

#[test]
fn hosts() {
    let check = |hosts: Value, expected: &[&str]| server(json!({"hosts": hosts}), expected);
    check(json!(["*"]), &[]);
    check(
        json!(["a.com", "*.b.com", "./c.com", "*/d.com", "shop/*"]),
        &[],
    );
    check(json!([]), &["E hosts: is empty"]);
    check(
        json!(["~/a.com", "/a.com", "a b", "shop/", "x/*.*"]),
        &[
            r#"E hosts[0]: "~" is not a namespace"#,
            r#"E hosts[1]: "" is not a namespace"#,
            r#"E hosts[2]: "a b" is not a host name: labels consist of letters, digits, '-' and '_'; '*' may stand alone as the first label"#,
            r#"E hosts[3]: "" is not a host name: it is empty"#,
            r#"E hosts[4]: "*.*" is not a host name: labels consist of letters, digits, '-' and '_'; '*' may stand alone as the first label"#,
        ],
    );
    check(json!(["a.com", "a.com"]), &["W hosts[1]: is named twice"]);
    check(
        json!(["10.0.0.1"]),
        &[r#"E hosts[0]: "10.0.0.1" is an IP address, not a host name"#],
    );
}

#[test]
fn tls_fits_its_port() {
    let with = |protocol: &str, tls: Value, expected: &[&str]| {
        let port = json!({"number": 1, "name": "a", "protocol": protocol});
        server(json!({"port": port, "tls": tls}), expected);
    };
    with("HTTP", json!({"httpsRedirect": true}), &[]);
    with(
        "HTTP",
        json!({}),
        &["E tls: is given for a port without TLS"],
    );
    with(
        "TCP",
        json!({}),
        &["E tls: is given for a port without TLS"],
    );
    with("TLS", json!({}), &[]);
    with("HTTPS", json!(null), &["E tls: is missing"]);
    with("TLS", json!(null), &["E tls: is missing"]);
    with(
        "HTTPS",
        json!({"httpsRedirect": true}),
        &["W tls.httpsRedirect: has no effect on a port with TLS"],
    );
}

#[test]
fn certificates_come_from_somewhere() {
    let own = json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"});
    tls(own, &[]);
    tls(
        json!({"mode": "SIMPLE", "tlsCertificates": [{"serverCertificate": "/c", "privateKey": "/k"}]}),
        &[],
    );
    tls(
        json!({"mode": "SIMPLE", "tlsCertificates": [{"serverCertificate": "/c~"}]}),
        &[
            "E .tlsCertificates[0].serverCertificate: has a '~' in it",
            "E .tlsCertificates[0].privateKey: is missing",
        ],
    );
    tls(
        json!({"mode": "SIMPLE"}),
        &[
            "E .serverCertificate: is missing",
            "E .privateKey: is missing",
        ],
    );
    for mode in ["MUTUAL", "OPTIONAL_MUTUAL"] {
        tls(
            json!({"mode": mode, "serverCertificate": "/c", "privateKey": "/k"}),
            &["E .caCertificates: is missing"],
        );
    }
    tls(
        json!({"mode": "MUTUAL", "credentialName": "web"}),
        &["W .credentialName: is not served: this server is not opened"],
    );
    tls(
        json!({"mode": "SIMPLE", "credentialNames": ["a", "b", "c"]}),
        &[
            "E .credentialNames: has 3 items, the limit is 2",
            "W .credentialNames: is not served: this server is not opened",
        ],
    );
    tls(json!({"mode": "ISTIO_MUTUAL"}), &[]);
    tls(
        json!({"mode": "ISTIO_MUTUAL", "privateKey": "/k", "credentialName": "web"}),
        &[
            "E .privateKey: is given with mode ISTIO_MUTUAL",
            "E : names a secret with mode ISTIO_MUTUAL",
        ],
    );
    tls(
        json!({"mode": "PASSTHROUGH", "privateKey": "/k", "caCrl": "/crl"}),
        &[
            "W .privateKey: has no effect where TLS passes through",
            "W .caCrl: has no effect: revoked certificates are not looked for",
        ],
    );
}

#[test]
fn settings_of_tls() {
    let hash = "a".repeat(64);
    tls(
        json!({
            "mode": "ISTIO_MUTUAL", "subjectAltNames": ["spiffe://a/b"], "minProtocolVersion": "TLSV1_2",
            "maxProtocolVersion": "TLSV1_3", "cipherSuites": ["AES128-GCM-SHA256"],
            "verifyCertificateSpki": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="], "verifyCertificateHash": [hash],
        }),
        &[],
    );
    tls(
        json!({
            "mode": "ISTIO_MUTUAL", "subjectAltNames": [""], "minProtocolVersion": "TLSV1_3",
            "maxProtocolVersion": "TLSV1_2", "cipherSuites": ["ROT13"],
            "verifyCertificateSpki": ["x"], "verifyCertificateHash": ["x"],
        }),
        &[
            "E .minProtocolVersion: is younger than maxProtocolVersion",
            r#"E .verifyCertificateSpki[0]: "x" is not a hash"#,
            r#"E .verifyCertificateHash[0]: "x" is not a hash"#,
            "E .subjectAltNames[0]: is empty",
            r#"W .cipherSuites[0]: "ROT13" is not a cipher that proxies know: it is left out"#,
        ],
    );
    tls(
        json!({"mode": "ISTIO_MUTUAL", "maxProtocolVersion": "TLSV1_1"}),
        &["E .maxProtocolVersion: is older than what is the oldest by default"],
    );
    tls(
        json!({"mode": "ISTIO_MUTUAL", "minProtocolVersion": "TLSV1_0"}),
        &["W .minProtocolVersion: is not safe: versions before 1.2 are broken"],
    );
}
