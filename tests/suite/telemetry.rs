//! What proxies report, and to whom: real Envoys with what `Telemetry` says, and servers that take what they send.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::collector::{Collector, Taken};
use pilothouse_tests::envoy::{Binary, Envoy, VERSIONS};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, Scratch, World};

on_every_envoy! {
    a_filter_says_what_is_written_down
    a_namespace_is_left_out
    services_take_logs
    zipkin_takes_spans
    opentelemetry_takes_spans
    metrics_are_counted
}

/// What is there besides the proxy: a service that answers, one that has no endpoint, and one that takes reports.
struct Scene {
    world: World,
    envoy: Envoy,
    sidecar: Sidecar,
    via: SocketAddr,
    collector: Collector,
    _backend: Backend,
}

/// Discovery with these providers and more of mesh config, a `Telemetry` in the client's namespace, and a client.
async fn scene(
    binary: &Binary,
    variant: Variant,
    config: impl FnOnce(u16, u16) -> Value,
    rule: Value,
) -> Scene {
    let via = free_address().unwrap();
    let (plain, grpc) = (
        free_address().unwrap().port(),
        free_address().unwrap().port(),
    );
    let backend = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let collector = Collector::start().await.unwrap();
    let entry = |host: &str, ports: Value, endpoints: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": host, "namespace": "shop"},
            "spec": {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports, "endpoints": endpoints},
        })
        .to_string()
    };
    let port = |name: &str, number: u16, protocol: &str| json!({"name": name, "number": number, "protocol": protocol});
    let at = |address: SocketAddr, ports: &[&str]| {
        let ports: serde_json::Map<_, _> = ports
            .iter()
            .map(|name| ((*name).to_owned(), json!(address.port())))
            .collect();
        json!([{"address": address.ip().to_string(), "ports": ports}])
    };
    let web = entry(
        "web.test",
        json!([port("http", via.port(), "HTTP")]),
        at(backend.address(), &["http"]),
    );
    let empty = entry(
        "empty.test",
        json!([port("http", via.port(), "HTTP")]),
        json!([]),
    );
    let takes = entry(
        "collector.test",
        json!([port("http", plain, "HTTP"), port("grpc", grpc, "GRPC")]),
        at(collector.address(), &["http", "grpc"]),
    );
    let files = [
        ("web.yaml", web.as_str()),
        ("empty.yaml", &empty),
        ("collector.yaml", &takes),
        ("telemetry.yaml", &telemetry("shop", rule)),
    ];
    let config = config(plain, grpc).to_string();
    let world = World::start_with(&files, Some(&config), &[]).await;
    let sidecar = Sidecar::new("client", "shop").variant(variant);
    let envoy = sidecar
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    Scene {
        world,
        envoy,
        sidecar,
        via,
        collector,
        _backend: backend,
    }
}

fn telemetry(namespace: &str, spec: Value) -> String {
    json!({
        "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry",
        "metadata": {"name": "it", "namespace": namespace}, "spec": spec,
    })
    .to_string()
}

impl Scene {
    async fn get(&self, host: &str, path: &str) -> u16 {
        http::get(self.via, host, path, SOON).await.unwrap().status
    }

    /// Puts another rule in place of the one that is there, and waits until the proxy has what comes of it.
    async fn change(&self, spec: Value, has: impl Fn(&str) -> bool) {
        let text = telemetry("shop", spec);
        self.world.mesh.write("telemetry.yaml", &text).unwrap();
        let changed = async || {
            let dump = self
                .envoy
                .get_json("/config_dump?resource=dynamic_listeners")
                .await?;
            ensure!(has(&dump.to_string()), "the listeners are still {dump}");
            Ok(())
        };
        eventually("the rule has arrived", SOON, changed)
            .await
            .unwrap();
        self.world.synced(&self.sidecar.id()).await.unwrap();
    }

    /// Sends requests until one of what has been taken is as `wanted`.
    async fn taken(&self, path: &str, wanted: impl Fn(&Taken) -> bool) -> Taken {
        let found = async || {
            self.get("web.test", path).await;
            let all = self.collector.taken();
            all.into_iter()
                .find(|taken| wanted(taken))
                .context("nothing of the kind has been taken")
        };
        eventually("a report arrives", SOON, found).await.unwrap()
    }
}

async fn lines(file: &Path, enough: impl Fn(&str) -> bool) -> Vec<String> {
    let read = async || -> Result<_> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        ensure!(enough(&text), "it has {text:?}");
        Ok(text.lines().map(str::to_owned).collect())
    };
    // Envoy writes every ten seconds.
    eventually("the log has been written", SOON, read)
        .await
        .unwrap()
}

