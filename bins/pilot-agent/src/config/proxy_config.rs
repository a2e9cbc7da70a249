//! Istio's `ProxyConfig`, of which there are two layers: the variable PROXY_CONFIG, and `defaultConfig` in the file of mesh
//! config. Both are YAML with the same fields; what is not written in the first is taken from the second.
//!
//! The rest of mesh config is discovery's: it is not looked at here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilothouse_process::value::duration;
use serde_json::{Map, Value};

/// What is written; every field may be absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ProxyConfig {
    pub config_path: Option<PathBuf>,
    pub binary_path: Option<PathBuf>,
    pub service_cluster: Option<String>,
    pub drain_duration: Option<Duration>,
    pub termination_drain_duration: Option<Duration>,
    pub discovery_address: Option<String>,
    pub proxy_admin_port: Option<u16>,
    pub status_port: Option<u16>,
    pub control_plane_auth_policy: Option<String>,
    pub custom_config_file: Option<PathBuf>,
    pub concurrency: Option<u32>,
    pub availability_zone: Option<String>,
    pub interception_mode: Option<String>,
    pub proxy_metadata: Option<BTreeMap<String, String>>,
}

/// Text and what is to be said about it.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub config: ProxyConfig,
    pub warnings: Vec<String>,
}

/// Reads the text of PROXY_CONFIG.
///
/// # Errors
/// All that is wrong with it, a line each.
pub(super) fn from_variable(text: &str) -> Result<Read, String> {
    read("PROXY_CONFIG", &yaml("PROXY_CONFIG", text)?)
}

/// Reads `defaultConfig` of a file's text.
///
/// # Errors
/// All that is wrong with it, a line each.
pub(super) fn from_mesh_config(path: &Path, text: &str) -> Result<Read, String> {
    let at = path.display().to_string();
    match yaml(&at, text)? {
        Value::Null => Ok(Read::default()),
        Value::Object(fields) => read(
            &format!("{at}: defaultConfig"),
            fields.get("defaultConfig").unwrap_or(&Value::Null),
        ),
        _ => Err(format!("{at}: mesh config is an object with fields")),
    }
}

impl ProxyConfig {
    /// With `lower` where nothing is written here.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            config_path: self.config_path.or(lower.config_path),
            binary_path: self.binary_path.or(lower.binary_path),
            service_cluster: self.service_cluster.or(lower.service_cluster),
            drain_duration: self.drain_duration.or(lower.drain_duration),
            termination_drain_duration: self
                .termination_drain_duration
                .or(lower.termination_drain_duration),
            discovery_address: self.discovery_address.or(lower.discovery_address),
            proxy_admin_port: self.proxy_admin_port.or(lower.proxy_admin_port),
            status_port: self.status_port.or(lower.status_port),
            control_plane_auth_policy: self
                .control_plane_auth_policy
                .or(lower.control_plane_auth_policy),
            custom_config_file: self.custom_config_file.or(lower.custom_config_file),
            concurrency: self.concurrency.or(lower.concurrency),
            availability_zone: self.availability_zone.or(lower.availability_zone),
            interception_mode: self.interception_mode.or(lower.interception_mode),
            proxy_metadata: self.proxy_metadata.or(lower.proxy_metadata),
        }
    }
}

fn yaml(at: &str, text: &str) -> Result<Value, String> {
    let value: Option<Value> =
        serde_saphyr::from_str(text).map_err(|error| format!("{at}: {error}"))?;
    Ok(value.unwrap_or_default())
}

fn read(at: &str, value: &Value) -> Result<Read, String> {
    let fields = match value {
        Value::Null => return Ok(Read::default()),
        Value::Object(fields) => fields.clone(),
        _ => return Err(format!("{at} is an object with fields")),
    };
    let mut fields = Fields {
        at,
        rest: fields,
        problems: Vec::new(),
    };
    let config = ProxyConfig {
        config_path: fields.take("configPath", text).map(Into::into),
        binary_path: fields.take("binaryPath", text).map(Into::into),
        service_cluster: fields.take("serviceCluster", text),
        drain_duration: fields.take("drainDuration", time),
        termination_drain_duration: fields.take("terminationDrainDuration", time),
        discovery_address: fields.take("discoveryAddress", text),
        proxy_admin_port: fields.take("proxyAdminPort", port),
        status_port: fields.take("statusPort", port),
        control_plane_auth_policy: fields.take("controlPlaneAuthPolicy", text),
        custom_config_file: fields.take("customConfigFile", text).map(Into::into),
        concurrency: fields.take("concurrency", number),
        availability_zone: fields.take("availabilityZone", text),
        interception_mode: fields.take("interceptionMode", text),
        proxy_metadata: fields.take("proxyMetadata", texts),
    };
    if !fields.problems.is_empty() {
        return Err(fields.problems.join("\n"));
    }
    let rest: Vec<_> = fields.rest.keys().map(String::as_str).collect();
    let warnings = (!rest.is_empty()).then(|| {
        format!(
            "{at}: these fields have no effect on the agent: {}",
            rest.join(", ")
        )
    });
    Ok(Read {
        config,
        warnings: warnings.into_iter().collect(),
    })
}

