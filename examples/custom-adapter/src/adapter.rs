//! A registry that reads a CSV file, one endpoint a line: `host,port,protocol,address`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_core::registry::{
    Meta, Object, Origin, Registry, RegistryId, RunError, SetId, Tx, Updates,
};
use tokio_util::sync::CancellationToken;

use crate::csv::parse;

/// The file as a registry. A host is a service of the namespace `default`.
#[derive(Debug)]
pub struct CsvRegistry {
    id: RegistryId,
    path: PathBuf,
}

impl CsvRegistry {
    /// Reads this file, and again whenever its content has changed: it is looked at every 100 ms.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            id: RegistryId::new("Csv", "example"),
            path: path.into(),
        }
    }

    /// States the whole text. A host with a line that cannot be read keeps what was good before.
    fn state(&self, text: &str, set: &SetId, tx: &mut Tx) {
        let mut lines: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        for (at, line) in (1..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty())
        {
            lines
                .entry(line.split(',').next().unwrap_or(line))
                .or_default()
                .push((at, line));
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (name, lines) in lines {
            let origin = Origin::new(format!("{}:{}", self.path.display(), lines[0].0));
            let metas = ["CsvService", "CsvEndpoints"].map(|kind| Meta::new(kind, "default", name));
            match parse(name, &lines) {
                Ok(values) => {
                    good.extend(metas.into_iter().zip(values).map(|(meta, value)| Object {
                        meta,
                        origin: origin.clone(),
                        value,
                    }))
                }
                Err(problem) => {
                    bad.extend(metas.map(|meta| (meta.key, origin.clone(), problem.clone())))
                }
            }
        }
        tx.replace(set.clone(), good);
        for (key, origin, problem) in bad {
            tx.reject(set, Some(key), origin, vec![problem]);
        }
    }
}

#[async_trait]
impl Registry for CsvRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let (set, mut seen) = (SetId::new("file"), None);
        loop {
            match tokio::fs::read_to_string(&self.path).await {
                Ok(text) if seen.as_ref() == Some(&text) => {}
                Ok(text) => {
                    let mut tx = updates.begin();
                    self.state(&text, &set, &mut tx);
                    tx.commit().await?;
                    updates.synced().await?;
                    seen = Some(text);
                }
                Err(error) => {
                    updates.failing(Some(&set), &error);
                    seen = None; // What comes next is stated even if it is the same: that ends the failure.
                }
            }
            let pause = tokio::time::sleep(Duration::from_millis(100));
            if stop.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
        }
    }
}
