//! What a `VirtualService` means once its names are complete and its defaults are filled in.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::rules::RuleSpec;
use crate::rules::spec::Double;

fn resolved(spec: &Value) -> VirtualService {
    let meta = Meta {
        domain: Some("shop.svc.cluster.local".into()),
        ..Meta::new("VirtualService", "shop", "it")
    };
    match RuleSpec::parse("networking.istio.io/v1", "VirtualService", spec) {
        Ok((RuleSpec::VirtualService(spec), _)) => virtual_service(&meta, &spec),
        other => panic!("{other:?}"),
    }
}

/// The one HTTP route of a rule that has these fields beside a destination.
fn route(fields: Value) -> HttpRoute {
    let mut route = json!({"route": [{"destination": {"host": "b"}}]});
    let (Some(base), Value::Object(fields)) = (route.as_object_mut(), fields) else {
        panic!("fields are an object")
    };
    base.extend(fields);
    let rule = resolved(&json!({"hosts": ["a"], "http": [route]}));
    HttpRoute::clone(&rule.http[0])
}

fn percent(number: f64) -> Double {
    Double::new(number).unwrap()
}

#[test]
fn names_are_completed() {
    let rule = resolved(&json!({
        "hosts": ["web", "web.shop.svc.cluster.local", "*.acme.com"],
        "gateways": ["mesh", "edge", "infra/edge", "./edge", "old.infra.svc.cluster.local", "old.infra"],
        "tcp": [{"route": [{"destination": {"host": "db", "subset": "v1", "port": {"number": 5432}}}]}],
        "http": [{"delegate": {"name": "x"}}, {"delegate": {"name": "x", "namespace": "bank"}}],
    }));
    let hosts: Vec<_> = rule.hosts.iter().map(Host::as_str).collect();
    assert_eq!(hosts, ["web.shop.svc.cluster.local", "*.acme.com"]);
    let named = |namespace: &str, name: &str| GatewayRef::Named {
        namespace: namespace.into(),
        name: name.into(),
    };
    assert_eq!(
        &*rule.gateways,
        [
            GatewayRef::Mesh,
            named("shop", "edge"),
            named("infra", "edge"),
            named("infra", "old"),
        ]
    );
    let target = Target {
        host: Host::new("db.shop.svc.cluster.local").unwrap(),
        subset: "v1".into(),
        port: Some(5432),
        port_name: None,
    };
    let alone = L4Target {
        to: target,
        weight: 1,
    };
    assert_eq!(rule.tcp[0].route, [alone]);
    assert_eq!(&*rule.tcp[0].place.field, "spec.tcp[0]");
    let to: Vec<_> = rule
        .http
        .iter()
        .map(|route| match &route.action {
            HttpAction::Delegate(to) => to.namespace.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(to, ["shop", "bank"]);
    assert_eq!(
        resolved(&json!({"hosts": ["a"]})).gateways[..],
        [GatewayRef::Mesh]
    );
}

#[test]
fn what_is_not_said_of_a_route_gets_its_default() {
    let plain = route(json!({}));
    let HttpAction::Route(targets) = &plain.action else {
        panic!("{plain:?}")
    };
    assert_eq!(targets[0].weight, 1, "who is alone gets all");
    assert_eq!(
        (plain.timeout, &plain.retries, &plain.fault, &plain.cors),
        (None, &None, &None, &None)
    );
    let retries = route(json!({"retries": {"attempts": 2, "retryOn": " 5xx, 503 ,"}})).retries;
    let expected = Retries {
        attempts: 2,
        per_try_timeout: None,
        retry_on: Some("5xx,503".into()),
        remote_localities: None,
        ignore_previous_hosts: None,
        backoff: None,
    };
    assert_eq!(retries, Some(expected));
    let of = |redirect: Value| match resolved(
        &json!({"hosts": ["a"], "http": [{"redirect": redirect}]}),
    )
    .http[0]
        .action
        .clone()
    {
        HttpAction::Redirect(redirect) => redirect,
        other => panic!("{other:?}"),
    };
    let moved = of(json!({"uri": "%PREFIX()%/b"}));
    assert_eq!(
        (moved.code, moved.uri, moved.port),
        (301, Some(UriRewrite::Plain("%PREFIX()%/b".into())), None)
    );
    assert_eq!(
        of(json!({"port": 8443, "redirectCode": 308})).port,
        Some(RedirectPort::Number(8443))
    );
    assert_eq!(
        of(json!({"derivePort": "FROM_REQUEST_PORT"})).port,
        Some(RedirectPort::FromRequestPort)
    );
}

#[test]
fn shares_in_their_new_form_and_their_old_one() {
    let mirrors = |fields: Value| -> Vec<f64> {
        let mirrors = route(fields).mirrors;
        mirrors.iter().map(|mirror| mirror.percent.get()).collect()
    };
    let to = json!({"host": "c"});
    assert_eq!(mirrors(json!({"mirror": to})), [100.0]);
    assert_eq!(mirrors(json!({"mirror": to, "mirrorPercent": 5})), [5.0]);
    assert_eq!(
        mirrors(json!({"mirror": to, "mirrorPercent": 5, "mirrorPercentage": {"value": 0.5}})),
        [0.5]
    );
    assert_eq!(
        mirrors(json!({"mirror": to, "mirrorPercentage": {}})),
        [0.0; 0],
        "no copies at all"
    );
    assert_eq!(
        mirrors(
            json!({"mirrors": [{"destination": to, "percentage": {"value": 7}}, {"destination": to}]})
        ),
        [7.0, 100.0]
    );
    let fault = |fields: Value| {
        route(json!({"fault": fields}))
            .fault
            .map(|fault| (*fault).clone())
    };
    let delay = |percent| Delay {
        fixed: Duration::from_secs(5),
        percent,
    };
    for (written, expected) in [
        (json!({"fixedDelay": "5s"}), Some(100.0)),
        (json!({"fixedDelay": "5s", "percent": 7}), Some(7.0)),
        (
            json!({"fixedDelay": "5s", "percentage": {"value": 0.1}}),
            Some(0.1),
        ),
        (
            json!({"fixedDelay": "5s", "percentage": {"value": 0}}),
            None,
        ),
        (json!({"exponentialDelay": "5s"}), None),
    ] {
        let expected = expected.map(|number| Fault {
            delay: Some(delay(percent(number))),
            abort: None,
        });
        assert_eq!(fault(json!({"delay": written})), expected, "{written}");
    }
    for (written, expected) in [
        (json!({"httpStatus": 503}), Some(Abort::Http(503))),
        (json!({"grpcStatus": "UNAVAILABLE"}), Some(Abort::Grpc(14))),
        (json!({"http2Error": "CANCEL"}), None),
    ] {
        let expected = expected.map(|abort| Fault {
            delay: None,
            abort: Some((abort, percent(100.0))),
        });
        assert_eq!(fault(json!({"abort": written})), expected, "{written}");
    }
}

#[test]
fn matches_of_headers() {
    let one = route(json!({"match": [{
        "headers": {"X-A": {}, "b": {"regex": "*"}, "c": {"prefix": ""}, "d": {"exact": ""}},
        "uri": {"prefix": ""}, "method": {},
    }]}))
    .matches
    .remove(0);
    let value = |text: &str| HeaderMatch::Value(StringMatch::Exact(text.into()));
    let expected: std::collections::BTreeMap<Arc<str>, _> = [
        ("x-a".into(), HeaderMatch::Present),
        ("b".into(), HeaderMatch::Present),
        ("c".into(), HeaderMatch::Present),
        ("d".into(), value("")),
    ]
    .into();
    assert_eq!(one.headers, expected);
    assert_eq!((&one.uri, &one.method), (&None, &None));
    assert!(!one.is_catch_all());
}

#[test]
fn what_no_request_can_be_like_is_no_route() {
    let rule = |matches: Value| {
        let spec = json!({"hosts": ["a"], "http": [{"match": matches, "route": [{"destination": {"host": "b"}}]}]});
        resolved(&spec)
            .http
            .iter()
            .map(|route| route.matches.len())
            .collect::<Vec<_>>()
    };
    let claim = json!({"headers": {"@request.auth.claims.sub": {"exact": "me"}}});
    assert_eq!(rule(json!([claim])), [0; 0], "it is not for all requests");
    assert_eq!(rule(json!([claim, {"port": 80}])), [1]);
    assert_eq!(rule(json!([])), [0]);
}

#[test]
fn origins_of_browsers_in_both_forms() {
    let origins = |fields: Value| {
        route(json!({"corsPolicy": fields}))
            .cors
            .map(|cors| cors.allow_origins.clone())
    };
    let exact = |text: &str| StringMatch::Exact(text.into());
    assert_eq!(
        origins(json!({"allowOrigin": ["*"]})),
        Some(vec![exact("*")])
    );
    assert_eq!(
        origins(json!({"allowOrigin": ["*"], "allowOrigins": [{"exact": "https://a"}]})),
        Some(vec![exact("https://a")])
    );
    let forwards = |text: &str| {
        route(json!({"corsPolicy": {"unmatchedPreflights": text}}))
            .cors
            .and_then(|cors| cors.forward_unmatched_preflights)
    };
    assert_eq!(
        ["UNSPECIFIED", "FORWARD", "IGNORE"].map(forwards),
        [None, Some(true), Some(false)]
    );
}
