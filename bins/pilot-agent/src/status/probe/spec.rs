//! Which probes there are: the JSON that injection puts into `ISTIO_KUBE_APP_PROBERS`, by path.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::WITHIN;

/// What probes of the agent stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probers(BTreeMap<String, Prober>);

/// Why they cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It is no JSON of the right form.
    #[error("the probers are not as they should be")]
    Form(#[source] serde_json::Error),
    /// One of them cannot be asked.
    #[error("the prober {path}: {why}")]
    Prober {
        /// The path that stands for it.
        path: String,
        /// What is wrong.
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prober {
    pub(super) kind: Kind,
    within: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Http(HttpGet),
    Tcp(Tcp),
    Grpc(Grpc),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpGet {
    pub(super) tls: bool,
    /// Where, if not at the application's address.
    pub(super) host: Option<String>,
    pub(super) port: u16,
    pub(super) path: Uri,
    /// The value of `Host`, where the manifest has one.
    pub(super) authority: Option<HeaderValue>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) host: Option<String>,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grpc {
    pub(super) port: u16,
    pub(super) service: String,
}

impl Prober {
    /// How long it may take; as long as it takes where there is no bound.
    pub(super) fn within(&self) -> Option<Duration> {
        self.within
    }
}

impl Probers {
    /// Reads the JSON; the empty text has none.
    ///
    /// # Errors
    /// It is wrong; the error names the prober.
    pub fn parse(json: &str) -> Result<Self, SpecError> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        let written: BTreeMap<String, Written> =
            serde_json::from_str(json).map_err(SpecError::Form)?;
        let all = written.into_iter().map(|(path, written)| {
            let is_hook = path.starts_with("/app-lifecycle/");
            if !is_hook && !path.starts_with("/app-health/") {
                let why = "its path must begin with /app-health/ or /app-lifecycle/".into();
                return Err(SpecError::Prober { path, why });
            }
            match written.check(is_hook) {
                Ok(prober) => Ok((path, prober)),
                Err(why) => Err(SpecError::Prober { path, why }),
            }
        });
        all.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn get(&self, path: &str) -> Option<&Prober> {
        self.0.get(path)
    }
}

/// As Kubernetes' API writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    http_get: Option<WrittenGet>,
    tcp_socket: Option<WrittenTcp>,
    grpc: Option<WrittenGrpc>,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenGet {
    path: Option<String>,
    port: Port,
    host: Option<String>,
    scheme: Option<String>,
    #[serde(default)]
    http_headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct WrittenTcp {
    port: Port,
    host: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WrittenGrpc {
    port: Port,
    service: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

impl Written {
    fn check(self, is_hook: bool) -> Result<Prober, String> {
        let kind = match (self.http_get, self.tcp_socket, self.grpc) {
            (Some(get), None, None) => Kind::Http(get.check()?),
            (None, Some(tcp), None) => Kind::Tcp(Tcp {
                host: given(tcp.host),
                port: tcp.port.check()?,
            }),
            (None, None, Some(grpc)) => Kind::Grpc(Grpc {
                port: grpc.port.check()?,
                service: grpc.service.unwrap_or_default(),
            }),
            _ => return Err("it must have one of httpGet, tcpSocket and grpc".into()),
        };
        let within = match self.timeout_seconds {
            Some(seconds) if seconds > 0 => Some(Duration::from_secs(seconds)),
            _ if is_hook => None,
            _ => Some(WITHIN),
        };
        Ok(Prober { kind, within })
    }
}

impl WrittenGet {
    fn check(self) -> Result<HttpGet, String> {
        let tls = match self.scheme.as_deref().unwrap_or("HTTP") {
            scheme if scheme.eq_ignore_ascii_case("http") || scheme.is_empty() => false,
            scheme if scheme.eq_ignore_ascii_case("https") => true,
            scheme => return Err(format!("its scheme {scheme:?} is neither HTTP nor HTTPS")),
        };
        let path = self.path.unwrap_or_default();
        let path = format!("/{}", path.trim_start_matches('/'));
        let path = path
            .parse()
            .map_err(|error| format!("its path {path:?}: {error}"))?;
        let (mut authority, mut headers) = (None, Vec::new());
        for Header { name, value } in self.http_headers {
            let wrong = |error: String| format!("its header {name:?}: {error}");
            let key: HeaderName = name.parse().map_err(|error| wrong(format!("{error}")))?;
            let value: HeaderValue = value.parse().map_err(|error| wrong(format!("{error}")))?;
            if key == ::http::header::HOST {
                authority = Some(value);
            } else {
                headers.push((key, value));
            }
        }
        Ok(HttpGet {
            tls,
            host: given(self.host),
            port: self.port.check()?,
            path,
            authority,
            headers,
        })
    }
}

impl Port {
    fn check(self) -> Result<u16, String> {
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
        };
        number.filter(|port| *port != 0).ok_or_else(|| {
            "its port must be a number; injection replaces the names of ports".into()
        })
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> Prober {
        let path = "/app-health/web/livez";
        let probers = Probers::parse(&format!("{{\"{path}\": {json}}}")).unwrap();
        probers.get(path).unwrap().clone()
    }

    #[test]
    fn each_kind_is_read() {
        assert_eq!(
            one(
                r#"{"httpGet": {"path": "ok?full", "port": "8443", "scheme": "HTTPS",
                    "httpHeaders": [{"name": "X-A", "value": "1"}, {"name": "host", "value": "web"}]},
                    "timeoutSeconds": 3}"#
            ),
            Prober {
                kind: Kind::Http(HttpGet {
                    tls: true,
                    host: None,
                    port: 8443,
                    path: "/ok?full".parse().unwrap(),
                    authority: Some(HeaderValue::from_static("web")),
                    headers: vec![(
                        HeaderName::from_static("x-a"),
                        HeaderValue::from_static("1")
                    )],
                }),
                within: Some(Duration::from_secs(3)),
            }
        );
        assert_eq!(
            one(r#"{"tcpSocket": {"port": 3306, "host": ""}}"#),
            Prober {
                kind: Kind::Tcp(Tcp {
                    host: None,
                    port: 3306
                }),
                within: Some(WITHIN),
            }
        );
        assert_eq!(
            one(r#"{"grpc": {"port": 9000, "service": null}, "timeoutSeconds": 0}"#),
            Prober {
                kind: Kind::Grpc(Grpc {
                    port: 9000,
                    service: String::new()
                }),
                within: Some(WITHIN),
            }
        );
    }

    #[test]
    fn hooks_take_their_time() {
        let path = "/app-lifecycle/web/prestopz";
        let json = format!(r#"{{"{path}": {{"httpGet": {{"port": 80}}}}}}"#);
        let probers = Probers::parse(&json).unwrap();
        assert_eq!(probers.get(path).unwrap().within(), None);
        assert_eq!(Probers::parse(" ").unwrap(), Probers::default());
    }

    #[test]
    fn what_is_wrong_names_the_prober() {
        for (json, expected) in [
            (
                r#"{"httpGet": {"port": "http"}}"#,
                "its port must be a number",
            ),
            (
                r#"{"httpGet": {"port": 80, "scheme": "FTP"}}"#,
                "\"FTP\" is neither",
            ),
            (
                r#"{"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}}"#,
                "its header \"a b\"",
            ),
            (r#"{"timeoutSeconds": 1}"#, "one of httpGet"),
            (
                r#"{"tcpSocket": {"port": 1}, "grpc": {"port": 1}}"#,
                "one of httpGet",
            ),
        ] {
            let error = Probers::parse(&format!("{{\"/app-health/web/livez\": {json}}}"))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("the prober /app-health/web/livez: ") && error.contains(expected),
                "{error}"
            );
        }
        assert!(Probers::parse("[]").is_err());
        assert!(Probers::parse(r#"{"/elsewhere": {"tcpSocket": {"port": 1}}}"#).is_err());
    }
}
