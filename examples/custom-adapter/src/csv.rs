//! What lines of the file mean.

use std::collections::BTreeMap;

use pilothouse_core::model::{
    Endpoint, EndpointPort, Host, Protocol, Service, ServiceKey, ServicePort,
};
use pilothouse_core::registry::{EndpointPart, Problem, Value};

/// The service and the endpoints that these lines state.
pub(crate) fn parse(name: &str, lines: &[(usize, &str)]) -> Result<[Value; 2], Problem> {
    let wrong = |at: &usize, what: &str| Problem::error(format!("line {at}"), what);
    let host = Host::new(name.trim()).map_err(|error| Problem::error("host", error.to_string()))?;
    let (mut ports, mut endpoints) = (BTreeMap::new(), Vec::new());
    for (at, line) in lines {
        let [_, port, protocol, address] = line.split(',').map(str::trim).collect::<Vec<_>>()[..]
        else {
            return Err(wrong(at, "it is not host,port,protocol,address"));
        };
        let port = port
            .parse()
            .map_err(|_| wrong(at, "the port is no number up to 65535"))?;
        let protocol =
            Protocol::parse(protocol).ok_or_else(|| wrong(at, "the protocol is unknown"))?;
        let address = address
            .parse()
            .map_err(|error| wrong(at, &format!("{error}")))?;
        let port = ServicePort {
            port,
            name: format!("port-{port}").into(),
            protocol,
            target_port: None,
            target_name: None,
        };
        let listens = Some(
            [EndpointPort {
                name: port.name.clone(),
                port: port.port,
            }]
            .into(),
        );
        endpoints.push(Endpoint {
            ports: listens,
            ..Endpoint::at(address)
        });
        ports.insert(port.port, port);
    }
    let key = ServiceKey {
        namespace: "default".into(),
        host,
    };
    let service = Service::new(key.clone(), ports.into_values().collect());
    Ok([
        Value::from(service),
        Value::Endpoints(EndpointPart {
            service: key,
            part: "csv".into(),
            endpoints,
        }),
    ])
}
