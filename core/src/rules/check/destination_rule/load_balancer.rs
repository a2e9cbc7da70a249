//! How endpoints and localities are chosen.

use std::collections::BTreeSet;

use super::connection::not_too_short;
use crate::rules::at::At;
use crate::rules::check::name::plain_text;
use crate::rules::spec::destination_rule::{
    ConsistentHash, LoadBalancer, LocalityLb, SimpleLb, Warmup,
};
use crate::rules::spec::excerpt;

/// Envoy's limit of a table.
const MAX_TABLE: u32 = 5_000_011;
/// Envoy's limit of a ring.
const MAX_RING: u32 = 8 * 1024 * 1024;

pub(super) fn check(at: &At<'_>, balancer: &LoadBalancer, ejects: bool) {
    if balancer.simple.is_some() && balancer.consistent_hash.is_some() {
        at.field("consistentHash")
            .error_hint("is given beside simple", "use one of them");
    }
    if balancer.simple == Some(SimpleLb::LeastConn) {
        at.field("simple")
            .warning_hint("LEAST_CONN is an old name", "use LEAST_REQUEST");
    }
    if let Some(hash) = &balancer.consistent_hash {
        consistent_hash(&at.field("consistentHash"), hash);
    }
    if balancer.warmup_duration_secs.is_some() {
        let here = at.field("warmupDurationSecs");
        here.warning_hint("is the old form of warmup", "use warmup.duration");
        not_too_short(&here, balancer.warmup_duration_secs);
    }
    if let Some(warmup) = &balancer.warmup {
        let here = at.field("warmup");
        warm_up(&here, warmup);
        let slow = [
            SimpleLb::Unspecified,
            SimpleLb::LeastConn,
            SimpleLb::LeastRequest,
            SimpleLb::RoundRobin,
        ];
        let simple = balancer.simple.unwrap_or_default();
        if balancer.consistent_hash.is_some() || !slow.contains(&simple) {
            here.warning_hint(
                "has no effect with this way to choose",
                "it goes with ROUND_ROBIN and LEAST_REQUEST",
            );
        }
    }
    if let Some(locality) = &balancer.locality_lb_setting {
        locality_lb(&at.field("localityLbSetting"), locality, ejects);
    }
}

fn consistent_hash(at: &At<'_>, hash: &ConsistentHash) {
    let keys = [
        !hash.http_header_name.is_empty(),
        hash.http_cookie.is_some(),
        hash.use_source_ip,
        !hash.http_query_parameter_name.is_empty(),
    ];
    match keys.iter().filter(|key| **key).count() {
        0 => at.error_hint(
            "does not say what is hashed",
            "one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName",
        ),
        1 => {}
        _ => at.error_hint(
            "says more than one thing to hash",
            "one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName",
        ),
    }
    let header = &hash.http_header_name;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !header.bytes().all(is_token) && !header.starts_with(':') {
        at.field("httpHeaderName")
            .error(format!("{:?} is not the name of a header", excerpt(header)));
    }
    if let Some(cookie) = &hash.http_cookie {
        let here = at.field("httpCookie");
        if cookie.name.is_empty() {
            here.field("name").error("is missing");
        }
        plain_text(&here.field("name"), &cookie.name);
        plain_text(&here.field("path"), &cookie.path);
        if cookie.ttl.is_none() {
            here.field("ttl").warning_hint(
                "is missing: no cookie is made for clients without",
                "0s makes one for as long as the client runs",
            );
        }
    }
    plain_text(
        &at.field("httpQueryParameterName"),
        &hash.http_query_parameter_name,
    );
    if hash.ring_hash.is_some() && hash.maglev.is_some() {
        at.field("maglev")
            .error_hint("is given beside ringHash", "use one of them");
    }
    if let Some(size) = hash.minimum_ring_size {
        let here = at.field("minimumRingSize");
        here.warning_hint("is an old form", "use ringHash.minimumRingSize");
        ring(&here, size);
    }
    if let Some(hash) = hash.ring_hash {
        ring(
            &at.field("ringHash").field("minimumRingSize"),
            hash.minimum_ring_size,
        );
    }
    if let Some(size) = hash.maglev.map(|maglev| maglev.table_size)
        && size != 0
    {
        let maglev = at.field("maglev");
        let here = maglev.field("tableSize");
        if size > MAX_TABLE {
            here.error(format!("{size} is more than {MAX_TABLE}"));
        } else if !is_prime(size) {
            here.error_hint(format!("{size} is not a prime"), "such as 65537");
        }
    }
}

