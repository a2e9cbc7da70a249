//! What the names of secrets stand for.
//!
//! | name | is |
//! |---|---|
//! | `default` | the certificate and key mounted for this proxy |
//! | `ROOTCA` | the roots mounted for it |
//! | `file-cert:CERT~KEY` | the certificate and key in these two files |
//! | `file-root:PATH` | the roots in this file; `file-root:system` are those of the operating system |

use std::path::{Path, PathBuf};

use super::Mounted;

/// Where the files of a secret are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A certificate and its key.
    Pair { chain: PathBuf, key: PathBuf },
    /// Roots.
    Roots(PathBuf),
}

/// Where distributions of Linux have the roots of the operating system.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Source {
    /// What `name` stands for.
    pub(super) fn of(name: &str, mounted: Option<&Mounted>) -> Result<Self, &'static str> {
        const UNMOUNTED: &str = "no certificates are mounted for this proxy";
        match name {
            "default" => {
                let Mounted { chain, key, .. } = mounted.ok_or(UNMOUNTED)?.clone();
                return Ok(Self::Pair { chain, key });
            }
            "ROOTCA" => return Ok(Self::Roots(mounted.ok_or(UNMOUNTED)?.root.clone())),
            "file-root:system" => {
                let found = SYSTEM.iter().find(|path| Path::new(path).exists());
                return found
                    .map(|path| Self::Roots(path.into()))
                    .ok_or("this operating system has its roots nowhere that is known");
            }
            _ => {}
        }
        if let Some(files) = name.strip_prefix("file-cert:") {
            return match files.split_once('~') {
                Some((chain, key)) if !chain.is_empty() && !key.is_empty() => Ok(Self::Pair {
                    chain: chain.into(),
                    key: key.into(),
                }),
                _ => Err("such a name is written file-cert:CERT~KEY"),
            };
        }
        match name.strip_prefix("file-root:") {
            Some("") => Err("such a name is written file-root:PATH"),
            Some(root) => Ok(Self::Roots(root.into())),
            None => Err("only default, ROOTCA, file-cert: and file-root: are served from files"),
        }
    }

    /// Its files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match self {
            Self::Pair { chain, key } => (chain, Some(key)),
            Self::Roots(root) => (root, None),
        };
        [Some(first), second]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_files() {
        let mounted = Mounted {
            chain: "/m/chain".into(),
            key: "/m/key".into(),
            root: "/m/root".into(),
        };
        let check = |name: &str, expected: Option<&[&str]>| {
            let source = Source::of(name, Some(&mounted)).ok();
            let paths = source
                .as_ref()
                .map(|source| source.paths().collect::<Vec<_>>());
            let expected = expected.map(|paths| paths.iter().map(Path::new).collect::<Vec<_>>());
            assert_eq!(paths, expected, "{name}");
        };
        check("default", Some(&["/m/chain", "/m/key"]));
        check("ROOTCA", Some(&["/m/root"]));
        check(
            "file-cert:/a/c.pem~/a/k.pem",
            Some(&["/a/c.pem", "/a/k.pem"]),
        );
        check("file-root:/a/r.pem", Some(&["/a/r.pem"]));
        for name in [
            "",
            "other",
            "file-cert:/a",
            "file-cert:~/k",
            "file-cert:/c~",
            "file-root:",
            "kubernetes://a",
        ] {
            check(name, None);
        }
        assert!(Source::of("default", None).is_err());
        assert!(Source::of("ROOTCA", None).is_err());
    }
}
