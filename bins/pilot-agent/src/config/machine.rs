//! Facts of the machine that stand in for what nobody has said. What cannot be found out is absent, and no error.

mod addresses;
mod cgroup;

use std::path::{Path, PathBuf};

pub(super) use addresses::global_addresses;

/// Where Istio's images have Envoy.
const USUAL_ENVOY: &str = "/usr/local/bin/envoy";

/// Envoy where Istio's images have it, otherwise what the PATH finds.
pub(super) fn envoy() -> PathBuf {
    if Path::new(USUAL_ENVOY).exists() {
        USUAL_ENVOY.into()
    } else {
        "envoy".into()
    }
}

/// How many cores' worth of time this process' cgroup may use, rounded up.
pub(super) fn cpu_limit() -> Option<u32> {
    cgroup::cpu_limit(Path::new("/"))
}
