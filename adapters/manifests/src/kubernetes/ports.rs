//! Ports: of services, of their endpoints, of pods' containers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::model::{ByName, EndpointPort, Protocol, ServicePort};
use pilothouse_core::registry::Problem;
use serde::Deserialize;

use super::decode::{List, Target, Text};

/// A port of a service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfService<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default)]
    port: Option<i64>,
    #[serde(default, borrow)]
    protocol: Text<'a>,
    #[serde(default, borrow)]
    app_protocol: Text<'a>,
    #[serde(default, borrow)]
    target_port: Target<'a>,
}

/// A port of a slice or of a subset of endpoints.
#[derive(Debug, Deserialize)]
pub(super) struct OfEndpoints<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default)]
    port: Option<i64>,
}

/// A port of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfContainer<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default)]
    container_port: Option<i64>,
    #[serde(default, borrow)]
    protocol: Text<'a>,
}

/// A service's ports, sorted by number. Of a number that is there for TCP and for UDP, it is TCP's: datagrams are not proxied.
pub(super) fn of_service(
    written: &List<OfService<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<ServicePort> {
    let several = written.iter().nth(1).is_some();
    let mut names = BTreeSet::new();
    let mut ports = BTreeMap::<u16, ServicePort>::new();
    for (index, port) in written.iter() {
        let at = |field: &str| format!("spec.ports[{index}].{field}");
        let Some(number) = number(port.port, &at("port"), problems) else {
            continue;
        };
        if port.name.is_empty() && several {
            let problem = Problem::error(at("name"), "is missing");
            problems.push(problem.hint("a service with several ports names each"));
        } else if !names.insert(&*port.name) {
            let what = format!("{:?} is the name of another port, too", &*port.name);
            problems.push(Problem::error(at("name"), what));
        }
        let is_udp = match &*port.protocol {
            "" | "TCP" => false,
            "UDP" => true,
            other => {
                let what = format!("{other:?} is not proxied: the port is left out");
                problems.push(Problem::warning(at("protocol"), what));
                continue;
            }
        };
        let (target_port, target_name) = match &port.target_port {
            Target::Absent | Target::Number(0) => (None, None),
            Target::Number(target) => {
                let target = self::number(Some(*target), &at("targetPort"), problems);
                (target.filter(|target| *target != number), None)
            }
            Target::Name(name) if name.is_empty() => (None, None),
            Target::Name(name) => {
                if !name.contains(|letter: char| letter.is_ascii_alphabetic()) {
                    let what = format!("{:?} is a text without a letter", &**name);
                    let problem = Problem::error(at("targetPort"), what);
                    problems.push(problem.hint("leave out the quotes for a number"));
                }
                (None, Some(Arc::from(&**name)))
            }
        };
        let app_protocol = Some(&*port.app_protocol).filter(|text| !text.is_empty());
        let resolved = ServicePort {
            port: number,
            name: (*port.name).into(),
            protocol: if is_udp {
                Protocol::Udp
            } else {
                Protocol::select(app_protocol, &port.name, number)
            },
            target_port,
            target_name,
        };
        match ports.get(&number) {
            Some(_) if is_udp => {}
            Some(known) if known.protocol != Protocol::Udp => {
                let what = format!("port {number} is there for the second time");
                problems.push(Problem::error(at("port"), what));
            }
            _ => {
                ports.insert(number, resolved);
            }
        }
    }
    ports.into_values().collect()
}

/// The numbers of endpoints' ports by the service's names of them; `path` is the list's. One without a number is any.
pub(super) fn of_endpoints(
    written: &List<OfEndpoints<'_>>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Arc<[EndpointPort]> {
    let mut ports = Vec::new();
    for (index, port) in written.iter().filter(|(_, port)| port.port.is_some()) {
        let at = format!("{path}[{index}].port");
        ports.extend(number(port.port, &at, problems).map(|number| EndpointPort {
            name: (*port.name).into(),
            port: number,
        }));
    }
    ports.sort();
    ports.dedup_by(|later, kept| later.name == kept.name);
    ports.into()
}

/// The numbers of containers' ports by their names there; the first container goes first. One that is no port is none: its
/// pod is a workload whatever its ports are.
pub(super) fn of_containers<'a, 'b: 'a>(
    written: impl Iterator<Item = &'a OfContainer<'b>>,
) -> ByName<u16> {
    let mut ports: BTreeMap<&str, u16> = BTreeMap::new();
    for port in written {
        let is_tcp = matches!(&*port.protocol, "" | "TCP");
        if let Some(number) = valid(port.container_port).filter(|_| is_tcp && !port.name.is_empty())
        {
            ports.entry(&*port.name).or_insert(number);
        }
    }
    ports.into_iter().collect()
}

fn valid(number: Option<i64>) -> Option<u16> {
    u16::try_from(number?).ok().filter(|number| *number != 0)
}

fn number(written: Option<i64>, path: &str, problems: &mut Vec<Problem>) -> Option<u16> {
    let number = valid(written);
    if number.is_none() {
        let what = match written {
            None => "is missing".to_owned(),
            Some(number) => format!("{number} is no port: they go from 1 to 65535"),
        };
        problems.push(Problem::error(path, what));
    }
    number
}
