//! Answers: which request is which, and lists.

use std::future::pending;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::cluster::Pages;
use super::{Asked, Fake, On, What, watching, write};

/// Answers a request.
pub(super) async fn answer(State(fake): State<Fake>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/version" {
        return axum::Json(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}))
            .into_response();
    }
    if let Some(version) = head.uri.path().strip_prefix("/apis/")
        && let Some(answer) = installed(&fake, version)
    {
        return answer;
    }
    let Some(asked) = Asked::of(&head) else {
        return not_found();
    };
    fake.asked.send_modify(|all| all.push(asked.clone()));
    let (down, missing) = {
        let cluster = fake.cluster.borrow();
        (cluster.down, cluster.missing.contains(&asked.resource))
    };
    if down {
        return status(503, "ServiceUnavailable", "the server is going away", None);
    }
    if missing {
        return not_found();
    }
    let on = match asked.verb {
        "list" => On::List,
        "watch" if asked.is_streamed() => On::Streamed,
        "watch" => On::Watch,
        _ => On::Single,
    };
    let refusal = |what: &What| matches!(what, What::Status(..) | What::Hang);
    match fake.change(|cluster| cluster.goes_wrong(on, &asked.resource, refusal)) {
        Some(What::Status(code, message, wait)) => return status(code, "", message, wait),
        Some(_) => return pending().await,
        None => {}
    }
    match on {
        On::List => list(&fake, &asked),
        On::Watch | On::Streamed => watching::watch(&fake, &asked, on),
        On::Single => {
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            write::single(&fake, &asked, &head, &body)
        }
    }
}

/// What is installed of a version of a group.
fn installed(fake: &Fake, version: &str) -> Option<Response> {
    let cluster = fake.cluster.borrow();
    let resources = cluster.installed.get(version)?.iter();
    let resources: Vec<_> = resources
        .map(|plural| json!({"name": plural, "singularName": "", "namespaced": true, "kind": "", "verbs": ["list", "watch"]}))
        .collect();
    let list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
    Some(axum::Json(list).into_response())
}

/// What a server says of a path that it does not know.
fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// A refusal, as the API has it.
pub(super) fn status(code: u16, reason: &str, message: &str, wait: Option<u32>) -> Response {
    let body = axum::Json(status_object(code, reason, message, wait));
    let mut response = (StatusCode::from_u16(code).unwrap(), body).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert("Retry-After", wait.into());
    }
    response
}

/// The object of a refusal.
pub(super) fn status_object(code: u16, reason: &str, message: &str, wait: Option<u32>) -> Value {
    let details = wait.map(|seconds| json!({"retryAfterSeconds": seconds}));
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code, "details": details,
    })
}

fn list(fake: &Fake, asked: &Asked) -> Response {
    let token = asked.parameter("continue");
    let limit = asked.parameter("limit").parse().unwrap_or(usize::MAX);
    // Tokens of two resources may be alike.
    let of = |token: &str| format!("{} {token}", asked.resource);
    let taken = fake.change(|cluster| {
        let pages = match token {
            "" => Some(Pages {
                version: cluster.version,
                page: 0,
                rest: cluster.list(&asked.resource, &asked.pruned()),
            }),
            token => cluster.pages.remove(&of(token)),
        };
        let mut pages = pages.filter(|pages| pages.version >= cluster.compacted)?;
        let (page, version) = (pages.page, pages.version);
        let here = |what: &What| match what {
            What::AbortAt(at) | What::StallAt(at) | What::ExpireAt(at) => *at == page,
            what => *what == What::Nulls,
        };
        let wrong = cluster.goes_wrong(On::List, &asked.resource, here);
        if matches!(wrong, Some(What::ExpireAt(_))) {
            return None;
        }
        let rest = pages.rest.split_off(limit.min(pages.rest.len()));
        let mut next = String::new();
        let left = rest.len();
        if !rest.is_empty() {
            next = format!("{version}/{page}+=&{}", cluster.pages.len());
            let page = page + 1;
            cluster.pages.insert(
                of(&next),
                Pages {
                    version,
                    page,
                    rest,
                },
            );
        }
        Some((pages.rest, version, next, left, wrong))
    });
    let Some((items, version, next, left, wrong)) = taken else {
        let mut expired = status_object(
            410,
            "Expired",
            "The provided continue parameter is too old",
            None,
        );
        expired["metadata"]["continue"] = "from-here-on".into();
        return (StatusCode::GONE, axum::Json(expired)).into_response();
    };
    let nulls = wrong == Some(What::Nulls);
    let items: Vec<Value> = items
        .into_iter()
        .map(|item| shown(item, asked, nulls))
        .collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if !next.is_empty() {
        metadata["continue"] = next.into();
        metadata["remainingItemCount"] = left.into();
    }
    let kind = if asked.metadata_only {
        "PartialObjectMetadataList"
    } else {
        "List"
    };
    let text = json!({"kind": kind, "apiVersion": asked.api_version, "metadata": metadata, "items": items}).to_string();
    let half = Bytes::from(text[..text.len() / 2].to_owned());
    let body = match wrong {
        Some(What::AbortAt(_)) => Body::from_stream(stream::iter([
            Ok(half),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ])),
        Some(What::StallAt(_)) => {
            Body::from_stream(stream::iter([Ok::<_, io::Error>(half)]).chain(stream::pending()))
        }
        _ => Body::from(text),
    };
    ([("Content-Type", "application/json")], body).into_response()
}

/// An object as this request wants to see it.
pub(super) fn shown(mut object: Value, asked: &Asked, nulls: bool) -> Value {
    if asked.metadata_only {
        object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    }
    if nulls {
        let fields = object.as_object_mut().unwrap();
        fields
            .values_mut()
            .filter(|value| value["name"].is_null() && !value.is_string())
            .for_each(|value| *value = Value::Null);
        for field in ["spec", "status", "data"] {
            fields.insert(field.into(), Value::Null);
        }
        for field in [
            "labels",
            "annotations",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "managedFields",
            "ownerReferences",
            "finalizers",
        ] {
            object["metadata"][field] = Value::Null;
        }
    }
    object
}
