//! What a `VirtualService` may say.

use serde_json::{Value, json};

use crate::rules::check::problems;

/// A rule with these fields beside its host.
fn check(fields: Value, expected: &[&str]) {
    let mut spec =
        json!({"hosts": ["a.com"], "http": [{"route": [{"destination": {"host": "a.com"}}]}]});
    let (Some(base), Value::Object(fields)) = (spec.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    assert_eq!(problems("VirtualService", &spec), expected, "{spec}");
}

/// A rule whose one HTTP route to a service has these fields; paths begin with `spec.http[0]`.
fn route(fields: Value, expected: &[&str]) {
    let mut route = json!({"route": [{"destination": {"host": "b"}}]});
    let (Some(base), Value::Object(fields)) = (route.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    let expected: Vec<_> = expected
        .iter()
        .map(|line| {
            let (severity, rest) = line.split_at(2);
            format!("{severity}spec.http[0]{rest}")
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(json!({"http": [route]}), &expected);
}

#[test]
fn hosts_gateways_and_visibility() {
    check(json!({}), &[]);
    check(json!({"hosts": ["web", "*.local", "10.0.0.1"]}), &[]);
    check(json!({"hosts": ["*"], "gateways": ["edge"]}), &[]);
    check(
        json!({"hosts": ["*", "a.com", "A.com", "a b", "fd00::1"]}),
        &[
            r#"E spec.hosts[0]: "*" would claim every host of every sidecar's clients"#,
            "E spec.hosts[2]: is named twice",
            r#"E spec.hosts[3]: "a b" is not a host name: labels consist of letters, digits, '-' and '_'; '*' may stand alone as the first label"#,
            r#"E spec.hosts[4]: "fd00::1" is an address of IPv6"#,
        ],
    );
    check(
        json!({"gateways": ["mesh", "edge", "infra/edge", "./edge", "edge.infra.svc.cluster.local", "edge", "a/b/c", "/b", ""]}),
        &[
            "W spec.gateways[5]: is named twice",
            r#"E spec.gateways[6]: "a/b/c" is not the name of a gateway"#,
            r#"E spec.gateways[7]: "/b" is not the name of a gateway"#,
            r#"E spec.gateways[8]: "" is not the name of a gateway"#,
        ],
    );
    check(
        json!({"exportTo": ["~"]}),
        &[r#"E spec.exportTo[0]: "~" would make a rule for nobody"#],
    );
    check(json!({"http": []}), &["E spec: has no routes"]);
}

#[test]
fn delegates() {
    check(json!({"hosts": []}), &[]);
    check(
        json!({"hosts": [], "gateways": ["edge"], "tcp": [{"route": [{"destination": {"host": "b"}}]}],
            "http": [{"delegate": {"name": "it"}}]}),
        &[
            "E spec.gateways: is given without hosts: who delegates says where a rule is in force",
            "E spec.tcp: is given without hosts: only HTTP is delegated",
            "E spec.http[0].delegate: is in a rule without hosts, which others delegate to themselves",
        ],
    );
    check(
        json!({"hosts": [], "http": []}),
        &["E spec.hosts: is empty", "E spec: has no routes"],
    );
    route(
        json!({"delegate": {"namespace": "a b"}}),
        &[
            "E .route: is given beside delegate",
            "E .delegate.name: is missing",
            r#"E .delegate.namespace: "a b" is not a namespace"#,
        ],
    );
}

#[test]
fn actions() {
    check(
        json!({"http": [{"name": "nothing"}]}),
        &["E spec.http[0]: does not say what becomes of requests"],
    );
    check(
        json!({"http": [{"redirect": {"uri": "/a"}, "rewrite": {"uri": "/b"}, "fault": {"abort": {"httpStatus": 500}}, "timeout": "1s"}]}),
        &[
            "E spec.http[0].fault: is given beside redirect",
            "E spec.http[0].rewrite: is given beside redirect",
            "W spec.http[0].timeout: has no effect beside redirect",
        ],
    );
    check(
        json!({"http": [{"redirect": {"port": 0, "derivePort": "FROM_REQUEST_PORT", "scheme": "ftp", "redirectCode": 300}}]}),
        &[
            "E spec.http[0].redirect.port: 0 is not a port: ports are from 1 to 65535",
            "E spec.http[0].redirect.derivePort: is given beside port",
            r#"E spec.http[0].redirect.scheme: "ftp" is not a scheme"#,
            "E spec.http[0].redirect.redirectCode: 300 is not the status of a redirect",
        ],
    );
    check(
        json!({"http": [{"redirect": {}}]}),
        &["E spec.http[0].redirect: leads to where the request came to"],
    );
    check(
        json!({"http": [{"directResponse": {"status": 600, "body": {"bytes": "?"}}}]}),
        &[
            "E spec.http[0].directResponse.status: 600 is not a status: from 200 to 599",
            "E spec.http[0].directResponse.body.bytes: is not base64",
        ],
    );
    for (size, expected) in [
        (100 * 1024, None),
        (
            100 * 1024 + 1,
            Some("W spec.http[0].directResponse.body: has 102401 bytes, which every proxy holds"),
        ),
        (
            1024 * 1024 + 1,
            Some("E spec.http[0].directResponse.body: has 1048577 bytes: the limit is 1048576"),
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().collect();
        check(
            json!({"http": [{"directResponse": {"status": 200, "body": {"string": "x".repeat(size)}}}]}),
            &expected,
        );
    }
}

#[test]
fn destinations_and_weights() {
    route(
        json!({"route": [
            {"destination": {"host": "*"}},
            {"destination": {"host": "", "subset": "a b", "port": {"number": 0}}},
            {},
        ]}),
        &[
            r#"E .route[0].destination.host: "*" is not a destination"#,
            "E .route[1].destination.host: is missing",
            r#"E .route[1].destination.subset: "a b" is not a subset's name"#,
            "E .route[1].destination.port.number: 0 is not a port: ports are from 1 to 65535",
            "E .route[2].destination: is missing",
            "E .route: has only weights of 0: nobody gets anything",
        ],
    );
    let to = |weight: u32| json!({"destination": {"host": "b"}, "weight": weight});
    route(json!({"route": [to(0)]}), &[]);
    route(json!({"route": [to(0), to(1)]}), &[]);
    route(
        json!({"route": [to(u32::MAX), to(1)]}),
        &["E .route: has weights that add up to 4294967296: Envoy takes at most 4294967295"],
    );
}

#[test]
fn matches() {
    let one = |fields: Value, expected: &[&str]| route(json!({"match": [fields]}), expected);
    one(
        json!({"uri": {"prefix": "/a"}, "headers": {"x": {}, ":method": {"exact": "GET"}, "y": {"regex": "*"}},
            "withoutHeaders": {"z": {}}, "queryParams": {"q": {"exact": ""}}, "port": 80, "sourceLabels": {"app": "web"},
            "sourceNamespace": "shop", "gateways": ["mesh"], "statPrefix": "a", "ignoreUriCase": true}),
        &[],
    );
    one(
        json!({"uri": {"exact": "/a", "regex": "("}, "scheme": {}, "method": {"regex": "*"}, "headers": {"a b": {"regex": "(?=x)"}},
            "withoutHeaders": {"": {}}, "queryParams": {"": {}}, "port": 70000, "sourceNamespace": "a b", "gateways": ["edge"]}),
        &[
            "E .match[0].uri: says more than one thing",
            "E .match[0].uri.regex: is not a regular expression: a '(' has no ')'",
            "W .match[0].scheme: says nothing",
            "E .match[0].method.regex: is not a regular expression: nothing stands before an operator that repeats",
            r#"E .match[0].headers["a b"]: "a b" is not the name of a header"#,
            r#"E .match[0].headers["a b"].regex: is not a regular expression: RE2 looks neither ahead nor behind"#,
            r#"E .match[0].withoutHeaders[""]: "" is not the name of a header"#,
            r#"E .match[0].queryParams[""]: has no name"#,
            "E .match[0].port: 70000 is not a port: ports are from 1 to 65535",
            r#"E .match[0].sourceNamespace: "a b" is not a namespace"#,
            "W .match[0].gateways[0]: has no effect: it is none of the rule's gateways",
        ],
    );
    one(
        json!({"uri": {"prefix": "a"}, "headers": {"@request.auth.claims.sub": {"exact": "me"}}}),
        &[
            "W .match[0].uri.prefix: never matches",
            r#"W .match[0].headers["@request.auth.claims.sub"]: never matches: nobody checks tokens here"#,
        ],
    );
    one(
        json!({"uri": {"exact": "/a?b=c"}}),
        &["W .match[0].uri.exact: never matches: the query is no part of the path"],
    );
    one(
        json!({"ignoreUriCase": true, "method": {"exact": "GET"}}),
        &["W .match[0].ignoreUriCase: has no effect without uri"],
    );
    one(
        json!({"uri": {"regex": "x".repeat(1025)}}),
        &["E .match[0].uri.regex: has 1025 characters: the limit is 1024"],
    );
}

#[test]
fn changes() {
    route(
        json!({"rewrite": {}, "timeout": "0s"}),
        &["E .rewrite: says nothing"],
    );
    route(
        json!({"timeout": "0.0001s", "rewrite": {"uri": "/", "uriRegexRewrite": {"match": "(a)", "rewrite": r"\2"}}}),
        &[
            "E .rewrite.uriRegexRewrite: is given beside uri",
            "E .rewrite.uriRegexRewrite.rewrite: uses group 2: match has 1",
            "E .timeout: is less than a millisecond",
        ],
    );
    route(
        json!({"headers": {
            "request": {"set": {"Host": "x", ":path": "/", "a": "%REQ(b)%", "c": "100%"}, "add": {"host": "y"}, "remove": [":path", "ok"]},
            "response": {"set": {"a b": "\n"}},
        }}),
        &[
            r#"E .headers.request.set[":path"]: ":path" may not be changed like this"#,
            r#"E .headers.request.set.c: "%" is no command operator"#,
            r#"E .headers.request.add.host: "host" may not be changed like this"#,
            r#"E .headers.request.remove[0]: ":path" may not be changed like this"#,
            r#"E .headers.response.set["a b"]: "a b" is not the name of a header"#,
            r#"E .headers.response.set["a b"]: has control characters in it"#,
        ],
    );
}

#[test]
fn retries_and_faults() {
    route(json!({"retries": {"attempts": 0}}), &[]);
    route(
        json!({"retries": {"attempts": 3, "retryOn": "5xx, 503,unavailable", "perTryTimeout": "2s", "backoff": "0.025s"}}),
        &[],
    );
    route(
        json!({"retries": {"retryOn": "5xxx,600", "perTryTimeout": "0s"}}),
        &[
            "E .retries.perTryTimeout: is less than a millisecond",
            "E .retries.attempts: is 0, which means that nothing is tried again: the other fields have no effect",
            r#"E .retries.retryOn: "5xxx" is no failure that Envoy knows"#,
            r#"E .retries.retryOn: "600" is no failure that Envoy knows"#,
        ],
    );
    route(json!({"fault": {}}), &["E .fault: says nothing"]);
    route(
        json!({"fault": {"delay": {"percent": 101}, "abort": {"percentage": {"value": -1}}}}),
        &[
            "E .fault.delay.percent: 101 is more than 100 percent",
            "E .fault.delay.fixedDelay: is missing",
            "E .fault.abort.percentage.value: is not a percentage: from 0 to 100",
            "E .fault.abort: does not say with what requests are answered",
        ],
    );
    route(
        json!({"fault": {"delay": {"exponentialDelay": "1s", "percent": 5}, "abort": {"http2Error": "CANCEL"}}}),
        &[
            "W .fault.delay.percent: is the old form of percentage",
            "W .fault.delay.exponentialDelay: has no effect: Envoy has no such delay, and requests are not held up",
            "W .fault.abort.http2Error: has no effect: Envoy has no such failure, and requests are not aborted",
        ],
    );
    route(
        json!({"fault": {"abort": {"httpStatus": 99, "grpcStatus": "NOPE"}}}),
        &[
            "E .fault.abort.grpcStatus: is given beside httpStatus",
            "E .fault.abort.httpStatus: 99 is not a status: from 200 to 599",
            r#"E .fault.abort.grpcStatus: "NOPE" is not a status of gRPC"#,
        ],
    );
}

#[test]
fn copies_and_browsers() {
    route(
        json!({"mirror": {"host": "c"}, "mirrorPercent": 5, "mirrorPercentage": {"value": 101}}),
        &[
            "E .mirrorPercentage.value: is not a percentage: from 0 to 100",
            "W .mirrorPercent: has no effect beside mirrorPercentage",
        ],
    );
    route(
        json!({"mirrors": [{}], "mirrorPercentage": {"value": 1}}),
        &[
            "W .mirrorPercentage: has no effect without mirror",
            "E .mirrors[0].destination: is missing",
        ],
    );
    route(
        json!({"mirror": {"host": "c"}, "mirrors": [{"destination": {"host": "d"}}]}),
        &["E .mirrors: is given beside mirror"],
    );
    route(
        json!({"corsPolicy": {"allowOrigin": ["*"], "allowMethods": ["get"], "exposeHeaders": ["a b"], "maxAge": "1.5s"}}),
        &[
            "W .corsPolicy.allowOrigin: is the old form of allowOrigins",
            r#"E .corsPolicy.allowMethods[0]: "get" is not a method"#,
            r#"E .corsPolicy.exposeHeaders[0]: "a b" is not the name of a header"#,
            "E .corsPolicy.maxAge: has a fraction of a second: browsers count whole seconds",
        ],
    );
}

#[test]
fn connections() {
    let to = json!([{"destination": {"host": "b"}}]);
    check(
        json!({"hosts": ["*.a.com"], "tls": [{"match": [{"sniHosts": ["x.a.com", "*.a.com"], "destinationSubnets": ["10.0.0.0/8"], "port": 443}], "route": to}]}),
        &[],
    );
    check(
        json!({"tls": [{"match": [{"sniHosts": ["b.com"]}, {"destinationSubnets": ["x"]}]}, {"route": to}]}),
        &[
            r#"E spec.tls[0].match[0].sniHosts[0]: "b.com" is none of the rule's hosts"#,
            "E spec.tls[0].match[1].sniHosts: is empty",
            r#"E spec.tls[0].match[1].destinationSubnets[0]: "x" is neither an IP address nor a block such as 10.0.0.0/8"#,
            "E spec.tls[0].route: is empty",
            "E spec.tls[1].match: is empty",
        ],
    );
    check(
        json!({"tcp": [{"match": [{"port": 1, "sourceSubnet": "10.0.0.0/8"}], "route": to}]}),
        &["W spec.tcp[0].match[0].sourceSubnet: is known to Istio and has no effect here"],
    );
}

#[test]
fn routes_that_are_never_reached() {
    let to = |matches: Value| json!({"match": matches, "route": [{"destination": {"host": "b"}}]});
    let path = |path: &str| json!({"name": path, "uri": {"prefix": path}});
    let twice = json!({"name": "other", "uri": {"prefix": "/a"}});
    check(
        json!({"http": [to(json!([path("/a")])), to(json!([twice, path("/b")])), to(json!([path("/b")])),
            to(json!([path("/c"), path("/")])), to(json!([path("/d")]))]}),
        &[
            "W spec.http[1].match[0]: has no effect: [0] has the same match",
            "W spec.http[2]: is never reached: earlier routes have the same matches",
            "W spec.http[4]: is never reached: [3] takes everything",
        ],
    );
    check(
        json!({"http": [to(json!([])), to(json!([]))]}),
        &["W spec.http[1]: is never reached: [0] takes everything"],
    );
    // Clients of other namespaces come further.
    check(
        json!({"http": [to(json!([{"sourceNamespace": "shop"}])), to(json!([]))]}),
        &[],
    );
    check(
        json!({"http": [], "tcp": [to(json!([{"port": 1}])), to(json!([])), to(json!([{"port": 2}]))]}),
        &["W spec.tcp[2]: is never reached: [1] takes everything"],
    );
}
