//! `resolv.conf`: who is asked about names that are not the mesh's, and the domains that resolvers add to names.
//!
//! It is read again as it changes; one that cannot be read, or that names nobody, leaves what was known.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a `resolv.conf` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order. Besides `nameserver ADDRESS`, `nameserver [ADDRESS]:PORT` is understood.
    pub servers: Vec<SocketAddr>,
    /// The domains, in lower case and without trailing dots.
    pub search: Vec<String>,
}

impl ResolvConf {
    /// Reads the text; lines without meaning here are left out, as resolvers do.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                // The last of these counts.
                Some("search" | "domain") => {
                    conf.search = words.filter_map(domain).collect();
                }
                _ => {}
            }
        }
        conf
    }

    /// Without the servers that are the one that listens on `addresses`.
    #[must_use]
    fn without(mut self, addresses: &[SocketAddr]) -> Self {
        self.servers.retain(|server| {
            !addresses.iter().any(|own| {
                let everywhere = own.ip().is_unspecified() && server.ip().is_loopback();
                own.port() == server.port() && (own.ip() == server.ip() || everywhere)
            })
        });
        self
    }
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    path: PathBuf,
    own: Vec<SocketAddr>,
    current: watch::Sender<Arc<ResolvConf>>,
}

impl Followed {
    /// Reads the file; `own` are addresses that are not to be asked.
    pub(super) async fn read(path: PathBuf, own: Vec<SocketAddr>) -> Self {
        let (current, _) = watch::channel(Arc::default());
        let followed = Self { path, own, current };
        if let Err(why) = followed.look().await {
            let file = followed.path.display();
            tracing::warn!(target: "dns", %file, why, "names that are not the mesh's cannot be forwarded: name a server in this file");
        }
        followed
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<ResolvConf>> {
        self.current.subscribe()
    }

    /// Follows the file, for ever.
    pub(super) async fn follow(&self) {
        loop {
            sleep(INTERVAL).await;
            if let Ok(true) = self.look().await {
                let servers = &self.current.borrow().servers;
                tracing::info!(target: "dns", ?servers, "other servers are asked about names that are not the mesh's");
            }
        }
    }

    /// Whether it says something else than before.
    async fn look(&self) -> Result<bool, String> {
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.map_err(|error| error.to_string())?;
        let conf = ResolvConf::parse(&text).without(&self.own);
        if conf.servers.is_empty() {
            return Err("it names no other server".into());
        }
        Ok(self.current.send_if_modified(|current| {
            let differs = **current != conf;
            if differs {
                *current = Arc::new(conf);
            }
            differs
        }))
    }
}

fn server(text: &str) -> Option<SocketAddr> {
    const PORT: u16 = 53;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip, PORT).into());
    }
    // The standard library reads a zone only beside a port, and only as a number.
    if text.contains('%') {
        return format!("[{text}]:{PORT}").parse().ok();
    }
    let (ip, port) = text.strip_prefix('[')?.split_once("]:")?;
    Some((ip.parse::<IpAddr>().ok()?, port.parse().ok()?).into())
}

fn domain(text: &str) -> Option<String> {
    let domain = text.trim_matches('.').to_ascii_lowercase();
    (!domain.is_empty()).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_who_is_asked() {
        let check = |text: &str, servers: &[&str], search: &[&str]| {
            let conf = ResolvConf::parse(text);
            let found: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
            assert_eq!(found, servers, "{text}");
            assert_eq!(conf.search, search, "{text}");
        };
        check("", &[], &[]);
        check(
            "# nameserver 1.1.1.1\nnameserver 10.0.0.1 ; first\n nameserver\tfd00::1\nnameserver fe80::1%2\n",
            &["10.0.0.1:53", "[fd00::1]:53", "[fe80::1%2]:53"],
            &[],
        );
        check("nameserver [10.0.0.1]:5353", &["10.0.0.1:5353"], &[]);
        check(
            "nameserver\nnameserver x\nnameserver [::1]\noptions ndots:5",
            &[],
            &[],
        );
        check(
            "domain a.\nsearch Shop.svc.cluster.local. svc.cluster.local .",
            &[],
            &["shop.svc.cluster.local", "svc.cluster.local"],
        );
    }

    #[test]
    fn nobody_asks_himself() {
        let check = |own: &str, server: &str, is_asked: bool| {
            let conf = ResolvConf::parse(&format!("nameserver {server}"));
            let left = conf.without(&[own.parse().unwrap()]).servers.len();
            assert_eq!(left, usize::from(is_asked), "{own} {server}");
        };
        check("127.0.0.1:53", "127.0.0.1", false);
        check("127.0.0.1:15053", "127.0.0.1", true);
        check("127.0.0.1:53", "127.0.0.53", true);
        check("0.0.0.0:53", "127.0.0.1", false);
        check("0.0.0.0:53", "10.0.0.1", true);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_is_followed_and_what_is_broken_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let missing = Followed::read(path.clone(), vec![]).await;
        assert_eq!(**missing.subscribe().borrow(), ResolvConf::default());

        std::fs::write(&path, "nameserver 10.0.0.1").unwrap();
        let followed = Followed::read(path.clone(), vec![]).await;
        let mut conf = followed.subscribe();
        let first = |conf: &watch::Receiver<Arc<ResolvConf>>| conf.borrow().servers[0].to_string();
        assert_eq!(first(&conf), "10.0.0.1:53");
        for text in ["", "search a"] {
            std::fs::write(&path, text).unwrap();
            assert!(followed.look().await.is_err());
            assert_eq!(first(&conf), "10.0.0.1:53");
        }
        std::fs::write(&path, "nameserver 10.0.0.2").unwrap();
        tokio::select! {
            () = followed.follow() => {}
            changed = conf.changed() => changed.unwrap(),
        }
        assert_eq!(first(&conf), "10.0.0.2:53");
    }
}
