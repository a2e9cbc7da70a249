//! A registry that reads a CSV file, one endpoint a line: `host,port,protocol,address`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_core::model::{
    Endpoint, EndpointPort, Host, Protocol, Service, ServiceKey, ServicePort,
};
use pilothouse_core::registry::{
    EndpointPart, Meta, Object, Origin, Problem, Registry, RegistryId, RunError, SetId, Updates,
    Value,
};
use tokio_util::sync::CancellationToken;

/// See the [module](self).
#[derive(Debug)]
pub struct CsvRegistry {
    id: RegistryId,
    path: PathBuf,
}

impl CsvRegistry {
    /// Reads this file, and again whenever its content has changed: it is looked at every 200 ms.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            id: RegistryId::new("Csv", "example"),
            path: path.into(),
        }
    }

    /// The objects that the text states, and what is wrong with which line.
    fn parse(&self, text: &str) -> (Vec<Object>, Vec<(Origin, Problem)>) {
        let (mut services, mut problems) = (BTreeMap::new(), Vec::new());
        for (at, line) in (1..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let origin = Origin::new(format!("{}:{at}", self.path.display()));
            match parse_line(line) {
                Ok((host, port, endpoint)) => {
                    let (_, ports, endpoints) = services
                        .entry(host)
                        .or_insert_with(|| (origin, BTreeMap::new(), Vec::new()));
                    ports.insert(port.port, port);
                    endpoints.push(endpoint);
                }
                Err(problem) => problems.push((origin, problem)),
            }
        }
        let objects = services
            .into_iter()
            .flat_map(|(host, (origin, ports, endpoints))| {
                let key = ServiceKey {
                    namespace: "default".into(),
                    host,
                };
                let name = key.host.as_str();
                let service = Service::new(key.clone(), ports.into_values().collect());
                let endpoints = EndpointPart {
                    service: key.clone(),
                    part: "csv".into(),
                    endpoints,
                };
                [
                    ("CsvService", Value::Service(service)),
                    ("CsvEndpoints", Value::Endpoints(endpoints)),
                ]
                .map(|(kind, value)| Object {
                    meta: Meta::new(kind, "default", name),
                    origin: origin.clone(),
                    value,
                })
            });
        (objects.collect(), problems)
    }
}

#[async_trait]
impl Registry for CsvRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let (set, mut seen) = (SetId::new("endpoints"), None);
        loop {
            match tokio::fs::read_to_string(&self.path).await {
                Ok(text) if seen.as_ref() != Some(&text) => {
                    let (objects, problems) = self.parse(&text);
                    let mut tx = updates.begin();
                    tx.replace(set.clone(), objects);
                    for (origin, problem) in problems {
                        tx.reject(&set, None, origin, vec![problem]);
                    }
                    tx.commit().await?;
                    updates.synced().await?;
                    seen = Some(text);
                }
                Ok(_) => {}
                Err(error) => {
                    updates.failing(Some(&set), &error);
                    // The next content is stated even if it is the same: that ends the failure.
                    seen = None;
                }
            }
            if stop
                .run_until_cancelled(tokio::time::sleep(Duration::from_millis(200)))
                .await
                .is_none()
            {
                return Ok(());
            }
        }
    }
}

fn parse_line(line: &str) -> Result<(Host, ServicePort, Endpoint), Problem> {
    let [host, port, protocol, address] = line.split(',').map(str::trim).collect::<Vec<_>>()[..]
    else {
        return Err(Problem::error("", "a line is host,port,protocol,address"));
    };
    let port: u16 = port
        .parse()
        .map_err(|_| Problem::error("port", format!("{port:?} is no port")))?;
    let protocol = Protocol::parse(protocol)
        .ok_or_else(|| Problem::error("protocol", format!("{protocol:?} is no protocol")))?;
    let host = Host::new(host).map_err(|error| Problem::error("host", error.to_string()))?;
    let address = address
        .parse()
        .map_err(|error| Problem::error("address", format!("{error}")))?;
    let port = ServicePort {
        port,
        name: format!("port-{port}").into(),
        protocol,
        target_port: None,
    };
    let ports = Some(
        [EndpointPort {
            name: port.name.clone(),
            port: port.port,
        }]
        .into(),
    );
    Ok((
        host,
        port,
        Endpoint {
            ports,
            ..Endpoint::at(address)
        },
    ))
}
