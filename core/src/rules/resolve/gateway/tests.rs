//! What accepted gateways mean.

use serde_json::{Value, json};

use super::*;
use crate::model::{Host, Protocol};
use crate::rules::RuleSpec;
use crate::rules::spec::gateway::TlsVersion;

/// The one server of a gateway in namespace `edge`.
fn server(spec: Value) -> Option<Server> {
    let spec = json!({"servers": [spec]});
    let (spec, _) = RuleSpec::parse("networking.istio.io/v1", "Gateway", &spec).unwrap();
    let RuleSpec::Gateway(spec) = spec else {
        panic!("a gateway is a gateway")
    };
    let all = gateway(&Meta::new("Gateway", "edge", "gw"), &spec).servers;
    all.first().map(|server| Server::clone(server))
}

fn https(tls: Value) -> Option<Security> {
    let port = json!({"number": 443, "name": "https", "protocol": "HTTPS"});
    server(json!({"port": port, "hosts": ["*"], "tls": tls})).map(|server| server.security)
}

#[test]
fn a_server() {
    let port = json!({"number": 80, "name": "web", "protocol": "http2"});
    let hosts = json!(["a.com", "shop/*.B.com", "./c.com", "*/*"]);
    let host = |namespace: Option<&str>, name: &str| ServerHost {
        namespace: namespace.map(NamespaceName::from),
        host: Host::new(name).unwrap(),
    };
    let expected = Server {
        field: "spec.servers[0]".into(),
        port: 80,
        port_name: "web".into(),
        protocol: Protocol::Http2,
        bind: Bind::All,
        hosts: vec![
            host(None, "a.com"),
            host(Some("shop"), "*.b.com"),
            host(Some("edge"), "c.com"),
            host(None, "*"),
        ],
        security: Security::Plain,
    };
    let found = server(json!({"port": port, "hosts": hosts, "bind": "0.0.0.0"})).unwrap();
    assert_eq!(found, expected);
    let of = |namespace: &str| -> Vec<String> {
        let namespace = namespace.into();
        found.hosts_for(&namespace).map(Host::to_string).collect()
    };
    assert_eq!(of("shop"), ["a.com", "*.b.com", "*"]);
    assert_eq!(of("edge"), ["a.com", "c.com", "*"]);
}

#[test]
fn addresses() {
    let at = |bind: &str| {
        let port = json!({"number": 80, "name": "web", "protocol": "TCP"});
        server(json!({"port": port, "hosts": ["*"], "bind": bind})).map(|server| server.bind)
    };
    assert_eq!(at(""), Some(Bind::All));
    assert_eq!(at("::"), Some(Bind::All));
    assert_eq!(at("10.0.0.1"), Some(Bind::Ip("10.0.0.1".parse().unwrap())));
    assert_eq!(at("unix:///a"), Some(Bind::File("/a".into())));
    assert_eq!(at("a.com"), None);
}

#[test]
fn security() {
    let terminated = |own, client| Termination {
        own,
        client,
        subject_alt_names: vec![],
        spki: vec![],
        hashes: vec![],
        versions: (TlsVersion::Auto, TlsVersion::Auto),
        ciphers: vec![],
    };
    let files = || ServerCertificate::Files(vec![("/c".into(), "/k".into())]);
    let check = |tls: Value, expected: Option<Security>| assert_eq!(https(tls), expected);
    let ends = |termination| Some(Security::Terminate(Arc::new(termination)));
    check(json!({}), Some(Security::Passthrough));
    check(
        json!({"mode": "AUTO_PASSTHROUGH"}),
        Some(Security::AutoPassthrough),
    );
    let mut tls = json!({"mode": "SIMPLE", "serverCertificate": "/c", "privateKey": "/k"});
    check(
        tls.clone(),
        ends(terminated(files(), ClientCertificate::None)),
    );
    tls["caCertificates"] = json!("/ca");
    tls["mode"] = json!("MUTUAL");
    let required = ClientCertificate::Required {
        authorities: Some("/ca".into()),
    };
    check(tls.clone(), ends(terminated(files(), required)));
    tls["mode"] = json!("OPTIONAL_MUTUAL");
    let optional = ClientCertificate::Optional {
        authorities: "/ca".into(),
    };
    check(tls.clone(), ends(terminated(files(), optional)));
    tls["credentialName"] = json!("web");
    check(tls, Some(Security::Unserved));
    check(json!({"mode": "SIMPLE"}), None);
    let mesh = ClientCertificate::Required { authorities: None };
    let expected = Termination {
        subject_alt_names: vec!["a".into()],
        spki: vec!["b".into()],
        hashes: vec!["c".into()],
        versions: (TlsVersion::V1_2, TlsVersion::V1_3),
        ciphers: vec!["AES128-SHA".into()],
        ..terminated(ServerCertificate::Mesh, mesh)
    };
    check(
        json!({
            "mode": "ISTIO_MUTUAL", "subjectAltNames": ["a"], "verifyCertificateSpki": ["b"],
            "verifyCertificateHash": ["c"], "minProtocolVersion": "TLSV1_2", "maxProtocolVersion": "TLSV1_3",
            "cipherSuites": ["AES128-SHA", "ROT13"],
        }),
        ends(expected),
    );
}

#[test]
fn redirects_are_for_ports_without_tls() {
    let port = json!({"number": 80, "name": "web", "protocol": "HTTP"});
    let tls = json!({"httpsRedirect": true});
    let found = server(json!({"port": port, "hosts": ["*"], "tls": tls})).unwrap();
    assert_eq!(found.security, Security::Redirect);
    assert!(!found.is_tls());
}
