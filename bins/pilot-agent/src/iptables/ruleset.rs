//! The part of netfilter's tables that is ours: chains by name, and the rules elsewhere that jump to them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use super::rule::Rule;

/// A table, in the order in which packets meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// Before connections are tracked.
    Raw,
    /// Marks.
    Mangle,
    /// Other destinations.
    Nat,
}

/// A chain of ours. The names are Istio's: what its own tool has set up is replaced and removed as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chain {
    /// Packets that arrive.
    Inbound,
    /// Packets that leave.
    Output,
    /// DNS that leaves.
    OutputDns,
    /// To Envoy, as outbound.
    Redirect,
    /// To Envoy, as inbound.
    InRedirect,
    /// Packets of connections that Envoy has.
    Divert,
    /// To Envoy with the destination unchanged.
    Tproxy,
    /// Packets that belong to no connection.
    Drop,
    /// Empty: says that the address `::6` is there because of us.
    Address,
}

/// What is ours in one version of IP. Tables without anything of ours are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ruleset(pub(super) BTreeMap<Table, Rules>);

/// What is ours in one table; rules are texts as [`Rule`] writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Our chains.
    pub(super) chains: BTreeMap<Chain, Vec<String>>,
    /// Rules in chains of others that jump to ours: the chain and the rule.
    pub(super) jumps: Vec<(String, String)>,
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::Mangle, Self::Nat];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
        }
    }
}

impl Chain {
    const ALL: [Self; 9] = [
        Self::Inbound,
        Self::Output,
        Self::OutputDns,
        Self::Redirect,
        Self::InRedirect,
        Self::Divert,
        Self::Tproxy,
        Self::Drop,
        Self::Address,
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chain| chain.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inbound => "ISTIO_INBOUND",
            Self::Output => "ISTIO_OUTPUT",
            Self::OutputDns => "ISTIO_OUTPUT_DNS",
            Self::Redirect => "ISTIO_REDIRECT",
            Self::InRedirect => "ISTIO_IN_REDIRECT",
            Self::Divert => "ISTIO_DIVERT",
            Self::Tproxy => "ISTIO_TPROXY",
            Self::Drop => "ISTIO_DROP",
            Self::Address => "ISTIO_ADDRESS",
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Ruleset {
    /// A chain, which exists from then on.
    pub(super) fn chain(&mut self, table: Table, chain: Chain) -> &mut Vec<String> {
        self.0
            .entry(table)
            .or_default()
            .chains
            .entry(chain)
            .or_default()
    }

    /// Adds a rule to the end of a chain.
    pub(super) fn add(&mut self, table: Table, chain: Chain, rule: Rule) {
        self.chain(table, chain).push(rule.to_string());
    }

    /// Adds a rule to a chain that the kernel has.
    pub(super) fn call(&mut self, table: Table, from: &str, rule: Rule) {
        self.0
            .entry(table)
            .or_default()
            .jumps
            .push((from.to_owned(), rule.to_string()));
    }

    /// Leaves a chain out.
    pub(super) fn forget(&mut self, table: Table, chain: Chain) {
        if let Some(rules) = self.0.get_mut(&table) {
            rules.chains.remove(&chain);
        }
    }

    /// What is ours in a table.
    pub(super) fn table(&self, table: Table) -> Rules {
        self.0.get(&table).cloned().unwrap_or_default()
    }

    /// Whether a table has a chain of ours.
    pub(super) fn has(&self, table: Table, chain: Chain) -> bool {
        self.0
            .get(&table)
            .is_some_and(|rules| rules.chains.contains_key(&chain))
    }

    /// Whether nothing is ours.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
