//! `Endpoints`: what services had before slices. A cluster mirrors them into slices; files may hold them alone.

use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{Address, Endpoint, Health};
use pilothouse_core::registry::{EndpointPart, Meta, Problem, Value, is_fatal};
use serde::Deserialize;

use super::decode::{List, Text, nullable};
use super::endpoint_slice::{TargetRef, present};
use super::{Names, Said, ports};

/// As written.
#[derive(Debug, Deserialize)]
pub(super) struct Written<'a> {
    #[serde(default, borrow)]
    subsets: List<Subset<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subset<'a> {
    #[serde(default, borrow)]
    addresses: List<WrittenAddress<'a>>,
    #[serde(default, borrow)]
    not_ready_addresses: List<WrittenAddress<'a>>,
    #[serde(default, borrow)]
    ports: Option<List<ports::OfEndpoints<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAddress<'a> {
    #[serde(default, borrow)]
    ip: Text<'a>,
    #[serde(default, borrow)]
    hostname: Text<'a>,
    #[serde(default, borrow)]
    node_name: Text<'a>,
    #[serde(default, borrow, deserialize_with = "nullable")]
    target_ref: TargetRef<'a>,
}

/// The service is called as the object.
pub(super) fn read(
    meta: &Meta,
    written: &Written<'_>,
    names: &Names,
) -> Result<Said, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut endpoints = Vec::new();
    for (index, subset) in written.subsets.iter() {
        let path = format!("subsets[{index}]");
        let numbers = subset
            .ports
            .as_ref()
            .map(|written| ports::of_endpoints(written, &format!("{path}.ports"), &mut problems));
        let lists = [
            ("addresses", &subset.addresses, Health::Healthy),
            (
                "notReadyAddresses",
                &subset.not_ready_addresses,
                Health::Unhealthy,
            ),
        ];
        for (field, addresses, health) in lists {
            for (nth, one) in addresses.iter() {
                let Ok(ip) = one.ip.parse::<IpAddr>() else {
                    let path = format!("{path}.{field}[{nth}].ip");
                    let what = format!("{:?} is no IP address: it is left out", &*one.ip);
                    problems.push(Problem::warning(path, what));
                    continue;
                };
                endpoints.push(Endpoint {
                    ports: numbers.clone(),
                    health,
                    cluster: names.cluster.clone(),
                    workload: one.target_ref.workload(meta),
                    hostname: present(&one.hostname),
                    node: names.present(&one.node_name),
                    ..Endpoint::at(Address::Ip(ip))
                });
            }
        }
    }
    let service = names.service(meta, &meta.key.name, "metadata.name");
    let Ok(service) = service.map_err(|problem| problems.push(problem)) else {
        return Err(problems);
    };
    if is_fatal(&problems) {
        return Err(problems);
    }
    endpoints.shrink_to_fit();
    Ok(Said {
        value: Some(Value::Endpoints(EndpointPart {
            service,
            part: Arc::clone(&meta.key.name),
            endpoints,
        })),
        warnings: problems,
    })
}
