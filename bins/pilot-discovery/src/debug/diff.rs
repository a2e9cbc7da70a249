//! The page `diff`: what connected proxies would get if objects were changed. It computes, and changes nothing.
//!
//! The objects in force are copied into a store of their own, once as they are and once with the change. That takes as long as
//! two first publications, on a thread of its own, and is done for one request at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use jiff::Timestamp;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Kind, Object, ObjectKey, Problem, Severity, Value as Content};
use pilothouse_static::{File, read_text};
use pilothouse_xds::patch;
use pilothouse_xds::rehearsal::{self, Differences, Objects, RehearsalError};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Debug, Failure};

/// A change is what a person has written.
const LARGEST: usize = 8 << 20;

/// Longer than any mesh takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Each copies the mesh twice.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// What goes, as `KIND/NAMESPACE/NAME`, separated by commas.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Gone {
    delete: Option<String>,
}

/// The page.
pub(super) fn page() -> MethodRouter<Debug> {
    post(diff).layer(DefaultBodyLimit::max(LARGEST))
}

/// What the change would be to the proxies that are connected.
async fn diff(
    State(debug): State<Debug>,
    Query(gone): Query<Gone>,
    body: String,
) -> Result<Json<Value>, Failure> {
    let (put, warnings) = changed(&body)?;
    let delete = keys(gone.delete.as_deref().unwrap_or_default())?;
    if !debug.store.readiness().is_ready() {
        return Err(Failure(
            StatusCode::SERVICE_UNAVAILABLE,
            "discovery is not ready: what the mesh is is not known yet".into(),
        ));
    }
    let one = ONE_AT_A_TIME.try_acquire().map_err(|_| {
        Failure(
            StatusCode::TOO_MANY_REQUESTS,
            "another diff is being computed: ask again when it is done".into(),
        )
    })?;
    let before = Objects::new(debug.store.objects().await.map_err(Failure::gone)?);
    let mut after = before.clone();
    for object in put {
        after.put(object, Timestamp::now());
    }
    for key in &delete {
        if !after.delete(key) {
            return Err(Failure::missing(format!(
                "there is no {key}, so it cannot be deleted"
            )));
        }
    }
    let proxies = proxies(&debug);
    let config = Arc::clone(debug.store.mesh().config());
    // Whoever asked may go; then nothing is computed any longer.
    let asked = CancellationToken::new();
    let (wanted, _gone) = (asked.clone(), asked.drop_guard());
    let computed = tokio::task::spawn_blocking(move || {
        let _one = one;
        compute(&before, &after, &config, &proxies, &wanted)
    });
    let mut answer = computed
        .await
        .map_err(Failure::gone)?
        .map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    if let Value::Object(fields) = &mut answer {
        fields.insert("warnings".into(), warnings);
    }
    Ok(Json(answer))
}

/// Every proxy once, however many streams it has.
fn proxies(debug: &Debug) -> Vec<Arc<Proxy>> {
    let clients = debug.connections.clients().into_iter();
    let mut proxies: Vec<_> = clients.map(|client| client.proxy).collect();
    proxies.sort_by_cached_key(|proxy| proxy.id.to_string());
    proxies.dedup_by(|a, b| a == b);
    proxies
}

/// On a thread that may take its time, with a runtime of its own: none of the process's tasks waits for it.
fn compute(
    before: &Objects,
    after: &Objects,
    config: &Arc<MeshConfig>,
    proxies: &[Arc<Proxy>],
    wanted: &CancellationToken,
) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| format!("no thread can be had: {error}"))?;
    let found = async {
        let was = Box::pin(rehearsal::snapshots(before, config, proxies)).await?;
        let is = Box::pin(rehearsal::snapshots(after, config, proxies)).await?;
        let mut differences = Differences::default();
        for ((proxy, was), is) in proxies.iter().zip(&was).zip(&is) {
            differences.add(proxy, was, is);
        }
        Ok::<_, RehearsalError>(differences.to_json())
    };
    let bounded = async {
        tokio::select! {
            () = wanted.cancelled() => Err("nobody waits for it".to_owned()),
            found = tokio::time::timeout(PATIENCE, found) => match found {
                Ok(found) => found.map_err(|error| error.to_string()),
                Err(_) => Err(format!("it takes longer than {} s", PATIENCE.as_secs())),
            },
        }
    };
    // What the copy says of objects is no news of the mesh.
    let quiet = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(quiet, || runtime.block_on(bounded))
}

/// The objects of the body, if none of them is wrong, and what is odd about them.
fn changed(body: &str) -> Result<(Vec<Object>, Value), Failure> {
    let File {
        objects,
        findings,
        checked,
        unknown,
        ..
    } = read_text("body", body);
    let mut problems: Vec<(String, Problem)> = Vec::new();
    for finding in findings.iter().chain(&checked) {
        let name = finding
            .key
            .as_ref()
            .map_or_else(|| finding.at.to_string(), ToString::to_string);
        problems.extend(
            finding
                .problems
                .iter()
                .map(|problem| (name.clone(), problem.clone())),
        );
    }
    for object in &objects {
        if let Content::Rule(rule) = &object.value {
            let found = patch::check(&object.meta, rule).into_iter();
            problems.extend(found.map(|problem| (object.meta.key.to_string(), problem)));
        }
    }
    for unknown in unknown {
        let what = format!("is not read: {} has no such kind", unknown.api_version);
        problems.push((unknown.key.to_string(), Problem::warning("kind", what)));
    }
    let of = |severity: Severity| {
        let found = problems
            .iter()
            .filter(move |(_, problem)| problem.severity == severity);
        found
            .map(|(object, problem)| format!("{object}: {problem}"))
            .collect::<Vec<_>>()
    };
    let errors = of(Severity::Error);
    if errors.is_empty() {
        Ok((objects, json!(of(Severity::Warning))))
    } else {
        Err(Failure::wrong(errors.join("; ")))
    }
}

fn keys(list: &str) -> Result<Vec<ObjectKey>, Failure> {
    let written = list.split(',').filter(|one| !one.is_empty());
    written
        .map(|one| {
            let parts: Vec<_> = one.split('/').collect();
            match parts[..] {
                [kind, namespace, name] => {
                    Ok(ObjectKey::new(Kind::new(kind), namespace.into(), name))
                }
                _ => Err(Failure::wrong(format!(
                    "delete={one:?} is not KIND/NAMESPACE/NAME"
                ))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted() {
        let shown = |list| -> Result<Vec<String>, String> {
            let keys = keys(list).map_err(|Failure(_, what)| what)?;
            Ok(keys.iter().map(ToString::to_string).collect())
        };
        assert_eq!(shown(""), Ok(vec![]));
        assert_eq!(
            shown("VirtualService/shop/a,Sidecar/b/c"),
            Ok(vec!["VirtualService shop/a".into(), "Sidecar b/c".into()])
        );
        assert_eq!(
            shown("VirtualService/a"),
            Err("delete=\"VirtualService/a\" is not KIND/NAMESPACE/NAME".into())
        );
    }

    #[test]
    fn a_change_that_is_wrong_is_refused() {
        let body = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a, namespace: b }\nspec: { hosts: [a.test], http: [{ route: [{ destination: { host: a.test }, weight: -1 }] }] }\n";
        let Err(Failure(status, what)) = changed(body) else {
            unreachable!("it is taken");
        };
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            what.contains("VirtualService b/a: spec.http[0].route[0].weight"),
            "{what}"
        );
        assert!(changed("").is_ok_and(|(objects, _)| objects.is_empty()));
    }
}
