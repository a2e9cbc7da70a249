//! What clients find of rules.

use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, Routing};
use pilothouse_core::model::{Host, Labels, NamespaceName, Resolution};
use pilothouse_core::registry::Meta;
use pilothouse_core::rules::resolve::*;
use serde_json::json;

use super::*;
use crate::sample::{With, http, mesh, service, tcp, with_rule};
use crate::view::ViewKey;

fn shop() -> ViewKey {
    NamespaceName::from("shop").into()
}

fn place(index: usize) -> Place {
    Place {
        rule: Meta::new("VirtualService", "shop", "web").key,
        by: None,
        field: format!("spec.http[{index}]").into(),
    }
}

fn target(host: &str, subset: &str, port: Option<u16>) -> Target {
    Target {
        host: Host::new(host).unwrap(),
        subset: subset.into(),
        port,
        port_name: None,
    }
}

fn route(index: usize, matches: Vec<HttpMatch>, to: &[Target]) -> Arc<HttpRoute> {
    let targets = to.iter().map(|to| HttpTarget {
        to: to.clone(),
        weight: 1,
        headers: HeaderOperations::default(),
    });
    Arc::new(HttpRoute {
        place: place(index),
        name: "".into(),
        matches,
        action: HttpAction::Route(targets.collect()),
        timeout: None,
        retries: None,
        rewrite: None,
        headers: HeaderOperations::default(),
        mirrors: Vec::new(),
        cors: None,
        fault: None,
    })
}

/// A client in namespace `shop` with label `app: web`, which asks for port 80.
fn found(mesh: &Mesh, at: &GatewayRef, routes: &[Arc<HttpRoute>]) -> Vec<String> {
    let view = View::build(mesh, Some(&shop()));
    let labels: SourceLabels = [("app".into(), "web".into())].into();
    let client = Client {
        view: &view,
        selected: &[],
        at,
        port: 80,
        labels: &labels,
    };
    let all = http_routes(&client, routes);
    all.iter()
        .map(|routed| {
            let clusters = routed.targets.iter().map(|to| to.cluster.as_str());
            let clusters = clusters.collect::<Vec<_>>().join(" ");
            let matched = routed.matched.map_or("all".to_owned(), |n| n.to_string());
            format!("{} {matched} → {clusters}", routed.route.place.field)
        })
        .collect()
}

fn prefix(path: &str) -> HttpMatch {
    HttpMatch {
        uri: Some(StringMatch::Prefix(path.into())),
        ..HttpMatch::default()
    }
}

#[test]
fn a_match_counts_for_those_whom_it_is_for() {
    let gateway = |name: &str| GatewayRef::Named {
        namespace: "shop".into(),
        name: name.into(),
    };
    let check = |one: HttpMatch, at: &GatewayRef, counts: bool| {
        let routes = [route(0, vec![one.clone()], &[])];
        let found = found(&Mesh::default(), at, &routes);
        assert_eq!(found.len(), usize::from(counts), "{one:?} {at:?}");
    };
    let sidecar = GatewayRef::Mesh;
    let is = HttpMatch::default;
    check(is(), &sidecar, true);
    check(
        HttpMatch {
            port: Some(80),
            ..is()
        },
        &sidecar,
        true,
    );
    check(
        HttpMatch {
            port: Some(81),
            ..is()
        },
        &sidecar,
        false,
    );
    let labels = |value: &str| Labels::from_iter([("app", value)]);
    check(
        HttpMatch {
            source_labels: labels("web"),
            ..is()
        },
        &sidecar,
        true,
    );
    check(
        HttpMatch {
            source_labels: labels("db"),
            ..is()
        },
        &sidecar,
        false,
    );
    let from = |namespace: &str| Some(NamespaceName::from(namespace));
    check(
        HttpMatch {
            source_namespace: from("shop"),
            ..is()
        },
        &sidecar,
        true,
    );
    check(
        HttpMatch {
            source_namespace: from("bank"),
            ..is()
        },
        &sidecar,
        false,
    );
    let at = HttpMatch {
        gateways: vec![gateway("a")],
        ..is()
    };
    check(at.clone(), &sidecar, false);
    check(at.clone(), &gateway("a"), true);
    check(at, &gateway("b"), false);
    check(
        HttpMatch {
            gateways: vec![gateway("a"), sidecar.clone()],
            ..is()
        },
        &sidecar,
        true,
    );
}

#[test]
fn routes_that_no_request_gets_to_are_left_out() {
    let check = |routes: &[Arc<HttpRoute>], expected: &[&str]| {
        assert_eq!(found(&Mesh::default(), &GatewayRef::Mesh, routes), expected);
    };
    let any = HttpMatch::default;
    let first = route(0, vec![prefix("/a"), prefix("/")], &[]);
    let second = route(1, vec![], &[]);
    check(
        &[first, second.clone()],
        &["spec.http[0] 0 → ", "spec.http[0] 1 → "],
    );
    check(
        &[second.clone(), route(2, vec![], &[])],
        &["spec.http[1] all → "],
    );
    let elsewhere = HttpMatch {
        port: Some(1),
        ..any()
    };
    let get = HttpMatch {
        method: Some(StringMatch::Exact("GET".into())),
        ..any()
    };
    let third = route(0, vec![elsewhere, get], &[]);
    check(
        &[third, second],
        &["spec.http[0] 1 → ", "spec.http[1] all → "],
    );
    check(&[], &[]);
}

