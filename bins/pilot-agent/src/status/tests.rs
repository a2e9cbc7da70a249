//! The pages over real sockets, with an Envoy and an application that are scripted.

use std::sync::Mutex;
use std::time::Duration;

use axum::extract::Path;
use axum::http::header;
use bytes::Bytes;
use http_body_util::Full;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;
use crate::envoy::{Drain, DrainScope};
use crate::fetch::{self, Answer};

const SOON: Duration = Duration::from_secs(10);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The pages, and those whom they ask.
struct Scene {
    tasks: JoinSet<()>,
    status: SocketAddr,
    envoy: SocketAddr,
    stats: Arc<Mutex<String>>,
    stop: CancellationToken,
}

const READY: &str = "cluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 1\nserver.state: 0\nlistener_manager.workers_started: 1\n";

impl Scene {
    /// An Envoy with these `/stats`, and what `change` makes of the settings.
    async fn start(stats: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut tasks = JoinSet::new();
        let stats = Arc::new(Mutex::new(stats.to_owned()));
        let shown = Arc::clone(&stats);
        let router = Router::new()
            .route("/stats", get(async move || shown.lock().unwrap().clone()))
            .route("/drain_listeners", post(async || "OK\n"))
            .route(
                "/stats/prometheus",
                get(async || "# TYPE envoy_up counter\nenvoy_up{} 1\n"),
            );
        let envoy = serve(&mut tasks, router).await;
        let stop = CancellationToken::new();
        let mut metrics = Registry::default();
        metrics.register("agent_up", "Whether it is", Gauge::<i64>::default());
        let mut settings = Settings {
            listen: ListenAddr {
                host: Some("127.0.0.1".into()),
                port: 0,
            },
            envoy: Some(EnvoyPages {
                admin: envoy,
                stats: envoy,
                discovery: true,
                control: Control::new(
                    envoy,
                    Drain {
                        scope: DrainScope::All,
                        at_least: Duration::ZERO,
                        at_most: Duration::ZERO,
                        uncounted_ports: Vec::new(),
                    },
                ),
            }),
            conditions: Vec::new(),
            notes: Vec::new(),
            probers: Probers::default(),
            application: HERE,
            scrape: None,
            metrics,
            names: None,
            stop: stop.clone(),
        };
        change(&mut settings);
        let status = Status::bind(settings).await.unwrap();
        let at = status.address().unwrap();
        tasks.spawn(status.run(CancellationToken::new()));
        Self {
            tasks,
            status: at,
            envoy,
            stats,
            stop,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        let request = self.request(method, path, headers);
        fetch::send(self.status, request, SOON).await.unwrap()
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> http::Request<Full<Bytes>> {
        let mut request = fetch::request(method, &self.status.to_string(), path).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }
}

async fn serve(tasks: &mut JoinSet<()>, router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    at
}

/// An address that nobody listens on.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn readiness_says_what_is_missing_until_it_is_reached() {
    let names = Arc::new(Mutex::new(Err("no name table yet".to_owned())));
    let condition = Arc::clone(&names);
    let scene = Scene::start("server.state: 2\n", |settings| {
        settings.conditions = vec![Arc::new(move || condition.lock().unwrap().clone())];
        settings.notes = vec![Arc::new(|| Some("discovery: connection refused".into()))];
    })
    .await;
    let answer = scene.get("/healthz/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body,
        "not ready: Envoy has no clusters and no listeners yet, because it is not connected to discovery; \
         no name table yet; discovery: connection refused\n"
    );
    READY.clone_into(&mut scene.stats.lock().unwrap());
    let answer = scene.get("/healthz/ready").await;
    assert_eq!(
        answer.body,
        "not ready: no name table yet; discovery: connection refused\n"
    );
    *names.lock().unwrap() = Ok(());
    assert_eq!(scene.get("/healthz/ready").await.body, "ready\n");
    // It stays ready, whatever the pages say later.
    scene.stats.lock().unwrap().clear();
    assert_eq!(scene.get("/healthz/ready").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_envoy_that_does_not_answer_is_not_ready() {
    let gone = nobody().await;
    let scene = Scene::start("", |settings| {
        settings.envoy.as_mut().unwrap().admin = gone;
    })
    .await;
    let answer = scene.get("/healthz/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let expected =
        format!("Envoy's admin page does not answer (cannot connect to {gone}: Connection refused");
    assert!(answer.body.contains(&expected), "{}", answer.body);
}

#[tokio::test]
async fn draining_ends_readiness() {
    let scene = Scene::start(READY, |_| {}).await;
    assert_eq!(scene.get("/healthz/ready").await.status, StatusCode::OK);
    let drained = scene.ask(Method::POST, "/drain", &[]).await;
    assert_eq!(
        (drained.status, drained.body.as_str()),
        (StatusCode::OK, "draining\n")
    );
    let answer = scene.get("/healthz/ready").await;
    assert_eq!(answer.body, "not ready: it is being drained, to end\n");
    assert!(!scene.stop.is_cancelled());
}

#[tokio::test]
async fn quitting_stops_everything() {
    let scene = Scene::start(READY, |_| {}).await;
    assert_eq!(
        scene.ask(Method::POST, "/quitquitquit", &[]).await.status,
        StatusCode::OK
    );
    assert!(scene.stop.is_cancelled());
}

#[tokio::test]
async fn what_changes_something_is_for_this_machine() {
    let scene = Scene::start(READY, |settings| {
        settings.names = Some(Arc::new(|| serde_json::json!({"web": ["10.0.0.1"]})));
    })
    .await;
    let forbidden = StatusCode::FORBIDDEN;
    for (path, method) in [
        ("/quitquitquit", Method::POST),
        ("/drain", Method::POST),
        ("/debug/ndsz", Method::GET),
    ] {
        for headers in [("host", "evil.example"), ("origin", "http://evil.example")] {
            let answer = scene.ask(method.clone(), path, &[headers]).await;
            assert_eq!(answer.status, forbidden, "{path} {headers:?}");
        }
        // From the address under which Envoy hands on the connections of others.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.6:0".parse().unwrap()).unwrap();
        let stream: TcpStream = socket.connect(scene.status).await.unwrap();
        let request = scene.request(method.clone(), path, &[]);
        let response = fetch::over(stream, request).await.unwrap();
        assert_eq!(response.status(), forbidden, "{path}");
    }
    for path in ["/quitquitquit", "/drain"] {
        assert_eq!(scene.get(path).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(!scene.stop.is_cancelled());
    assert_eq!(
        scene.get("/debug/ndsz").await.body,
        r#"{"web":["10.0.0.1"]}"#
    );
}

/// An application: what it is asked it answers with, in the path's status.
fn application() -> Router {
    async fn page(Path(status): Path<u16>, headers: HeaderMap) -> Response {
        let mut seen = HeaderMap::new();
        for name in ["x-from", "x-manifest", "host"] {
            if let Some(value) = headers.get(name) {
                seen.insert(name, value.clone());
            }
        }
        (StatusCode::from_u16(status).unwrap(), format!("{seen:?}")).into_response()
    }
    async fn check(headers: HeaderMap) -> StatusCode {
        let has = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
        let port_is_its_own = headers["host"].to_str().unwrap().starts_with("127.0.0.1:");
        match has("x-from", "manifest") && has("user-agent", "kube-probe/1.33") && port_is_its_own {
            true => StatusCode::OK,
            false => StatusCode::BAD_REQUEST,
        }
    }
    async fn named(headers: HeaderMap) -> StatusCode {
        match headers["host"] == "shop.example" {
            true => StatusCode::OK,
            false => StatusCode::BAD_REQUEST,
        }
    }
    async fn to(Path(where_to): Path<String>) -> Response {
        let location = match where_to.as_str() {
            "elsewhere" => "http://elsewhere.example/".to_owned(),
            "itself" => "/to/itself".to_owned(),
            status => format!("../status/{status}"),
        };
        (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
    }
    Router::new()
        .route("/status/{status}", get(page))
        .route("/headers", get(check))
        .route("/named", get(named))
        .route("/to/{where_to}", get(to))
        .route("/never", get(std::future::pending::<()>))
}

/// What becomes of a probe with this JSON, in which `PORT` is the application's.
async fn probe(json: &str) -> (StatusCode, String) {
    let mut tasks = JoinSet::new();
    let port = serve(&mut tasks, application()).await.port().to_string();
    let json = json.replace("PORT", &port);
    let probers = Probers::parse(&format!(r#"{{"/app-health/web/livez": {json}}}"#)).unwrap();
    let scene = Scene::start(READY, |settings| settings.probers = probers).await;
    let headers = [("user-agent", "kube-probe/1.33"), ("x-from", "kubelet")];
    let answer = scene
        .ask(Method::GET, "/app-health/web/livez", &headers)
        .await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_probe_has_the_applications_status_and_nothing_else() {
    for (path, expected) in [
        ("/status/200", 200),
        ("/status/500", 500),
        ("/status/204", 204),
        ("/headers", 400),
        // A redirect on the same host is followed, to another host it is not.
        ("/to/200", 200),
        ("/to/503", 503),
        ("/to/elsewhere", 302),
        ("/to/itself", 503),
    ] {
        let json =
            format!(r#"{{"httpGet": {{"port": PORT, "path": "{path}"}}, "timeoutSeconds": 5}}"#);
        let (status, body) = probe(&json).await;
        assert_eq!(status.as_u16(), expected, "{path}: {body}");
        assert!(
            body.is_empty() || body.contains("again and again"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_probe_has_the_headers_of_the_kubelet_and_the_manifest() {
    let json = r#"{"httpGet": {"port": PORT, "path": "/headers", "httpHeaders": [{"name": "X-From", "value": "manifest"}]}}"#;
    assert_eq!(probe(json).await.0, StatusCode::OK);
    let json = r#"{"httpGet": {"port": PORT, "path": "/named", "httpHeaders": [{"name": "Host", "value": "shop.example"}]}}"#;
    assert_eq!(probe(json).await.0, StatusCode::OK);
}

#[tokio::test]
async fn other_probes() {
    assert_eq!(
        probe(r#"{"tcpSocket": {"port": PORT}}"#).await.0,
        StatusCode::OK
    );
    let gone = nobody().await;
    for json in [
        format!(r#"{{"tcpSocket": {{"port": {}}}}}"#, gone.port()),
        format!(r#"{{"httpGet": {{"port": {}}}}}"#, gone.port()),
    ] {
        let (status, body) = probe(&json).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("does not take connections"), "{body}");
    }
    let (status, body) = probe(r#"{"httpGet": {"port": PORT, "path": "/never"}}"#).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "no answer within 1s\n")
    );
    let scene = Scene::start(READY, |_| {}).await;
    let unknown = scene.get("/app-health/web/readyz").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

/// The page for a scraper, of an application whose own has this type and text.
async fn scrape(content_type: &'static str, page: &'static str, accept: &str) -> (String, String) {
    let mut tasks = JoinSet::new();
    let router = Router::new().route(
        "/metrics",
        get(async move || ([(header::CONTENT_TYPE, content_type)], page)),
    );
    let port = serve(&mut tasks, router).await.port();
    let scene = Scene::start(READY, |settings| {
        settings.scrape = Some(Scrape {
            port,
            path: "/metrics".into(),
        });
    })
    .await;
    read(&scene, accept).await
}

/// The type and the text of a scene's page.
async fn read(scene: &Scene, accept: &str) -> (String, String) {
    let stream = TcpStream::connect(scene.status).await.unwrap();
    let request = scene.request(Method::GET, "/stats/prometheus", &[("accept", accept)]);
    let response = fetch::over(stream, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let content_type = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    (
        content_type,
        response.into_body().text(1 << 20).await.unwrap(),
    )
}

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

#[tokio::test]
async fn everybodys_metrics_are_one_page() {
    let (content_type, page) = scrape("text/plain", "app_up 1\n", OPEN_METRICS).await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(
        page,
        "app_up 1\n# TYPE envoy_up counter\nenvoy_up{} 1\n\
         # HELP agent_up Whether it is.\n# TYPE agent_up gauge\nagent_up 0\n\
         # HELP istio_agent_scrapes_total Scrapes of the merged page.\n\
         # TYPE istio_agent_scrapes_total counter\nistio_agent_scrapes_total 1\n"
    );
}

#[tokio::test]
async fn open_metrics_end_once() {
    let theirs = "# TYPE app counter\napp_total 1 # {id=\"9\"} 1.0\n# EOF\n";
    let (content_type, page) = scrape(
        "application/openmetrics-text; version=1.0.0",
        theirs,
        OPEN_METRICS,
    )
    .await;
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(
        page.starts_with(
            "# TYPE app counter\napp_total 1 # {id=\"9\"} 1.0\n# TYPE envoy_up unknown\n"
        ),
        "{page}"
    );
    assert!(
        page.ends_with("istio_agent_scrapes_total 1\n# EOF\n"),
        "{page}"
    );
    assert_eq!(page.matches("# EOF").count(), 1);
    // A scraper that does not know the format gets the other.
    let (content_type, page) = scrape("application/openmetrics-text", theirs, "text/plain").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        page.starts_with("# TYPE app_total counter\napp_total 1\n"),
        "{page}"
    );
    assert!(!page.contains("# EOF"), "{page}");
}

#[tokio::test]
async fn a_source_that_fails_is_counted_and_costs_the_others_nothing() {
    let failed = "istio_agent_scrape_failures_total{type=\"application\"} 1\n";
    let (_, page) = scrape("text/html", "<html>", "text/plain").await;
    assert!(
        page.contains("envoy_up{} 1\n") && page.contains(failed),
        "{page}"
    );
    // One that breaks off.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut scene = Scene::start(READY, |settings| {
        settings.scrape = Some(Scrape {
            port,
            path: "/".into(),
        });
    })
    .await;
    scene.tasks.spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\napp_up 1\napp_ne";
        stream.write_all(half).await.unwrap();
    });
    let (_, page) = read(&scene, "text/plain").await;
    assert!(
        page.starts_with("app_up 1\n# TYPE envoy_up counter\n"),
        "{page}"
    );
    assert!(page.contains(failed), "{page}");
    // And nobody but the agent.
    let gone = nobody().await;
    let scene = Scene::start(READY, |settings| {
        settings.envoy.as_mut().unwrap().stats = gone;
    })
    .await;
    let (_, page) = read(&scene, "text/plain").await;
    assert!(
        page.contains("istio_agent_scrape_failures_total{type=\"envoy\"} 1\n"),
        "{page}"
    );
    assert!(scene.envoy.port() > 0);
}

#[tokio::test]
async fn the_agent_does_not_scrape_itself() {
    let listen = nobody().await;
    let scene = Scene::start(READY, |settings| {
        settings.listen.port = listen.port();
        settings.scrape = Some(Scrape {
            port: listen.port(),
            path: "/metrics".into(),
        });
    })
    .await;
    let (_, page) = read(&scene, "text/plain").await;
    assert!(page.contains("istio_agent_scrapes_total 1\n"), "{page}");
    assert!(!page.contains("failures_total{"), "{page}");
}
