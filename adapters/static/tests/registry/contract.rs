//! The suite that every registry is held to.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, PORT, SERVICES, World, every_check};
use pilothouse_static::{StaticConfig, StaticRegistry};

/// A directory that can be taken away.
struct Directory {
    dir: tempfile::TempDir,
    /// All services in one file, or each in its own.
    one_file: bool,
    broken: bool,
}

impl Directory {
    fn new(one_file: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self {
            dir,
            one_file,
            broken: false,
        }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn away(&self) -> PathBuf {
        self.dir.path().join("away")
    }

    /// Writes what has changed of `world`, of which `spoilt` does not parse.
    fn write(&self, world: &World, spoilt: Option<&str>) {
        let text = |name: &&'static str| {
            let ips = world.services.get(name)?;
            Some(entry(name, ips, spoilt == Some(*name)))
        };
        if self.one_file {
            let all: Vec<_> = SERVICES.iter().filter_map(text).collect();
            self.write_file("all.yaml", Some(all.join("---\n")));
        } else {
            SERVICES
                .iter()
                .for_each(|name| self.write_file(&format!("{name}.yaml"), text(name)));
        }
    }

    fn write_file(&self, name: &str, text: Option<String>) {
        let path = if self.broken {
            self.away()
        } else {
            self.root()
        }
        .join(name);
        let before = fs::read_to_string(&path).ok();
        match text {
            Some(text) if before.as_ref() != Some(&text) => fs::write(path, text).unwrap(),
            None if before.is_some() => fs::remove_file(path).unwrap(),
            _ => {}
        }
    }
}

fn entry(name: &str, ips: &BTreeSet<Ipv4Addr>, spoilt: bool) -> String {
    let endpoints: String = ips
        .iter()
        .map(|ip| format!("  - address: {ip}\n"))
        .collect();
    let host = if spoilt {
        format!("[{name}.test")
    } else {
        format!("[{name}.test]")
    };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\nspec:\n  hosts: {host}\n  ports:\n  - number: {PORT}\n    name: http\n  resolution: STATIC\n  endpoints:\n{endpoints}"
    )
}

#[async_trait]
impl Fixture for Directory {
    fn registry(&self) -> Arc<dyn Registry> {
        // The constructor wants a directory; it vanishes before the run begins.
        if self.broken {
            fs::rename(self.away(), self.root()).unwrap();
        }
        let registry = StaticRegistry::new(StaticConfig::new(self.root(), "contract")).unwrap();
        if self.broken {
            fs::rename(self.root(), self.away()).unwrap();
        }
        Arc::new(registry)
    }

    fn key(&self, service: &str) -> ServiceKey {
        ServiceKey {
            namespace: "default".into(),
            host: Host::new(&format!("{service}.test")).unwrap(),
        }
    }

    async fn apply(&mut self, world: &World) {
        self.write(world, None);
    }

    async fn break_source(&mut self) {
        fs::rename(self.root(), self.away()).unwrap();
        self.broken = true;
    }

    async fn heal_source(&mut self) {
        fs::rename(self.away(), self.root()).unwrap();
        self.broken = false;
    }

    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool {
        self.write(world, Some(spoilt));
        true
    }
}

#[tokio::test]
async fn the_contract_holds_with_a_file_for_each_service() {
    every_check(|| async { Directory::new(false) })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_contract_holds_with_one_file_for_all() {
    every_check(|| async { Directory::new(true) })
        .await
        .unwrap();
}
