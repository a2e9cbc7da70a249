//! Names: queries of applications go to the agent, its own to the servers.
//!
//! Over UDP both are connections between the same addresses and ports, seen from the table of connections, so each kind has a zone of its
//! own: 1 for what the servers get, 2 for what the agent gets.

use std::net::IpAddr;

use super::super::rule::{Owner, Rule};
use super::super::ruleset::{Chain, Ruleset, Table};
use super::super::settings::{DNS_PORT, Groups, Settings, Which};
use super::{Family, OUTPUT, PREROUTING, of_none, proxies};

/// Where servers listen.
pub(super) const PORT: u16 = 53;
const TO_SERVERS: u16 = 1;
const TO_AGENT: u16 = 2;

/// Whether names are asked of the agent.
pub(super) fn is_captured(settings: &Settings) -> bool {
    settings.dns.is_some() && !settings.outbound_ports_except.contains(&PORT)
}

/// The rules that bring queries to the agent, TCP first.
pub(super) fn redirects(settings: &Settings, family: Family) -> Vec<Rule> {
    let servers = servers(settings, family);
    [Rule::tcp, Rule::udp]
        .into_iter()
        .flat_map(|protocol| {
            servers.iter().map(move |server| {
                let rule = protocol(Rule::redirect(DNS_PORT)).port(PORT);
                match server {
                    Some(ip) => rule.toward((*ip).into()),
                    None => rule,
                }
            })
        })
        .collect()
}

pub(super) fn add(settings: &Settings, family: Family, rules: &mut Ruleset) {
    let servers = servers(settings, family);
    if servers.is_empty() {
        return;
    }
    let query = |zone| Rule::zone(zone).udp().port(PORT);
    let mut add = |rule| rules.add(Table::Raw, Chain::OutputDns, rule);
    for owner in proxies(settings) {
        add(query(TO_SERVERS).owned_by(owner));
        let answer = Rule::zone(TO_AGENT).udp().source_port(DNS_PORT);
        add(answer.owned_by(owner));
    }
    match &settings.groups {
        Groups::Except(ids) => groups_of(ids)
            .into_iter()
            .for_each(|owner| add(query(TO_SERVERS).owned_by(owner))),
        Groups::Only(ids) => add(of_none(query(TO_SERVERS), &groups_of(ids))),
    }
    for server in &servers {
        add(match server {
            Some(ip) => query(TO_AGENT).toward((*ip).into()),
            None => query(TO_AGENT),
        });
    }
    for server in servers {
        let answer = Rule::zone(TO_SERVERS).udp().source_port(PORT);
        let answer = match server {
            Some(ip) => answer.from(ip.into()),
            None => answer,
        };
        rules.add(Table::Raw, Chain::Inbound, answer);
    }
    rules.call(Table::Raw, PREROUTING, Rule::to(Chain::Inbound).udp());
    rules.call(Table::Raw, OUTPUT, Rule::to(Chain::OutputDns).udp());
}

pub(super) fn groups_of(ids: &[u32]) -> Vec<Owner> {
    ids.iter().copied().map(Owner::Group).collect()
}

/// The servers whose queries are captured; none stands for every one.
fn servers(settings: &Settings, family: Family) -> Vec<Option<IpAddr>> {
    match &settings.dns {
        _ if !is_captured(settings) => Vec::new(),
        None => Vec::new(),
        Some(Which::All) => vec![None],
        Some(Which::These(ips)) => ips
            .iter()
            .filter(|ip| family.has(**ip))
            .copied()
            .map(Some)
            .collect(),
    }
}
