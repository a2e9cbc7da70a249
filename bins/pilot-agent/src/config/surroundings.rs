//! What a command line is read in: the environment and the machine, as values.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::machine;

/// The environment and the machine.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The machine's global addresses, in the order of its interfaces.
    pub addresses: Vec<IpAddr>,
    /// How many cores' worth of time the cgroup may use; `None` without a limit.
    pub cpus: Option<u32>,
    /// Where Envoy is if nobody says.
    pub envoy: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            environment: std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            addresses: machine::global_addresses(),
            cpus: machine::cpu_limit(),
            envoy: machine::envoy(),
        }
    }

    /// A variable, if it is set to anything.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A variable, read with `read`.
    ///
    /// # Errors
    /// Its value cannot be read; the text names it.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.get(name)
            .map(|text| read(text).map_err(|why| format!("the environment's {name}={text}: {why}")))
            .transpose()
    }

    /// A variable that is a number, an address and the like.
    ///
    /// # Errors
    /// As [`Surroundings::read`].
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, String> {
        self.read(name, |text| {
            text.parse().map_err(|why: T::Err| why.to_string())
        })
    }

    /// A variable that is yes or no, as Go reads it.
    ///
    /// # Errors
    /// As [`Surroundings::read`].
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        self.read(name, |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("write true or false".to_owned()),
        })
    }
}
