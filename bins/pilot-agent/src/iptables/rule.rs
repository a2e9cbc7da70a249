//! One rule of netfilter, written exactly as `iptables-save` shows it, so that what is wanted and what the kernel has can be
//! compared as text.

use std::fmt::{self, Display};

use ipnet::IpNet;

/// Under which mark packets are compared and changed: all of its bits.
const ALL_BITS: &str = "0xffffffff";

/// Who has opened a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A process of this user.
    User(u32),
    /// A process of this group.
    Group(u32),
}

/// A rule that is being put together: what packets it is for, in whatever order, and what becomes of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    source: String,
    destination: String,
    input: String,
    output: String,
    protocol: &'static str,
    matches: String,
    target: String,
}

impl Rule {
    /// A rule for all packets that does this with them.
    pub(super) fn to(target: impl Display) -> Self {
        Self {
            target: target.to_string(),
            ..Self::default()
        }
    }

    /// A rule whose packets go on in the chain that has called this one.
    pub(super) fn skip() -> Self {
        Self::to("RETURN")
    }

    /// A rule that sends connections to a port of this machine.
    pub(super) fn redirect(port: u16) -> Self {
        Self::to(format_args!("REDIRECT --to-ports {port}"))
    }

    /// A rule that marks packets.
    pub(super) fn set_mark(mark: u32) -> Self {
        Self::to(format_args!("MARK --set-xmark {mark:#x}/{ALL_BITS}"))
    }

    /// A rule that makes a packet's mark that of its connection (`save`), or the other way round (`restore`).
    pub(super) fn connection_mark(direction: &str) -> Self {
        Self::to(format_args!(
            "CONNMARK --{direction}-mark --nfmask {ALL_BITS} --ctmask {ALL_BITS}"
        ))
    }

    /// A rule that hands connections to the socket that listens on `port`, unchanged, and marks them.
    pub(super) fn hand_over(port: u16, any: impl Display, mark: u32) -> Self {
        Self::to(format_args!(
            "TPROXY --on-port {port} --on-ip {any} --tproxy-mark {mark:#x}/{ALL_BITS}"
        ))
    }

    /// A rule that puts connections into a zone of their own.
    pub(super) fn zone(zone: u16) -> Self {
        Self::to(format_args!("CT --zone {zone}"))
    }

    /// Only TCP.
    pub(super) fn tcp(self) -> Self {
        Self {
            protocol: "tcp",
            ..self
        }
    }

    /// Only UDP.
    pub(super) fn udp(self) -> Self {
        Self {
            protocol: "udp",
            ..self
        }
    }

    /// Only from here.
    pub(super) fn from(self, net: IpNet) -> Self {
        Self {
            source: address("", 's', net),
            ..self
        }
    }

    /// Only to there.
    pub(super) fn toward(self, net: IpNet) -> Self {
        Self {
            destination: address("", 'd', net),
            ..self
        }
    }

    /// Only to elsewhere.
    pub(super) fn not_toward(self, net: IpNet) -> Self {
        Self {
            destination: address("! ", 'd', net),
            ..self
        }
    }

    /// Only what comes in by this interface.
    pub(super) fn input(self, interface: &str) -> Self {
        Self {
            input: format!(" -i {interface}"),
            ..self
        }
    }

    /// Only what leaves by this interface.
    pub(super) fn output(self, interface: &str) -> Self {
        Self {
            output: format!(" -o {interface}"),
            ..self
        }
    }

    /// Only to this port; the protocol has been said.
    pub(super) fn port(self, port: u16) -> Self {
        let protocol = self.protocol;
        self.matching(format_args!("{protocol} --dport {port}"))
    }

    /// Only from this port; the protocol has been said.
    pub(super) fn source_port(self, port: u16) -> Self {
        let protocol = self.protocol;
        self.matching(format_args!("{protocol} --sport {port}"))
    }

    /// Only to another port; the protocol has been said.
    pub(super) fn not_port(self, port: u16) -> Self {
        let protocol = self.protocol;
        self.matching(format_args!("{protocol} ! --dport {port}"))
    }

    /// Only to none of these ports.
    pub(super) fn not_ports(self, ports: &[u16]) -> Self {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        self.matching(format_args!("multiport ! --dports {}", ports.join(",")))
    }

    /// Only from a process of this owner.
    pub(super) fn owned_by(self, owner: Owner) -> Self {
        self.matching(format_args!("owner {owner}"))
    }

    /// Only from a process of another owner.
    pub(super) fn not_owned_by(self, owner: Owner) -> Self {
        self.matching(format_args!("owner ! {owner}"))
    }

    /// Only in these states of a connection.
    pub(super) fn state(self, states: &str) -> Self {
        self.matching(format_args!("conntrack --ctstate {states}"))
    }

    /// Only with this mark.
    pub(super) fn marked(self, mark: u32) -> Self {
        self.matching(format_args!("mark --mark {mark:#x}"))
    }

    /// Only with another mark, or none.
    pub(super) fn not_marked(self, mark: u32) -> Self {
        self.matching(format_args!("mark ! --mark {mark:#x}"))
    }

    /// Only of connections with this mark.
    pub(super) fn of_marked_connection(self, mark: u32) -> Self {
        self.matching(format_args!("connmark --mark {mark:#x}"))
    }

    fn matching(mut self, module: fmt::Arguments<'_>) -> Self {
        self.matches.push_str(&format!(" -m {module}"));
        self
    }
}

/// All addresses need no saying.
fn address(not: &str, letter: char, net: IpNet) -> String {
    let net = net.trunc();
    match net.prefix_len() {
        0 => String::new(),
        _ => format!(" {not}-{letter} {net}"),
    }
}

impl Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "--uid-owner {id}"),
            Self::Group(id) => write!(f, "--gid-owner {id}"),
        }
    }
}

/// What follows the chain's name, without a space before it.
impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            "" => String::new(),
            name => format!(" -p {name}"),
        };
        let text = format!(
            "{}{}{}{}{protocol}{} -j {}",
            self.source, self.destination, self.input, self.output, self.matches, self.target
        );
        f.write_str(text.trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_kernel_shows_it() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let check = |rule: Rule, expected: &str| assert_eq!(rule.to_string(), expected);
        check(Rule::skip(), "-j RETURN");
        check(
            Rule::to("X")
                .owned_by(Owner::User(7))
                .not_toward(net("127.0.0.1/32"))
                .tcp()
                .not_port(15008)
                .output("lo"),
            // Matches keep their order, everything else has one.
            "! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 7 -m tcp ! --dport 15008 -j X",
        );
        check(
            Rule::skip().toward(net("10.1.2.3/8")),
            "-d 10.0.0.0/8 -j RETURN",
        );
        check(Rule::skip().toward(net("0.0.0.0/0")), "-j RETURN");
        check(
            Rule::zone(2).from(net("::6/128")).udp().source_port(53),
            "-s ::6/128 -p udp -m udp --sport 53 -j CT --zone 2",
        );
    }
}
