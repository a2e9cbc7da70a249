//! Who is asked, as whom, and how much at once.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::Address;

/// Whom a client asks, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The agent or server.
    pub address: Address,
    /// The ACL token.
    pub token: Token,
    /// Credentials for a proxy in front of the agent (HTTP basic authentication).
    pub credentials: Option<Credentials>,
    /// Certificates of authorities, in PEM, besides the system's; for addresses with TLS.
    pub ca_file: Option<PathBuf>,
    /// A directory of such files.
    pub ca_path: Option<PathBuf>,
    /// The client's certificate chain and key, in PEM. Files are read again for each connection.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate has to bear; the address's host where it is empty.
    pub server_name: String,
    /// Whether the server's certificate is looked at.
    pub verify: bool,
    /// How many requests may be under way at once, each on a connection of its own.
    pub max_connections: usize,
    /// How long a connection, and an answer that does not block, may take.
    pub timeout: Duration,
}

/// An ACL token.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Token {
    /// None: what an anonymous client may do.
    #[default]
    None,
    /// This one.
    Given(String),
    /// The content of a file, read for each request. While it cannot be read, what was read last counts.
    File(PathBuf),
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// What is wrong with a setting.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// An address.
    #[error("the address {0:?} cannot be used: {1}")]
    Address(String, String),
    /// A variable of the environment.
    #[error("{name}={value:?}: {why}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::default(),
            token: Token::None,
            credentials: None,
            ca_file: None,
            ca_path: None,
            client_certificate: None,
            server_name: String::new(),
            verify: true,
            max_connections: 128,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// The settings that Consul's own tools take from the environment: `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`,
    /// `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`, `CONSUL_HTTP_SSL`, `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_CACERT`,
    /// `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY` and `CONSUL_TLS_SERVER_NAME`. What is not there, or empty, is the
    /// default's. `CONSUL_NAMESPACE` and `CONSUL_PARTITION` belong into a [`Query`](super::Query).
    ///
    /// # Errors
    /// A variable has a value that it cannot have.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let flag = |name: &'static str| match get(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
                _ => Err(SettingsError::Variable {
                    name,
                    value,
                    why: "it is neither true nor false",
                }),
            },
        };
        let mut settings = Self::default();
        if let Some(address) = get("CONSUL_HTTP_ADDR") {
            settings.address = address.parse()?;
        }
        if let (Some(true), Address::Tcp { tls, .. }) =
            (flag("CONSUL_HTTP_SSL")?, &mut settings.address)
        {
            *tls = true;
        }
        settings.verify = flag("CONSUL_HTTP_SSL_VERIFY")?.unwrap_or(true);
        settings.token = match (get("CONSUL_HTTP_TOKEN"), get("CONSUL_HTTP_TOKEN_FILE")) {
            (Some(token), _) => Token::Given(token),
            (None, Some(file)) => Token::File(file.into()),
            (None, None) => Token::None,
        };
        settings.credentials = get("CONSUL_HTTP_AUTH").map(|text| {
            let (name, password) = text.split_once(':').unwrap_or((&text, ""));
            Credentials {
                name: name.into(),
                password: password.into(),
            }
        });
        settings.ca_file = get("CONSUL_CACERT").map(PathBuf::from);
        settings.ca_path = get("CONSUL_CAPATH").map(PathBuf::from);
        settings.client_certificate = match (get("CONSUL_CLIENT_CERT"), get("CONSUL_CLIENT_KEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (Some(value), None) => {
                return Err(SettingsError::Variable {
                    name: "CONSUL_CLIENT_CERT",
                    value,
                    why: "CONSUL_CLIENT_KEY has to be given, too",
                });
            }
            (None, Some(value)) => {
                return Err(SettingsError::Variable {
                    name: "CONSUL_CLIENT_KEY",
                    value,
                    why: "CONSUL_CLIENT_CERT has to be given, too",
                });
            }
        };
        settings.server_name = get("CONSUL_TLS_SERVER_NAME").unwrap_or_default();
        Ok(settings)
    }
}

// Secrets are not for logs.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:…", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::from_environment(get).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_is_read_as_consuls_tools_read_it() {
        assert_eq!(read(&[("CONSUL_HTTP_ADDR", "")]), Ok(Settings::default()));
        let all = read(&[
            ("CONSUL_HTTP_ADDR", "consul:8501"),
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_HTTP_SSL_VERIFY", "0"),
            ("CONSUL_HTTP_TOKEN", "secret"),
            ("CONSUL_HTTP_TOKEN_FILE", "/token"),
            ("CONSUL_HTTP_AUTH", "me:pass:word"),
            ("CONSUL_CACERT", "/ca"),
            ("CONSUL_CAPATH", "/cas"),
            ("CONSUL_CLIENT_CERT", "/cert"),
            ("CONSUL_CLIENT_KEY", "/key"),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
        ]);
        let expected = Settings {
            address: "https://consul:8501".parse().unwrap(),
            token: Token::Given("secret".into()),
            credentials: Some(Credentials {
                name: "me".into(),
                password: "pass:word".into(),
            }),
            ca_file: Some("/ca".into()),
            ca_path: Some("/cas".into()),
            client_certificate: Some(("/cert".into(), "/key".into())),
            server_name: "server.dc1.consul".into(),
            verify: false,
            ..Settings::default()
        };
        assert!(!format!("{expected:?}").contains("secret"));
        assert!(!format!("{expected:?}").contains("word"));
        assert_eq!(all, Ok(expected));
        assert_eq!(
            read(&[("CONSUL_HTTP_SSL", "yes")]),
            Err("CONSUL_HTTP_SSL=\"yes\": it is neither true nor false".into())
        );
        assert_eq!(
            read(&[("CONSUL_CLIENT_KEY", "/key")]),
            Err("CONSUL_CLIENT_KEY=\"/key\": CONSUL_CLIENT_CERT has to be given, too".into())
        );
    }
}
