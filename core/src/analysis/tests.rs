//! Small meshes and everything that is odd about each.

use std::sync::Arc;

use serde_json::{Value, json};

use super::analyze;
use crate::mesh::{Mesh, MeshConfig, Rule, Source, VirtualServiceMerge};
use crate::model::ClusterId;
use crate::registry::{Meta, RegistryId};
use crate::rules::{Resolved, RuleSpec, check, kinds, resolve};

/// An object of `shop`: kind, name and spec.
type Written = (&'static str, &'static str, Value);

fn mesh(objects: &[Written]) -> Mesh {
    let cluster = ClusterId::from("c");
    let mut mesh = Mesh::default();
    for (kind, name, spec) in objects {
        let known = kinds().iter().find(|known| known.name == *kind).unwrap();
        let api_version = format!("{}/{}", known.group, known.versions[0]);
        let (spec, _) = RuleSpec::parse(&api_version, kind, spec).unwrap();
        let meta = Meta::new(kind, "shop", name);
        let fatal = check(&meta, &spec)
            .into_iter()
            .find(|problem| problem.severity == crate::registry::Severity::Error);
        assert_eq!(fatal, None, "{kind} {name}");
        match &spec {
            RuleSpec::ServiceEntry(entry) => {
                for (service, endpoints) in resolve::services(&meta, entry, &cluster, "td") {
                    let key = service.key.clone();
                    mesh.set_service(&key, Some(Arc::new(service)));
                    mesh.set_endpoints(&key, Some(endpoints).filter(|all| !all.is_empty()));
                }
            }
            RuleSpec::WorkloadEntry(entry) => {
                let workload = resolve::workload(&meta, entry, &cluster, "td");
                let key = workload.key.clone();
                mesh.set_workload(&cluster, &key, Some(Arc::new(workload)));
            }
            _ => {}
        }
        let rule = Rule {
            source: Source {
                registry: RegistryId::new("Test", "c"),
                object: meta.key.clone(),
            },
            resolved: Resolved::of(&meta, &spec),
            spec,
            meta: meta.clone(),
        };
        mesh.set_rule(&meta.key, Some(Arc::new(rule)));
    }
    mesh
}

fn found(mesh: &Mesh) -> Vec<String> {
    let all = analyze(mesh).into_iter();
    all.map(|one| {
        format!(
            "{} {} {}: {}",
            one.code.id(),
            one.object.name,
            one.path,
            one.what
        )
    })
    .collect()
}

fn finds(objects: &[Written], expected: &[&str]) {
    assert_eq!(found(&mesh(objects)), expected, "{objects:?}");
    // The order in which objects come means nothing.
    let reversed: Vec<_> = objects.iter().rev().cloned().collect();
    assert_eq!(found(&mesh(&reversed)), expected);
}

