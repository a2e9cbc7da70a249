//! The walk on configurations in JSON, as Envoy's documentation has them.

mod chains;
mod requests;
mod routes;

use envoy_types::pb::google::protobuf::Any;
use serde_json::{Value, json};

use super::{Call, Configuration, Entrance, Outcome, Walk, evaluate};
use crate::json::from_json;
use crate::resource::ResourceType;

/// A configuration of these resources.
fn configuration(resources: &[(ResourceType, Value)]) -> Configuration {
    let mut all = Configuration::default();
    for (kind, json) in resources {
        let any = Any {
            type_url: kind.url().to_owned(),
            value: from_json(kind.url(), json).unwrap(),
        };
        all.add(&any).unwrap();
    }
    all
}

fn address(ip: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": ip, "port_value": port } })
}

fn tcp_proxy(cluster: &str) -> Value {
    json!({
        "name": "tcp",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "x",
            "cluster": cluster,
        },
    })
}

fn manager(mut fields: Value) -> Value {
    fields["@type"] = json!(
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    );
    fields["stat_prefix"] = json!("x");
    json!({ "name": "http", "typed_config": fields })
}

/// A cluster with one endpoint.
fn cluster(name: &str) -> (ResourceType, Value) {
    let endpoint = json!({ "endpoint": { "address": address("10.1.1.1", 8080) } });
    let assignment = json!({ "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] });
    (
        ResourceType::Cluster,
        json!({ "name": name, "type": "STATIC", "load_assignment": assignment }),
    )
}

/// The address of the listener of [`with_routes`].
fn entrance() -> Entrance {
    Entrance::Listener(([10, 0, 0, 1], 80).into())
}

/// A listener with an inline route configuration, and clusters `a` to `d`.
fn with_routes(routes: &Value, filters: Value) -> Configuration {
    let manager = manager(json!({ "route_config": routes, "http_filters": filters }));
    let listener = json!({
        "name": "l",
        "address": address("0.0.0.0", 80),
        "filter_chains": [{ "filters": [manager] }],
    });
    let mut all = vec![(ResourceType::Listener, listener)];
    all.extend(["a", "b", "c", "d"].map(cluster));
    configuration(&all)
}

/// One virtual host for everything, with these routes.
fn with(routes: Value) -> Configuration {
    let host = json!({ "name": "any", "domains": ["*"], "routes": routes });
    with_routes(&json!({ "name": "r", "virtual_hosts": [host] }), json!([]))
}

fn get(configuration: &Configuration, path: &str) -> Walk {
    evaluate(configuration, &Call::get(entrance(), "web.test", path))
}

/// An outcome in a few words.
fn outline(walk: &Walk) -> String {
    match &walk.outcome {
        Outcome::Forwarded { cluster, request } => match request {
            Some(request) => format!(
                "{cluster} {} {}{}",
                request.method,
                request.authority.as_deref().unwrap_or("(endpoint)"),
                request.path
            ),
            None => cluster.clone(),
        },
        Outcome::Answered {
            status,
            flag,
            headers,
            body,
            ..
        } => {
            let location = headers.get("location").unwrap_or_default();
            format!("{status} {} {location}{body}", flag.as_str())
                .trim_end()
                .to_owned()
        }
        Outcome::Closed { flag, .. } => format!("closed {}", flag.as_str()),
        Outcome::Refused { .. } => "refused".to_owned(),
        Outcome::Unknown { why } => format!("unknown: {why}"),
    }
}
