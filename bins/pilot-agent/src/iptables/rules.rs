//! The rules that bring traffic to Envoy, as a function of what is to be captured.
//!
//! Chains, and the order of rules in them, are Istio's. Two things differ. Rules of Istio's that stand in the kernel's own chains stand
//! in chains of ours, so that only jumps need finding again. And with TPROXY what Envoy sends to this machine itself is never
//! redirected, whoever Envoy runs as: its mark brings it to Envoy where that is wanted.

mod dns;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::args::Mode;
use super::host::SOURCE_V6;
use super::rule::{Owner, Rule};
use super::ruleset::{Chain, Ruleset, Table};
use super::settings::Settings;

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// How `ip` and people call it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The address that means this machine and nothing else.
    fn loopback(self) -> IpNet {
        match self {
            Self::V4 => IpAddr::from(Ipv4Addr::LOCALHOST).into(),
            Self::V6 => IpAddr::from(Ipv6Addr::LOCALHOST).into(),
        }
    }

    /// What Envoy connects to the application from.
    fn source(self) -> IpNet {
        match self {
            Self::V4 => IpAddr::from(Ipv4Addr::new(127, 0, 0, 6)).into(),
            Self::V6 => IpAddr::from(SOURCE_V6).into(),
        }
    }

    fn any(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    fn has(self, ip: IpAddr) -> bool {
        ip.is_ipv6() == (self == Self::V6)
    }
}

/// All rules for one version of IP.
pub(super) fn ruleset(settings: &Settings, family: Family) -> Ruleset {
    let mut rules = Ruleset::default();
    if settings.drop_invalid {
        rules.add(Table::Mangle, Chain::Drop, Rule::to("DROP"));
        rules.call(
            Table::Mangle,
            PREROUTING,
            Rule::to(Chain::Drop).state("INVALID"),
        );
    }
    inbound::add(settings, family, &mut rules);
    outbound::add(settings, family, &mut rules);
    dns::add(settings, family, &mut rules);
    rules
}

/// Whether packets with the mark need a route to this machine.
pub(super) fn needs_route(settings: &Settings) -> bool {
    settings.mode == Mode::Tproxy && inbound::is_captured(settings)
}

const PREROUTING: &str = "PREROUTING";
const OUTPUT: &str = "OUTPUT";
const LOOPBACK: &str = "lo";

fn users(settings: &Settings) -> Vec<Owner> {
    settings
        .proxy_users
        .iter()
        .copied()
        .map(Owner::User)
        .collect()
}

fn groups(settings: &Settings) -> Vec<Owner> {
    settings
        .proxy_groups
        .iter()
        .copied()
        .map(Owner::Group)
        .collect()
}

/// Everybody who is the proxy.
fn proxies(settings: &Settings) -> Vec<Owner> {
    [users(settings), groups(settings)].concat()
}

/// What `rule` is for, unless it comes from one of these.
fn of_none(rule: Rule, owners: &[Owner]) -> Rule {
    owners
        .iter()
        .fold(rule, |rule, owner| rule.not_owned_by(*owner))
}
