//! Requests to the API server over connections that are kept, as JSON.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use kube::Client;
use kube::config::Kubeconfig;
use serde_json::Value;

use super::KubeCluster;

/// What a change is, by its media type.
const APPLY: &str = "application/apply-patch+yaml";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

impl KubeCluster {
    /// A client of one of the users.
    pub fn client_of(&self, user: &str) -> Result<Client> {
        of(&self.kubeconfig_of(user))
    }

    /// Gets a path such as `/api/v1/namespaces/default/pods`.
    pub async fn get_path(&self, path: &str) -> Result<Value> {
        send(&self.client, Method::GET, path, JSON, None).await
    }

    /// Creates an object, which must not be there.
    pub async fn create(&self, object: &Value) -> Result<Value> {
        let path = collection(object)?;
        send(&self.client, Method::POST, &path, JSON, Some(object)).await
    }

    /// Makes an object be as given, by server-side apply: what it had before and is not given goes.
    pub async fn write(&self, object: &Value) -> Result<Value> {
        let path = format!("{}?fieldManager=test&force=true", path_of(object)?);
        send(&self.client, Method::PATCH, &path, APPLY, Some(object)).await
    }

    /// Merges the given fields into an object that is there, by the rules of JSON merge patch.
    pub async fn merge(&self, object: &Value) -> Result<Value> {
        let path = path_of(object)?;
        send(&self.client, Method::PATCH, &path, MERGE, Some(object)).await
    }

    /// Merges the given fields into an object's status, lists by their keys. Kinds of a CRD do not know this patch.
    pub async fn write_status(&self, object: &Value) -> Result<Value> {
        let path = format!("{}/status", path_of(object)?);
        send(&self.client, Method::PATCH, &path, STRATEGIC, Some(object)).await
    }

    /// Deletes an object, of which kind, namespace and name are needed.
    pub async fn delete(&self, object: &Value) -> Result<Value> {
        let path = path_of(object)?;
        send(&self.client, Method::DELETE, &path, JSON, None).await
    }

    pub(super) async fn delete_path(&self, path: &str) -> Result<Value> {
        send(&self.client, Method::DELETE, path, JSON, None).await
    }
}

/// The client that a kubeconfig describes.
pub(super) fn of(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("reading {}", kubeconfig.display()))?;
    Client::try_from(file).context("making a client of the API server")
}

/// Fails unless the API server is ready and has made what every cluster has.
pub(super) async fn is_ready(client: &Client) -> Result<()> {
    let request = Request::get("/readyz").body(Vec::new())?;
    let answer = client.request_text(request).await.context("GET /readyz")?;
    ensure!(answer == "ok", "GET /readyz: {answer}");
    let made = "/api/v1/namespaces/default/services/kubernetes";
    send(client, Method::GET, made, JSON, None).await?;
    Ok(())
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    media_type: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header(http::header::CONTENT_TYPE, media_type)
        .body(bytes)?;
    client
        .request(request)
        .await
        .with_context(|| format!("{method} {path}"))
}

fn path_of(object: &Value) -> Result<String> {
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?;
    Ok(format!("{}/{name}", collection(object)?))
}

/// Where the objects of a kind and namespace are.
fn collection(object: &Value) -> Result<String> {
    let version = object["apiVersion"]
        .as_str()
        .context("an object without apiVersion")?;
    let kind = object["kind"].as_str().context("an object without kind")?;
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = plural(kind);
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("/{root}/{version}/{plural}"),
    })
}

/// Resources are named as their kinds are, in the plural.
pub(super) fn plural(kind: &str) -> String {
    let name = kind.to_lowercase();
    if name == "endpoints" {
        return name;
    }
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
        _ if name.ends_with(['s', 'x']) || name.ends_with("ch") => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_in_the_plural() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("Endpoints", "endpoints"),
            ("EndpointSlice", "endpointslices"),
            ("Ingress", "ingresses"),
            ("IngressClass", "ingressclasses"),
            ("ServiceEntry", "serviceentries"),
            ("Gateway", "gateways"),
            ("Sidecar", "sidecars"),
            ("Telemetry", "telemetries"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }
}
