//! What users have asked the API server, as it has recorded it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::KubeCluster;

/// A request that has been answered. For a watch that is when its stream began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The verb of RBAC, such as `list`.
    pub verb: String,
    /// The API group, empty for the core's.
    pub group: String,
    /// The resource in the plural; empty for paths that are none, such as `/version`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: String,
    /// Empty for all namespaces, and for what is in none.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// The path with its query.
    pub uri: String,
    /// The answer's status code.
    pub code: u64,
}

impl KubeCluster {
    /// What a user has asked, in the order of the answers, each request once. The options must say `audited`.
    pub fn requests_of(&self, user: &str) -> Result<Vec<Request>> {
        ensure!(
            self.options.audited,
            "this cluster records nothing; start it with `audited`"
        );
        let file = self.files.audit_log();
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        let mut seen = std::collections::BTreeSet::new();
        let mut requests = Vec::new();
        // The last line may be in the middle of being written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in complete.lines() {
            let event: Value = serde_json::from_str(line)
                .with_context(|| format!("{}: no JSON: {line:.200}", file.display()))?;
            let by = event["user"]["username"].as_str().unwrap_or_default();
            let id = event["auditID"].as_str().unwrap_or_default();
            if by == user && seen.insert(id.to_owned()) {
                requests.push(request(&event));
            }
        }
        Ok(requests)
    }
}

fn request(event: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    Request {
        verb: text(&event["verb"]),
        group: text(&object["apiGroup"]),
        resource: text(&object["resource"]),
        subresource: text(&object["subresource"]),
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        uri: text(&event["requestURI"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
