//! Envoy's command line. Every flag here is one that the oldest and the newest supported version take.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What Envoy is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// Its bootstrap.
    pub config: PathBuf,
    /// YAML that is merged over the bootstrap.
    pub config_override: Option<String>,
    /// How long a listener drains that discovery removes, or that a graceful drain closes.
    pub drain_time: Duration,
    /// Which version of IP it takes for its own address.
    pub ip_version: IpVersion,
    /// The level of its log: trace, debug, info, warning, error, critical or off.
    pub log_level: String,
    /// Levels of its components, as `name:level,...`.
    pub component_log_level: String,
    /// Its worker threads; without a number, one for each processor.
    pub concurrency: Option<u32>,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpVersion {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

impl Arguments {
    /// Those of a sidecar that nothing is known of but its bootstrap.
    pub fn new(config: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            config_override: None,
            drain_time: Duration::from_secs(45),
            ip_version: IpVersion::V4,
            log_level: "warning".into(),
            component_log_level: "misc:error".into(),
            concurrency: None,
        }
    }

    /// As Envoy takes them.
    pub fn list(&self) -> Vec<OsString> {
        let mut list: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: OsString| list.extend([name.into(), value]);
        flag("-c", self.config.clone().into());
        flag(
            "--drain-time-s",
            self.drain_time.as_secs().to_string().into(),
        );
        // All connections hear of a drain at once: they are few, and the process is about to end.
        flag("--drain-strategy", "immediate".into());
        let ip_version = match self.ip_version {
            IpVersion::V4 => "v4",
            IpVersion::V6 => "v6",
        };
        flag("--local-address-ip-version", ip_version.into());
        flag("--file-flush-interval-msec", "1000".into());
        flag("-l", self.log_level.clone().into());
        if !self.component_log_level.is_empty() {
            flag(
                "--component-log-level",
                self.component_log_level.clone().into(),
            );
        }
        if let Some(threads) = self.concurrency {
            flag("--concurrency", threads.to_string().into());
        }
        if let Some(yaml) = &self.config_override {
            flag("--config-yaml", yaml.into());
        }
        list.extend(
            [
                "--disable-hot-restart",
                "--allow-unknown-static-fields",
                "--skip-deprecated-logs",
            ]
            .map(OsString::from),
        );
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &Arguments) -> String {
        let list: Vec<_> = arguments
            .list()
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect();
        list.join(" ")
    }

    #[test]
    fn a_sidecar_by_default() {
        assert_eq!(
            line(&Arguments::new("/etc/e.json")),
            "-c /etc/e.json --drain-time-s 45 --drain-strategy immediate --local-address-ip-version v4 \
             --file-flush-interval-msec 1000 -l warning --component-log-level misc:error \
             --disable-hot-restart --allow-unknown-static-fields --skip-deprecated-logs"
        );
    }

    #[test]
    fn all_that_can_be_said() {
        let arguments = Arguments {
            config_override: Some("admin: {}".into()),
            drain_time: Duration::from_secs(3),
            ip_version: IpVersion::V6,
            log_level: "debug".into(),
            component_log_level: String::new(),
            concurrency: Some(2),
            ..Arguments::new("e.json")
        };
        assert_eq!(
            line(&arguments),
            "-c e.json --drain-time-s 3 --drain-strategy immediate --local-address-ip-version v6 \
             --file-flush-interval-msec 1000 -l debug --concurrency 2 --config-yaml admin: {} \
             --disable-hot-restart --allow-unknown-static-fields --skip-deprecated-logs"
        );
    }
}
