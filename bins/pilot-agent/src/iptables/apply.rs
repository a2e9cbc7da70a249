//! Makes the kernel have what is wanted, or leaves it as it was; and removes what is ours.

use anyhow::{Context, Result, bail};

use super::backend::{self, Backend, Programs};
use super::routing::{self, MarkedRoute};
use super::rules::Family;
use super::ruleset::{Chain, Rules, Ruleset, Table};
use super::{host, transition};

/// What is to be ours in one version of IP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) rules: Ruleset,
    pub(super) route: Option<MarkedRoute>,
}

/// Makes IPv4 and IPv6 have what is wanted.
///
/// # Errors
/// Something was refused, and everything is as it was before.
pub(super) fn apply(wanted: [Wanted; 2]) -> Result<()> {
    let installed = Backend::installed();
    let backend = backend::choose(installed.clone())?;
    let [v4, v6] = wanted;
    if backend.v6.is_none() && !v6.rules.is_empty() {
        bail!(
            "IPv6 is to be captured, and there is no ip6tables-restore in PATH: install the package iptables"
        );
    }
    let mut changes = Vec::new();
    for (family, wanted) in [(Family::V4, v4), (Family::V6, v6)] {
        if let Some(programs) = backend.programs(family) {
            let before = Wanted {
                rules: programs.read()?.ours,
                route: routing::ours(family)?,
            };
            changes.push((programs, family, before, wanted));
        }
    }
    let outcome = changes
        .iter()
        .try_for_each(|(programs, family, _, wanted)| {
            change(programs, *family, wanted)
                .with_context(|| format!("capturing {}", family.name()))
        });
    if let Err(error) = outcome {
        for (programs, family, before, _) in &changes {
            if let Err(error) = change(programs, *family, before) {
                tracing::error!(
                    "what {} had before could not be set up again: {error:#}",
                    family.name()
                );
            }
        }
        return Err(error.context("the rules are what they were before"));
    }
    // When this ran before, the other kind of programs may have been in use.
    for programs in installed
        .iter()
        .filter(|other| **other != backend)
        .flat_map(Backend::all)
    {
        // A kind that does not work here has set up nothing.
        if programs.read().is_ok_and(|saved| !saved.ours.is_empty()) {
            programs.make(&Ruleset::default())?;
        }
    }
    Ok(())
}

/// Removes what is ours, with whatever kind of programs it was made. What cannot be removed keeps nothing else from being removed.
///
/// # Errors
/// The first thing that could not be removed.
pub(super) fn remove() -> Result<()> {
    let mut outcome = Ok(());
    for programs in working()? {
        let removed = change(&programs, programs.family(), &Wanted::default());
        outcome = outcome.and(removed);
    }
    for family in Family::ALL {
        outcome = outcome.and(set_route(family, None));
    }
    outcome
}

/// What [`remove`] would give to the programs.
pub(super) fn removal() -> Result<String> {
    let mut text = String::new();
    for programs in working()? {
        let ours = programs.read()?.ours;
        if ours.has(Table::Nat, Chain::Address) {
            text.push_str(&format!("ip {}\n", routing::remove_source_v6().join(" ")));
        }
        if !ours.is_empty() {
            text.push_str(&format!("# {} --noflush\n", programs.name()));
        }
        for table in Table::ALL.into_iter().rev() {
            text.extend(transition::restore(
                table,
                &ours.table(table),
                &Rules::default(),
            ));
        }
    }
    for family in Family::ALL {
        for command in routing::changes(family, None)? {
            text.push_str(&format!("ip {}\n", command.join(" ")));
        }
    }
    Ok(text)
}

/// The programs that work here, of both kinds and for both versions of IP.
fn working() -> Result<Vec<Programs>> {
    let installed = Backend::installed();
    // With none that works, this says why.
    backend::choose(installed.clone())?;
    let all = installed.iter().flat_map(Backend::all);
    Ok(all
        .filter(|programs| programs.read().is_ok())
        .cloned()
        .collect())
}

/// Makes one version of IP have what is wanted.
fn change(programs: &Programs, family: Family, wanted: &Wanted) -> Result<()> {
    let had_address = programs.read()?.ours.has(Table::Nat, Chain::Address);
    let mut rules = wanted.rules.clone();
    let wants_address = rules.has(Table::Nat, Chain::Address);
    if wants_address && !had_address && host::has_source_v6()? {
        // Somebody else has added the address, and keeps it: nothing shall say that it is ours.
        rules.forget(Table::Nat, Chain::Address);
    }
    if had_address && !wants_address && host::has_source_v6()? {
        routing::run(&routing::remove_source_v6())?;
    }
    if wanted.route.is_some() {
        set_route(family, wanted.route)?;
    }
    if programs.make(&rules)? {
        tracing::info!(family = family.name(), programs = %programs.name(), "rules have changed");
    }
    if wants_address && !host::has_source_v6()? {
        routing::run(&routing::add_source_v6())?;
    }
    if wanted.route.is_none() {
        set_route(family, None)?;
    }
    Ok(())
}

fn set_route(family: Family, route: Option<MarkedRoute>) -> Result<()> {
    for command in routing::changes(family, route)? {
        routing::run(&command)?;
    }
    Ok(())
}
