//! An agent that does what a script says: it has Consul's indices and blocking queries, and every fault that a healthy one will
//! not show on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use pilothouse_consul::client::{Address, Client, Settings};

/// What an agent knows, and how it behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    pub(crate) index: u64,
    /// When each service changed last.
    changed: BTreeMap<String, u64>,
    /// When any check changed last.
    checked: u64,
    /// The instances of each service, as the health API shows them.
    pub(crate) services: BTreeMap<String, Vec<Value>>,
    pub(crate) keys: BTreeMap<String, (u64, Vec<u8>)>,
    /// What goes wrong, by the beginning of the path that it concerns.
    pub(crate) faults: BTreeMap<String, Fault>,
    /// Services, nodes and keys that the token may not see.
    pub(crate) hidden: BTreeSet<String>,
    pub(crate) hidden_nodes: BTreeSet<String>,
    pub(crate) hidden_keys: BTreeSet<String>,
    /// Whether it says nothing when it is asked what the token may see.
    pub(crate) is_silent: bool,
    /// Whether answers tell of what is hidden, as from 1.11 on.
    pub(crate) tells: bool,
    /// The token that requests must bear.
    pub(crate) token: Option<String>,
}

/// Where changes of checks are waited for.
pub(crate) const PULSE: &str = "/v1/health/state/any";

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Status(u16, &'static str),
    Leaderless,
    LastContact(u64),
    /// Half of the body, and then nothing more.
    Stall,
    /// Half of the body, and then the end.
    Half,
    /// Answers at once although nothing is new.
    Wakes,
}

/// The agent, as long as it lives.
pub(crate) struct Agent {
    pub(crate) catalog: Arc<watch::Sender<Catalog>>,
    pub(crate) address: SocketAddr,
    asked: Arc<watch::Sender<BTreeMap<String, usize>>>,
    /// How many requests are under way, and the most that ever were.
    pub(crate) open: Arc<watch::Sender<(usize, usize)>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    catalog: Arc<watch::Sender<Catalog>>,
    asked: Arc<watch::Sender<BTreeMap<String, usize>>>,
    open: Arc<watch::Sender<(usize, usize)>>,
}

impl Agent {
    /// An agent whose catalog has only Consul's own servers.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let catalog = Catalog {
            index: 10,
            services: [(
                "consul".to_owned(),
                vec![instance("consul", "10.9.9.9", 8300)],
            )]
            .into(),
            ..Catalog::default()
        };
        let shared = Shared {
            catalog: Arc::new(watch::Sender::new(catalog)),
            asked: Arc::new(watch::Sender::new(BTreeMap::new())),
            open: Arc::new(watch::Sender::new((0, 0))),
        };
        let router = Router::new()
            .route(
                "/v1/catalog/datacenters",
                get(async || axum::Json(json!(["dc1", "dc2"]))),
            )
            .route("/v1/catalog/services", get(services))
            .route("/v1/health/service/{name}", get(health))
            .route(PULSE, get(pulse))
            .route("/v1/internal/acl/authorize", post(authorize))
            .route("/v1/kv/{*key}", get(keys).put(put).delete(delete))
            .with_state(shared.clone());
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            catalog: shared.catalog,
            address,
            asked: shared.asked,
            open: shared.open,
            _tasks: tasks,
        }
    }

    /// A client of it.
    pub(crate) fn client(&self, settings: Settings) -> Client {
        Client::new(Settings {
            address: self.address(),
            timeout: Duration::from_secs(2),
            ..settings
        })
    }

    pub(crate) fn address(&self) -> Address {
        self.address.to_string().parse().unwrap()
    }

    /// Something happens in the catalog: its index grows.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Catalog) -> R) {
        self.behave(|catalog| {
            catalog.index += 1;
            change(catalog);
        });
    }

    /// Something happens to the agent: the catalog's index stays unless it is set.
    pub(crate) fn behave<R>(&self, change: impl FnOnce(&mut Catalog) -> R) {
        self.catalog.send_modify(|catalog| {
            let before = catalog.clone();
            change(catalog);
            if catalog.checks() != before.checks() {
                catalog.checked = catalog.index;
            }
            for (name, instances) in &catalog.services {
                if before.services.get(name) != Some(instances) {
                    catalog.changed.insert(name.clone(), catalog.index);
                }
            }
        });
    }

    /// How many connections there are to it.
    pub(crate) fn connections(&self) -> usize {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let port = format!(":{:04X}", self.address.port());
        // Number, own address, the other's, state.
        let is_one = |line: &&str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields[2].ends_with(&port) && fields[3] == "01"
        };
        table.lines().skip(1).filter(is_one).count()
    }

    /// Whether this path has ever been asked for.
    pub(crate) fn was_asked(&self, path: &str) -> bool {
        self.asked.borrow().contains_key(path)
    }

    /// Waits until these paths have been asked for this many times more.
    pub(crate) async fn asked(&self, path: &str, more: usize) {
        let before = self.asked.borrow().get(path).copied().unwrap_or(0);
        self.asked_in_all(path, before + more).await;
    }

    /// Waits until this path has been asked for this many times since the agent began.
    pub(crate) async fn asked_in_all(&self, path: &str, times: usize) {
        let mut asked = self.asked.subscribe();
        let wait = asked.wait_for(|asked| asked.get(path).copied().unwrap_or(0) >= times);
        let waited = timeout(Duration::from_secs(20), wait).await;
        assert!(waited.is_ok(), "{path} is not asked for");
    }
}

