//! One object's status, written so that nothing of others is lost.
//!
//! Server-side apply says which fields are ours; it is never forced, so that a field of another stays as it is. Where the list of
//! conditions can only be had as a whole, as in Istio's own definitions, a list with conditions of others is read, and written
//! with ours in it for the version that was read and no other.

use serde_json::{Value, json};

use pilothouse_core::registry::ObjectKey;

use super::addresses::{self, Addresses};
use super::api::{Api, ApiError, Patch};
use super::conditions::Condition;
use super::known::{Entry, Place, split};

/// In whose name conditions are written.
const CONDITIONS: &str = "pilothouse-conditions";
/// In whose name addresses are.
const ADDRESSES: &str = "pilothouse-addresses";

/// Makes our conditions be these.
pub(super) async fn conditions(
    api: &Api,
    entry: &Entry,
    key: &ObjectKey,
    all: &[Condition],
) -> Result<(), ApiError> {
    let status = format!("{}/status", entry.place.of(key));
    let conditions: Vec<_> = all.iter().map(Condition::write).collect();
    let ours = match conditions.as_slice() {
        [] => json!({}),
        some => json!({"conditions": some}),
    };
    let applied = object(&entry.place, key, ours);
    match api.patch(&status, CONDITIONS, Patch::Apply, &applied).await {
        Ok(after) if is_so(&after, all) => Ok(()),
        // The list is another's: ours were left as they are in it.
        Ok(after) => {
            let (_, others) = split(&after["status"]);
            let version = &after["metadata"]["resourceVersion"];
            among_others(api, &status, others, version, all).await
        }
        // The list is another's, and ours cannot be added to it.
        Err(error) if error.code() == 409 => {
            let (others, version) = (entry.others.clone(), json!(entry.version));
            among_others(api, &status, others, &version, all).await
        }
        Err(error) => Err(error),
    }
}

fn is_so(object: &Value, all: &[Condition]) -> bool {
    let (mut ours, _) = split(&object["status"]);
    ours.sort();
    ours == all
}

/// Replaces the whole list, with what others have in it, if the object is still in the version that had this.
async fn among_others(
    api: &Api,
    status: &str,
    others: Vec<Value>,
    version: &Value,
    all: &[Condition],
) -> Result<(), ApiError> {
    let mut list = others;
    list.extend(all.iter().map(Condition::write));
    let change = json!({
        "metadata": {"resourceVersion": version},
        "status": {"conditions": list},
    });
    api.patch(status, CONDITIONS, Patch::Merge, &change)
        .await
        .map(drop)
}

/// Makes the addresses be these, where they are not another's; answers whether they are.
pub(super) async fn addresses(
    api: &Api,
    place: &Place,
    key: &ObjectKey,
    all: &Addresses,
) -> Result<bool, ApiError> {
    let status = format!("{}/status", place.of(key));
    let applied = object(place, key, addresses::status(all));
    let after = api
        .patch(&status, ADDRESSES, Patch::Apply, &applied)
        .await?;
    Ok(addresses::written(&after["status"]) == *all)
}

fn object(place: &Place, key: &ObjectKey, status: Value) -> Value {
    json!({
        "apiVersion": *place.api_version,
        "kind": key.kind.as_str(),
        "metadata": {"name": *key.name, "namespace": key.namespace.as_str()},
        "status": status,
    })
}
