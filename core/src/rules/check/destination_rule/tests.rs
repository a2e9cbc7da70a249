//! What a `DestinationRule` may say.

use serde_json::{Value, json};

use crate::rules::check::problems;

/// A rule with these fields beside its host.
fn check(fields: Value, expected: &[&str]) {
    let mut spec = json!({"host": "a.com"});
    let (Some(base), Value::Object(fields)) = (spec.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    assert_eq!(problems("DestinationRule", &spec), expected, "{spec}");
}

/// A rule with this policy, whose paths begin with `spec.trafficPolicy.`.
fn policy(policy: Value, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|line| {
            let (severity, rest) = line.split_at(2);
            format!("{severity}spec.trafficPolicy{rest}")
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(json!({"trafficPolicy": policy}), &expected);
}

#[test]
fn hosts_and_visibility() {
    check(json!({}), &[]);
    check(json!({"host": "web"}), &[]);
    check(json!({"host": "*.local"}), &[]);
    check(json!({"host": ""}), &["E spec.host: is missing"]);
    check(
        json!({"exportTo": ["~"]}),
        &[r#"E spec.exportTo[0]: "~" would make a rule for nobody"#],
    );
    let selector = json!({"matchLabels": {"app": "web"}});
    check(
        json!({"workloadSelector": selector, "exportTo": [".", "shop"]}),
        &[r#"E spec.exportTo[1]: names "shop" for the second time"#],
    );
    check(
        json!({"workloadSelector": selector, "exportTo": ["bank"]}),
        &["E spec.exportTo[0]: a rule with a workloadSelector is for its own namespace only"],
    );
    check(
        json!({"workloadSelector": {}}),
        &["W spec.workloadSelector: has no labels: all workloads of the namespace are selected"],
    );
}

#[test]
fn subsets() {
    check(
        json!({"subsets": [{"name": "v1"}, {"name": "v1"}, {}, {"name": "a b", "labels": {"": ""}}]}),
        &[
            r#"E spec.subsets[1].name: another subset has the name "v1""#,
            "E spec.subsets[2].name: is missing",
            r#"E spec.subsets[3].name: "a b" is not a subset's name"#,
            r#"E spec.subsets[3].labels[""]: is not a label's key"#,
        ],
    );
}

#[test]
fn ways_to_choose() {
    let balancer = |fields: Value, expected: &[&str]| {
        policy(json!({"loadBalancer": fields}), expected);
    };
    balancer(json!({"simple": "ROUND_ROBIN"}), &[]);
    balancer(
        json!({"simple": "LEAST_CONN"}),
        &["W .loadBalancer.simple: LEAST_CONN is an old name"],
    );
    balancer(
        json!({"consistentHash": {}}),
        &["E .loadBalancer.consistentHash: does not say what is hashed"],
    );
    balancer(
        json!({"simple": "RANDOM", "consistentHash": {"useSourceIp": true, "httpHeaderName": "x y"}}),
        &[
            "E .loadBalancer.consistentHash: is given beside simple",
            "E .loadBalancer.consistentHash: says more than one thing to hash",
            r#"E .loadBalancer.consistentHash.httpHeaderName: "x y" is not the name of a header"#,
        ],
    );
    for (size, expected) in [
        (65_537, ""),
        (5_000_011, ""),
        (65_536, "65536 is not a prime"),
        (5_000_013, "5000013 is more than 5000011"),
        (1, "1 is not a prime"),
    ] {
        let expected = format!("E .loadBalancer.consistentHash.maglev.tableSize: {expected}");
        let expected = [&*expected];
        balancer(
            json!({"consistentHash": {"useSourceIp": true, "maglev": {"tableSize": size}}}),
            if expected[0].ends_with(": ") {
                &[]
            } else {
                &expected
            },
        );
    }
    balancer(
        json!({"simple": "RANDOM", "warmup": {"minimumPercent": 101, "aggression": 0.5}}),
        &[
            "E .loadBalancer.warmup.duration: is missing",
            "E .loadBalancer.warmup.minimumPercent: is not a percentage: from 0 to 100",
            "E .loadBalancer.warmup.aggression: is less than 1",
            "W .loadBalancer.warmup: has no effect with this way to choose",
        ],
    );
}

#[test]
fn localities() {
    let locality = |fields: Value, expected: &[&str]| {
        policy(
            json!({"outlierDetection": {}, "loadBalancer": {"localityLbSetting": fields}}),
            expected,
        );
    };
    let at = "loadBalancer.localityLbSetting";
    locality(json!({"failover": [{"from": "a", "to": "b"}]}), &[]);
    policy(
        json!({"loadBalancer": {"localityLbSetting": {}}}),
        &[
            "W .loadBalancer.localityLbSetting: has no effect without outlierDetection: nobody finds out that an endpoint fails",
        ],
    );
    locality(
        json!({"failover": [{"from": "a", "to": "a"}, {"from": "a/b"}]}),
        &[
            &format!("E .{at}.failover[0].to: is the region that has failed"),
            &format!(r#"E .{at}.failover[1].from: "a/b" is not a region"#),
            &format!("E .{at}.failover[1].to: is missing"),
        ],
    );
    locality(
        json!({"distribute": [{"from": "a/*", "to": {"a/*": 60, "*/b": 30}}, {"from": "a/*", "to": {"b": 100}}]}),
        &[
            &format!(r#"E .{at}.distribute[0].to["*/b"]: "*/b" is not a locality"#),
            &format!("E .{at}.distribute[0].to: add up to 90 percent instead of 100"),
            &format!("E .{at}.distribute[1].from: another entry is for the same locality"),
        ],
    );
}

#[test]
fn connections() {
    policy(json!({}), &["W : says nothing"]);
    policy(
        json!({"connectionPool": {}}),
        &["E .connectionPool: says nothing"],
    );
    policy(
        json!({"connectionPool": {"tcp": {"maxConnections": 4_000_000_000_u32, "connectTimeout": "0.0001s"}, "http": {}}}),
        &[
            "E .connectionPool.tcp.maxConnections: 4000000000 is more than 2147483647",
            "E .connectionPool.tcp.connectTimeout: is less than a millisecond",
        ],
    );
    policy(
        json!({"connectionPool": {"http": {"useClientProtocol": true, "h2UpgradePolicy": "UPGRADE"}}}),
        &["E .connectionPool.http.useClientProtocol: contradicts h2UpgradePolicy: UPGRADE"],
    );
    policy(
        json!({"tunnel": {"protocol": "GET", "targetHost": "", "targetPort": 0}, "retryBudget": {"percent": -1}}),
        &[
            r#"E .tunnel.protocol: "GET" is not a way to tunnel"#,
            r#"E .tunnel.targetHost: "" is neither a name nor an address"#,
            "E .tunnel.targetPort: 0 is not a port: ports are from 1 to 65535",
            "E .retryBudget.percent: is not a percentage: from 0 to 100",
        ],
    );
    policy(
        json!({"outlierDetection": {"maxEjectionPercent": 101, "consecutiveLocalOriginFailures": 1, "consecutive_5xx_errors": 1}}),
        &[
            "E .outlierDetection.maxEjectionPercent: 101 is more than 100 percent",
            "W .outlierDetection.consecutiveLocalOriginFailures: has no effect",
        ],
    );
    policy(
        json!({"portLevelSettings": [{}, {"port": {"number": 80}}, {"port": {"number": 80}}]}),
        &[
            "E .portLevelSettings[0].port: is missing",
            "E .portLevelSettings[2].port.number: 80 has settings already",
        ],
    );
}

#[test]
fn tls() {
    let tls = |fields: Value, expected: &[&str]| policy(json!({"tls": fields}), expected);
    tls(
        json!({"mode": "SIMPLE", "caCertificates": "/ca.pem", "sni": "a.com"}),
        &[],
    );
    tls(
        json!({"mode": "MUTUAL"}),
        &[
            "E .tls.clientCertificate: is missing",
            "E .tls.privateKey: is missing",
        ],
    );
    tls(
        json!({"mode": "MUTUAL", "credentialName": "c", "privateKey": "/k"}),
        &[
            "E .tls.privateKey: is given beside credentialName",
            "W .tls.credentialName: is not served: connections fail, as no certificate can be believed",
        ],
    );
    tls(
        json!({"mode": "ISTIO_MUTUAL", "clientCertificate": "/c"}),
        &["E .tls.clientCertificate: is given with mode ISTIO_MUTUAL"],
    );
    tls(
        json!({"mode": "SIMPLE", "insecureSkipVerify": true, "subjectAltNames": [""]}),
        &[
            "W .tls.insecureSkipVerify: anybody can pretend to be the server",
            "E .tls.subjectAltNames[0]: is empty",
        ],
    );
}
