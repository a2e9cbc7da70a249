//! Connections to this machine.

use super::super::args::Mode;
use super::super::rule::Rule;
use super::super::ruleset::{Chain, Ruleset, Table};
use super::super::settings::{OUTBOUND_MARK, Settings, Which};
use super::{Family, LOOPBACK, OUTPUT, PREROUTING, proxies};

/// Whether any inbound connection is brought to Envoy.
pub(super) fn is_captured(settings: &Settings) -> bool {
    settings.inbound != Which::These(Vec::new())
}

pub(super) fn add(settings: &Settings, family: Family, rules: &mut Ruleset) {
    virtual_machines(settings, family, rules);
    match settings.mode {
        Mode::Redirect => redirect(settings, rules),
        Mode::Tproxy if is_captured(settings) => tproxy(settings, family, rules),
        Mode::Tproxy => {}
    }
    for table in [Table::Mangle, Table::Nat] {
        if rules.has(table, Chain::Inbound) {
            rules.call(table, PREROUTING, Rule::to(Chain::Inbound).tcp());
        }
    }
}

/// What comes from virtual machines is outbound.
fn virtual_machines(settings: &Settings, family: Family, rules: &mut Ruleset) {
    for interface in &settings.virtual_interfaces {
        let mut add = |rule: Rule| rules.add(Table::Nat, Chain::Inbound, rule.input(interface));
        match &settings.outbound {
            Which::All => add(Rule::to(Chain::Redirect)),
            Which::These(nets) => nets
                .iter()
                .filter(|net| family.has(net.addr()))
                .for_each(|net| add(Rule::to(Chain::Redirect).toward(*net))),
        }
        add(Rule::skip());
    }
}

fn redirect(settings: &Settings, rules: &mut Ruleset) {
    if !is_captured(settings) {
        return;
    }
    let mut add = |rule| rules.add(Table::Nat, Chain::Inbound, rule);
    for interface in &settings.interfaces_except {
        add(Rule::skip().input(interface));
    }
    for port in excepted(settings) {
        add(Rule::skip().tcp().port(port));
    }
    for port in ports(settings) {
        add(at(Rule::to(Chain::InRedirect).tcp(), port));
    }
}

/// The destination stays as it is; a mark and a route of its own bring the packets to Envoy's socket.
fn tproxy(settings: &Settings, family: Family, rules: &mut Ruleset) {
    let mark = settings.mark;
    let mut add = |chain, rule| rules.add(Table::Mangle, chain, rule);
    add(Chain::Divert, Rule::set_mark(mark));
    add(Chain::Divert, Rule::to("ACCEPT"));
    let hand_over = Rule::hand_over(settings.inbound_port, family.any(), mark);
    add(Chain::Tproxy, hand_over.not_toward(family.loopback()).tcp());

    // Envoy marks what it sends to the application in the client's name: that is where it goes, and the mark is kept with the
    // connection, so that answers, which are for the client's address, come back to Envoy.
    let inbound = Chain::Inbound;
    add(inbound, Rule::connection_mark("save").tcp().marked(mark));
    add(inbound, Rule::skip().tcp().marked(mark));
    // What Envoy and the agent send to the application in their own name.
    add(
        inbound,
        Rule::skip().from(family.source()).input(LOOPBACK).tcp(),
    );
    // What this machine sends to itself, unless Envoy does because a service leads here.
    add(
        inbound,
        Rule::skip().input(LOOPBACK).tcp().not_marked(OUTBOUND_MARK),
    );
    let others = settings
        .virtual_interfaces
        .iter()
        .chain(&settings.interfaces_except);
    for interface in others {
        add(inbound, Rule::skip().input(interface));
    }
    for port in excepted(settings) {
        add(inbound, Rule::skip().tcp().port(port));
    }
    for port in ports(settings) {
        let established = at(Rule::to(Chain::Divert).tcp(), port).state("RELATED,ESTABLISHED");
        add(inbound, established);
        add(inbound, at(Rule::to(Chain::Tproxy).tcp(), port));
    }

    let output = Chain::Output;
    add(output, Rule::skip().output(LOOPBACK).tcp().marked(mark));
    for owner in proxies(settings) {
        let to_itself = Rule::set_mark(OUTBOUND_MARK)
            .not_toward(family.loopback())
            .output(LOOPBACK);
        add(output, to_itself.tcp().owned_by(owner));
    }
    let answers = Rule::connection_mark("restore").tcp();
    add(output, answers.of_marked_connection(mark));
    rules.call(Table::Mangle, OUTPUT, Rule::to(output).tcp());
}

/// Ports that are left alone where all others are captured. Tunnels always are.
fn excepted(settings: &Settings) -> impl Iterator<Item = u16> {
    let except = match settings.inbound {
        Which::All => settings.inbound_except.as_slice(),
        Which::These(_) => &[],
    };
    std::iter::once(settings.tunnel_port).chain(except.iter().copied())
}

/// The ports that are captured; none stands for all.
fn ports(settings: &Settings) -> Vec<Option<u16>> {
    match &settings.inbound {
        Which::All => vec![None],
        Which::These(ports) => ports.iter().copied().map(Some).collect(),
    }
}

fn at(rule: Rule, port: Option<u16>) -> Rule {
    match port {
        Some(port) => rule.port(port),
        None => rule,
    }
}
