//! What routes and filters do with requests.

use serde_json::{Value, json};

use super::super::{Call, Headers, Outcome, Payload, Walk, evaluate};
use super::{configuration, entrance, get, outline, with, with_routes};

fn to(cluster: &str, mut more: Value) -> Value {
    more["cluster"] = json!(cluster);
    json!([{ "match": { "prefix": "/api" }, "route": more }])
}

#[test]
fn paths_and_hosts_are_rewritten() {
    let check = |more: Value, path: &str, expected: &str| {
        assert_eq!(outline(&get(&with(to("a", more)), path)), expected);
    };
    check(json!({}), "/api/x?q=1", "a GET web.test/api/x?q=1");
    check(
        json!({ "prefix_rewrite": "/" }),
        "/api/x?q=1",
        "a GET web.test//x?q=1",
    );
    check(
        json!({ "prefix_rewrite": "/v2", "host_rewrite_literal": "other.test" }),
        "/api?q",
        "a GET other.test/v2?q",
    );
    check(
        json!({ "regex_rewrite": { "pattern": { "regex": "^/api/([a-z]+)" }, "substitution": "/\\1/api" } }),
        "/api/x?q=1",
        "a GET web.test/x/api?q=1",
    );
    check(
        json!({ "auto_host_rewrite": true }),
        "/api",
        "a GET (endpoint)/api",
    );
}

#[test]
fn redirects_say_where() {
    let check = |redirect: Value, authority: &str, path: &str, expected: &str| {
        let all = with(json!([{ "match": { "prefix": "/a" }, "redirect": redirect.clone() }]));
        let walk = evaluate(&all, &Call::get(entrance(), authority, path));
        assert_eq!(outline(&walk), expected, "{redirect}");
    };
    check(
        json!({ "https_redirect": true }),
        "w.test:80",
        "/a?q",
        "301 - https://w.test/a?q",
    );
    check(
        json!({ "https_redirect": true }),
        "w.test:81",
        "/a",
        "301 - https://w.test:81/a",
    );
    check(
        json!({ "port_redirect": 8443 }),
        "w.test:81",
        "/a",
        "301 - http://w.test:8443/a",
    );
    check(
        json!({ "host_redirect": "o.test", "response_code": "FOUND", "strip_query": true }),
        "w.test",
        "/a?q",
        "302 - http://o.test/a",
    );
    check(
        json!({ "path_redirect": "/b" }),
        "w.test",
        "/a?q",
        "301 - http://w.test/b?q",
    );
    check(
        json!({ "path_redirect": "/b?c" }),
        "w.test",
        "/a?q",
        "301 - http://w.test/b?c",
    );
    check(
        json!({ "prefix_rewrite": "/b" }),
        "w.test",
        "/a/x?q",
        "301 - http://w.test/b/x?q",
    );
    check(
        json!({ "scheme_redirect": "https", "response_code": "PERMANENT_REDIRECT" }),
        "[::1]:80",
        "/a",
        "308 - https://[::1]/a",
    );
}

#[test]
fn a_virtual_host_may_want_https() {
    let all = with_routes(
        &json!({ "name": "r", "virtual_hosts": [{ "name": "v", "domains": ["*"], "require_tls": "ALL" }] }),
        json!([]),
    );
    assert_eq!(outline(&get(&all, "/x")), "301 - https://web.test/x");
}

#[test]
fn weights_and_chance_choose() {
    let weighted = json!([{ "match": { "prefix": "/" }, "route": { "weighted_clusters": { "clusters": [
        { "name": "a", "weight": 80 }, { "name": "b", "weight": 20 }, { "name": "c", "weight": 0 },
    ] } } }]);
    let all = with(weighted);
    for (random, expected) in [(0, "a"), (79, "a"), (80, "b"), (199, "b"), (100, "a")] {
        let call = Call {
            random,
            ..Call::get(entrance(), "w", "/")
        };
        let walk = evaluate(&all, &call);
        let Outcome::Forwarded { cluster, .. } = &walk.outcome else {
            panic!("{walk:?}");
        };
        assert_eq!(cluster, expected, "{random}");
        let weights: Vec<_> = walk.candidates.iter().map(|c| c.weight).collect();
        assert_eq!(weights, [80, 20, 0]);
    }
}

#[test]
fn what_is_not_there_fails_as_in_envoy() {
    let check = |cluster: &str, more: Value, expected: &str| {
        assert_eq!(outline(&get(&with(to(cluster, more)), "/api")), expected);
    };
    check("z", json!({}), "503 NC");
    check(
        "z",
        json!({ "cluster_not_found_response_code": "NOT_FOUND" }),
        "404 NC",
    );
    assert_eq!(outline(&get(&with(json!([])), "/")), "404 NR");
    assert_eq!(outline(&get(&configuration(&[]), "/")), "refused");
}