/// `web.test` with an endpoint of version v1.
fn web() -> Written {
    let spec = json!({
        "hosts": ["web.test"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.1", "labels": {"version": "v1"}}],
    });
    ("ServiceEntry", "web", spec)
}

fn router() -> Written {
    (
        "WorkloadEntry",
        "router",
        json!({"address": "10.0.0.9", "labels": {"app": "router"}}),
    )
}

fn gateway(name: &'static str, hosts: &[&str]) -> Written {
    let server =
        json!({"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts});
    let spec = json!({"selector": {"app": "router"}, "servers": [server]});
    ("Gateway", name, spec)
}

fn routes(name: &'static str, mut spec: Value) -> Written {
    if spec.get("hosts").is_none() {
        spec["hosts"] = json!(["web.test"]);
    }
    ("VirtualService", name, spec)
}

fn to(destination: Value) -> Value {
    json!({"http": [{"route": [{"destination": destination}]}]})
}

#[test]
fn a_mesh_in_order_has_nothing_to_find() {
    let subsets =
        json!({"host": "web.test", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]});
    finds(
        &[
            web(),
            ("DestinationRule", "web", subsets),
            routes(
                "web",
                to(json!({"host": "web.test", "subset": "v1", "port": {"number": 80}})),
            ),
        ],
        &[],
    );
}

#[test]
fn what_is_named_has_to_be_there() {
    let mut missing = to(json!({"host": "web.test", "subset": "v2", "port": {"number": 81}}));
    missing["gateways"] = json!(["edge"]);
    missing["http"][0]["mirror"] = json!({"host": "gone.test"});
    finds(
        &[
            web(),
            router(),
            gateway("lonely", &["web.test"]),
            routes("web", missing),
        ],
        &[
            "IST0101 web spec.gateways: there is no Gateway shop/edge",
            "IST0101 web spec.http[0].mirrors[0].destination.host: no service that shop sees has the host gone.test",
            "IST0101 web spec.http[0].route[0].destination.port: web.test has no port 81",
            "IST0101 web spec.http[0].route[0].destination.subset: no DestinationRule for web.test that counts in shop has the subset \"v2\"",
        ],
    );
    let mut nobody = gateway("nobody", &["web.test"]);
    nobody.2["selector"] = json!({"app": "none"});
    finds(
        &[router(), nobody],
        &["IST0101 nobody spec.selector: no workload has app=none"],
    );
}

#[test]
fn of_several_ports_one_has_to_be_named() {
    let mut both = web();
    both.2["ports"] = json!([
        {"number": 80, "name": "http", "protocol": "HTTP"}, {"number": 90, "name": "more", "protocol": "HTTP"},
    ]);
    finds(
        &[both, routes("web", to(json!({"host": "web.test"})))],
        &[
            "IST0112 web spec.http[0].route[0].destination.port: web.test has several ports (80, 90), and none is named",
        ],
    );
}

#[test]
fn one_rule_says_how_sidecars_route_a_host() {
    let plain = || to(json!({"host": "web.test", "port": {"number": 80}}));
    let mut hidden = plain();
    hidden["exportTo"] = json!(["elsewhere"]);
    let objects = [
        web(),
        routes("a", plain()),
        routes("b", plain()),
        routes("c", hidden),
    ];
    let mut mesh = mesh(&objects);
    let b = [
        "IST0109 b spec.hosts: VirtualService shop/a, which is older, says how sidecars route web.test: what this one says of it is not used",
        "PLT0103 b spec.hosts: with --virtual-service-merge=namespace, its route for web.test would be in force beside those of VirtualService shop/a",
    ];
    let found = found(&mesh);
    assert_eq!(
        found
            .iter()
            .filter(|text| text.contains(" b "))
            .collect::<Vec<_>>(),
        b.each_ref()
    );
    mesh.set_config(Arc::new(MeshConfig {
        virtual_service_merge: VirtualServiceMerge::Namespace,
        ..MeshConfig::default()
    }));
    assert_eq!(self::found(&mesh), Vec::<String>::new());
}

#[test]
fn sidecars_and_telemetries_of_a_namespace_do_not_overlap() {
    let labels = |labels: Value| json!({"workloadSelector": {"labels": labels}, "egress": [{"hosts": ["*/*"]}]});
    let app = labels(json!({"app": "router"}));
    let everything = json!({"egress": [{"hosts": ["*/*"]}]});
    finds(
        &[
            router(),
            ("Sidecar", "a", app.clone()),
            ("Sidecar", "b", app),
            ("Sidecar", "c", everything.clone()),
            ("Sidecar", "d", everything),
        ],
        &[
            "IST0110 b spec.workloadSelector: Sidecar shop/a, which is older, selects router, too, and counts there",
            "IST0111 d spec.workloadSelector: Sidecar shop/c, which is older, is for the whole namespace, too",
        ],
    );
    let app = json!({"selector": {"matchLabels": {"app": "router"}}});
    finds(
        &[
            router(),
            ("Telemetry", "a", app.clone()),
            ("Telemetry", "b", app),
            ("Telemetry", "c", json!({})),
            (
                "Telemetry",
                "d",
                json!({"accessLogging": [{"providers": [{"name": "gone"}]}]}),
            ),
        ],
        &[
            "IST0157 d spec: mesh config has no provider \"gone\"",
            "IST0159 b spec.selector: Telemetry shop/a, which is older, selects router, too, and counts there",
            "IST0160 d spec.selector: Telemetry shop/c, which is older, is for the whole namespace, too",
        ],
    );
}

#[test]
fn selectors_select_something_where_workloads_are_known() {
    let strict = json!({"selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": "STRICT"}});
    let policy = ("PeerAuthentication", "strict", strict);
    finds(std::slice::from_ref(&policy), &[]);
    finds(
        &[policy, router()],
        &["IST0127 strict spec.selector: no workload that it could be for has app=web"],
    );
    let mut managed = router();
    managed.2["labels"] =
        json!({"gateway.networking.k8s.io/gateway-name": "edge", "app": "router"});
    let policy = json!({"selector": {"matchLabels": {"app": "router"}}});
    finds(
        &[managed, ("AuthorizationPolicy", "deny", policy)],
        &["IST0166 deny spec.selector: selects what the Kubernetes Gateway edge runs"],
    );
}

#[test]
fn servers_are_verified() {
    let rule = json!({
        "host": "web.test",
        "trafficPolicy": {
            "tls": {"mode": "SIMPLE"},
            "portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "SIMPLE", "caCertificates": "/ca.pem"}}],
        },
        "subsets": [{"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": {
            "portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "SIMPLE", "insecureSkipVerify": true}}],
        }}],
    });
    finds(
        &[web(), ("DestinationRule", "web", rule)],
        &[
            "IST0128 web spec.trafficPolicy.tls: names no caCertificates: a certificate of any authority that the machine believes is taken",
            "IST0129 web spec.subsets[0].trafficPolicy.portLevelSettings[0].tls: the server's certificate is not looked at: whoever answers is believed",
        ],
    );
}

#[test]
fn destination_rules_are_for_what_is_there() {
    let rule = |host: &str| json!({"host": host, "subsets": [{"name": "v9", "labels": {"version": "v9"}}]});
    finds(
        &[
            web(),
            ("DestinationRule", "gone", rule("gone.test")),
            ("DestinationRule", "web", rule("web.test")),
            ("DestinationRule", "wide", rule("*.test")),
        ],
        &[
            "IST0173 web spec.subsets[0].labels: no endpoint of web.test has version=v9: what is routed to the subset \"v9\" fails",
            "IST0174 gone spec.host: no service has the host gone.test",
        ],
    );
}

#[test]
fn gateways_are_for_the_hosts_of_their_rules_and_for_different_ones() {
    let mut bound = to(json!({"host": "web.test", "port": {"number": 80}}));
    bound["gateways"] = json!(["edge"]);
    finds(
        &[
            web(),
            router(),
            gateway("edge", &["other.test"]),
            routes("web", bound),
        ],
        &["IST0132 web spec.hosts: Gateway shop/edge is not for web.test"],
    );
    finds(
        &[
            router(),
            gateway("a", &["web.test"]),
            gateway("b", &["web.test"]),
        ],
        &[
            "IST0145 b spec.servers[0]: Gateway shop/a, which is older, is for web.test on port 80 of the same routers",
        ],
    );
    let secure = |name, host| {
        let mut one = gateway(name, &[host]);
        one.2["servers"][0]["port"]["protocol"] = json!("HTTPS");
        one.2["servers"][0]["tls"] =
            json!({"mode": "SIMPLE", "serverCertificate": "/c.pem", "privateKey": "/k.pem"});
        one
    };
    finds(
        &[router(), secure("a", "a.test"), secure("b", "b.test")],
        &[
            "IST0138 a spec.servers[0].tls: Gateway shop/b has the certificate /c.pem, too",
            "IST0138 b spec.servers[0].tls: Gateway shop/a has the certificate /c.pem, too",
        ],
    );
}

#[test]
fn routers_services_have_the_ports_of_their_gateways() {
    let service = json!({
        "hosts": ["edge.test"], "ports": [{"number": 8080, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.9"}],
    });
    finds(
        &[
            router(),
            ("ServiceEntry", "edge", service),
            gateway("edge", &["web.test"]),
        ],
        &[
            "IST0162 edge spec.servers[0].port: no service of the routers with app=router has port 80",
        ],
    );
}

#[test]
fn claims_want_somebody_who_checks_tokens() {
    let mut by_claim = to(json!({"host": "web.test", "port": {"number": 80}}));
    by_claim["http"][0]["match"] =
        json!([{"headers": {"@request.auth.claims.group": {"exact": "a"}}}]);
    by_claim["gateways"] = json!(["edge"]);
    let objects = [
        web(),
        router(),
        gateway("edge", &["web.test"]),
        routes("web", by_claim),
    ];
    let expected = "IST0149 web spec.http[0].match[0].headers: looks at a token's claims, and no RequestAuthentication says which tokens are believed";
    finds(&objects, &[expected]);
    let mut checked = objects.to_vec();
    checked.push(("RequestAuthentication", "tokens", json!({})));
    finds(&checked, &[]);
}

#[test]
fn patches_beside_others_say_when() {
    let patch = |version: Value, priority: i32| {
        let mut one = json!({"priority": priority, "configPatches": [{
            "applyTo": "HTTP_FILTER",
            "match": {"listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": "envoy.filters.http.router"}}}}},
            "patch": {"operation": "INSERT_BEFORE", "value": {"name": "a", "typed_config": {"@type": "type.googleapis.com/a"}}},
        }]});
        if !version.is_null() {
            one["configPatches"][0]["match"]["proxy"] = json!({"proxyVersion": version});
        }
        one
    };
    let what = "spec.configPatches[0].patch.operation: INSERT_BEFORE depends on what other patches put there, and nothing says which goes first";
    finds(
        &[
            ("EnvoyFilter", "a", patch(Value::Null, 0)),
            ("EnvoyFilter", "b", patch(json!("^1\\.2.*"), 0)),
            ("EnvoyFilter", "c", patch(Value::Null, 10)),
        ],
        &[&format!("IST0151 a {what}"), &format!("IST0155 b {what}")],
    );
}

