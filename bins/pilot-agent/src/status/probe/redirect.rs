//! Where a redirect leads: a kubelet follows it on the host that it asked, and takes one to another host for success.

use ::http::Uri;

/// Where to ask next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// Without a port where the scheme's own is meant.
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    /// The host in its authority.
    pub(super) fn host(&self) -> &str {
        split(&self.authority).0
    }

    /// The port in its authority, or the scheme's.
    pub(super) fn port(&self) -> u16 {
        split(&self.authority)
            .1
            .unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Where `location` leads from here; nothing if that cannot be asked over HTTP.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let (without_fragment, _) = location.split_once('#').unwrap_or((location, ""));
        let absolute = match without_fragment.strip_prefix("//") {
            Some(rest) => format!("{}://{rest}", if self.tls { "https" } else { "http" }),
            None => without_fragment.to_owned(),
        };
        if absolute.contains("://") {
            let uri: Uri = absolute.parse().ok()?;
            return Some(Self {
                tls: match uri.scheme_str()? {
                    "https" => true,
                    "http" => false,
                    _ => return None,
                },
                authority: uri.authority()?.to_string(),
                path: uri.path_and_query()?.to_string(),
            });
        }
        let (here, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let path = if absolute.starts_with('/') {
            without_dots(&absolute)
        } else if absolute.is_empty() || absolute.starts_with('?') {
            format!("{here}{absolute}")
        } else {
            let (directory, _) = here.rsplit_once('/').unwrap_or(("", ""));
            without_dots(&format!("{directory}/{absolute}"))
        };
        Some(Self {
            path,
            ..self.clone()
        })
    }
}

/// A path without its segments `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (path, String::new()),
    };
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// The host of an authority, and its port if it has one.
pub(super) fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_location_leads() {
        let from = Target {
            tls: false,
            authority: "10.0.0.1:8080".into(),
            path: "/a/b?c".into(),
        };
        for (location, expected) in [
            ("/ready", Some((false, "10.0.0.1:8080", "/ready", 8080))),
            (
                "ready?x#y",
                Some((false, "10.0.0.1:8080", "/a/ready?x", 8080)),
            ),
            (
                "../d/./e?../f",
                Some((false, "10.0.0.1:8080", "/d/e?../f", 8080)),
            ),
            ("/../d/..", Some((false, "10.0.0.1:8080", "/", 8080))),
            ("?x", Some((false, "10.0.0.1:8080", "/a/b?x", 8080))),
            ("http://10.0.0.1/z", Some((false, "10.0.0.1", "/z", 80))),
            ("https://10.0.0.1", Some((true, "10.0.0.1", "/", 443))),
            ("//[::1]:9/z", Some((false, "[::1]:9", "/z", 9))),
            ("https://[::1]/z", Some((true, "[::1]", "/z", 443))),
            ("ftp://10.0.0.1/z", None),
            ("http://", None),
        ] {
            let target = from.join(location);
            let found = target
                .as_ref()
                .map(|to| (to.tls, to.authority.as_str(), to.path.as_str(), to.port()));
            assert_eq!(found, expected, "{location}");
        }
    }
}
