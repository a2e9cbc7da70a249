//! The debug listener: what the process knows, as JSON, and the few things that can be changed while it runs.
//!
//! It stands on loopback. A page never changes anything on GET; what does is POST or PUT, and is refused when a browser
//! sends it for a foreign page. `diff` is POST because it takes much in, and changes nothing.

mod control;
mod diff;
mod mesh;
mod proxies;
mod resources;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use pilothouse_core::store::StoreHandle;
use pilothouse_xds::server::Connections;
use serde_json::{Map, Value, json};

use crate::mesh_config::MeshConfigSource;
use pilothouse_process::http::names_this_machine;
use pilothouse_process::logging::Control;

/// What the pages look at.
#[derive(Debug, Clone)]
pub struct Debug {
    /// Registries, the mesh, and what is to be said about objects.
    pub store: StoreHandle,
    /// Who is connected.
    pub connections: Connections,
    /// The file of mesh-wide settings, if there is one.
    pub mesh_config: Option<MeshConfigSource>,
    /// Log levels.
    pub log: Control,
}

/// The pages; `public` ones are served beside them.
pub fn router(debug: Debug, public: Router) -> Router {
    let mut router = Router::new()
        .route("/debug", get(index))
        .route("/debug/", get(index));
    for (path, _, handler) in pages() {
        router = router.route(path, handler);
    }
    router
        .with_state(debug)
        .merge(public)
        .layer(middleware::from_fn(only_people))
}

type Page = (&'static str, &'static str, MethodRouter<Debug>);

/// Every page with what it is about.
fn pages() -> Vec<Page> {
    vec![
        (
            "/debug/registryz",
            "registries and the services they make up; ?namespace= ?host=",
            get(mesh::registryz),
        ),
        (
            "/debug/configz",
            "mesh config, rules in force, rejections and conflicts",
            get(mesh::configz),
        ),
        (
            "/debug/endpointz",
            "endpoints of each service; ?namespace= ?host=",
            get(mesh::endpointz),
        ),
        ("/debug/adsz", "streams of proxies", get(proxies::adsz)),
        (
            "/debug/syncz",
            "for each proxy and type whether it has what it is to have",
            get(proxies::syncz),
        ),
        (
            "/debug/config_dump",
            "what a proxy is to have, in Envoy's JSON; ?proxyID=",
            get(proxies::config_dump),
        ),
        (
            "/debug/ndsz",
            "what a proxy's clients are told about names; ?proxyID=",
            get(proxies::ndsz),
        ),
        (
            "/debug/resourcez",
            "where each resource comes from; ?proxyID= ?type=cds|eds|lds|rds|nds ?name=",
            get(resources::resourcez),
        ),
        (
            "/debug/logging",
            "log levels; PUT scope:level,... changes them",
            get(control::levels).put(control::change_levels),
        ),
        (
            "/debug/guard/confirm",
            "POST ?registry=: applies what the guard against mass loss holds",
            post(control::confirm),
        ),
        (
            "/debug/diff",
            "POST rules, ?delete=KIND/NAMESPACE/NAME,...: what proxies would get of them; changes nothing",
            diff::page(),
        ),
    ]
}

async fn index(State(_): State<Debug>) -> Json<Value> {
    pages()
        .into_iter()
        .map(|(path, about, _)| json!({ "path": path, "about": about }))
        .collect::<Value>()
        .into()
}

/// Why a page is not shown.
#[derive(Debug)]
struct Failure(StatusCode, String);

impl Failure {
    fn wrong(what: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, what.into())
    }

    fn missing(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }

    fn gone(error: impl std::error::Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Refuses what a web page makes a browser on this machine send: a name that was pointed at loopback, or a change from a
/// foreign origin.
async fn only_people(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if !names_this_machine(headers) || (changes && headers.contains_key(header::ORIGIN)) {
        return Failure(
            StatusCode::FORBIDDEN,
            "debug pages are for people and tools on this machine: use localhost or an IP address"
                .into(),
        )
        .into_response();
    }
    next.run(request).await
}

/// The same with durations in seconds, where serde writes `{"secs":1,"nanos":500000000}`.
fn readable(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(readable).collect(),
        Value::Object(map) => match duration(&map) {
            Some(seconds) => seconds.into(),
            None => map
                .into_iter()
                .map(|(key, value)| (key, readable(value)))
                .collect::<Map<_, _>>()
                .into(),
        },
        other => other,
    }
}

fn duration(map: &Map<String, Value>) -> Option<f64> {
    let (secs, nanos) = (map.get("secs")?.as_f64()?, map.get("nanos")?.as_f64()?);
    (map.len() == 2).then_some(secs + nanos / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds() {
        let written = json!({ "a": [{ "secs": 1, "nanos": 500_000_000 }], "b": { "secs": 1, "nanos": 0, "c": 2 } });
        assert_eq!(
            readable(written),
            json!({ "a": [1.5], "b": { "secs": 1, "nanos": 0, "c": 2 } })
        );
    }
}
