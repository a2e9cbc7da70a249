//! What is to be captured, with nothing left open: flags and what the machine says of itself, taken together and checked.

#[cfg(test)]
pub(super) mod tests;

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::args::{Args, Mode};
use super::host::{Host, dns_servers, number};

/// The mark of connections from Envoy to this machine itself.
pub(super) const OUTBOUND_MARK: u32 = 1338;
/// Where DNS is answered by the agent.
pub(super) const DNS_PORT: u16 = 15053;
/// Who Envoy and the agent are where nothing else is said.
const PROXY: u32 = 1337;
const PROXY_NAME: &str = "istio-proxy";
/// Ports of Envoy and the agent that others ask for metrics and health.
const OWN_PORTS: [u16; 3] = [15090, 15021, 15020];
/// As many groups as there may be, because each is a rule that each packet meets.
const MAX_GROUPS: usize = 64;
/// The longest name of an interface.
const MAX_INTERFACE: usize = 15;
/// Tables of the kernel's own.
const SYSTEM_TABLES: [u32; 4] = [0, 253, 254, 255];

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) outbound_port: u16,
    pub(super) inbound_port: u16,
    pub(super) tunnel_port: u16,
    pub(super) proxy_users: Vec<u32>,
    pub(super) proxy_groups: Vec<u32>,
    pub(super) mode: Mode,
    /// The mark of TPROXY, and the routing table for it.
    pub(super) mark: u32,
    pub(super) table: u32,
    pub(super) inbound: Which<u16>,
    pub(super) inbound_except: Vec<u16>,
    pub(super) outbound: Which<IpNet>,
    pub(super) outbound_except: Vec<IpNet>,
    pub(super) outbound_ports: Vec<u16>,
    pub(super) outbound_ports_except: Vec<u16>,
    pub(super) interfaces_except: Vec<String>,
    pub(super) virtual_interfaces: Vec<String>,
    pub(super) groups: Groups,
    /// The DNS servers whose queries are brought to the agent; none where DNS is left alone.
    pub(super) dns: Option<Which<IpAddr>>,
    pub(super) drop_invalid: bool,
    /// Whether IPv6 is captured as well as IPv4.
    pub(super) v6: bool,
}

/// Some of a kind, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which<T> {
    All,
    These(Vec<T>),
}

/// Whose outbound connections are captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    Only(Vec<u32>),
    Except(Vec<u32>),
}

impl Settings {
    /// Takes flags and machine together.
    ///
    /// # Errors
    /// Everything that is wrong, one line each, beginning with the flag.
    pub(super) fn resolve(args: &Args, host: &Host) -> Result<Self, Vec<String>> {
        let mut read = Reader::default();
        let settings = Self {
            outbound_port: read.port("--envoy-port", args.envoy_port),
            inbound_port: read.port("--inbound-capture-port", args.inbound_capture_port),
            tunnel_port: read.port("--inbound-tunnel-port", args.inbound_tunnel_port),
            proxy_users: Vec::new(),
            proxy_groups: Vec::new(),
            mode: args.istio_inbound_interception_mode,
            mark: read.mark(&args.istio_inbound_tproxy_mark),
            table: read.table(&args.istio_inbound_tproxy_route_table),
            inbound: read.which("--istio-inbound-ports", &args.istio_inbound_ports, port),
            inbound_except: read.list(
                "--istio-local-exclude-ports",
                &args.istio_local_exclude_ports,
                port,
            ),
            outbound: read.which("--istio-service-cidr", &args.istio_service_cidr, network),
            outbound_except: read.list(
                "--istio-service-exclude-cidr",
                &args.istio_service_exclude_cidr,
                network,
            ),
            outbound_ports: read.list("--istio-outbound-ports", &args.istio_outbound_ports, port),
            outbound_ports_except: read.list(
                "--istio-local-outbound-ports-exclude",
                &args.istio_local_outbound_ports_exclude,
                port,
            ),
            interfaces_except: read.list(
                "--istio-exclude-interfaces",
                &args.istio_exclude_interfaces,
                interface,
            ),
            virtual_interfaces: read.list(
                "--kube-virt-interfaces",
                &args.kube_virt_interfaces,
                interface,
            ),
            groups: read.groups(args, host),
            dns: read.dns(args, host),
            drop_invalid: args.drop_invalid,
            v6: host.has_v6 && (args.dual_stack || is_v6_only(host)),
        };
        let settings = settings
            .with_proxies(args, host, &mut read)
            .with_own_ports();
        settings.check(&mut read);
        if read.problems.is_empty() {
            Ok(settings)
        } else {
            Err(read.problems)
        }
    }

