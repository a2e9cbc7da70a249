//! One object: read, written, taken away.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::{shown, status};
use super::cluster::Cluster;
use super::{Asked, Fake, Key};

/// Answers a request about one object.
pub(super) fn single(fake: &Fake, asked: &Asked, head: &Parts, body: &Bytes) -> Response {
    let written = || serde_json::from_slice::<Value>(body);
    let applies = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/apply-patch+yaml");
    let answer = match (asked.verb, asked.key()) {
        ("create", _) => {
            written().map(|object| fake.change(|cluster| create(cluster, asked, object)))
        }
        ("get", Some(key)) => Ok(fake.change(|cluster| known(cluster, &key))),
        ("delete", Some(key)) => {
            Ok(fake.change(|cluster| cluster.remove(&key).ok_or_else(|| missing(&key))))
        }
        ("update", Some(key)) => {
            written().map(|object| fake.change(|cluster| update(cluster, asked, &key, object)))
        }
        ("patch", Some(key)) => written()
            .map(|patch| fake.change(|cluster| merge(cluster, asked, &key, &patch, applies))),
        _ => return status(405, "MethodNotAllowed", "this cannot be done", None),
    };
    match answer {
        Ok(Ok(object)) => axum::Json(shown(object, asked, false)).into_response(),
        Ok(Err(refusal)) => refusal.into_response(),
        Err(error) => status(400, "BadRequest", &error.to_string(), None),
    }
}

/// Why not.
struct Refusal(u16, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status(self.0, self.1, &self.2, None);
        *response.status_mut() = StatusCode::from_u16(self.0).unwrap();
        response
    }
}

fn missing(key: &Key) -> Refusal {
    Refusal(
        404,
        "NotFound",
        format!("{} {:?} not found", key.resource, key.name),
    )
}

fn known(cluster: &Cluster, key: &Key) -> Result<Value, Refusal> {
    cluster
        .objects
        .get(key)
        .cloned()
        .ok_or_else(|| missing(key))
}

fn create(cluster: &mut Cluster, asked: &Asked, mut object: Value) -> Result<Value, Refusal> {
    if let Some(namespace) = &asked.namespace {
        object["metadata"]["namespace"] = namespace.as_str().into();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let key = Key::new(
        &asked.resource,
        asked.namespace.as_deref().unwrap_or_default(),
        name,
    );
    if cluster.objects.contains_key(&key) {
        return Err(Refusal(
            409,
            "AlreadyExists",
            format!("{} {name:?} already exists", key.resource),
        ));
    }
    Ok(cluster.put(&asked.resource, object))
}

fn update(
    cluster: &mut Cluster,
    asked: &Asked,
    key: &Key,
    mut object: Value,
) -> Result<Value, Refusal> {
    let before = known(cluster, key)?;
    let version = &object["metadata"]["resourceVersion"];
    if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
        return Err(Refusal(
            409,
            "Conflict",
            format!("{} {:?} was changed meanwhile", key.resource, key.name),
        ));
    }
    if asked.subresource.as_deref() == Some("status") {
        let status = object["status"].take();
        object = before.clone();
        object["status"] = status;
    }
    Ok(put(cluster, key, before, object))
}

/// A merge patch, or one by server-side apply taken for one, which creates what is not there.
fn merge(
    cluster: &mut Cluster,
    asked: &Asked,
    key: &Key,
    patch: &Value,
    applies: bool,
) -> Result<Value, Refusal> {
    let before = match known(cluster, key) {
        Err(_) if applies => json!({"metadata": {"name": key.name, "namespace": key.namespace}}),
        known => known?,
    };
    let version = &patch["metadata"]["resourceVersion"];
    if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
        return Err(Refusal(
            409,
            "Conflict",
            format!("{} {:?} was changed meanwhile", key.resource, key.name),
        ));
    }
    let mut object = before.clone();
    match asked.subresource.as_deref() {
        Some(field) => merged(&mut object[field], &patch[field]),
        None => merged(&mut object, patch),
    }
    Ok(put(cluster, key, before, object))
}

/// Writes an object, unless nothing has changed.
fn put(cluster: &mut Cluster, key: &Key, before: Value, object: Value) -> Value {
    if object == before {
        return before;
    }
    cluster.put(&key.resource, object)
}

fn merged(value: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, patch) in fields {
        if patch.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            merged(&mut value[name], patch);
        }
    }
}