#[test]
fn a_target_is_a_cluster_whether_or_not_it_is_there() {
    let alias = Resolution::Alias(Host::new("one.com").unwrap());
    let mesh = mesh([
        (service("one.com", [http(8080)]), vec![]),
        (service("two.com", [http(80), http(81)]), vec![]),
        (service("other.com", [http(1)]).resolved(alias), vec![]),
    ]);
    let check = |to: Target, expected: &str| {
        let found = found(&mesh, &GatewayRef::Mesh, &[route(0, vec![], &[to])]);
        assert_eq!(found, [format!("spec.http[0] all → {expected}")]);
    };
    check(target("one.com", "", None), "outbound|8080||one.com");
    check(target("one.com", "v1", Some(9)), "outbound|9|v1|one.com");
    check(target("two.com", "", None), "outbound|80||two.com");
    check(target("two.com", "", Some(81)), "outbound|81||two.com");
    check(target("other.com", "v1", None), "outbound|8080|v1|one.com");
    check(target("none.com", "", None), "outbound|80||none.com");
}

#[test]
fn a_target_says_what_makes_requests_alike() {
    let hash =
        |header: &str| json!({"loadBalancer": {"consistentHash": {"httpHeaderName": header}}});
    let spec = json!({
        "host": "one.com",
        "trafficPolicy": hash("user"),
        "subsets": [{"name": "v1", "trafficPolicy": hash("group")}],
    });
    let mesh = mesh([(service("one.com", [http(80)]), vec![])]);
    let mesh = with_rule(mesh, "DestinationRule", ("shop", "one"), &spec);
    let view = View::build(&mesh, Some(&shop()));
    let client = Client {
        view: &view,
        selected: &[],
        at: &GatewayRef::Mesh,
        port: 80,
        labels: &SourceLabels::default(),
    };
    let check = |subset: &str, expected: Option<&str>| {
        let reached = client.reach(&target("one.com", subset, None));
        let by = expected.map(|name| HashBy::Header(name.into()));
        assert_eq!(reached.hash_by, by, "{subset}");
        assert_eq!(reached.rules.is_empty(), by.is_none());
    };
    check("", Some("user"));
    check("v1", Some("group"));
    check("v2", None);
}

#[test]
fn connections_go_by_the_first_that_fits() {
    let mesh = mesh([(service("one.com", [tcp(90)]), vec![])]);
    let view = View::build(&mesh, Some(&shop()));
    let client = Client {
        view: &view,
        selected: &[],
        at: &GatewayRef::Mesh,
        port: 90,
        labels: &SourceLabels::default(),
    };
    let to = |host: &str, weight| L4Target {
        to: target(host, "", None),
        weight,
    };
    let on = |port: u16, subnet: &str| L4Match {
        port: Some(port),
        destination_subnets: vec![subnet.parse().unwrap()],
        ..L4Match::default()
    };
    let tcp = |matches, route| {
        Arc::new(TcpRoute {
            place: place(0),
            matches,
            route,
        })
    };
    let sni = |host: &str, l4| TlsMatch {
        sni_hosts: vec![Host::new(host).unwrap()],
        l4,
    };
    let tls = TlsRoute {
        place: place(0),
        matches: vec![
            sni("a.com", L4Match::default()),
            sni("b.com", on(91, "10.0.0.0/8")),
        ],
        route: vec![to("one.com", 0)],
    };
    let routing = Routing {
        host: Host::new("one.com").unwrap(),
        rules: [place(0).rule].into(),
        http: Vec::new(),
        tls: vec![Arc::new(tls)],
        tcp: vec![
            tcp(vec![on(91, "10.1.0.0/16")], vec![to("one.com", 1)]),
            tcp(
                vec![on(90, "10.2.0.0/16")],
                vec![to("one.com", 1), to("two.com", 3), to("x.com", 0)],
            ),
            tcp(vec![], vec![to("one.com", 1)]),
        ],
    };
    let check = |kind: Kind, expected: &[&str]| {
        let ways = ways(&client, &routing, kind).unwrap_or_default();
        let text = |way: &Way| {
            let clusters = way.to.clusters.iter();
            let clusters: Vec<_> = clusters
                .map(|(name, weight)| format!("{name}×{weight}"))
                .collect();
            let names: Vec<_> = way.server_names.iter().map(Host::as_str).collect();
            let subnets: Vec<_> = way
                .subnets
                .iter()
                .map(|cidr| cidr.ip().to_string())
                .collect();
            format!(
                "{} {} → {}",
                names.join(" "),
                subnets.join(" "),
                clusters.join(" ")
            )
        };
        assert_eq!(ways.iter().map(text).collect::<Vec<_>>(), expected);
    };
    check(Kind::Tls, &["a.com  → outbound|90||one.com×0"]);
    check(
        Kind::Tcp,
        &[
            " 10.2.0.0 → outbound|90||one.com×1 outbound|90||two.com×3",
            "  → outbound|90||one.com×1",
        ],
    );
}
