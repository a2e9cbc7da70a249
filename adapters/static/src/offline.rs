//! Reading a directory once, without a store: for tools that check configuration.

use std::path::Path;

use pilothouse_core::registry::{Object, Origin, Problem};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, StaticConfig};
use crate::disk::{Batch, ReadError};
use crate::files::Files;
use crate::reading::Finding;

/// Reads all that is in `dir`: what can be used, and everything that is wrong. Files that cannot be read are among the findings.
/// Objects are in the order of their files and places; one that is in several files is there several times.
///
/// # Errors
/// The directory cannot be read.
pub fn read(dir: &Path) -> Result<(Vec<Object>, Vec<Finding>), ConfigError> {
    let config = StaticConfig::new(dir, "");
    let mut files = Files::new(&config.checked_root()?, []);
    let all = Batch {
        rescan: true,
        ..Batch::default()
    };
    let Ok(outcome) = files.look(all, &mut None, &CancellationToken::new()) else {
        return Ok(Default::default());
    };
    if let Some(error) = outcome.root {
        return Err(ConfigError::Vanished {
            root: dir.display().to_string(),
            source: error,
        });
    }
    let (mut objects, mut findings) = (Vec::new(), Vec::new());
    for said in outcome.statements.into_values() {
        objects.extend(said.objects);
        findings.extend(said.findings);
    }
    findings.extend(
        outcome
            .failing
            .iter()
            .map(|(name, error)| unreadable(name, error)),
    );
    Ok((objects, findings))
}

fn unreadable(name: &str, error: &ReadError) -> Finding {
    let mut what = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        what = format!("{what}: {source}");
    }
    Finding {
        key: None,
        at: Origin::new(name),
        problems: vec![Problem::error("", what)],
    }
}
