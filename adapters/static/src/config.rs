//! What the registry is told, and what can be wrong with it.

use std::fs;
use std::io;
use std::path::{self, PathBuf};

use pilothouse_manifests::kubernetes::Names;
use thiserror::Error;

use crate::disk::ReadError;

/// Which directory to read, and under what name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticConfig {
    /// The directory.
    pub root: PathBuf,
    /// The second half of the registry's identity, and the cluster of what is in the directory.
    pub cluster: String,
    /// What names of services end with: `NAME.NAMESPACE.svc.DOMAIN`. Short names of hosts in rules are completed alike.
    pub domain: String,
}

/// What names of services end with where nobody says it.
pub const DEFAULT_DOMAIN: &str = "cluster.local";

impl StaticConfig {
    /// Reads `root`, as the registry `Static/<cluster>`, with names of the [default domain](DEFAULT_DOMAIN).
    pub fn new(root: impl Into<PathBuf>, cluster: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            cluster: cluster.into(),
            domain: DEFAULT_DOMAIN.to_owned(),
        }
    }

    /// The same with another domain.
    #[must_use]
    pub fn with_domain(self, domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            ..self
        }
    }

    /// The names of what is read.
    pub(crate) fn names(&self) -> Names {
        Names::new(&self.domain)
    }

    /// The root as an absolute path, if there is a directory that can be read.
    pub(crate) fn checked_root(&self) -> Result<PathBuf, ConfigError> {
        let root = || self.root.display().to_string();
        if self.root.as_os_str().is_empty() {
            return Err(ConfigError::Empty);
        }
        let absolute = path::absolute(&self.root).map_err(|source| ConfigError::Unreadable {
            root: root(),
            source,
        })?;
        match fs::read_dir(&absolute) {
            Ok(_) => Ok(absolute),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ConfigError::Absent { root: root() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(ConfigError::NotADirectory { root: root() })
            }
            Err(source) => Err(ConfigError::Unreadable {
                root: root(),
                source,
            }),
        }
    }
}

/// What is wrong with a [`StaticConfig`].
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No directory is given.
    #[error("no configuration directory is given; name the directory that holds the YAML files")]
    Empty,
    /// There is no such directory.
    #[error(
        "the configuration directory {root} does not exist; create it, or name the directory that holds the YAML files"
    )]
    Absent {
        /// As given.
        root: String,
    },
    /// It is something else.
    #[error(
        "{root} is not a directory; name the directory that holds the YAML files, not one of them"
    )]
    NotADirectory {
        /// As given.
        root: String,
    },
    /// It may not be listed.
    #[error(
        "the configuration directory {root} cannot be read; allow this process's user to list it"
    )]
    Unreadable {
        /// As given.
        root: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was there a moment ago.
    #[error("the configuration directory {root} has vanished while it was read; try again")]
    Vanished {
        /// As given.
        root: String,
        /// What was missing.
        #[source]
        source: ReadError,
    },
}
