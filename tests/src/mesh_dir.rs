//! A directory of manifests that is edited as careful people edit: each file replaced whole.

mod service_entry;

pub use service_entry::{Endpoint, Port, ServiceEntry};

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A directory that discovery watches, and a place beside it where files are prepared.
#[derive(Debug)]
pub struct MeshDir {
    root: PathBuf,
    staging: PathBuf,
}

impl MeshDir {
    /// Creates `parent/mesh`.
    pub fn create(parent: &Path) -> Result<Self> {
        let this = Self {
            root: parent.join("mesh"),
            staging: parent.join("mesh.staging"),
        };
        for dir in [&this.root, &this.staging] {
            std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        Ok(this)
    }

    /// Creates `parent/mesh` as a copy of the files in `from`.
    pub fn copy_of(from: &Path, parent: &Path) -> Result<Self> {
        let this = Self::create(parent)?;
        for entry in
            std::fs::read_dir(from).with_context(|| format!("listing {}", from.display()))?
        {
            let entry = entry.with_context(|| format!("listing {}", from.display()))?;
            std::fs::copy(entry.path(), this.root.join(entry.file_name()))
                .with_context(|| format!("copying {}", entry.path().display()))?;
        }
        Ok(this)
    }

    /// The directory to watch.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Writes a file, or replaces it by an atomic rename.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let (staged, target) = (self.staging.join(file), self.root.join(file));
        std::fs::write(&staged, text).with_context(|| format!("writing {}", staged.display()))?;
        std::fs::rename(&staged, &target)
            .with_context(|| format!("moving {} to {}", staged.display(), target.display()))
    }

    /// Writes a service entry to a file of its own, named after it.
    pub fn write_entry(&self, entry: &ServiceEntry) -> Result<()> {
        self.write(&file_name(entry), &entry.to_yaml())
    }

    /// Removes the file of a service entry.
    pub fn remove_entry(&self, entry: &ServiceEntry) -> Result<()> {
        self.remove(&file_name(entry))
    }

    /// Reads a file.
    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) -> Result<()> {
        let path = self.root.join(file);
        std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
    }
}

fn file_name(entry: &ServiceEntry) -> String {
    format!("{}.{}.yaml", entry.namespace, entry.name)
}
