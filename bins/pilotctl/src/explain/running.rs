//! What a running discovery says of the rules in force: where each stands, and which lost to whom.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::rules::{Other, Used};
use crate::inspect::Peer;

/// The page that says it.
const PAGE: &str = "/debug/configz";

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Where each object stands, by kind, namespace and name as people write them.
    at: BTreeMap<String, String>,
    lost: Vec<Loss>,
}

#[derive(Debug)]
struct Loss {
    object: String,
    to: String,
    why: String,
}

impl Running {
    /// Asks discovery.
    ///
    /// # Errors
    /// It cannot be reached, or its answer is not what it should be.
    pub(super) async fn ask(discovery: &Peer) -> Result<Self> {
        let bytes = discovery.get(PAGE).await?;
        let page: Value =
            serde_json::from_slice(&bytes).with_context(|| format!("reading {PAGE}"))?;
        Ok(Self::of(&page))
    }

    fn of(page: &Value) -> Self {
        let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let at = items(&page["rules"]).into_iter().filter_map(|rule| {
            let source = &rule["source"];
            let text = |field: &str| source[field].as_str().map(str::to_owned);
            Some((text("object")?, text("origin")?))
        });
        let lost = items(&page["status"]["objects"])
            .into_iter()
            .flat_map(|object| {
                let loser = name(&object["of"]["object"]);
                let loss = move |lost: &Value| Loss {
                    object: loser.clone(),
                    to: name(&lost["to"]["object"]),
                    why: lost["why"].as_str().unwrap_or_default().to_owned(),
                };
                items(&object["status"]["lost"])
                    .iter()
                    .map(loss)
                    .collect::<Vec<_>>()
            });
        Self {
            at: at.collect(),
            lost: lost.collect(),
        }
    }

    /// Where an object stands.
    pub(super) fn at(&self, object: &str) -> Option<String> {
        self.at.get(object).cloned()
    }

    /// The rules that lost to one of those that have a part in what happens.
    pub(super) fn others(&self, used: &[Used]) -> Vec<Other> {
        let winners = |loss: &&Loss| used.iter().any(|used| used.object == loss.to);
        let mut others: Vec<_> = self
            .lost
            .iter()
            .filter(winners)
            .map(|loss| Other {
                object: loss.object.clone(),
                at: self.at(&loss.object),
                why: match loss.why.contains(&loss.to) {
                    true => format!("it lost: {}", loss.why),
                    false => format!("it lost to {}: {}", loss.to, loss.why),
                },
            })
            .collect();
        others.sort();
        others.dedup();
        others
    }
}

/// An object as people write it.
fn name(key: &Value) -> String {
    let text = |field: &str| key[field].as_str().unwrap_or_default();
    format!("{} {}/{}", text("kind"), text("namespace"), text("name"))
}
