//! Values of flags as they are written, read one by one; what is wrong with them is collected.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::super::args::Args;
use super::super::host::{Host, dns_servers, number};
use super::{Groups, OUTBOUND_MARK, Which};

/// As many groups as there may be, because each is a rule that each packet meets.
const MAX_GROUPS: usize = 64;
/// The longest name of an interface.
const MAX_INTERFACE: usize = 15;
/// Tables of the kernel's own.
const SYSTEM_TABLES: [u32; 4] = [0, 253, 254, 255];

/// Reads values and remembers what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<String>,
}

impl Reader {
    pub(super) fn problem(&mut self, flag: &str, value: impl Display, why: impl Display) {
        let value = value.to_string();
        let space = if value.is_empty() { "" } else { " " };
        self.problems.push(format!("{flag}{space}{value}: {why}"));
    }

    pub(super) fn port(&mut self, flag: &str, port: u16) -> u16 {
        if port == 0 {
            self.problem(flag, port, "0 is no port");
        }
        port
    }

    /// A list, in which empty words do not count and nothing is twice.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        flag: &str,
        text: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match read(word) {
                Ok(value) if all.contains(&value) => {}
                Ok(value) => all.push(value),
                Err(why) => self.problem(flag, word, why),
            }
        }
        all
    }

    pub(super) fn which<T: PartialEq>(
        &mut self,
        flag: &str,
        text: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Which<T> {
        match text.trim() {
            "*" => Which::All,
            text => Which::These(self.list(flag, text, read)),
        }
    }

    pub(super) fn groups(&mut self, args: &Args, host: &Host) -> Groups {
        let group = |text: &str| {
            number(text, &host.groups).ok_or_else(|| "no such group in /etc/group".to_owned())
        };
        const ONLY: &str = "--istio-outbound-owner-groups";
        const EXCEPT: &str = "--istio-outbound-owner-groups-exclude";
        let except = self.list(EXCEPT, &args.istio_outbound_owner_groups_exclude, group);
        let groups = match self.which(ONLY, &args.istio_outbound_owner_groups, group) {
            Which::These(only) if !only.is_empty() => {
                if !except.is_empty() {
                    let why = format!("may be given only with {ONLY} '*'");
                    self.problem(EXCEPT, &args.istio_outbound_owner_groups_exclude, why);
                }
                Groups::Only(only)
            }
            _ => Groups::Except(except),
        };
        let (Groups::Only(all) | Groups::Except(all)) = &groups;
        if all.len() > MAX_GROUPS {
            self.problem(
                ONLY,
                "",
                format!("{} groups are too many; at most {MAX_GROUPS}", all.len()),
            );
        }
        groups
    }

    pub(super) fn dns(&mut self, args: &Args, host: &Host) -> Option<Which<IpAddr>> {
        const ADVICE: &str = "--capture-all-dns needs no list of servers";
        if !args.redirect_dns {
            return None;
        }
        if args.capture_all_dns {
            return Some(Which::All);
        }
        let servers = match &host.resolver {
            Ok(text) => dns_servers(text),
            Err(why) => {
                self.problem(
                    "--redirect-dns",
                    "",
                    format!("reading /etc/resolv.conf: {why}; {ADVICE}"),
                );
                return None;
            }
        };
        if servers.is_empty() {
            self.problem(
                "--redirect-dns",
                "",
                format!("/etc/resolv.conf has no nameserver; {ADVICE}"),
            );
        }
        Some(Which::These(servers))
    }

    pub(super) fn mark(&mut self, text: &str) -> u32 {
        const FLAG: &str = "--istio-inbound-tproxy-mark";
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        match number {
            None | Some(0) => self.problem(
                FLAG,
                text,
                "write a number from 1 to 4294967295, such as 1337 or 0x539",
            ),
            Some(OUTBOUND_MARK) => self.problem(
                FLAG,
                text,
                "is the mark of what Envoy sends to this machine itself",
            ),
            Some(_) => {}
        }
        number.unwrap_or_default()
    }

    pub(super) fn table(&mut self, text: &str) -> u32 {
        let number = text
            .parse()
            .ok()
            .filter(|table| !SYSTEM_TABLES.contains(table));
        if number.is_none() {
            let why =
                "write the number of a table that the kernel does not use itself, such as 133";
            self.problem("--istio-inbound-tproxy-route-table", text, why);
        }
        number.unwrap_or_default()
    }
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "write a number from 1 to 65535; * stands alone".to_owned())
}

/// A range; an address is one of its own.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    IpNet::from_str(text)
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|net| net.trunc())
        .map_err(|_| "write a range such as 10.0.0.0/8 or fd00::/8; * stands alone".to_owned())
}

/// A name of an interface; a `+` at its end stands for whatever follows.
pub(super) fn interface(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '!' | '"' | '\'' | '\\');
    if text.len() > MAX_INTERFACE || !text.chars().all(is_name) || text.starts_with('-') {
        return Err(format!(
            "no interface has such a name: at most {MAX_INTERFACE} letters, no spaces, quotes or slashes"
        ));
    }
    Ok(text.to_owned())
}
