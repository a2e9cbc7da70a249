//! What is to be captured, with nothing left open: flags and what the machine says of itself, taken together and checked.

mod reader;
#[cfg(test)]
pub(super) mod tests;

use std::net::IpAddr;

use ipnet::IpNet;

use super::args::{Args, Mode};
use super::host::{Host, number};
use reader::{Reader, interface, network, port};

/// The mark of connections from Envoy to this machine itself.
pub(super) const OUTBOUND_MARK: u32 = 1338;
/// Where DNS is answered by the agent.
pub(super) const DNS_PORT: u16 = 15053;
/// Who Envoy and the agent are where nothing else is said.
const PROXY: u32 = 1337;
const PROXY_NAME: &str = "istio-proxy";
/// Ports of Envoy and the agent that others ask for metrics and health.
const OWN_PORTS: [u16; 3] = [15090, 15021, 15020];

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
