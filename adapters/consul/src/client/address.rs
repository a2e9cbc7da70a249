//! Where an agent is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::SettingsError;

/// The address of an agent's or server's HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// By name or IP address.
    Tcp {
        /// Whether it speaks TLS.
        tls: bool,
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// By a socket in the file system.
    Unix(PathBuf),
}

/// The port of the HTTP API where none is given.
const PORT: u16 = 8500;

impl Default for Address {
    fn default() -> Self {
        Self::Tcp {
            tls: false,
            host: "127.0.0.1".into(),
            port: PORT,
        }
    }
}

impl FromStr for Address {
    type Err = SettingsError;

    /// Reads `host`, `host:port`, either with `http://` or `https://`, or `unix://` and a path.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let bad = |why: &str| SettingsError::Address(text.into(), why.into());
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(bad("the path of a socket begins with /")),
            };
        }
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(bad(&format!("{scheme} is none of http, https and unix")));
            }
        };
        let authority: http::uri::Authority = rest
            .strip_suffix('/')
            .unwrap_or(rest)
            .parse()
            .map_err(|_| bad("it is no host with a port"))?;
        if authority.as_str().contains('@') {
            return Err(bad("credentials belong into CONSUL_HTTP_AUTH"));
        }
        let written = authority.as_str().strip_prefix(authority.host());
        let port = match written.and_then(|rest| rest.strip_prefix(':')) {
            None => PORT,
            Some(text) => text
                .parse()
                .map_err(|_| bad("the port is no number below 65536"))?,
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Self::Tcp {
            tls,
            host: host.into(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { tls, host, port } => {
                let scheme = if *tls { "https" } else { "http" };
                match host.contains(':') {
                    true => write!(f, "{scheme}://[{host}]:{port}"),
                    false => write!(f, "{scheme}://{host}:{port}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_consuls_tools_read_them() {
        let check = |text: &str, expected: &str| {
            let read = text.parse::<Address>();
            let shown = read.map_or_else(|e| format!("error: {e}"), |address| address.to_string());
            assert_eq!(shown, expected, "{text}");
        };
        check("127.0.0.1:8500", "http://127.0.0.1:8500");
        check("consul.example", "http://consul.example:8500");
        check(
            "https://consul.example:8501/",
            "https://consul.example:8501",
        );
        check("http://[::1]:80", "http://[::1]:80");
        check("unix:///run/consul.sock", "unix:///run/consul.sock");
        let error = |text: &str, why: &str| {
            check(
                text,
                &format!("error: the address {text:?} cannot be used: {why}"),
            );
        };
        error("unix://run", "the path of a socket begins with /");
        error("ftp://a", "ftp is none of http, https and unix");
        error("http://a:99999", "the port is no number below 65536");
        error("http://u:p@a", "credentials belong into CONSUL_HTTP_AUTH");
        error("a/b", "it is no host with a port");
    }
}
