//! The registry keeps the contract that every registry keeps.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its file has failed"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use custom_adapter::CsvRegistry;
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{self, Fixture, PORT, World};
use tempfile::TempDir;

#[tokio::test]
async fn it_holds() {
    contract::every_check(|| async { File::new() })
        .await
        .unwrap();
}

/// A file that the suite writes, hides and shows.
struct File {
    dir: TempDir,
}

impl File {
    fn new() -> Self {
        let file = Self {
            dir: TempDir::new().unwrap(),
        };
        file.write("");
        file
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("services.csv")
    }

    fn hidden(&self) -> PathBuf {
        self.dir.path().join("hidden.csv")
    }

    /// Writes at once, wherever the file is.
    fn write(&self, text: &str) {
        let next = self.dir.path().join("next.csv");
        fs::write(&next, text).unwrap();
        let to = if self.hidden().exists() {
            self.hidden()
        } else {
            self.path()
        };
        fs::rename(next, to).unwrap();
    }
}

#[async_trait]
impl Fixture for File {
    fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(CsvRegistry::new(self.path()))
    }

    fn key(&self, service: &str) -> ServiceKey {
        ServiceKey {
            namespace: "default".into(),
            host: Host::new(&host(service)).unwrap(),
        }
    }

    async fn apply(&mut self, world: &World) {
        self.write(&text(world, None));
    }

    async fn break_source(&mut self) {
        fs::rename(self.path(), self.hidden()).unwrap();
    }

    async fn heal_source(&mut self) {
        fs::rename(self.hidden(), self.path()).unwrap();
    }

    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool {
        self.write(&text(world, Some(spoilt)));
        true
    }
}

fn host(service: &str) -> String {
    format!("{service}.test")
}

fn text(world: &World, spoilt: Option<&str>) -> String {
    let lines = world.services.iter().flat_map(|(name, ips)| {
        let protocol = if spoilt == Some(name) { "htpt" } else { "http" };
        ips.iter()
            .map(move |ip| format!("{},{PORT},{protocol},{ip}\n", host(name)))
    });
    lines.collect()
}