struct Fields<'a> {
    at: &'a str,
    rest: Map<String, Value>,
    problems: Vec<String>,
}

impl Fields<'_> {
    /// Takes a field out, if it says anything.
    fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let value = self.rest.remove(name)?;
        read(&value).unwrap_or_else(|why| {
            self.problems.push(format!("{}.{name}: {why}", self.at));
            None
        })
    }
}

fn text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(format!("{value} is not a text")),
    }
}

fn time(value: &Value) -> Result<Option<Duration>, String> {
    text(value)?.as_deref().map(duration).transpose()
}

fn number(value: &Value) -> Result<Option<u32>, String> {
    match value {
        Value::Null => Ok(None),
        _ => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| format!("{value} is not a number of that size")),
    }
}

fn port(value: &Value) -> Result<Option<u16>, String> {
    number(value)?
        .map(|number| u16::try_from(number).map_err(|_| format!("{number} is not a port")))
        .transpose()
}

fn texts(value: &Value) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(fields) = value.as_object() else {
        return match value {
            Value::Null => Ok(None),
            _ => Err(format!("{value} is not an object with fields")),
        };
    };
    fields
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Bool(_) | Value::Number(_) => Ok((key.clone(), value.to_string())),
            _ => Err(format!("{key} is not a text")),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let read = from_variable(
            "{\"discoveryAddress\":\"a:1\",\"concurrency\":2,\"drainDuration\":\"90s\",\"proxyMetadata\":{\"ISTIO_META_X\":true},\"tracing\":{}}",
        )
        .unwrap();
        let expected = ProxyConfig {
            discovery_address: Some("a:1".to_owned()),
            concurrency: Some(2),
            drain_duration: Some(Duration::from_secs(90)),
            proxy_metadata: Some([("ISTIO_META_X".to_owned(), "true".to_owned())].into()),
            ..ProxyConfig::default()
        };
        assert_eq!(read.config, expected);
        assert_eq!(
            read.warnings,
            ["PROXY_CONFIG: these fields have no effect on the agent: tracing"]
        );
    }

    #[test]
    fn mesh_config_has_it_in_a_field() {
        let read = |text: &str| from_mesh_config(Path::new("mesh"), text);
        for nothing in ["", "# nothing\n", "trustDomain: a.b\n", "defaultConfig:\n"] {
            assert_eq!(read(nothing).unwrap().config, ProxyConfig::default());
        }
        let text = "defaultConfig:\n  statusPort: 1\n  concurrency: 0\n";
        let config = read(text).unwrap().config;
        assert_eq!((config.status_port, config.concurrency), (Some(1), Some(0)));
    }

    #[test]
    fn everything_wrong_is_named_with_its_place() {
        let problems = from_mesh_config(
            Path::new("mesh"),
            "defaultConfig:\n  statusPort: 70000\n  drainDuration: soon\n  discoveryAddress: 3\n",
        )
        .unwrap_err();
        for part in [
            "mesh: defaultConfig.statusPort: 70000 is not a port",
            "defaultConfig.drainDuration: write a number with its unit",
            "defaultConfig.discoveryAddress: 3 is not a text",
        ] {
            assert!(problems.contains(part), "{problems}");
        }
        assert!(from_variable("[").is_err());
        assert!(from_variable("[]").unwrap_err().contains("object"));
    }

    #[test]
    fn the_upper_layer_is_stronger() {
        let one = |address: &str| ProxyConfig {
            discovery_address: Some(address.to_owned()),
            ..ProxyConfig::default()
        };
        let lower = ProxyConfig {
            status_port: Some(7),
            ..one("lower:1")
        };
        let both = one("upper:1").or(lower);
        assert_eq!(both.discovery_address.as_deref(), Some("upper:1"));
        assert_eq!(both.status_port, Some(7));
    }
}
