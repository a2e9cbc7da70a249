//! What becomes of each field of a rule's route.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::util::pack_any;
use pilothouse_core::model::Host;
use pilothouse_core::registry::Meta;
use pilothouse_core::rules::resolve::*;
use pilothouse_core::rules::spec::Double;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::*;
use crate::extensions::Extension;
use crate::inputs::routing::Reached;
use crate::json::any_to_json;

fn place() -> Place {
    Place {
        rule: Meta::new("VirtualService", "shop", "web").key,
        by: None,
        field: "spec.http[2]".into(),
    }
}

/// A route without matches to service `to`.
fn plain() -> HttpRoute {
    HttpRoute {
        place: place(),
        name: "".into(),
        matches: Vec::new(),
        action: HttpAction::Route(vec![target("to", "", 100)]),
        timeout: None,
        retries: None,
        rewrite: None,
        headers: HeaderOperations::default(),
        mirrors: Vec::new(),
        cors: None,
        fault: None,
    }
}

fn to(host: &str, subset: &str) -> Target {
    Target {
        host: Host::new(host).unwrap(),
        subset: subset.into(),
        port: Some(80),
        port_name: None,
    }
}

fn target(host: &str, subset: &str, weight: u32) -> HttpTarget {
    HttpTarget {
        to: to(host, subset),
        weight,
        headers: HeaderOperations::default(),
    }
}

fn reached(target: &Target, hash_by: Option<HashBy>) -> Reached {
    Reached {
        cluster: names::outbound_cluster(80, &target.subset, &target.host),
        rules: Vec::new(),
        hash_by,
    }
}

fn routed(rule: HttpRoute) -> Routed {
    let targets = match &rule.action {
        HttpAction::Route(targets) => &targets[..],
        _ => &[],
    };
    Routed {
        targets: targets.iter().map(|one| reached(&one.to, None)).collect(),
        mirrors: rule
            .mirrors
            .iter()
            .map(|one| reached(&one.to, None))
            .collect(),
        matched: (!rule.matches.is_empty()).then_some(0),
        route: Arc::new(rule),
    }
}

fn made(routed: &Routed, without: &[Extension]) -> (Json, Notes) {
    let mut notes = Notes::default();
    let context = Context {
        port: 8080,
        tls: false,
        without: without.iter().copied().collect(),
    };
    let made = routes(std::slice::from_ref(routed), context, &mut notes).remove(0);
    let json = any_to_json(&pack_any(made).encode_to_vec()).unwrap();
    (json, notes)
}

/// What is made of a route.
fn of(change: impl FnOnce(&mut HttpRoute)) -> Json {
    let mut rule = plain();
    change(&mut rule);
    made(&routed(rule), &[]).0
}

fn texts(all: &[(&str, &str)]) -> BTreeMap<Arc<str>, Arc<str>> {
    let all = all.iter();
    all.map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.into())
}

fn prefix(text: &str) -> StringMatch {
    StringMatch::Prefix(text.into())
}

fn regex(text: &str) -> StringMatch {
    StringMatch::Regex(text.into())
}

#[test]
fn a_route_says_who_wrote_it() {
    let mut rule = plain();
    rule.name = "all".into();
    rule.matches = vec![HttpMatch {
        name: "first".into(),
        stat_prefix: "web".into(),
        ..HttpMatch::default()
    }];
    let (json, notes) = made(&routed(rule.clone()), &[]);
    assert_eq!(json["name"], "all.first");
    assert_eq!(json["stat_prefix"], "web");
    assert_eq!(json["match"], json!({"prefix": "/"}));
    assert_eq!(json["decorator"], json!({"operation": "to:80/*"}));
    let istio = &json["metadata"]["filter_metadata"]["istio"];
    let config = "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/web";
    assert_eq!(
        *istio,
        json!({"config": config, "field": "spec.http[2].match[0]"})
    );
    assert_eq!(notes.causes, [Cause::Rule(place().rule)].into());
    assert!(
        notes
            .clusters
            .iter()
            .map(|name| name.as_str())
            .eq(["outbound|80||to"])
    );

    let root = Meta::new("VirtualService", "front", "root").key;
    rule.place.by = Some(root.clone());
    let (json, notes) = made(&routed(rule), &[]);
    let istio = &json["metadata"]["filter_metadata"]["istio"];
    let by = "/apis/networking.istio.io/v1/namespaces/front/virtual-service/root";
    assert_eq!(
        *istio,
        json!({"config": by, "field": "spec.http[2]", "delegate": config})
    );
    assert_eq!(notes.causes, [root, place().rule].map(Cause::Rule).into());
}

