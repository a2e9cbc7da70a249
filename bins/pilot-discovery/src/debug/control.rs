//! What an operator may change while the process runs: log levels, and the guard's mind.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use pilothouse_core::registry::RegistryId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Debug, Failure};
use pilothouse_process::logging::{Levels, SCOPES};

/// The scopes and their levels.
pub(super) async fn levels(State(debug): State<Debug>) -> Json<Value> {
    Json(show(&debug.log.levels()))
}

/// New levels, as `scope:level,...` in the body or in `?level=`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct NewLevels {
    level: Option<String>,
}

pub(super) async fn change_levels(
    State(debug): State<Debug>,
    Query(new): Query<NewLevels>,
    body: String,
) -> Result<Json<Value>, Failure> {
    let list = new.level.unwrap_or(body);
    if list.trim().is_empty() {
        return Err(Failure::wrong(
            "say which levels: ads:debug in the body, or ?level=ads:debug",
        ));
    }
    let levels = debug.log.change(list.trim()).map_err(Failure::wrong)?;
    tracing::info!(levels = %levels, "log levels changed");
    Ok(Json(show(&levels)))
}

/// Which registry, as `Static/default`.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    registry: String,
}

/// Applies what the guard against mass loss holds of a registry.
pub(super) async fn confirm(
    State(debug): State<Debug>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let registries = debug.store.registries().await.map_err(Failure::gone)?;
    let ids: Vec<RegistryId> = registries.into_iter().map(|registry| registry.id).collect();
    let Some(id) = ids.iter().find(|id| id.to_string() == which.registry) else {
        let known: Vec<_> = ids.iter().map(ToString::to_string).collect();
        return Err(Failure(
            StatusCode::NOT_FOUND,
            format!(
                "there is no registry {:?}; there are: {}",
                which.registry,
                known.join(", ")
            ),
        ));
    };
    let held = debug.store.confirm(id).await.map_err(Failure::gone)?;
    tracing::warn!(registry = %id, held, "a held loss was confirmed over the debug listener");
    Ok(Json(json!({ "registry": which.registry, "applied": held })))
}

fn show(levels: &Levels) -> Value {
    let names = levels.names();
    SCOPES
        .iter()
        .map(|scope| {
            json!({ "scope": scope.name, "level": names.get(scope.name), "about": scope.about })
        })
        .collect()
}
