//! What this machine says of itself: addresses, DNS servers, users. Read from files; every reader is a function of their text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

/// The address that Envoy connects to the application from, in IPv6. IPv4's is on the loopback interface by itself.
pub(super) const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);

/// What this machine says of itself.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// `/etc/passwd`.
    pub(super) users: String,
    /// `/etc/group`.
    pub(super) groups: String,
    /// `/etc/resolv.conf`, or why it cannot be read.
    pub(super) resolver: Result<String, String>,
    /// Its addresses that others can reach.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the kernel has IPv6.
    pub(super) has_v6: bool,
}

impl Host {
    /// Asks this machine.
    pub(super) fn read() -> Result<Self> {
        // A machine without these files has no names.
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let interfaces = interfaces_v6()?;
        let mut addresses = v4_in(&text("/proc/self/net/fib_trie"));
        addresses.extend(interfaces.as_deref().map(v6_in).unwrap_or_default());
        Ok(Self {
            users: text("/etc/passwd"),
            groups: text("/etc/group"),
            resolver: std::fs::read_to_string("/etc/resolv.conf")
                .map_err(|error| error.to_string()),
            addresses,
            has_v6: interfaces.is_some(),
        })
    }
}

/// Whether the loopback interface has [`SOURCE_V6`].
pub(super) fn has_source_v6() -> Result<bool> {
    Ok(interfaces_v6()?.is_some_and(|text| on_loopback(&text, SOURCE_V6)))
}

/// `/proc/net/if_inet6`; a kernel without IPv6 has none.
fn interfaces_v6() -> Result<Option<String>> {
    match std::fs::read_to_string("/proc/self/net/if_inet6") {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("reading /proc/self/net/if_inet6"),
    }
}

/// The number of a user or group: written as a number, or found by its name in `/etc/passwd` or `/etc/group`.
pub(super) fn number(text: &str, file: &str) -> Option<u32> {
    text.parse().ok().or_else(|| {
        let mut entries = file.lines().map(|line| line.split(':'));
        entries.find_map(|mut fields| {
            (fields.next() == Some(text)).then(|| fields.nth(1)?.parse().ok())?
        })
    })
}

/// The servers in `/etc/resolv.conf`.
pub(super) fn dns_servers(text: &str) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address = words.next().unwrap_or_default();
        // A zone, as in fe80::1%eth0, says by which interface; rules match without it.
        let address = address.split('%').next().unwrap_or_default();
        all.extend(
            address
                .parse::<IpAddr>()
                .ok()
                .filter(|ip| !all.contains(ip)),
        );
    }
    all
}

/// The addresses in `/proc/net/fib_trie` that are this machine's own, without loopback and link-local ones.
fn v4_in(text: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(ip) = last
            && !ip.is_loopback()
            && !ip.is_link_local()
            && !all.contains(&IpAddr::V4(ip))
        {
            all.push(IpAddr::V4(ip));
        }
    }
    all
}

/// The global addresses in `/proc/net/if_inet6`, without those of the loopback interface.
fn v6_in(text: &str) -> Vec<IpAddr> {
    const GLOBAL: &str = "00";
    let global = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            [address, _, _, scope, _, name] if *scope == GLOBAL && *name != "lo" => {
                hexadecimal(address)
            }
            _ => None,
        }
    };
    text.lines().filter_map(global).map(IpAddr::V6).collect()
}

fn on_loopback(text: &str, wanted: Ipv6Addr) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.next().and_then(hexadecimal) == Some(wanted) && fields.last() == Some("lo")
    })
}

fn hexadecimal(address: &str) -> Option<Ipv6Addr> {
    (address.len() == 32)
        .then(|| u128::from_str_radix(address, 16).ok())
        .flatten()
        .map(Ipv6Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_or_number() {
        let file = "root:x:0:0:root:/root:/bin/sh\nistio-proxy:x:1400:1401::/:\nodd:x\n";
        for (text, expected) in [
            ("7", Some(7)),
            ("root", Some(0)),
            ("istio-proxy", Some(1400)),
            ("odd", None),
            ("nobody", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(number(text, file), expected, "{text}");
        }
    }

    #[test]
    fn servers_are_found_once_and_without_zones() {
        let text = "# nameserver 1.1.1.1\nsearch a b\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\n  nameserver 10.0.0.53 # again\n\
            nameserver\nnameserver dns.example\noptions ndots:5\n";
        let expected: Vec<IpAddr> = vec!["10.0.0.53".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(dns_servers(text), expected);
    }

    #[test]
    fn own_addresses() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 4\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n\
            Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 169.254.1.1\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n\
            |-- 10.0.0.7\n   /32 host LOCAL\n";
        assert_eq!(v4_in(trie), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        let interfaces = "00000000000000000000000000000001 01 80 10 80       lo\n00000000000000000000000000000006 01 80 00 80       lo\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\nfd000000000000000000000000000007 02 40 00 80     eth0\n";
        assert_eq!(v6_in(interfaces), ["fd00::7".parse::<IpAddr>().unwrap()]);
        assert!(on_loopback(interfaces, SOURCE_V6));
        assert!(!on_loopback(interfaces, "fd00::7".parse().unwrap()));
    }
}