fn ring(at: &At<'_>, size: u32) {
    if size > MAX_RING {
        at.error(format!("{size} is more than {MAX_RING}"));
    }
}

fn is_prime(number: u32) -> bool {
    let mut divisors = (2..).take_while(|divisor: &u32| divisor.saturating_mul(*divisor) <= number);
    number > 1 && divisors.all(|divisor| !number.is_multiple_of(divisor))
}

fn warm_up(at: &At<'_>, warmup: &Warmup) {
    match warmup.duration {
        None => at.field("duration").error("is missing"),
        duration => not_too_short(&at.field("duration"), duration),
    }
    if warmup
        .minimum_percent
        .is_some_and(|percent| !(0.0..=100.0).contains(&percent.get()))
    {
        at.field("minimumPercent")
            .error("is not a percentage: from 0 to 100");
    }
    if warmup
        .aggression
        .is_some_and(|aggression| aggression.get() < 1.0)
    {
        at.field("aggression").error("is less than 1");
    }
}

fn locality_lb(at: &At<'_>, locality: &LocalityLb, ejects: bool) {
    let ways = [
        !locality.distribute.is_empty(),
        !locality.failover.is_empty(),
        !locality.failover_priority.is_empty(),
    ];
    // Priorities by labels may stand beside regions: what is alike in all labels fails over by region.
    if ways[0] && (ways[1] || ways[2]) {
        at.field("distribute").error_hint(
            "is given beside failover or failoverPriority",
            "use one of them",
        );
    } else if ways[1] && ways[2] {
        at.field("failover")
            .warning("has no effect beside failoverPriority");
    }
    if !ejects && !ways[0] && locality.enabled != Some(false) {
        at.warning_hint(
            "has no effect without outlierDetection: nobody finds out that an endpoint fails",
            "add outlierDetection beside loadBalancer",
        );
    }
    distribute(&at.field("distribute"), locality);
    let mut from = BTreeSet::new();
    for (index, failover) in locality.failover.iter().enumerate() {
        let list = at.field("failover");
        let here = list.index(index);
        for (name, region) in [("from", &failover.from), ("to", &failover.to)] {
            if region.is_empty() {
                here.field(name).error("is missing");
            } else if region.contains(['*', '/']) {
                here.field(name).error_hint(
                    format!("{:?} is not a region", excerpt(region)),
                    "only regions fail over; zones do by themselves",
                );
            }
        }
        if failover.from == failover.to && !failover.from.is_empty() {
            here.field("to").error("is the region that has failed");
        }
        if !from.insert(&failover.from) {
            here.field("from")
                .error("another entry is for the same region");
        }
    }
    let mut keys = BTreeSet::new();
    for (index, label) in locality.failover_priority.iter().enumerate() {
        let list = at.field("failoverPriority");
        let key = label.split_once('=').map_or(&**label, |(key, _)| key);
        if key.is_empty() {
            list.index(index).error("has no label's key");
        } else if !keys.insert(key) {
            list.index(index).error("names a label for the second time");
        }
    }
}

fn distribute(at: &At<'_>, locality: &LocalityLb) {
    let mut from = BTreeSet::new();
    for (index, distribute) in locality.distribute.iter().enumerate() {
        let here = at.index(index);
        area(&here.field("from"), &distribute.from);
        if !from.insert(&distribute.from) {
            here.field("from")
                .error("another entry is for the same locality");
        }
        let to = here.field("to");
        let mut sum = 0_u64;
        for (name, percent) in distribute.to.iter() {
            area(&to.key(name), name);
            if *percent == 0 || *percent > 100 {
                to.key(name)
                    .error(format!("{percent} is not a share: from 1 to 100 percent"));
            }
            sum += u64::from(*percent);
        }
        if sum != 100 {
            to.error(format!("add up to {sum} percent instead of 100"));
        }
    }
}

/// `region/zone/subzone`, the later parts missing or `*`.
fn area(at: &At<'_>, text: &str) {
    let parts: Vec<_> = text.split('/').collect();
    let wild = parts.iter().position(|part| *part == "*");
    let is_wrong = parts.len() > 3
        || parts
            .iter()
            .any(|part| part.is_empty() || (part.contains('*') && *part != "*"))
        || wild.is_some_and(|wild| parts.iter().skip(wild).any(|part| *part != "*"));
    if is_wrong {
        at.error_hint(
            format!("{:?} is not a locality", excerpt(text)),
            "region/zone/subzone, where later parts may be missing or '*'",
        );
    }
}
