//! Lists in which order and names count: filters, and routes.

use envoy_types::pb::envoy::config::listener::v3::{
    Filter, ListenerFilter, filter, listener_filter,
};
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpFilter, http_filter,
};
use envoy_types::pb::google::protobuf::Any;
use pilothouse_core::rules::resolve::envoy_filter::{FilterClass, Operation};
use prost::{Message, Name};

use super::Decoded;
use super::merge::{Lists, merge, type_name};
use crate::extensions::Extension;

/// An element of such a list.
pub(super) trait Item: Message + Name + Default {
    /// Its configuration, if its type is to stay.
    fn config(&self) -> Option<&Any> {
        None
    }

    /// Where one more comes.
    fn place(list: &[Self], _: FilterClass) -> usize {
        list.len()
    }
}

impl Item for Route {}

impl Item for ListenerFilter {
    fn config(&self) -> Option<&Any> {
        match &self.config_type {
            Some(listener_filter::ConfigType::TypedConfig(any)) => Some(any),
            _ => None,
        }
    }
}

impl Item for Filter {
    fn config(&self) -> Option<&Any> {
        match &self.config_type {
            Some(filter::ConfigType::TypedConfig(any)) => Some(any),
            _ => None,
        }
    }

    /// The last one ends the chain, and Envoy wants nothing after it.
    fn place(list: &[Self], _: FilterClass) -> usize {
        const LAST: [Extension; 2] = [Extension::HttpConnectionManager, Extension::TcpProxy];
        before_last(list, |filter| is_any_of(&filter.name, &LAST))
    }
}

impl Item for HttpFilter {
    fn config(&self) -> Option<&Any> {
        match &self.config_type {
            Some(http_filter::ConfigType::TypedConfig(any)) => Some(any),
            _ => None,
        }
    }

    /// The router ends the chain. Who asks is found out, and what is allowed decided, before anything else is done.
    fn place(list: &[Self], class: FilterClass) -> usize {
        const GENERATED: [Extension; 4] = [
            Extension::GrpcStats,
            Extension::Fault,
            Extension::Cors,
            Extension::Router,
        ];
        let last = before_last(list, |filter| is_any_of(&filter.name, &[Extension::Router]));
        match class {
            FilterClass::Unspecified | FilterClass::Stats => last,
            FilterClass::Authn | FilterClass::Authz => {
                let generated = |filter: &Self| is_any_of(&filter.name, &GENERATED);
                list.iter().position(generated).unwrap_or(last)
            }
        }
    }
}

fn before_last<T>(list: &[T], ends: impl Fn(&T) -> bool) -> usize {
    match list.last() {
        Some(last) if ends(last) => list.len() - 1,
        _ => list.len(),
    }
}

fn is_any_of(name: &str, extensions: &[Extension]) -> bool {
    extensions.iter().any(|extension| extension.name() == name)
}

/// Does to a list what a patch says; `selects` says which elements it is about, if it says so. Returns whether that changed
/// anything.
pub(super) fn change<T: Item>(
    list: &mut Vec<T>,
    patch: &Decoded,
    selects: Option<&dyn Fn(&T) -> bool>,
) -> Result<bool, String> {
    let is_one = |item: &T| selects.is_none_or(|selects| selects(item));
    let first = list.iter().position(is_one);
    let at = match patch.patch.operation {
        Operation::Merge | Operation::MergeAndReplaceList => {
            return merge_into(list.iter_mut().filter(|item| is_one(item)), patch);
        }
        Operation::Remove => {
            let before = list.len();
            list.retain(|item| !is_one(item));
            return Ok(list.len() != before);
        }
        Operation::Replace => {
            let Some(item) = first
                .filter(|_| selects.is_some())
                .and_then(|at| list.get_mut(at))
            else {
                return Ok(false);
            };
            *item = patch.message()?;
            return Ok(true);
        }
        Operation::Add => Some(T::place(list, patch.patch.filter_class)),
        Operation::InsertFirst if selects.is_some() => first.map(|_| 0),
        Operation::InsertFirst => Some(0),
        Operation::InsertBefore if selects.is_some() => first,
        Operation::InsertBefore => Some(0),
        Operation::InsertAfter if selects.is_some() => first.map(|at| at + 1),
        Operation::InsertAfter => Some(list.len()),
        Operation::Invalid => None,
    };
    let Some(at) = at else { return Ok(false) };
    let item = patch.message()?;
    list.insert(at.min(list.len()), item);
    Ok(true)
}

fn merge_into<'a, T: Item + 'a>(
    items: impl Iterator<Item = &'a mut T>,
    patch: &Decoded,
) -> Result<bool, String> {
    let (mut changed, mut failed) = (false, None);
    let wanted: T = patch.message()?;
    for item in items {
        if let (Some(known), Some(wanted)) = (item.config(), wanted.config())
            && type_name(&known.type_url) != type_name(&wanted.type_url)
        {
            failed = Some(format!(
                "{} cannot be merged into {}",
                type_name(&wanted.type_url),
                type_name(&known.type_url)
            ));
            continue;
        }
        merge_one(item, patch)?;
        changed = true;
    }
    match failed {
        Some(why) if !changed => Err(why),
        _ => Ok(changed),
    }
}

/// Merges a patch into the message that it is for.
pub(super) fn merge_one<M: Message + Name + Default>(
    into: &mut M,
    patch: &Decoded,
) -> Result<(), String> {
    merge(into, patch.value()?, lists(patch))
}

/// What a merge does to lists.
pub(super) fn lists(patch: &Decoded) -> Lists {
    match patch.patch.operation {
        Operation::MergeAndReplaceList => Lists::Replace,
        _ => Lists::Append,
    }
}
