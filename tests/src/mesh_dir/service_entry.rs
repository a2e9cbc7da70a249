//! A ServiceEntry as a test writes it.

use std::fmt::Write;
use std::net::SocketAddr;

/// A ServiceEntry: what tests vary of it, as plain fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The host that clients ask for.
    pub host: String,
    /// Virtual addresses.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// `STATIC`, `DNS`, `DNS_ROUND_ROBIN` or `NONE`.
    pub resolution: &'static str,
    /// Where it runs.
    pub endpoints: Vec<Endpoint>,
    /// The namespaces that see it; empty means the default.
    pub export_to: Vec<String>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name, by which endpoints refer to it.
    pub name: String,
    /// Its number.
    pub number: u16,
    /// `HTTP`, `HTTP2`, `GRPC`, `TCP`, `TLS` …
    pub protocol: &'static str,
}

/// An endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An IP address, or a host name where the resolution is by DNS.
    pub address: String,
    /// The number that it has for each port name; a port that is missing has the service's number.
    pub ports: Vec<(String, u16)>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

impl ServiceEntry {
    /// A STATIC one in the namespace `default` with one HTTP port named `http` and no endpoint.
    pub fn http(name: &str, host: &str, port: u16) -> Self {
        Self {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            host: host.to_owned(),
            addresses: Vec::new(),
            ports: vec![Port {
                name: "http".to_owned(),
                number: port,
                protocol: "HTTP",
            }],
            resolution: "STATIC",
            endpoints: Vec::new(),
            export_to: Vec::new(),
        }
    }

    /// The same with one more endpoint, which serves every port at `address`.
    #[must_use]
    pub fn endpoint(mut self, address: SocketAddr) -> Self {
        let ports = self
            .ports
            .iter()
            .map(|port| (port.name.clone(), address.port()))
            .collect();
        self.endpoints.push(Endpoint {
            address: address.ip().to_string(),
            ports,
            labels: Vec::new(),
        });
        self
    }

    /// The manifest.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        self.write_to(&mut text).ok();
        text
    }

    fn write_to(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry"
        )?;
        writeln!(
            text,
            "metadata:\n  name: {}\n  namespace: {}",
            self.name, self.namespace
        )?;
        writeln!(
            text,
            "spec:\n  hosts: [{:?}]\n  resolution: {}\n  location: MESH_INTERNAL",
            self.host, self.resolution
        )?;
        if !self.addresses.is_empty() {
            writeln!(text, "  addresses: {:?}", self.addresses)?;
        }
        if !self.export_to.is_empty() {
            writeln!(text, "  exportTo: {:?}", self.export_to)?;
        }
        writeln!(text, "  ports:")?;
        for port in &self.ports {
            writeln!(
                text,
                "  - {{ name: {}, number: {}, protocol: {} }}",
                port.name, port.number, port.protocol
            )?;
        }
        if !self.endpoints.is_empty() {
            writeln!(text, "  endpoints:")?;
        }
        for endpoint in &self.endpoints {
            writeln!(text, "  - address: {:?}", endpoint.address)?;
            let ports: Vec<_> = endpoint
                .ports
                .iter()
                .map(|(name, number)| format!("{name}: {number}"))
                .collect();
            if !ports.is_empty() {
                writeln!(text, "    ports: {{ {} }}", ports.join(", "))?;
            }
            let labels: Vec<_> = endpoint
                .labels
                .iter()
                .map(|(key, value)| format!("{key:?}: {value:?}"))
                .collect();
            if !labels.is_empty() {
                writeln!(text, "    labels: {{ {} }}", labels.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_as_a_person_would_write_it() {
        let mut entry =
            ServiceEntry::http("web", "web.test", 80).endpoint("127.0.0.9:8080".parse().unwrap());
        entry.addresses.push("240.0.0.1".to_owned());
        entry.endpoints[0]
            .labels
            .push(("version".to_owned(), "v1".to_owned()));
        let expected = r#"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: web
  namespace: default
spec:
  hosts: ["web.test"]
  resolution: STATIC
  location: MESH_INTERNAL
  addresses: ["240.0.0.1"]
  ports:
  - { name: http, number: 80, protocol: HTTP }
  endpoints:
  - address: "127.0.0.9"
    ports: { http: 8080 }
    labels: { "version": "v1" }
"#;
        assert_eq!(entry.to_yaml(), expected);
    }
}
