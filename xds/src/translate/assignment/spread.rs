//! Endpoints by where the client is: which go first, and what share a locality gets.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Locality as EnvoyLocality;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use pilothouse_core::model::{Endpoint, Locality, Preference};
use pilothouse_core::rules::resolve::{Area, LocalityLb};

use super::super::common::uint;
use crate::inputs::destination::Spread;
use crate::selection::topology;

/// What the shares of all localities add up to, about.
const WHOLE: u64 = 1_000_000;

/// How late an endpoint's turn comes: 0 is first. `None`: it never does.
pub(super) fn rank(spread: &Spread, endpoint: &Endpoint) -> Option<u32> {
    let is_on_node = endpoint.node.is_some() && endpoint.node == spread.client.node;
    match spread.prefers {
        Preference::NodeOnly if !is_on_node => None,
        Preference::Any | Preference::NodeOnly => Some(by_rule(spread, endpoint)),
        Preference::Node if is_on_node => Some(0),
        Preference::Node => Some(1 + by_zone(spread, endpoint)),
        Preference::Zone => Some(by_zone(spread, endpoint)),
        Preference::Hints => Some(by_hint(spread, endpoint)),
    }
}

fn by_zone(spread: &Spread, endpoint: &Endpoint) -> u32 {
    let (here, there) = (&spread.client.locality, &endpoint.locality);
    match (here.region == there.region, here.zone == there.zone) {
        (true, true) => 0,
        (true, false) => 1,
        _ => 2,
    }
}

fn by_hint(spread: &Spread, endpoint: &Endpoint) -> u32 {
    let zone = &spread.client.locality.zone;
    let for_others = |zones: &Arc<[Arc<str>]>| !zones.iter().any(|one| **one == **zone);
    u32::from(endpoint.for_zones.as_ref().is_some_and(for_others))
}

fn by_rule(spread: &Spread, endpoint: &Endpoint) -> u32 {
    match &spread.how {
        LocalityLb::Off | LocalityLb::Distribute(_) => 0,
        LocalityLb::Failover(regions) => {
            let (here, there) = (&spread.client.locality, &endpoint.locality);
            match (
                here.region == there.region,
                here.zone == there.zone,
                here.sub_zone == there.sub_zone,
            ) {
                (true, true, true) => 0,
                (true, true, false) => 1,
                (true, false, _) => 2,
                _ if regions.get(here.region.as_str()).map(|to| &**to) == Some(&there.region) => 3,
                _ => 4,
            }
        }
        LocalityLb::Priority(labels) => {
            let is_alike = |(key, value): &&(Arc<str>, Option<Arc<str>>)| {
                let wanted = value.as_deref().or_else(|| spread.client.label(key));
                wanted.is_some() && wanted == label(endpoint, key)
            };
            // Only what is alike from the first label on counts.
            let alike = labels.iter().take_while(is_alike).count();
            u32::try_from(labels.len() - alike).unwrap_or(u32::MAX)
        }
    }
}

fn label<'a>(endpoint: &'a Endpoint, key: &str) -> Option<&'a str> {
    let own = endpoint.labels.get(key);
    own.or_else(|| {
        topology(
            key,
            &endpoint.locality,
            endpoint.network.as_str(),
            endpoint.cluster.as_str(),
        )
    })
}

/// Gives localities the shares that are said for clients here, and drops those that get none. Nothing is said for clients
/// elsewhere: they use all.
pub(super) fn distribute(spread: &Spread, localities: &mut Vec<LocalityLbEndpoints>) {
    let LocalityLb::Distribute(rules) = &spread.how else {
        return;
    };
    let here = &spread.client.locality;
    let Some((_, shares)) = rules.iter().find(|(from, _)| covers(from, here)) else {
        return;
    };
    let mut shares: Vec<_> = shares.iter().collect();
    // A locality gets its share of the narrowest area that it is in.
    shares.sort_by_key(|(area, _)| std::cmp::Reverse(breadth(area)));
    let mut of: Vec<Option<usize>> = Vec::new();
    let mut totals = vec![0_u64; shares.len()];
    for locality in localities.iter() {
        let place = locality.locality.as_ref().map(mine).and_then(|locality| {
            let mut areas = shares.iter();
            areas.position(|(area, _)| covers(area, &locality))
        });
        if let Some(total) = place.and_then(|place| totals.get_mut(place)) {
            *total += weight(locality);
        }
        of.push(place);
    }
    let mut places = of.into_iter();
    localities.retain_mut(|locality| {
        let share = places.next().flatten().and_then(|place| {
            let (_, percent) = shares.get(place)?;
            let total = totals.get(place).copied().filter(|total| *total != 0)?;
            let share = u64::from(*percent) * WHOLE / 100 * weight(locality) / total;
            (*percent != 0).then_some(share.max(1))
        });
        if let Some(share) = share {
            locality.load_balancing_weight = uint(u32::try_from(share).unwrap_or(u32::MAX));
        }
        share.is_some()
    });
}

fn weight(locality: &LocalityLbEndpoints) -> u64 {
    let weight = locality.load_balancing_weight.as_ref();
    weight.map_or(1, |weight| u64::from(weight.value))
}

fn mine(locality: &EnvoyLocality) -> Locality {
    Locality::new(
        locality.region.as_str(),
        locality.zone.as_str(),
        locality.sub_zone.as_str(),
    )
}

fn covers(area: &Area, locality: &Locality) -> bool {
    let any_or = |part: &Option<Arc<str>>, is: &str| part.as_deref().is_none_or(|part| part == is);
    any_or(&area.region, &locality.region)
        && any_or(&area.zone, &locality.zone)
        && any_or(&area.sub_zone, &locality.sub_zone)
}

fn breadth(area: &Area) -> usize {
    [&area.region, &area.zone, &area.sub_zone]
        .into_iter()
        .flatten()
        .count()
}
