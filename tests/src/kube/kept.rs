//! Where a cluster's files are.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A directory that stays when the test has failed.
#[derive(Debug)]
pub(super) struct Kept(Option<TempDir>);

impl Kept {
    pub(super) fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("pilothouse-kube-")
            .tempdir()
            .context("making a directory for a cluster")?;
        Ok(Self(Some(dir)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Kept {
    #[expect(
        clippy::print_stderr,
        reason = "whoever looks at a failed test wants to know"
    )]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.0.take()
        {
            eprintln!("logs of the cluster are kept in {}", dir.keep().display());
        }
    }
}