    /// Whether nothing at all would be captured.
    pub(super) fn is_idle(&self) -> bool {
        self.inbound == Which::These(Vec::new())
            && self.outbound == Which::These(Vec::new())
            && self.outbound_ports.is_empty()
            && self.dns.is_none()
    }

    fn with_proxies(mut self, args: &Args, host: &Host, read: &mut Reader) -> Self {
        let user = |text: &str| {
            number(text, &host.users).ok_or_else(|| "no such user in /etc/passwd".to_owned())
        };
        let group = |text: &str| {
            number(text, &host.groups).ok_or_else(|| "no such group in /etc/group".to_owned())
        };
        self.proxy_users = match &args.proxy_uid {
            Some(text) => read.list("--proxy-uid", text, user),
            None => vec![number(PROXY_NAME, &host.users).unwrap_or(PROXY)],
        };
        self.proxy_groups = match &args.proxy_gid {
            Some(text) => read.list("--proxy-gid", text, group),
            None => self.proxy_users.clone(),
        };
        self
    }

    fn with_own_ports(mut self) -> Self {
        for own in OWN_PORTS {
            if !self.inbound_except.contains(&own) {
                self.inbound_except.push(own);
            }
        }
        self
    }

    /// What is right by itself and wrong together.
    fn check(&self, read: &mut Reader) {
        if self.proxy_users.is_empty() && self.proxy_groups.is_empty() {
            let why =
                "nobody is the proxy: what Envoy sends would be brought back to Envoy without end";
            read.problem("--proxy-uid", "", why);
        }
        let ports = [
            ("--inbound-capture-port", self.inbound_port),
            ("--inbound-tunnel-port", self.tunnel_port),
        ];
        for (flag, port) in ports {
            if port == self.outbound_port {
                read.problem(flag, port, "is also --envoy-port");
            }
        }
        if self.inbound_port == self.tunnel_port {
            read.problem(
                "--inbound-tunnel-port",
                self.tunnel_port,
                "is also --inbound-capture-port",
            );
        }
    }
}

/// Whether addresses of IPv6 are all that others can reach.
fn is_v6_only(host: &Host) -> bool {
    !host.addresses.is_empty() && host.addresses.iter().all(IpAddr::is_ipv6)
}

/// Reads values and remembers what is wrong with them.
#[derive(Debug, Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, flag: &str, value: impl Display, why: impl Display) {
        let value = value.to_string();
        let space = if value.is_empty() { "" } else { " " };
        self.problems.push(format!("{flag}{space}{value}: {why}"));
    }

    fn port(&mut self, flag: &str, port: u16) -> u16 {
        if port == 0 {
            self.problem(flag, port, "0 is no port");
        }
        port
    }

    /// A list, in which empty words do not count and nothing is twice.
    fn list<T: PartialEq>(
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

    fn which<T: PartialEq>(
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

    fn groups(&mut self, args: &Args, host: &Host) -> Groups {
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

    fn dns(&mut self, args: &Args, host: &Host) -> Option<Which<IpAddr>> {
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

    fn mark(&mut self, text: &str) -> u32 {
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

    fn table(&mut self, text: &str) -> u32 {
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

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "write a number from 1 to 65535; * stands alone".to_owned())
}

/// A range; an address is one of its own.
fn network(text: &str) -> Result<IpNet, String> {
    IpNet::from_str(text)
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|net| net.trunc())
        .map_err(|_| "write a range such as 10.0.0.0/8 or fd00::/8; * stands alone".to_owned())
}

/// A name of an interface; a `+` at its end stands for whatever follows.
fn interface(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '!' | '"' | '\'' | '\\');
    if text.len() > MAX_INTERFACE || !text.chars().all(is_name) || text.starts_with('-') {
        return Err(format!(
            "no interface has such a name: at most {MAX_INTERFACE} letters, no spaces, quotes or slashes"
        ));
    }
    Ok(text.to_owned())
}
