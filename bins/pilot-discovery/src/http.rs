//! The public pages: `/ready`, `/healthz`, `/version`, `/metrics`. They tell nothing of the mesh; that is on the
//! [debug](crate::debug) listener.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use pilothouse_core::readiness::{Progress, Readiness};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use pilothouse_process::version::VERSION;

/// What the public pages show.
#[derive(Debug, Clone)]
pub struct Public {
    /// What has to be there before anything is served.
    pub readiness: Readiness,
    /// Whether what is there has become configuration, so that proxies are answered.
    pub serving: watch::Receiver<bool>,
    /// What is counted.
    pub metrics: Arc<Registry>,
    /// Cancelled when the process is to end: from then on it is not ready for anything new.
    pub stopping: CancellationToken,
}

/// The pages.
pub fn router(public: Public) -> Router {
    Router::new()
        .route("/ready", get(ready))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/version", get(|| async { Json(VERSION) }))
        .route("/metrics", get(metrics))
        .with_state(public)
}

/// What readiness waited or waits for, in seconds.
#[derive(Debug, Serialize)]
pub struct Step {
    name: Arc<str>,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Arc<str>>,
}

impl Step {
    /// What follows when all else is there, within moments.
    fn first_configuration() -> Self {
        Self {
            name: "first configuration".into(),
            seconds: 0.0,
            note: None,
        }
    }
}

impl From<Progress> for Step {
    fn from(progress: Progress) -> Self {
        Self {
            name: progress.name,
            seconds: (progress.waited.as_secs_f64() * 1000.0).round() / 1000.0,
            note: progress.note,
        }
    }
}

async fn ready(State(public): State<Public>) -> Response {
    #[derive(Serialize)]
    struct Body {
        ready: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        stopping: bool,
        /// What is not there yet, and for how long it has been waited for.
        waiting: Vec<Step>,
        /// What is there, and how long it took.
        done: Vec<Step>,
    }
    let stopping = public.stopping.is_cancelled();
    let complete = public.readiness.is_ready();
    let serving = *public.serving.borrow();
    let (done, waiting): (Vec<_>, Vec<_>) = public
        .readiness
        .progress()
        .into_iter()
        .partition(|step| step.done);
    let ready = complete && serving && !stopping;
    let mut waiting: Vec<Step> = waiting.into_iter().map(Step::from).collect();
    if complete && !serving {
        waiting.push(Step::first_configuration());
    }
    let body = Body {
        ready,
        stopping,
        waiting,
        done: done.into_iter().map(Step::from).collect(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

async fn metrics(State(public): State<Public>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &public.metrics) {
        Ok(()) => (
            // The plain format: in OpenMetrics, counters would have to end in _total, and Istio's do not.
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn get(public: &Public, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(public.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn public() -> Public {
        Public {
            readiness: Readiness::new(),
            serving: watch::channel(true).1,
            metrics: Arc::default(),
            stopping: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn ready_says_what_it_waits_for() {
        let public = public();
        let slow = public.readiness.guard("Static/default");
        drop(public.readiness.guard("listeners"));
        let (status, body) = get(&public, "/ready").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["ready"], false);
        assert_eq!(body["waiting"][0]["name"], "Static/default");
        assert_eq!(body["done"][0]["name"], "listeners");
        assert_eq!(get(&public, "/healthz").await.0, StatusCode::OK);
        slow.give_up("after 5 s");
        let (status, body) = get(&public, "/ready").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &body["ready"]),
            (StatusCode::OK, &Value::Bool(true))
        );
        assert_eq!(body["done"][0]["note"], "after 5 s");

        let computing = Public {
            serving: watch::channel(false).1,
            ..public.clone()
        };
        let (status, body) = get(&computing, "/ready").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["waiting"][0]["name"], "first configuration");

        public.stopping.cancel();
        assert_eq!(
            get(&public, "/ready").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }

    #[tokio::test]
    async fn version_and_metrics() {
        let mut registry = Registry::default();
        let gauge = prometheus_client::metrics::gauge::Gauge::<i64>::default();
        gauge.set(7);
        registry.register("pilot_services", "Services", gauge);
        let public = Public {
            metrics: Arc::new(registry),
            ..public()
        };
        let (_, metrics) = get(&public, "/metrics").await;
        assert!(
            metrics.lines().any(|line| line == "pilot_services 7"),
            "{metrics}"
        );
        let (_, version) = get(&public, "/version").await;
        let version: Value = serde_json::from_str(&version).unwrap();
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    }

    #[tokio::test]
    async fn nothing_of_the_mesh_is_public() {
        for path in ["/", "/debug", "/debug/configz", "/debug/logging"] {
            assert_eq!(
                get(&public(), path).await.0,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
}