fn file(name: &str, path: &Path, format: Value) -> Value {
    json!({"name": name, "envoyFileAccessLog": {"path": path, "logFormat": format}})
}

/// In a format of the provider's own, and only failures.
async fn a_filter_says_what_is_written_down(binary: &Binary, variant: Variant) {
    let dir = Scratch::new();
    let log = dir.path().join("access.log");
    let provider = file(
        "mine",
        &log,
        json!({"text": "%RESPONSE_CODE% %REQ(:AUTHORITY)%%REQ(:PATH)%"}),
    );
    let rule = json!({"accessLogging": [{
        "providers": [{"name": "mine"}], "filter": {"expression": "response.code >= 500"},
    }]});
    let config = |_, _| json!({"extensionProviders": [provider]});
    let scene = scene(binary, variant, config, rule).await;
    assert_eq!(scene.get("web.test", "/fine").await, 200);
    assert_eq!(scene.get("empty.test", "/broken").await, 503);
    assert_eq!(scene.get("web.test", "/fine").await, 200);
    assert_eq!(scene.get("empty.test", "/end").await, 503);
    let found = lines(&log, |text| text.contains("/end\n")).await;
    assert_eq!(found, ["503 empty.test/broken", "503 empty.test/end"]);
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// A namespace's rule says that nothing is written; without it the mesh's default counts again. Entries are JSON.
async fn a_namespace_is_left_out(binary: &Binary, variant: Variant) {
    let dir = Scratch::new();
    let log = dir.path().join("access.log");
    let labels = json!({"labels": {"path": "%REQ(:PATH)%", "nested": {"code": "%RESPONSE_CODE%"}}});
    let provider = file("mine", &log, labels);
    let config = |_, _| json!({"extensionProviders": [provider], "defaultProviders": {"accessLogging": ["mine"]}});
    let scene = scene(
        binary,
        variant,
        config,
        json!({"accessLogging": [{"disabled": true}]}),
    )
    .await;
    assert_eq!(scene.get("web.test", "/quiet").await, 200);
    scene
        .change(json!({}), |listeners| listeners.contains("access_log"))
        .await;
    assert_eq!(scene.get("web.test", "/loud").await, 200);
    let found = lines(&log, |text| text.contains("/loud")).await;
    let found: Vec<Value> = found
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found, [json!({"path": "/loud", "nested": {"code": 200}})]);
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// By Envoy's own protocol, and by OpenTelemetry's.
async fn services_take_logs(binary: &Binary, variant: Variant) {
    let config = |_, port: u16| {
        json!({"extensionProviders": [
            {"name": "als", "envoyHttpAls": {"service": "collector.test", "port": port, "logName": "mine"}},
            {"name": "otel", "envoyOtelAls": {"service": "shop/collector.test", "port": port, "logFormat": {
                "text": "path=%REQ(:PATH)%", "labels": {"proto": "%PROTOCOL%"},
            }}},
        ]})
    };
    let rule = json!({"accessLogging": [{"providers": [{"name": "als"}, {"name": "otel"}]}]});
    let scene = scene(binary, variant, config, rule).await;
    let of = |service: &'static str, text: &'static str| {
        move |taken: &Taken| taken.path.contains(service) && taken.has(text)
    };
    let als = scene
        .taken("/logged", of("AccessLogService", "/logged"))
        .await;
    assert!(als.has("mine") && als.has("web.test"), "{als:?}");
    let otel = scene
        .taken("/logged", of("LogsService", "path=/logged"))
        .await;
    assert!(otel.has("proto") && otel.has("HTTP/1.1"), "{otel:?}");
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// None of the requests, then all of them; spans have the tags that the rule says, and those of the workload.
async fn zipkin_takes_spans(binary: &Binary, variant: Variant) {
    let config = |port: u16, _| {
        json!({
            "extensionProviders": [{"name": "zipkin", "zipkin": {"service": "collector.test", "port": port}}],
            "defaultProviders": {"tracing": ["zipkin"]},
        })
    };
    let tracing = |percent: f64| {
        json!({"tracing": [{"randomSamplingPercentage": percent, "customTags": {
            "colour": {"literal": {"value": "blue"}}, "who": {"header": {"name": "x-who", "defaultValue": "nobody"}},
        }}]})
    };
    let scene = scene(binary, variant, config, tracing(0.0)).await;
    for _ in 0..20 {
        assert_eq!(scene.get("web.test", "/unseen").await, 200);
    }
    scene
        .change(tracing(100.0), |listeners| {
            listeners.contains("\"value\":100") && !listeners.contains("\"random_sampling\":{}")
        })
        .await;
    let found = scene.taken("/seen", |taken| taken.has("/seen")).await;
    assert_eq!(
        (found.path.as_str(), found.host.as_str()),
        ("/api/v2/spans", "collector.test")
    );
    let spans: Value = serde_json::from_slice(&found.body).unwrap();
    let span = &spans.as_array().unwrap()[0];
    let tags = &span["tags"];
    let expected = [
        ("colour", "blue"),
        ("who", "nobody"),
        ("istio.namespace", "shop"),
        ("istio.canonical_service", "client"),
        ("http.status_code", "200"),
    ];
    for (tag, value) in expected {
        assert_eq!(tags[tag], value, "{span:#}");
    }
    assert_eq!(span["kind"], "CLIENT", "{span:#}");
    let unseen = scene
        .collector
        .taken()
        .iter()
        .any(|taken| taken.has("/unseen"));
    assert!(!unseen, "requests that are not sampled are not reported");
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// By gRPC, and by HTTP.
async fn opentelemetry_takes_spans(binary: &Binary, variant: Variant) {
    let config = |plain: u16, grpc: u16| {
        json!({"extensionProviders": [
            {"name": "grpc", "opentelemetry": {"service": "collector.test", "port": grpc}},
            {"name": "http", "opentelemetry": {"service": "collector.test", "port": plain, "http": {
                "path": "/v1/traces", "timeout": "5s", "headers": [{"name": "x-key", "value": "secret"}],
            }}},
        ]})
    };
    let by = |name: &str| {
        json!({"tracing": [{"providers": [{"name": name}], "randomSamplingPercentage": 100, "customTags": {
            "colour": {"literal": {"value": "blue"}},
        }}]})
    };
    let scene = scene(binary, variant, config, by("grpc")).await;
    let found = scene
        .taken("/one", |taken| taken.path.ends_with("TraceService/Export"))
        .await;
    assert!(
        found.has("colour") && found.has("blue") && found.has("istio-proxy.shop"),
        "{found:?}"
    );
    scene
        .change(by("http"), |listeners| listeners.contains("/v1/traces"))
        .await;
    let found = scene
        .taken("/two", |taken| taken.path == "/v1/traces")
        .await;
    assert!(
        found.has("colour") && found.host == "collector.test",
        "{found:?}"
    );
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// Where Envoy can, with tags that the rule says; where it cannot, nothing is sent that it would refuse.
async fn metrics_are_counted(binary: &Binary, variant: Variant) {
    let rule = json!({"metrics": [{"providers": [{"name": "prometheus"}], "overrides": [
        {"match": {"metric": "REQUEST_COUNT"}, "tagOverrides": {
            "request_host": {"value": "request.host"}, "source_principal": {"operation": "REMOVE"},
        }},
        {"match": {"metric": "REQUEST_SIZE"}, "disabled": true},
    ]}]});
    let scene = scene(binary, variant, |_, _| json!({}), rule).await;
    assert_eq!(scene.get("web.test", "/").await, 200);
    assert_eq!(scene.get("web.test", "/").await, 200);
    scene.envoy.wait_settled(SOON).await.unwrap();
    let page = async || -> Result<String> { Ok(scene.envoy.get("/stats/prometheus").await?.body) };
    if binary.version().starts_with(VERSIONS[0]) {
        let page = page().await.unwrap();
        assert!(!page.contains("istio_requests_total"), "{page}");
        return;
    }
    let counted = async || -> Result<String> {
        let page = page().await?;
        let line = page
            .lines()
            .find(|line| line.contains("istio_requests_total{"));
        Ok(line.context("no requests are counted")?.to_owned())
    };
    let line = eventually("requests are counted", SOON, counted)
        .await
        .unwrap();
    for tag in [
        "reporter=\"source\"",
        "response_code=\"200\"",
        "request_host=\"web.test\"",
        "destination_service=\"web.test\"",
        "source_workload=\"client\"",
    ] {
        assert!(line.contains(tag), "no {tag} in {line}");
    }
    assert!(
        line.ends_with(" 2") && !line.contains("source_principal"),
        "{line}"
    );
    let page = page().await.unwrap();
    assert!(
        page.contains("istio_request_duration_milliseconds_bucket"),
        "{page}"
    );
    assert!(!page.contains("istio_request_bytes"), "{page}");
}
