//! Every rule in the repository's YAML files that its readers and checks accept is taken by the API server, as it is written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use pilothouse_core::registry::{Meta, Severity};
use pilothouse_core::rules::{RuleKind, RuleSpec, check, kind};
use serde_json::Value;

use super::{create, object};

/// Folders with rules in them.
const FOLDERS: [&str; 4] = [
    "fuzz/corpus/objects",
    "examples",
    "tests",
    "bins/pilotctl/tests",
];

/// The API server takes them and keeps all that they say.
pub(super) async fn are_taken(client: &kube::Client) -> Result<()> {
    let mut taken = 0;
    for path in files()? {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (index, document) in documents(&text).into_iter().enumerate() {
            let place = format!("{} {index}", path.display());
            let Some((kind, version)) = good(&document) else {
                continue;
            };
            taken += 1;
            let name = format!("sample-{taken}");
            let written = object(kind, &version, &name, &document["spec"]);
            let found = create(client, &written, true)
                .await
                .context(place.clone())?;
            ensure!(
                found["spec"] == written["spec"],
                "{place} is {} instead of {}",
                found["spec"],
                written["spec"]
            );
        }
    }
    ensure!(taken > 150, "only {taken} samples were found");
    Ok(())
}

/// The kind and version of a document that is a rule without an error.
fn good(document: &Value) -> Option<(&'static RuleKind, String)> {
    let (api_version, name) = (document["apiVersion"].as_str()?, document["kind"].as_str()?);
    let kind = kind(api_version, name).filter(|kind| !kind.is_of_kubernetes())?;
    let (rule, mut problems) = RuleSpec::parse(api_version, name, &document["spec"]).ok()?;
    let namespace = document["metadata"]["namespace"]
        .as_str()
        .unwrap_or("default");
    problems.extend(check(&Meta::new(kind.name, namespace, "sample"), &rule));
    let is_good = problems
        .iter()
        .all(|problem| problem.severity != Severity::Error);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    is_good.then(|| (kind, version.to_owned()))
}

/// The documents of a file, those that are no YAML left out. Suites write ports as `<NAME>` and fill them in.
fn documents(text: &str) -> Vec<Value> {
    let mut filled = String::new();
    for (number, part) in text.split('<').enumerate() {
        match part.split_once('>') {
            Some((name, rest)) if number > 0 && is_name(name) => {
                filled.push_str(&(20_000 + number).to_string());
                filled.push_str(rest);
            }
            _ => {
                filled.push_str(if number > 0 { "<" } else { "" });
                filled.push_str(part);
            }
        }
    }
    let documents = filled.split("\n---").map(serde_saphyr::from_str::<Value>);
    documents.filter_map(Result::ok).collect()
}

fn is_name(text: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(ok)
}

fn files() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    let mut open: Vec<_> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
