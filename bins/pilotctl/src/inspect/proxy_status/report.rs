//! What `/debug/syncz` says of a proxy.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::super::json::{list, text};
use super::super::names::proxy_name;

/// A proxy's stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Proxy {
    /// `NAME.NAMESPACE`.
    pub(super) name: String,
    /// Its node id.
    pub(super) id: String,
    /// Tells the streams of one proxy apart.
    pub(super) stream: String,
    /// The cluster of machines that it runs in.
    pub(super) cluster: String,
    /// The discovery that it is connected to.
    pub(super) discovery: String,
    /// Envoy's.
    pub(super) version: String,
    /// By `cds`, `eds`, `lds`, `rds`.
    pub(super) types: BTreeMap<String, Type>,
}

/// How it stands with one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Type {
    /// `SYNCED`, `STALE`, `NOT SENT`, `ERROR`.
    pub(super) status: String,
    /// Of a type that is STALE: the seconds since what it has not acknowledged was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stale_seconds: Option<f64>,
    /// The seconds since something was sent.
    pub(super) sent_seconds_ago: Option<f64>,
    /// The seconds since something was acknowledged.
    pub(super) acknowledged_seconds_ago: Option<f64>,
    /// The version that was acknowledged last.
    pub(super) version: Option<String>,
    /// How many responses it has rejected.
    pub(super) rejections: u64,
    /// What it refuses.
    pub(super) refused: Vec<Refused>,
    /// What it said last when it rejected something, whose culprit may not have been found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Something that it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refused {
    /// The resource.
    pub(super) resource: String,
    /// What it said.
    pub(super) message: String,
    /// What the resource was made from.
    pub(super) objects: Vec<Object>,
}

/// An object, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Object {
    /// `KIND NAMESPACE/NAME`, or what there is in its place.
    pub(super) object: String,
    /// Such as the file and the line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) origin: String,
    /// Whose it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) registry: String,
}

impl Proxy {
    /// The streams on a page, by name.
    pub(super) fn all(page: &Value, discovery: &str) -> Vec<Self> {
        let mut all: Vec<_> = list(page)
            .iter()
            .map(|stream| Self::of(stream, discovery))
            .collect();
        all.sort_by(|a, b| (&a.name, &a.stream).cmp(&(&b.name, &b.stream)));
        all
    }

    fn of(stream: &Value, discovery: &str) -> Self {
        let id = text(&stream["proxy"]);
        let types = list(&stream["types"])
            .iter()
            .map(|report| (text(&report["type"]).to_owned(), Type::of(report)))
            .collect();
        Self {
            name: proxy_name(id).to_owned(),
            id: id.to_owned(),
            stream: text(&stream["stream"]).to_owned(),
            cluster: text(&stream["cluster"]).to_owned(),
            discovery: discovery.to_owned(),
            version: text(&stream["version"]).to_owned(),
            types,
        }
    }
}

impl Type {
    fn of(report: &Value) -> Self {
        let status = text(&report["status"]);
        let sent = report["sent"]["seconds_ago"].as_f64();
        let open = report["unacknowledged"].as_u64().unwrap_or_default() > 0;
        let refused: Vec<_> = list(&report["refused"]).iter().map(Refused::of).collect();
        Self {
            status: status.to_owned(),
            stale_seconds: sent.filter(|_| open && status == "STALE"),
            sent_seconds_ago: sent,
            acknowledged_seconds_ago: report["acknowledged"]["seconds_ago"].as_f64(),
            version: report["acknowledged"]["version"]
                .as_str()
                .map(str::to_owned),
            rejections: report["rejections"].as_u64().unwrap_or_default(),
            error: report["error"]["message"]
                .as_str()
                .filter(|_| status == "ERROR" && refused.is_empty())
                .map(str::to_owned),
            refused,
        }
    }
}

impl Refused {
    fn of(refused: &Value) -> Self {
        let objects = list(&refused["causes"]).iter().flat_map(objects).collect();
        Self {
            resource: text(&refused["name"]).to_owned(),
            message: text(&refused["message"]).trim().to_owned(),
            objects,
        }
    }
}

/// The objects of a cause. One that has vanished since is known by its key alone.
fn objects(cause: &Value) -> Vec<Object> {
    let bare = |object: &str| Object {
        object: object.to_owned(),
        origin: String::new(),
        registry: String::new(),
    };
    if cause["mesh_config"] == true {
        return vec![bare("mesh config")];
    }
    let known: Vec<_> = list(&cause["objects"])
        .iter()
        .map(|object| Object {
            object: text(&object["object"]).to_owned(),
            origin: text(&object["origin"]).to_owned(),
            registry: text(&object["registry"]).to_owned(),
        })
        .collect();
    if !known.is_empty() {
        return known;
    }
    let key = ["rule", "service"]
        .into_iter()
        .map(|key| text(&cause[key]))
        .find(|key| !key.is_empty());
    key.map(bare).into_iter().collect()
}
