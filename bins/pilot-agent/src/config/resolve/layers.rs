//! The layers below flags and variables, and where discovery is by all of them.

use std::fs;
use std::io;
use std::path::Path;

use super::Problem;
use crate::config::args::{AuthPolicy, DiscoveryArgs};
use crate::config::discovery_address::addresses;
use crate::config::proxy_config::{self, ProxyConfig, Read};
use crate::config::surroundings::Surroundings;
use crate::relay::Address;

/// Where Istio's images have mesh config. That it is not there is usual.
const MESH_CONFIG: &str = "/etc/istio/config/mesh";

/// PROXY_CONFIG over mesh config.
pub(super) fn layers(
    args: &DiscoveryArgs,
    around: &Surroundings,
) -> Result<(ProxyConfig, Vec<String>), Problem> {
    let upper = match around.get("PROXY_CONFIG") {
        Some(text) => proxy_config::from_variable(text).map_err(Problem::Source)?,
        None => Read::default(),
    };
    let path = args.mesh_config.as_deref();
    let text = match path {
        Some(path) => fs::read_to_string(path).map(Some).map_err(|error| {
            Problem::Source(format!("--mesh-config {}: {error}", path.display()))
        })?,
        None => optional_file(Path::new(MESH_CONFIG)).map_err(Problem::Source)?,
    };
    let lower = match text {
        Some(text) => {
            let path = path.unwrap_or(Path::new(MESH_CONFIG));
            proxy_config::from_mesh_config(path, &text).map_err(Problem::Source)?
        }
        None => Read::default(),
    };
    let mut warnings = upper.warnings;
    warnings.extend(lower.warnings);
    Ok((upper.config.or(lower.config), warnings))
}

pub(super) fn optional_file(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

pub(super) fn mutual_tls(args: &DiscoveryArgs, layers: &ProxyConfig) -> Result<bool, Problem> {
    if let Some(policy) = args.control_plane_auth_policy {
        return Ok(policy == AuthPolicy::MutualTls);
    }
    match layers.control_plane_auth_policy.as_deref() {
        None | Some("NONE") => Ok(false),
        Some("MUTUAL_TLS") => Ok(true),
        Some(other) => Err(Problem::Source(format!(
            "controlPlaneAuthPolicy {other:?} is neither NONE nor MUTUAL_TLS"
        ))),
    }
}

pub(super) fn discovery(
    args: &DiscoveryArgs,
    layers: &ProxyConfig,
    tls: bool,
    around: &Surroundings,
) -> Result<Vec<Address>, Problem> {
    if let Some(given) = &args.discovery_address {
        return Ok(given.0.clone());
    }
    if let Some(text) = &layers.discovery_address {
        return addresses(text)
            .map(|read| read.0)
            .map_err(|why| Problem::Source(format!("discoveryAddress {text:?}: {why}")));
    }
    let host = if around.get("POD_NAME").is_some() {
        "istiod.istio-system.svc"
    } else {
        "127.0.0.1"
    };
    Ok(vec![Address {
        host: host.to_owned(),
        port: if tls { 15012 } else { 15010 },
    }])
}