#[test]
fn headers_change_at_every_level() {
    let add = |name: &str, value: &str, action: &str| json!({ "header": { "key": name, "value": value }, "append_action": action });
    let all = with_routes(
        &json!({
            "name": "r",
            "request_headers_to_add": [add("x-level", "table", "OVERWRITE_IF_EXISTS_OR_ADD")],
            "virtual_hosts": [{
                "name": "v", "domains": ["*"],
                "request_headers_to_add": [add("x-level", "host", "OVERWRITE_IF_EXISTS_OR_ADD"), add("x-all", "host", "APPEND_IF_EXISTS_OR_ADD")],
                "routes": [{
                    "match": { "prefix": "/" },
                    "request_headers_to_add": [
                        add("x-level", "route", "OVERWRITE_IF_EXISTS_OR_ADD"),
                        add("x-all", "%REQ(x-in)%", "APPEND_IF_EXISTS_OR_ADD"),
                        add("x-in", "other", "ADD_IF_ABSENT"),
                        add("x-none", "1", "OVERWRITE_IF_EXISTS"),
                    ],
                    "request_headers_to_remove": ["x-gone"],
                    "response_headers_to_add": [add("x-answer", "100%%", "OVERWRITE_IF_EXISTS_OR_ADD")],
                    "route": { "cluster": "a" },
                }],
            }],
        }),
        json!([]),
    );
    let mut call = Call::get(entrance(), "w", "/");
    if let Payload::Http(request) = &mut call.payload {
        request.headers = Headers::from_iter([("x-in", "in"), ("x-gone", "1")]);
    }
    let walk = evaluate(&all, &call);
    let Outcome::Forwarded { request, .. } = walk.outcome else {
        panic!("{walk:?}");
    };
    let headers: Vec<String> = request
        .unwrap()
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        headers,
        ["x-in=in", "x-all=in", "x-all=host", "x-level=table"]
    );
    let response = walk.http.unwrap().response_headers;
    assert_eq!(response[0].value, "100%");
}

fn filter(name: &str, message: &str) -> Value {
    json!({ "name": name, "typed_config": { "@type": format!("type.googleapis.com/{message}") } })
}

fn with_filters(config: Value) -> super::Configuration {
    let filters = json!([
        filter("fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"),
        filter("cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        filter("router", "envoy.extensions.filters.http.router.v3.Router"),
    ]);
    let host = json!({ "name": "any", "domains": ["*"], "routes": [{
        "match": { "prefix": "/" }, "route": { "cluster": "a" }, "typed_per_filter_config": config,
    }] });
    with_routes(&json!({ "name": "r", "virtual_hosts": [host] }), filters)
}

#[test]
fn faults_are_injected() {
    let fault = |mut config: Value| {
        config["@type"] =
            json!("type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault");
        with_filters(json!({ "fault": config }))
    };
    let percentage = json!({ "numerator": 100 });
    let all = fault(json!({ "abort": { "http_status": 418, "percentage": percentage } }));
    assert_eq!(outline(&get(&all, "/")), "418 FI fault filter abort");
    let all = fault(json!({
        "delay": { "fixed_delay": "2.5s", "percentage": { "numerator": 10 } },
        "abort": { "http_status": 500, "percentage": { "numerator": 0 } },
    }));
    let walk = get(&all, "/");
    assert_eq!(outline(&walk), "a GET web.test/");
    let faults: Vec<_> = walk
        .http
        .unwrap()
        .faults
        .into_iter()
        .map(|fault| (fault.what, fault.percent, fault.applies))
        .collect();
    assert_eq!(
        faults,
        [
            ("delay 2.5s".to_owned(), 10.0, true),
            ("abort 500".to_owned(), 0.0, false)
        ]
    );
}

#[test]
fn questions_beforehand_are_answered() {
    let all = with_filters(json!({ "cors": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{ "exact": "https://a.test" }],
        "allow_methods": "GET", "max_age": "60", "expose_headers": "x-e",
    } }));
    let ask = |method: &str, origin: &str| -> Walk {
        let mut call = Call::get(entrance(), "w", "/");
        if let Payload::Http(request) = &mut call.payload {
            request.method = method.into();
            request.headers =
                Headers::from_iter([("origin", origin), ("access-control-request-method", "GET")]);
        }
        evaluate(&all, &call)
    };
    let Outcome::Answered { headers, .. } = ask("OPTIONS", "https://a.test").outcome else {
        panic!("it is not answered");
    };
    let get = |name: &str| {
        headers
            .get(&format!("access-control-{name}"))
            .unwrap_or_default()
    };
    assert_eq!(
        (get("allow-origin"), get("allow-methods"), get("max-age")),
        ("https://a.test".into(), "GET".into(), "60".into())
    );
    assert_eq!(outline(&ask("OPTIONS", "https://b.test")), "a OPTIONS w/");
    let walk = ask("GET", "https://a.test");
    assert_eq!(outline(&walk), "a GET w/");
    assert_eq!(walk.http.unwrap().response_headers.len(), 2);
}

#[test]
fn paths_are_made_canonical() {
    use super::super::path::{Normal, normalized};
    use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
    use envoy_types::pb::google::protobuf::BoolValue;

    let manager = HttpConnectionManager {
        normalize_path: Some(BoolValue { value: true }),
        ..Default::default()
    };
    for (path, expected) in [
        ("/a/../b", "/b"),
        ("/a/./b/..", "/a/"),
        ("/../a?x=/../y", "/a?x=/../y"),
        ("/%41%2f%7e", "/A%2f~"),
        ("/a//b", "/a//b"),
        ("/a\\b", "/a/b"),
    ] {
        assert_eq!(
            normalized(&manager, path),
            Normal::Path(expected.into()),
            "{path}"
        );
    }
    assert_eq!(normalized(&manager, "/a%00"), Normal::Refused);
}
