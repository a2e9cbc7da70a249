//! Connections from this machine.

use std::net::IpAddr;

use super::super::args::Mode;
use super::super::rule::{Owner, Rule};
use super::super::ruleset::{Chain, Ruleset, Table};
use super::super::settings::{Groups, Settings, Which};
use super::{Family, LOOPBACK, OUTPUT, dns, groups, of_none, users};

pub(super) fn add(settings: &Settings, family: Family, rules: &mut Ruleset) {
    let redirect = |port| Rule::redirect(port).tcp();
    rules.add(
        Table::Nat,
        Chain::Redirect,
        redirect(settings.outbound_port),
    );
    if settings.mode == Mode::Redirect {
        rules.add(
            Table::Nat,
            Chain::InRedirect,
            redirect(settings.inbound_port),
        );
    }
    for rule in output(settings, family) {
        rules.add(Table::Nat, Chain::Output, rule);
    }
    rules.call(Table::Nat, OUTPUT, Rule::to(Chain::Output));
}

/// What is left alone, then what is captured.
fn output(settings: &Settings, family: Family) -> Vec<Rule> {
    let mut all = Vec::new();
    all.extend(
        settings
            .interfaces_except
            .iter()
            .map(|interface| Rule::skip().output(interface)),
    );
    for port in &settings.outbound_ports_except {
        all.push(Rule::skip().tcp().port(*port));
        all.push(Rule::skip().udp().port(*port));
    }
    all.push(Rule::skip().from(family.source()).output(LOOPBACK));
    for owners in [users(settings), groups(settings)] {
        all.extend(of_proxies(&owners, settings, family));
    }
    all.extend(of_groups(&settings.groups));
    all.extend(dns::redirects(settings, family));
    // Who says 127.0.0.1 means it.
    all.push(Rule::skip().toward(family.loopback()));
    let in_family = |net: &&ipnet::IpNet| family.has(net.addr());
    let except = settings.outbound_except.iter().filter(in_family);
    all.extend(except.map(|net| Rule::skip().toward(*net)));
    for port in &settings.outbound_ports {
        all.push(Rule::to(Chain::Redirect).tcp().port(*port));
    }
    match &settings.outbound {
        Which::All => all.push(Rule::to(Chain::Redirect)),
        Which::These(nets) => {
            let nets = nets.iter().filter(in_family);
            all.extend(nets.map(|net| Rule::to(Chain::Redirect).toward(*net)));
        }
    }
    all
}

/// What the proxy sends leaves as it is, or it would come back to it without end.
fn of_proxies(owners: &[Owner], settings: &Settings, family: Family) -> Vec<Rule> {
    let mut all = Vec::new();
    if owners.is_empty() {
        return all;
    }
    let with_dns = dns::is_captured(settings);
    if settings.mode == Mode::Redirect {
        // A service that leads to this machine: inbound rules hold there too.
        for owner in owners {
            let to_itself = Rule::to(Chain::InRedirect)
                .not_toward(family.loopback())
                .output(LOOPBACK)
                .tcp();
            let to_itself = match with_dns {
                // What the agent asks a DNS server on this machine is no business of Envoy.
                true => to_itself.not_ports(&[dns::PORT, settings.tunnel_port]),
                false => to_itself.not_port(settings.tunnel_port),
            };
            all.push(to_itself.owned_by(*owner));
        }
    }
    // The application that calls itself by its own address does not mean a service. Where loopback addresses are to be captured
    // it does.
    if !captures_loopback(settings) {
        let own = Rule::skip().output(LOOPBACK);
        let own = match with_dns {
            true => own.tcp().not_port(dns::PORT),
            false => own,
        };
        all.push(of_none(own, owners));
    }
    all.extend(owners.iter().map(|owner| Rule::skip().owned_by(*owner)));
    all
}

fn of_groups(which: &Groups) -> Vec<Rule> {
    match which {
        Groups::Except(ids) => ids
            .iter()
            .map(|id| Rule::skip().owned_by(Owner::Group(*id)))
            .collect(),
        Groups::Only(ids) => vec![of_none(Rule::skip(), &dns::groups_of(ids))],
    }
}

fn captures_loopback(settings: &Settings) -> bool {
    match &settings.outbound {
        Which::All => false,
        Which::These(nets) => nets.iter().any(|net| is_loopback(net.addr())),
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback()
}