#[test]
fn requests_are_matched_as_they_are_said_to_be() {
    let check = |one: HttpMatch, expected: Json| {
        assert_eq!(of(|rule| rule.matches = vec![one])["match"], expected);
    };
    let at = |uri: StringMatch| HttpMatch {
        uri: Some(uri),
        ..HttpMatch::default()
    };
    check(at(exact("/a")), json!({"path": "/a"}));
    check(at(prefix("/a")), json!({"prefix": "/a"}));
    check(at(regex("/a.*")), json!({"safe_regex": {"regex": "/a.*"}}));
    let below = HttpMatch {
        whole_segments: true,
        ..at(prefix("/a"))
    };
    check(below, json!({"path_separated_prefix": "/a"}));
    let any_case = |uri| HttpMatch {
        ignore_uri_case: true,
        ..at(uri)
    };
    check(
        any_case(prefix("/a")),
        json!({"prefix": "/a", "case_sensitive": false}),
    );
    check(
        any_case(regex("/a")),
        json!({"safe_regex": {"regex": "/a"}}),
    );

    let value = HeaderMatch::Value;
    let headers = [
        ("a", HeaderMatch::Present),
        ("b", value(exact("1"))),
        ("c", value(prefix("1"))),
        ("d", value(regex("1+"))),
        ("e", value(regex(".*"))),
    ];
    let named = |all: &[(&str, HeaderMatch)]| {
        let all = all.iter();
        all.map(|(name, how)| (Arc::from(*name), how.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    check(
        HttpMatch {
            headers: named(&headers),
            ..HttpMatch::default()
        },
        json!({"prefix": "/", "headers": [
            {"name": "a", "present_match": true},
            {"name": "b", "string_match": {"exact": "1"}},
            {"name": "c", "string_match": {"prefix": "1"}},
            {"name": "d", "string_match": {"safe_regex": {"regex": "1+"}}},
            {"name": "e", "present_match": true},
        ]}),
    );
    check(
        HttpMatch {
            without_headers: named(&headers[..2]),
            ..HttpMatch::default()
        },
        json!({"prefix": "/", "headers": [
            {"name": "a", "invert_match": true, "present_match": true},
            {"name": "b", "invert_match": true, "treat_missing_header_as_empty": true, "string_match": {"exact": "1"}},
        ]}),
    );
    check(
        HttpMatch {
            query_params: named(&headers[..2]),
            ..HttpMatch::default()
        },
        json!({"prefix": "/", "query_parameters": [
            {"name": "a", "present_match": true},
            {"name": "b", "string_match": {"exact": "1"}},
        ]}),
    );
    check(
        HttpMatch {
            method: Some(exact("GET")),
            authority: Some(prefix("web")),
            scheme: Some(exact("https")),
            ..HttpMatch::default()
        },
        json!({"prefix": "/", "headers": [
            {"name": ":method", "string_match": {"exact": "GET"}},
            {"name": ":authority", "string_match": {"prefix": "web"}},
            {"name": ":scheme", "string_match": {"exact": "https"}},
        ]}),
    );
}

#[test]
fn weights_divide_requests() {
    let json = of(|rule| {
        let mut second = target("b", "v2", 20);
        second.headers.request.set = texts(&[("X-To", "b"), ("Host", "b.com")]);
        second.headers.response.remove = vec!["server".into()];
        rule.action = HttpAction::Route(vec![target("a", "", 80), second, target("c", "", 0)]);
    });
    let clusters = json!({"clusters": [
        {"name": "outbound|80||a", "weight": 80},
        {
            "name": "outbound|80|v2|b",
            "weight": 20,
            "request_headers_to_add": [{"header": {"key": "x-to", "value": "b"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            "response_headers_to_remove": ["server"],
            "host_rewrite_literal": "b.com",
        },
    ]});
    assert_eq!(json["route"]["weighted_clusters"], clusters);
    assert_eq!(json["decorator"]["operation"], "web:8080/*");
    let one = of(|rule| {
        rule.action = HttpAction::Route(vec![target("a", "", 0), target("b", "", 5)]);
    });
    assert_eq!(one["route"]["cluster"], "outbound|80||b");
}

#[test]
fn every_destination_says_what_makes_requests_alike() {
    let mut rule = plain();
    let by = |name: &str| Some(HashBy::Header(name.into()));
    let targets = [
        ("a", 50, by("user")),
        ("b", 49, by("user")),
        ("c", 1, by("group")),
    ];
    let of = targets
        .iter()
        .map(|(host, weight, _)| target(host, "", *weight));
    rule.action = HttpAction::Route(of.collect());
    let targets = targets
        .into_iter()
        .map(|(host, _, by)| reached(&to(host, ""), by));
    let routed = Routed {
        targets: targets.collect(),
        ..routed(rule)
    };
    let policies =
        json!([{"header": {"header_name": "user"}}, {"header": {"header_name": "group"}}]);
    assert_eq!(made(&routed, &[]).0["route"]["hash_policy"], policies);
}

#[test]
fn headers_are_changed_in_both_directions() {
    let json = of(|rule| {
        rule.headers.request = Operations {
            set: texts(&[("X-One", "1"), (":path", "/")]),
            add: texts(&[("x-two", "2")]),
            remove: vec!["x-three".into(), "Host".into()],
        };
        rule.headers.response.add = texts(&[("x-four", "4")]);
        let mut only = target("a", "", 1);
        only.headers.response.set = texts(&[("x-five", "5")]);
        rule.action = HttpAction::Route(vec![only]);
    });
    let change = |name: &str, value: &str| json!({"header": {"key": name, "value": value}});
    let set = |name, value| {
        let mut change = change(name, value);
        change["append_action"] = json!("OVERWRITE_IF_EXISTS_OR_ADD");
        change
    };
    assert_eq!(
        json["request_headers_to_add"],
        json!([set("x-one", "1"), change("x-two", "2")])
    );
    assert_eq!(json["request_headers_to_remove"], json!(["x-three"]));
    assert_eq!(
        json["response_headers_to_add"],
        json!([change("x-four", "4"), set("x-five", "5")])
    );
    assert_eq!(json["route"]["host_rewrite_literal"], Json::Null);
}

#[test]
fn paths_and_hosts_are_rewritten() {
    let rewritten = |uri: Option<UriRewrite>, authority: Option<&str>| {
        of(|rule| {
            rule.headers.request.set = texts(&[("Host", "by-header")]);
            let authority = authority.map(Arc::from);
            rule.rewrite = Some(Rewrite { uri, authority });
        })["route"]
            .clone()
    };
    let json = rewritten(Some(UriRewrite::Plain("/new".into())), Some("new.com"));
    assert_eq!(json["prefix_rewrite"], "/new");
    assert_eq!(json["host_rewrite_literal"], "new.com");
    let regex = UriRewrite::Regex {
        pattern: "/(.*)".into(),
        substitution: r"/\1/x".into(),
    };
    let json = rewritten(Some(regex), None);
    assert_eq!(
        json["regex_rewrite"],
        json!({"pattern": {"regex": "/(.*)"}, "substitution": r"/\1/x"})
    );
    assert_eq!(json["host_rewrite_literal"], "by-header");
}

#[test]
fn clients_are_sent_elsewhere() {
    let check = |redirect: Redirect, expected: Json| {
        let json = of(|rule| rule.action = HttpAction::Redirect(redirect));
        assert_eq!(json["redirect"], expected);
        assert_eq!(json["decorator"]["operation"], "web:8080/*");
    };
    let to = |uri: &str| Redirect {
        uri: Some(UriRewrite::Plain(uri.into())),
        authority: None,
        port: None,
        scheme: None,
        code: 301,
    };
    check(to("/a"), json!({"path_redirect": "/a"}));
    check(to("%PREFIX()%/a"), json!({"prefix_rewrite": "/a"}));
    let away = Redirect {
        uri: None,
        authority: Some("b.com".into()),
        scheme: Some("https".into()),
        code: 308,
        port: Some(RedirectPort::Number(8443)),
    };
    let expected = json!({"host_redirect": "b.com", "scheme_redirect": "https", "response_code": "PERMANENT_REDIRECT"});
    let with = |port: u16| {
        let mut expected = expected.clone();
        expected["port_redirect"] = json!(port);
        expected
    };
    check(away.clone(), with(8443));
    check(
        Redirect {
            port: Some(RedirectPort::Number(443)),
            ..away.clone()
        },
        expected.clone(),
    );
    check(
        Redirect {
            port: Some(RedirectPort::FromProtocolDefault),
            ..away.clone()
        },
        expected.clone(),
    );
    check(
        Redirect {
            port: Some(RedirectPort::FromRequestPort),
            ..away
        },
        with(8080),
    );
}

#[test]
fn the_proxy_answers() {
    let check = |body: Option<BodyBytes>, expected: Json| {
        let response = DirectResponse { status: 418, body };
        let json = of(|rule| rule.action = HttpAction::DirectResponse(response));
        assert_eq!(json["direct_response"], expected);
    };
    check(None, json!({"status": 418}));
    check(
        Some(BodyBytes::Text("no".into())),
        json!({"status": 418, "body": {"inline_string": "no"}}),
    );
    check(
        Some(BodyBytes::Bytes([1, 2].into())),
        json!({"status": 418, "body": {"inline_bytes": "AQI="}}),
    );
}

#[test]
fn requests_have_as_long_as_is_said() {
    let check = |timeout: Option<Duration>, expected: &str, of_grpc: Json| {
        let json = of(|rule| rule.timeout = timeout);
        assert_eq!(json["route"]["timeout"], expected);
        assert_eq!(json["route"]["max_stream_duration"], of_grpc);
    };
    let of_grpc = json!({"grpc_timeout_header_max": "0s"});
    check(None, "0s", of_grpc.clone());
    check(Some(Duration::ZERO), "0s", of_grpc);
    check(Some(Duration::from_millis(1500)), "1.500s", Json::Null);
}

#[test]
fn failed_requests_are_tried_again() {
    let retries = Retries {
        attempts: 3,
        per_try_timeout: Some(Duration::from_secs(2)),
        retry_on: Some("gateway-error, 404,503".into()),
        remote_localities: Some(true),
        ignore_previous_hosts: Some(false),
        backoff: Some(Backoff {
            base: Duration::from_millis(50),
        }),
    };
    let with =
        |retries: Retries| of(|rule| rule.retries = Some(retries))["route"]["retry_policy"].clone();
    let priority = json!({
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 2,
        },
    });
    let expected = json!({
        "retry_on": "gateway-error,retriable-status-codes",
        "num_retries": 3,
        "per_try_timeout": "2s",
        "retriable_status_codes": [404, 503],
        "retry_priority": priority,
        "retry_back_off": {"base_interval": "0.050s"},
    });
    assert_eq!(with(retries.clone()), expected);
    assert_eq!(
        with(Retries {
            attempts: 0,
            ..retries.clone()
        }),
        Json::Null
    );
    let rule = HttpRoute {
        retries: Some(retries.clone()),
        ..plain()
    };
    let (json, _) = made(&routed(rule), &[Extension::PreviousPriorities]);
    assert_eq!(json["route"]["retry_policy"]["retry_priority"], Json::Null);
    // What is not said is as the mesh has it.
    let json = with(Retries {
        retry_on: None,
        ignore_previous_hosts: None,
        ..retries
    });
    assert_eq!(json["retry_on"], super::super::tests::RETRY_ON);
    assert_eq!(
        json["retry_host_predicate"][0]["name"],
        "envoy.retry_host_predicates.previous_hosts"
    );
    assert_eq!(of(|_| {})["route"]["retry_policy"]["num_retries"], 2);
}

#[test]
fn copies_go_to_mirrors() {
    let mirror = |host: &str, percent: f64| Mirror {
        to: to(host, "v1"),
        percent: Double::new(percent).unwrap(),
    };
    let json =
        of(|rule| rule.mirrors = vec![mirror("a", 100.0), mirror("b", 0.5), mirror("c", 0.0)]);
    let policy = |cluster: &str, numerator: u32| {
        json!({
            "cluster": cluster,
            "runtime_fraction": {"default_value": {"numerator": numerator, "denominator": "MILLION"}},
            "trace_sampled": false,
        })
    };
    let expected = json!([
        policy("outbound|80|v1|a", 1_000_000),
        policy("outbound|80|v1|b", 5_000)
    ]);
    assert_eq!(json["route"]["request_mirror_policies"], expected);
}

#[test]
fn filters_are_told_what_goes_wrong_and_what_browsers_may() {
    let percent = |percent: f64| Double::new(percent).unwrap();
    let mut rule = plain();
    rule.fault = Some(Arc::new(Fault {
        delay: Some(Delay {
            fixed: Duration::from_secs(5),
            percent: percent(0.1),
        }),
        abort: Some((Abort::Grpc(14), percent(100.0))),
    }));
    rule.cors = Some(Arc::new(Cors {
        allow_origins: vec![exact("https://a.com"), regex(".*")],
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_headers: vec!["x-a".into(), "x-b".into()],
        expose_headers: vec!["x-c".into()],
        max_age: Some(Duration::from_secs(60)),
        allow_credentials: Some(true),
        forward_unmatched_preflights: Some(false),
    }));
    let of = |numerator: u32| json!({"numerator": numerator, "denominator": "MILLION"});
    let fault = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": {"fixed_delay": "5s", "percentage": of(1000)},
        "abort": {"grpc_status": 14, "percentage": of(1_000_000)},
    });
    let cors = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": "https://a.com"}, {"safe_regex": {"regex": ".*"}}],
        "allow_methods": "GET,PUT",
        "allow_headers": "x-a,x-b",
        "expose_headers": "x-c",
        "max_age": "60",
        "allow_credentials": true,
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": false,
    });
    let (fault_name, cors_name) = (Extension::Fault.name(), Extension::Cors.name());
    let check = |without: &[Extension], expected: Json| {
        let (json, _) = made(&routed(rule.clone()), without);
        assert_eq!(json["typed_per_filter_config"], expected);
    };
    check(&[], json!({fault_name: fault, cors_name: cors}));
    check(&[Extension::Cors], json!({fault_name: fault}));
    check(&[Extension::Fault], json!({cors_name: cors}));
    check(&[Extension::Fault, Extension::Cors], Json::Null);
}
