//! Every kind of thing with every operation.

use super::*;

const VIRTUAL_INBOUND: &str = "lds/virtualInbound";
/// The chain of the workload's HTTP port.
const CHAIN: &str = "/filter_chains/4";
const HTTP_FILTERS: &str = "/filter_chains/4/filters/0/typed_config/http_filters";
const MANAGER: &str = "envoy.filters.network.http_connection_manager";

fn lua(name: &str) -> Json {
    json!({
        "name": name,
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua" },
    })
}

/// The HTTP filters of the workload's port, after a patch of those beside `sub_filter`.
fn http_filters(sub_filter: Option<&str>, operation: &str, value: Json, expected: &[&str]) {
    let mut filter = json!({ "name": MANAGER });
    if let Some(name) = sub_filter {
        filter["subFilter"] = json!({ "name": name });
    }
    let matching = json!({
        "context": "SIDECAR_INBOUND",
        "listener": { "portNumber": 80, "filterChain": { "filter": filter } },
    });
    let patches = json!([patch("HTTP_FILTER", matching, operation, value)]);
    let got = with(&patches);
    assert_eq!(
        names(&got, VIRTUAL_INBOUND, HTTP_FILTERS),
        expected,
        "{patches}"
    );
    let others: Vec<_> = changes(&patches)
        .into_iter()
        .filter(|change| change != "~ lds/virtualInbound")
        .collect();
    assert_eq!(others, [""; 0], "{patches}");
}

#[test]
fn http_filters_by_every_operation() {
    const ALL: [&str; 4] = ["grpc_stats", "fault", "cors", "router"];
    const CORS: Option<&str> = Some("envoy.filters.http.cors");
    const NONE: Option<&str> = Some("none");
    let x = || lua("x");
    let check = http_filters;
    check(
        CORS,
        "INSERT_BEFORE",
        x(),
        &["grpc_stats", "fault", "x", "cors", "router"],
    );
    check(
        CORS,
        "INSERT_AFTER",
        x(),
        &["grpc_stats", "fault", "cors", "x", "router"],
    );
    check(
        CORS,
        "INSERT_FIRST",
        x(),
        &["x", "grpc_stats", "fault", "cors", "router"],
    );
    check(
        CORS,
        "REPLACE",
        x(),
        &["grpc_stats", "fault", "x", "router"],
    );
    check(
        CORS,
        "REMOVE",
        json!(null),
        &["grpc_stats", "fault", "router"],
    );
    check(
        None,
        "INSERT_BEFORE",
        x(),
        &["x", "grpc_stats", "fault", "cors", "router"],
    );
    check(
        None,
        "INSERT_AFTER",
        x(),
        &["grpc_stats", "fault", "cors", "router", "x"],
    );
    check(
        None,
        "INSERT_FIRST",
        x(),
        &["x", "grpc_stats", "fault", "cors", "router"],
    );
    check(
        None,
        "ADD",
        x(),
        &["grpc_stats", "fault", "cors", "x", "router"],
    );
    check(None, "REPLACE", x(), &ALL);
    check(None, "REMOVE", json!(null), &[]);
    for operation in ["INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"] {
        check(NONE, operation, x(), &ALL);
    }
    check(NONE, "REMOVE", json!(null), &ALL);
    check(
        Some("envoy.router"),
        "INSERT_BEFORE",
        x(),
        &["grpc_stats", "fault", "cors", "x", "router"],
    );
}

#[test]
fn classes_of_filters_have_their_place() {
    let check = |class: &str, expected: &[&str]| {
        let mut patch = patch(
            "HTTP_FILTER",
            json!({ "context": "SIDECAR_INBOUND" }),
            "ADD",
            lua("x"),
        );
        patch["patch"]["filterClass"] = json!(class);
        let got = with(&json!([patch]));
        assert_eq!(
            names(&got, VIRTUAL_INBOUND, HTTP_FILTERS),
            expected,
            "{class}"
        );
    };
    check("AUTHN", &["x", "grpc_stats", "fault", "cors", "router"]);
    check("AUTHZ", &["x", "grpc_stats", "fault", "cors", "router"]);
    check("STATS", &["grpc_stats", "fault", "cors", "x", "router"]);
}