#[test]
fn entries_of_a_host_speak_alike() {
    let mut other = web();
    other.1 = "other";
    other.2["ports"][0]["protocol"] = json!("GRPC");
    finds(
        &[web(), other],
        &[
            "IST0177 other spec.ports[0].protocol: port 80 of web.test speaks Grpc here and Http in ServiceEntry shop/web",
            "IST0177 web spec.ports[0].protocol: port 80 of web.test speaks Http here and Grpc in ServiceEntry shop/other",
        ],
    );
}

#[test]
fn an_annotation_keeps_codes_from_being_told() {
    let rule = json!({"host": "gone.test"});
    let mut mesh = mesh(&[("DestinationRule", "gone", rule)]);
    let key = Meta::new("DestinationRule", "shop", "gone").key;
    for (text, told) in [("IST0101", 1), ("IST0101, IST0174", 0), ("*", 0)] {
        let mut rule = Rule::clone(mesh.rule(&key).unwrap());
        rule.meta.annotations = [(super::SUPPRESS, text)].into_iter().collect();
        mesh.set_rule(&key, Some(Arc::new(rule)));
        assert_eq!(analyze(&mesh).len(), told, "{text}");
    }
}

#[test]
fn ingresses_lead_to_ports_that_are_there() {
    let path = |path: &str, name: &str, port: Value| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": port}}});
    let number = || json!({"number": 80});
    let class = (
        "IngressClass",
        "mesh",
        json!({"controller": "istio.io/ingress-controller"}),
    );
    let spec = json!({
        "ingressClassName": "mesh",
        "defaultBackend": {"service": {"name": "gone.test", "port": number()}},
        "rules": [{"host": "a.test", "http": {"paths": [
            path("/a", "web.test", number()),
            path("/b", "web.test", json!({"name": "http"})),
            path("/c", "web.test", json!({"number": 81})),
            path("/d", "web.test", json!({"name": "grpc"})),
        ]}}],
    });
    let expected = [
        "IST0101 it spec.defaultBackend.service.name: no service that shop sees has the host gone.test",
        "IST0101 it spec.rules[0].http.paths[2].backend.service.port: web.test has no port 81",
        "IST0101 it spec.rules[0].http.paths[3].backend.service.port: web.test has no port named \"grpc\"",
    ];
    let mut objects = vec![web(), class, ("Ingress", "it", spec)];
    // Another one for everything is no conflict, and neither needs a Gateway.
    let other = json!({"ingressClassName": "mesh", "defaultBackend": {"service": {"name": "web.test", "port": number()}}});
    objects.push(("Ingress", "other", other));
    finds(&objects, &expected);
    // What somebody else serves is his.
    objects[1].2["controller"] = json!("k8s.io/ingress-nginx");
    finds(&objects, &[]);
}

#[test]
fn ingresses_say_who_serves_them() {
    let to = json!({"service": {"name": "web.test", "port": {"number": 80}}});
    let ingress = |name, class: Value| {
        let spec = json!({"ingressClassName": class, "defaultBackend": to});
        ("Ingress", name, spec)
    };
    finds(
        &[
            web(),
            ingress("none", Value::Null),
            ingress("typo", json!("mseh")),
        ],
        &[
            "PLT0104 none spec: routers do not serve it: it names no class",
            "PLT0104 typo spec.ingressClassName: routers do not serve it: there is no IngressClass of this name",
        ],
    );
}