/// An instance as the health API shows it, speaking HTTP.
pub(crate) fn instance(service: &str, address: &str, port: u16) -> Value {
    json!({
        "Node": {"Node": format!("node-{address}"), "Address": address, "Datacenter": "dc1", "Meta": null},
        "Service": {"ID": format!("{service}-{address}"), "Service": service, "Address": "", "Port": port, "Meta": {"protocol": "http"}, "Tags": []},
        "Checks": [{"CheckID": "serfHealth", "Status": "passing", "ServiceID": ""}],
    })
}

type Parameters = Query<BTreeMap<String, String>>;

async fn services(
    State(shared): State<Shared>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let read = |catalog: &Catalog| {
        let names = catalog
            .services
            .keys()
            .filter(|name| !catalog.hidden.contains(*name));
        names
            .map(|name| (name.clone(), json!([])))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    shared
        .answer("/v1/catalog/services", &parameters, &headers, read)
        .await
}

async fn health(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let read = |catalog: &Catalog| match catalog.services.get(&name) {
        Some(instances) if !catalog.hidden.contains(&name) => {
            let seen = |one: &&Value| {
                let node = one["Node"]["Node"].as_str().unwrap_or_default();
                !catalog.hidden_nodes.contains(node)
            };
            Value::Array(instances.iter().filter(seen).cloned().collect())
        }
        _ => json!([]),
    };
    shared
        .answer(
            &format!("/v1/health/service/{name}"),
            &parameters,
            &headers,
            read,
        )
        .await
}

async fn pulse(
    State(shared): State<Shared>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    shared
        .answer(PULSE, &parameters, &headers, |_| json!([]))
        .await
}

async fn keys(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let recurse = parameters.contains_key("recurse");
    let read = |catalog: &Catalog| {
        let seen = |(known, _): &(&String, _)| !catalog.hidden_keys.contains(*known);
        let found = catalog.keys.iter().filter(seen).filter(|(known, _)| {
            if recurse {
                known.starts_with(&key)
            } else {
                **known == key
            }
        });
        let pair = |(key, (index, value)): (&String, &(u64, Vec<u8>))| json!({"Key": key, "ModifyIndex": index, "Value": STANDARD.encode(value)});
        Value::Array(found.map(pair).collect())
    };
    shared
        .answer(&format!("/v1/kv/{key}"), &parameters, &headers, read)
        .await
}

/// What the token may see, for each thing that is asked about.
async fn authorize(State(shared): State<Shared>, body: Bytes) -> Response {
    let asked: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let catalog = shared.catalog.borrow().clone();
    if catalog.is_silent {
        return StatusCode::NOT_FOUND.into_response();
    }
    if asked.len() > 64 {
        return (StatusCode::BAD_REQUEST, "more than 64").into_response();
    }
    let one = |what: &Value| {
        let name = what["Segment"].as_str().unwrap_or_default();
        let hidden = match what["Resource"].as_str().unwrap_or_default() {
            "service" => &catalog.hidden,
            "node" => &catalog.hidden_nodes,
            "key" => &catalog.hidden_keys,
            other => panic!("{other} is no resource"),
        };
        json!({"Resource": what["Resource"], "Segment": name, "Access": "read", "Allow": !hidden.contains(name)})
    };
    axum::Json(asked.iter().map(one).collect::<Vec<_>>()).into_response()
}

async fn put(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Query(parameters): Parameters,
    body: Bytes,
) -> Response {
    shared.write(&key, &parameters, Some(body.to_vec()))
}

async fn delete(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Query(parameters): Parameters,
) -> Response {
    shared.write(&key, &parameters, None)
}

impl Shared {
    fn write(
        &self,
        key: &str,
        parameters: &BTreeMap<String, String>,
        value: Option<Vec<u8>>,
    ) -> Response {
        let expected: u64 = parameters["cas"].parse().unwrap();
        let mut written = false;
        self.catalog.send_modify(|catalog| {
            let at = catalog.keys.get(key).map_or(0, |(index, _)| *index);
            written = at == expected;
            if written {
                catalog.index += 1;
                match value {
                    Some(value) => drop(catalog.keys.insert(key.into(), (catalog.index, value))),
                    None => drop(catalog.keys.remove(key)),
                }
            }
        });
        axum::Json(written).into_response()
    }

    async fn answer(
        &self,
        path: &str,
        parameters: &BTreeMap<String, String>,
        headers: &HeaderMap,
        read: impl Fn(&Catalog) -> Value,
    ) -> Response {
        self.asked
            .send_modify(|asked| *asked.entry(path.into()).or_default() += 1);
        self.open.send_modify(|(now, most)| {
            *now += 1;
            *most = (*most).max(*now);
        });
        let _open = Open(self.open.clone());
        self.wait(path, parameters).await;
        let catalog = self.catalog.borrow().clone();
        let token = headers
            .get("x-consul-token")
            .and_then(|token| token.to_str().ok());
        if catalog.token.is_some() && catalog.token.as_deref() != token {
            return (StatusCode::FORBIDDEN, "Permission denied").into_response();
        }
        let fault = catalog.fault(path).cloned();
        if let Some(Fault::Status(status, body)) = fault {
            return (StatusCode::from_u16(status).unwrap(), body).into_response();
        }
        let text = read(&catalog).to_string();
        let status = if path.starts_with("/v1/kv/") && text == "[]" {
            404
        } else {
            200
        };
        let mut response = Response::builder()
            .status(status)
            .header("X-Consul-Index", catalog.index);
        let contact = match fault {
            Some(Fault::LastContact(millis)) => millis,
            _ => 0,
        };
        response = response
            .header(
                "X-Consul-KnownLeader",
                (!matches!(fault, Some(Fault::Leaderless))).to_string(),
            )
            .header("X-Consul-LastContact", contact);
        if catalog.tells && !catalog.hidden.is_empty() {
            response = response.header("X-Consul-Results-Filtered-By-ACLs", "true");
        }
        let half = Bytes::from(text[..text.len() / 2].to_owned());
        let body = match fault {
            Some(Fault::Half) => Body::from(half),
            Some(Fault::Stall) => {
                let begun = futures::stream::iter([Ok::<_, std::io::Error>(half)]);
                Body::from_stream(futures::StreamExt::chain(begun, futures::stream::pending()))
            }
            _ => Body::from(text),
        };
        response.body(body).unwrap()
    }

    /// Blocks as Consul does: until the index is above the one that is given, or something goes wrong, or the time is up.
    async fn wait(&self, path: &str, parameters: &BTreeMap<String, String>) {
        let Some(index) = parameters
            .get("index")
            .and_then(|text| text.parse::<u64>().ok())
        else {
            return;
        };
        let millis = parameters
            .get("wait")
            .and_then(|text| text.strip_suffix("ms")?.parse().ok());
        let until = Instant::now() + Duration::from_millis(millis.unwrap_or(300_000));
        let mut catalog = self.catalog.subscribe();
        let moved = |catalog: &Catalog| {
            let own = path
                .strip_prefix("/v1/health/service/")
                .and_then(|name| catalog.changed.get(name));
            let at = match path {
                PULSE => catalog.checked,
                _ => own.copied().unwrap_or(catalog.index),
            };
            catalog.index < index || at > index || catalog.fault(path).is_some()
        };
        let _ = timeout_at(until, catalog.wait_for(moved)).await;
    }
}

impl Catalog {
    /// What checks say.
    fn checks(&self) -> Vec<&Value> {
        let all = self.services.values().flatten();
        all.map(|instance| &instance["Checks"]).collect()
    }

    fn fault(&self, path: &str) -> Option<&Fault> {
        self.faults
            .iter()
            .find(|(prefix, _)| path.starts_with(prefix.as_str()))
            .map(|(_, fault)| fault)
    }
}

struct Open(Arc<watch::Sender<(usize, usize)>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|(now, _)| *now -= 1);
    }
}