#[test]
fn merging_into_http_filters() {
    let router = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": true });
    let filter = |of: &str| json!({ "listener": { "filterChain": { "filter": { "name": MANAGER, "subFilter": { "name": of } } } } });
    let matching = filter("envoy.filters.http.router");
    let patches = json!([patch(
        "HTTP_FILTER",
        matching,
        "MERGE",
        json!({ "typed_config": router })
    )]);
    let got = with(&patches);
    let merged = got[VIRTUAL_INBOUND].pointer(&format!("{HTTP_FILTERS}/3/typed_config"));
    assert_eq!(merged, Some(&router));
    assert_eq!(
        changes(&patches),
        ["~ lds/0.0.0.0_80", "~ lds/virtualInbound"]
    );
    // A configuration of another type is no configuration of that filter.
    let other = json!([patch(
        "HTTP_FILTER",
        filter("envoy.filters.http.cors"),
        "MERGE",
        json!({ "typed_config": router })
    )]);
    let (_, outcomes) = get(&patched(&other), &sidecar());
    let failed: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| outcome.failed.values())
        .collect();
    assert!(
        failed[0].contains("Router cannot be merged into"),
        "{failed:?}"
    );
    assert_eq!(changes(&other), [""; 0]);
}

#[test]
fn network_filters_by_every_operation() {
    let echo = json!({ "name": "x", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo" } });
    let check = |of: Option<&str>, operation: &str, expected: &[&str]| {
        let mut chain = json!({ "name": "0.0.0.0_90" });
        if let Some(name) = of {
            chain["filter"] = json!({ "name": name });
        }
        let matching =
            json!({ "context": "SIDECAR_INBOUND", "listener": { "filterChain": chain } });
        let value = if operation == "REMOVE" {
            json!(null)
        } else {
            echo.clone()
        };
        let got = with(&json!([patch(
            "NETWORK_FILTER",
            matching,
            operation,
            value
        )]));
        assert_eq!(
            names(&got, VIRTUAL_INBOUND, "/filter_chains/5/filters"),
            expected,
            "{of:?} {operation}"
        );
    };
    const PROXY: Option<&str> = Some("envoy.filters.network.tcp_proxy");
    check(PROXY, "INSERT_BEFORE", &["x", "tcp_proxy"]);
    check(PROXY, "INSERT_AFTER", &["tcp_proxy", "x"]);
    check(PROXY, "INSERT_FIRST", &["x", "tcp_proxy"]);
    check(PROXY, "REPLACE", &["x"]);
    check(PROXY, "REMOVE", &[]);
    check(None, "ADD", &["x", "tcp_proxy"]);
    check(Some(MANAGER), "REPLACE", &["tcp_proxy"]);
}

#[test]
fn network_filters_are_merged_into() {
    let manager = json!({
        "@type": format!("type.googleapis.com/{MANAGER_TYPE}"),
        "server_name": "mine", "use_remote_address": true, "normalize_path": false,
        "upgrade_configs": [{ "upgrade_type": "CONNECT" }],
    });
    let matching = json!({ "context": "SIDECAR_INBOUND", "listener": { "filterChain": { "filter": { "name": MANAGER } } } });
    let value = json!({ "name": MANAGER, "typed_config": manager });
    let got = with(&json!([patch(
        "NETWORK_FILTER",
        matching.clone(),
        "MERGE",
        value.clone()
    )]));
    let after = |got: &Got, field: &str| {
        got[VIRTUAL_INBOUND]
            .pointer(&format!("{CHAIN}/filters/0/typed_config/{field}"))
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(after(&got, "server_name"), "mine");
    assert_eq!(after(&got, "use_remote_address"), true);
    assert_eq!(after(&got, "normalize_path"), false);
    assert_eq!(
        after(&got, "upgrade_configs"),
        json!([{ "upgrade_type": "websocket" }, { "upgrade_type": "CONNECT" }])
    );
    assert_eq!(names(&got, VIRTUAL_INBOUND, HTTP_FILTERS).len(), 4);
    let got = with(&json!([patch(
        "NETWORK_FILTER",
        matching,
        "MERGE_AND_REPLACE_LIST",
        value
    )]));
    assert_eq!(
        after(&got, "upgrade_configs"),
        json!([{ "upgrade_type": "CONNECT" }])
    );
}

const MANAGER_TYPE: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

#[test]
fn listener_filters_by_every_operation() {
    let filter = json!({ "name": "x", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol" } });
    let check = |of: &str, operation: &str, expected: &[&str]| {
        let matching =
            json!({ "context": "SIDECAR_INBOUND", "listener": { "listenerFilter": of } });
        let value = if operation == "REMOVE" {
            json!(null)
        } else {
            filter.clone()
        };
        let got = with(&json!([patch(
            "LISTENER_FILTER",
            matching,
            operation,
            value
        )]));
        assert_eq!(
            names(&got, VIRTUAL_INBOUND, "/listener_filters"),
            expected,
            "{of} {operation}"
        );
    };
    const TLS: &str = "envoy.filters.listener.tls_inspector";
    check(
        TLS,
        "INSERT_BEFORE",
        &["original_dst", "x", "tls_inspector", "http_inspector"],
    );
    check(
        TLS,
        "INSERT_AFTER",
        &["original_dst", "tls_inspector", "x", "http_inspector"],
    );
    check(
        TLS,
        "INSERT_FIRST",
        &["x", "original_dst", "tls_inspector", "http_inspector"],
    );
    check(TLS, "REPLACE", &["original_dst", "x", "http_inspector"]);
    check(TLS, "REMOVE", &["original_dst", "http_inspector"]);
    check(
        "",
        "ADD",
        &["original_dst", "tls_inspector", "http_inspector", "x"],
    );
    check(
        "envoy.listener.tls_inspector",
        "REMOVE",
        &["original_dst", "http_inspector"],
    );
}

#[test]
fn chains_come_go_and_change() {
    let check = |chain: Json, operation: &str, value: Json, expected: &[&str]| {
        let mut matching = json!({ "context": "SIDECAR_INBOUND" });
        if !chain.is_null() {
            matching["listener"] = json!({ "filterChain": chain });
        }
        let got = with(&json!([patch("FILTER_CHAIN", matching, operation, value)]));
        let names = names(&got, VIRTUAL_INBOUND, "/filter_chains");
        let names: Vec<_> = names
            .into_iter()
            .map(|name| name.rsplit('_').next().unwrap_or(name))
            .collect();
        assert_eq!(names, expected, "{chain} {operation}");
    };
    const ALL: [&str; 6] = [
        "virtualInbound-blackhole",
        "virtualInbound-catchall-http",
        "virtualInbound",
        "virtualInbound",
        "80",
        "90",
    ];
    check(
        json!(null),
        "ADD",
        json!({ "name": "x" }),
        &[&ALL[..], &["x"]].concat(),
    );
    check(
        json!({ "destinationPort": 80 }),
        "REMOVE",
        json!(null),
        &[&ALL[..4], &ALL[5..]].concat(),
    );
    check(
        json!({ "transportProtocol": "tls" }),
        "REMOVE",
        json!(null),
        &[&ALL[..3], &ALL[4..]].concat(),
    );
    check(
        json!({ "applicationProtocols": "h2c, http/1.1" }),
        "REMOVE",
        json!(null),
        &[&ALL[..1], &ALL[2..]].concat(),
    );
    check(json!({ "sni": "a.com" }), "REMOVE", json!(null), &ALL);
    check(
        json!({ "destinationPort": 90 }),
        "MERGE",
        json!({ "name": "x" }),
        &[&ALL[..5], &["x"]].concat(),
    );
}

#[test]
fn whole_listeners() {
    let x = json!({ "name": "x", "address": { "socket_address": { "address": "127.0.0.1", "port_value": 99 } } });
    assert_eq!(
        changes(&json!([patch("LISTENER", json!({}), "ADD", x)])),
        ["+ lds/x"]
    );
    let remove =
        |matching: Json| changes(&json!([patch("LISTENER", matching, "REMOVE", json!(null))]));
    assert_eq!(
        remove(json!({ "listener": { "portNumber": 80 }, "context": "SIDECAR_OUTBOUND" }))[0],
        "- lds/0.0.0.0_80"
    );
    assert_eq!(
        remove(json!({ "listener": { "name": "virtualInbound" } })),
        ["- lds/virtualInbound"]
    );
    assert_eq!(remove(json!({ "context": "GATEWAY" })), [""; 0]);
    let merge = json!([patch(
        "LISTENER",
        json!({ "context": "SIDECAR_INBOUND" }),
        "MERGE",
        json!({ "name": "other", "per_connection_buffer_limit_bytes": 5 })
    )]);
    let got = with(&merge);
    assert_eq!(got[VIRTUAL_INBOUND]["per_connection_buffer_limit_bytes"], 5);
    assert_eq!(
        changes(&merge),
        ["~ lds/virtualInbound"],
        "a name is no value"
    );
}

#[test]
fn whole_clusters() {
    let x = json!({ "name": "x", "connect_timeout": "1s" });
    assert_eq!(
        changes(&json!([patch("CLUSTER", json!({}), "ADD", x)])),
        ["+ cds/x"]
    );
    let remove =
        |matching: Json| changes(&json!([patch("CLUSTER", matching, "REMOVE", json!(null))]));
    let of = |cluster: Json| remove(json!({ "cluster": cluster }));
    assert_eq!(
        of(json!({ "name": "outbound|80||a.com", "portNumber": 5 })),
        ["- cds/outbound|80||a.com"]
    );
    assert_eq!(
        of(json!({ "service": "a.com", "portNumber": 90 })),
        ["- cds/inbound|90||", "- cds/outbound|90||a.com"]
    );
    assert_eq!(of(json!({ "subset": "v1" })), [""; 0]);
    assert_eq!(of(json!({ "service": "b.com" })), [""; 0]);
    assert_eq!(
        remove(json!({ "context": "SIDECAR_INBOUND" })),
        [
            "- cds/InboundPassthroughCluster",
            "- cds/inbound|80||",
            "- cds/inbound|90||"
        ]
    );
    let merge = json!([patch(
        "CLUSTER",
        json!({ "cluster": { "name": "outbound|80||a.com" } }),
        "MERGE",
        json!({ "connect_timeout": "3s", "lb_policy": "RANDOM" })
    )]);
    assert_eq!(changes(&merge), ["~ cds/outbound|80||a.com"]);
    let got = with(&merge);
    assert_eq!(got["cds/outbound|80||a.com"]["connect_timeout"], "3s");
    assert_eq!(got["cds/outbound|80||a.com"]["lb_policy"], "RANDOM");
}

#[test]
fn route_configurations_and_what_is_in_them() {
    const RDS: &str = "rds/80";
    let on = |vhost: Json| json!({ "context": "SIDECAR_OUTBOUND", "routeConfiguration": { "portNumber": 80, "vhost": vhost } });
    let merge = json!([patch(
        "ROUTE_CONFIGURATION",
        json!({ "routeConfiguration": { "name": "80" } }),
        "MERGE",
        json!({ "response_headers_to_remove": ["x"] })
    )]);
    assert_eq!(changes(&merge), ["~ rds/80"]);
    let host = json!({ "name": "x", "domains": ["x.com"] });
    let add = json!([patch("VIRTUAL_HOST", on(json!(null)), "ADD", host)]);
    let got = with(&add);
    let hosts = |got: &Got| -> Vec<String> {
        let all = got[RDS]["virtual_hosts"].as_array().unwrap().iter();
        all.map(|host| host["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(hosts(&got), ["a.com:80", "allow_any", "x"]);
    let got = with(&json!([patch(
        "VIRTUAL_HOST",
        on(json!({ "domainName": "a.com" })),
        "REMOVE",
        json!(null)
    )]));
    assert_eq!(hosts(&got), ["allow_any"]);
    let got = with(&json!([patch(
        "VIRTUAL_HOST",
        on(json!({ "name": "a.com:80" })),
        "MERGE",
        json!({ "include_request_attempt_count": false, "retry_policy_typed_config": null })
    )]));
    assert_eq!(hosts(&got), ["a.com:80", "allow_any"]);

    let routes = |operation: &str, route: Json, value: Json| {
        let mut host = json!({ "name": "a.com:80" });
        if !route.is_null() {
            host["route"] = route;
        }
        let got = with(&json!([patch("HTTP_ROUTE", on(host), operation, value)]));
        names(&got, RDS, "/virtual_hosts/0/routes").join(" ")
    };
    let x = || json!({ "name": "x", "match": { "prefix": "/x" }, "direct_response": { "status": 204 } });
    let default = || json!({ "name": "default" });
    assert_eq!(routes("ADD", json!(null), x()), "default x");
    assert_eq!(routes("INSERT_FIRST", json!(null), x()), "x default");
    assert_eq!(routes("INSERT_BEFORE", default(), x()), "x default");
    assert_eq!(routes("INSERT_AFTER", default(), x()), "default x");
    assert_eq!(
        routes("INSERT_AFTER", json!({ "action": "REDIRECT" }), x()),
        "default"
    );
    assert_eq!(
        routes("REMOVE", json!({ "action": "ROUTE" }), json!(null)),
        ""
    );
    assert_eq!(
        routes(
            "MERGE",
            default(),
            json!({ "name": "y", "route": { "timeout": "5s" } })
        ),
        "y"
    );
}

#[test]
fn routes_of_inbound_listeners_are_part_of_them() {
    let matching =
        json!({ "context": "SIDECAR_INBOUND", "routeConfiguration": { "portNumber": 80 } });
    let patches = json!([patch(
        "HTTP_ROUTE",
        matching,
        "MERGE",
        json!({ "route": { "timeout": "7s" } })
    )]);
    assert_eq!(changes(&patches), ["~ lds/virtualInbound"]);
    let got = with(&patches);
    let route = got[VIRTUAL_INBOUND].pointer(&format!(
        "{CHAIN}/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route"
    ));
    assert_eq!(route.unwrap()["timeout"], "7s");
    assert_eq!(route.unwrap()["cluster"], "inbound|80||");
}

#[test]
fn configurations_of_extensions_are_put_where_they_are_looked_for() {
    let filter = json!({
        "name": "x",
        "config_discovery": {
            "config_source": { "ads": {} },
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"],
        },
    });
    let patches = json!([
        patch(
            "HTTP_FILTER",
            json!({ "context": "SIDECAR_INBOUND" }),
            "INSERT_FIRST",
            filter
        ),
        patch("EXTENSION_CONFIG", json!({}), "ADD", lua("x")),
    ]);
    let got = with(&patches);
    let first = got[VIRTUAL_INBOUND].pointer(&format!("{HTTP_FILTERS}/0"));
    assert_eq!(first, Some(&lua("x")));
}

#[test]
fn patches_are_made_in_order_and_by_those_they_are_for() {
    let add = |name: &str| {
        json!([patch(
            "HTTP_FILTER",
            json!({ "context": "SIDECAR_INBOUND" }),
            "INSERT_FIRST",
            lua(name)
        )])
    };
    let mut mesh = shop();
    let mut rule = |namespace: &str, name: &str, priority: i32, more: Json| {
        let mut spec = json!({ "configPatches": add(name), "priority": priority });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        mesh = with_rule(mesh.clone(), "EnvoyFilter", (namespace, name), &spec);
    };
    rule("shop", "b", 0, json!({}));
    rule("shop", "a", 0, json!({}));
    rule("istio-system", "root", 0, json!({}));
    rule("shop", "early", -1, json!({}));
    rule("istio-system", "late", 5, json!({}));
    rule("bank", "elsewhere", 0, json!({}));
    rule(
        "shop",
        "others",
        0,
        json!({ "workloadSelector": { "labels": { "app": "other" } } }),
    );
    let of = |labels: &[(&str, &str)], metadata: &[(&str, &str)]| {
        let proxy = Proxy {
            labels: labels.iter().copied().collect(),
            metadata: metadata
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            ..sidecar()
        };
        let got = get(&mesh, &proxy).0;
        let all = names(&got, VIRTUAL_INBOUND, HTTP_FILTERS);
        all[..all.len() - 4]
            .iter()
            .rev()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Each comes before those that were there: they stand in reverse.
    assert_eq!(of(&[], &[]), "early root a b late");
    assert_eq!(of(&[("app", "other")], &[]), "early root a b others late");

    let mut patch = add("v")[0].clone();
    patch["match"]["proxy"] = json!({ "proxyVersion": r"^1\.29" });
    mesh = with_rule(
        shop(),
        "EnvoyFilter",
        ("shop", "v"),
        &json!({ "configPatches": [patch] }),
    );
    let of = |version: &[(&str, &str)]| {
        let metadata = version
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let proxy = Proxy {
            metadata: metadata.collect(),
            ..sidecar()
        };
        names(&get(&mesh, &proxy).0, VIRTUAL_INBOUND, HTTP_FILTERS).len()
    };
    assert_eq!(of(&[("ISTIO_VERSION", "1.29.1")]), 5);
    assert_eq!(of(&[("ISTIO_VERSION", "1.30.0")]), 4);
    assert_eq!(of(&[]), 4);
}

#[test]
fn what_is_patched_names_its_author_and_what_it_refers_to() {
    let route = json!({ "name": "x", "match": { "prefix": "/x" }, "route": { "weighted_clusters": { "clusters": [{ "name": "mine", "weight": 1 }] } } });
    let matching = json!({ "context": "SIDECAR_OUTBOUND", "routeConfiguration": { "vhost": { "name": "a.com:80" } } });
    let mesh = patched(&json!([patch(
        "HTTP_ROUTE",
        matching,
        "INSERT_FIRST",
        route
    )]));
    let selection = Selection::of(&mesh, &sidecar());
    let view = View::build(&mesh, Some(&selection.view));
    let envoy = selection.envoy().unwrap();
    let patches = &envoy.routes.patches;
    let mut seen = Vec::new();
    for input in of::<Routes>(&mesh, &view, &envoy.routes) {
        let (output, _) = apply(translate(&input), patches.context(), &decoded(patches));
        let output = output.unwrap();
        let authors = output
            .causes
            .iter()
            .filter(|cause| format!("{cause:?}").contains("EnvoyFilter"))
            .count();
        let uses = output
            .uses
            .clusters
            .iter()
            .any(|name| name.as_str() == "mine");
        seen.push((output.name.to_string(), authors, uses));
    }
    assert!(seen.contains(&("80".into(), 1, true)), "{seen:?}");
    assert!(
        seen.iter()
            .all(|(name, authors, uses)| name == "80" || (*authors, *uses) == (0, false)),
        "{seen:?}"
    );
}
