//! The name table.

use super::{Message, Notes, Output};
use crate::inputs::names::{Named, NamesInput};
use crate::name_table::{EXTERNAL, KUBERNETES, NameInfo, NameTable};
use crate::names::NAME_TABLE;

/// The name table that an input stands for.
pub(super) fn translate(input: &NamesInput) -> Output {
    let hosts = input.hosts.iter();
    let table = hosts.map(|(host, named)| (host.to_string(), info(named)));
    let table = NameTable {
        table: table.collect(),
    };
    Notes::default().output(NAME_TABLE, Message::NameTable(Box::new(table)))
}

fn info(named: &Named) -> NameInfo {
    let ips = named.ips.iter().map(ToString::to_string).collect();
    let (registry, short) = match &named.short {
        Some(short) => (KUBERNETES, short.clone()),
        None => (EXTERNAL, Default::default()),
    };
    NameInfo {
        ips,
        registry: registry.into(),
        shortname: short.0.to_string(),
        namespace: short.1.to_string(),
        alt_hosts: Vec::new(),
    }
}
