//! What a command line says of the request.

use anyhow::{Context, Result, bail};
use pilothouse_xds::evaluate::{ClientHello, Headers, Payload, Request, Version};

use super::ExplainArgs;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    /// In one line.
    pub(super) line: String,
    /// The host of the URL.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<ClientHello>,
    pub(super) payload: Payload,
}

impl Parsed {
    /// Reads it.
    ///
    /// # Errors
    /// It is not understood; the text says how to write it.
    pub(super) fn read(args: &ExplainArgs) -> Result<Self> {
        let (method, url) = match args.request.as_slice() {
            [url] => (None, url.as_str()),
            [method, url] => (Some(method.to_ascii_uppercase()), url.as_str()),
            _ => bail!("say a URL, such as http://reviews:9080/api"),
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (host, written_port) = host_and_port(authority)
            .with_context(|| format!("{url:?} has no host: write it as http://HOST:PORT/PATH"))?;
        let default = match scheme {
            "http" | "grpc" => Some(80),
            "https" | "tls" => Some(443),
            "tcp" => None,
            _ => bail!("{scheme:?} is not understood: write http, https, grpc, tcp or tls"),
        };
        let port = written_port
            .or(default)
            .or(args.port)
            .with_context(|| format!("{url:?} has no port: write it as tcp://HOST:PORT"))?;
        let http2 = args.http2 || scheme == "grpc";
        let tls = matches!(scheme, "https" | "tls").then(|| ClientHello {
            // Addresses are no server names.
            server_name: args.sni.clone().or_else(|| {
                let is_address = host.parse::<std::net::IpAddr>().is_ok();
                (!is_address).then(|| host.clone())
            }),
            application_protocols: match (scheme, http2) {
                ("tls", _) => Vec::new(),
                (_, true) => vec!["h2".into()],
                (_, false) => vec!["h2".into(), "http/1.1".into()],
            },
        });
        let is_bytes = matches!(scheme, "tcp" | "tls");
        if is_bytes && method.is_some() {
            bail!("a connection has no method: leave it out, or write http://");
        }
        let mut headers: Headers = args.headers.iter().cloned().collect();
        if scheme == "grpc" {
            headers.set("content-type", "application/grpc");
        }
        let method = method.unwrap_or_else(|| match scheme {
            "grpc" => "POST".to_owned(),
            _ => "GET".to_owned(),
        });
        let authority = match headers.get("host") {
            Some(host) => host,
            None => authority.to_owned(),
        };
        headers.remove("host");
        Ok(Self {
            line: if is_bytes {
                url.to_owned()
            } else {
                format!("{method} {url}")
            },
            host,
            port,
            tls,
            payload: if is_bytes {
                Payload::Bytes
            } else {
                Payload::Http(Request {
                    version: if http2 {
                        Version::Http2
                    } else {
                        Version::Http11
                    },
                    method,
                    scheme: None,
                    authority,
                    path: match path {
                        "" => "/".to_owned(),
                        path if path.starts_with('/') => path.to_owned(),
                        query => format!("/{query}"),
                    },
                    headers,
                })
            },
        })
    }
}

/// The host without brackets, and the port if there is one.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// A header of the command line.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err("write it as 'name: value'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let found = |text: &str| host_and_port(text);
        assert_eq!(found("A.b"), Some(("a.b".into(), None)));
        assert_eq!(found("a:80"), Some(("a".into(), Some(80))));
        assert_eq!(found("[fd00::1]:80"), Some(("fd00::1".into(), Some(80))));
        assert_eq!(found("[::1]"), Some(("::1".into(), None)));
        for bad in ["", ":80", "a:x", "a:70000", "[::1"] {
            assert_eq!(found(bad), None, "{bad}");
        }
    }
}
