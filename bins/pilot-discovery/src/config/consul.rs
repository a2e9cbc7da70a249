//! Flags of the registry Consul. What they do not say, the environment does, as for Consul's own tools.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pilothouse_consul::client::{Address, Consistency, Settings, Token};
use pilothouse_consul::{ConsulConfig, RULES};
use pilothouse_process::value::duration;

use super::Source;

/// Connections for what is not held open: the list, keys, the pulse, and services that are asked now and then.
const OTHERS: usize = 24;

/// How true answers have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Truth {
    /// By any server, no older than --consul-max-stale.
    Stale,
    /// By the leader.
    Default,
    /// By a leader that has asked the others.
    Consistent,
}

/// Which of an instance's addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Reach {
    /// Those within the datacenter.
    Lan,
    /// Those tagged `wan`, where there are any.
    Wan,
}

/// Flags of the registry Consul.
#[derive(Debug, Args)]
#[command(next_help_heading = "Consul")]
pub(super) struct ConsulArgs {
    /// The agent's or server's HTTP API: host:port, http://, https:// or unix://. Default: CONSUL_HTTP_ADDR, or
    /// http://127.0.0.1:8500.
    #[arg(long, aliases = ["consulserverURL", "consulserverurl"], value_name = "ADDR")]
    pub consul_address: Option<String>,

    /// A file with the ACL token, read again for each request. Default: CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE.
    #[arg(long, value_name = "FILE")]
    pub consul_token_file: Option<PathBuf>,

    /// Certificates, in PEM, of the authorities that an address with https:// is believed by, in place of the system's. Default:
    /// CONSUL_CACERT, CONSUL_CAPATH. Read again for each connection, as are the next two.
    #[arg(long, value_name = "FILE")]
    pub consul_ca_file: Option<PathBuf>,

    /// The certificate chain, in PEM, that is shown to an agent which asks for one. Default: CONSUL_CLIENT_CERT.
    #[arg(long, requires = "consul_client_key_file", value_name = "FILE")]
    pub consul_client_cert_file: Option<PathBuf>,

    /// Its key. Default: CONSUL_CLIENT_KEY.
    #[arg(long, requires = "consul_client_cert_file", value_name = "FILE")]
    pub consul_client_key_file: Option<PathBuf>,

    /// The name that the agent's certificate has to bear, such as server.dc1.consul. Default: CONSUL_TLS_SERVER_NAME, or the
    /// address's host.
    #[arg(long, value_name = "NAME")]
    pub consul_tls_server_name: Option<String>,

    /// The datacenters to read, each as a registry of its own. Default: the agent's own.
    #[arg(long, value_delimiter = ',', value_name = "DC,..")]
    pub consul_datacenters: Vec<String>,

    /// The namespace of Consul Enterprise to read; * for all. Default: CONSUL_NAMESPACE.
    #[arg(long, value_name = "NAMESPACE")]
    pub consul_namespace: Option<String>,

    /// The admin partition of Consul Enterprise to read. Default: CONSUL_PARTITION.
    #[arg(long, value_name = "PARTITION")]
    pub consul_partition: Option<String>,

    /// The last part of services' names: NAME.service.DOMAIN.
    #[arg(long, default_value = "consul", value_name = "DOMAIN")]
    pub consul_domain: String,

    /// The namespace of the mesh for services that are in none of Consul's.
    #[arg(long, default_value = "default", value_name = "NAMESPACE")]
    pub consul_mesh_namespace: String,

    /// Which addresses of instances proxies use.
    #[arg(long, value_enum, default_value = "lan")]
    pub consul_addresses: Reach,

    /// How true answers have to be.
    #[arg(long, value_enum, default_value = "stale")]
    pub consul_consistency: Truth,

    /// How old an answer may be, by its server's own account, to be believed.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub consul_max_stale: Duration,

    /// How many connections there may be to the agent, which accepts 200 of one client unless it is told otherwise.
    #[arg(long, default_value = "128", value_parser = clap::value_parser!(u16).range(32..), value_name = "COUNT")]
    pub consul_max_connections: u16,

    /// Below which keys of the key-value store rules stand, one object per key; empty for none.
    #[arg(long, default_value = RULES, value_name = "PREFIX")]
    pub consul_rules: String,
}

impl ConsulArgs {
    /// The registries that they ask for.
    pub(super) fn sources(&self, cluster: &str) -> Result<Vec<Source>, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let mut client = Settings::from_environment(variable).map_err(|error| error.to_string())?;
        if let Some(address) = &self.consul_address {
            client.address = address
                .parse()
                .map_err(|error| format!("--consul-address: {error}"))?;
        }
        if let Some(file) = &self.consul_token_file {
            client.token = Token::File(file.clone());
        }
        self.secure(&mut client)?;
        let own = [String::new()];
        let datacenters = match self.consul_datacenters.as_slice() {
            [] => &own[..],
            some => some,
        };
        // One agent is asked about all of them.
        let connections = usize::from(self.consul_max_connections) / datacenters.len();
        client.max_connections = connections.max(OTHERS + 1);
        let said = |flag: &Option<String>, name: &str| {
            let said = flag.clone().or_else(|| variable(name));
            said.unwrap_or_default()
        };
        let source = |(at, datacenter): (usize, &String)| {
            let name = match datacenter.as_str() {
                "" => "Consul",
                name => name,
            };
            let config = ConsulConfig {
                name: name.into(),
                cluster: cluster.into(),
                datacenter: datacenter.clone(),
                consul_namespace: said(&self.consul_namespace, "CONSUL_NAMESPACE"),
                partition: said(&self.consul_partition, "CONSUL_PARTITION"),
                domain: self.consul_domain.clone(),
                namespace: self.consul_mesh_namespace.as_str().into(),
                wan: self.consul_addresses == Reach::Wan,
                consistency: match self.consul_consistency {
                    Truth::Stale => Consistency::Stale,
                    Truth::Default => Consistency::Default,
                    Truth::Consistent => Consistency::Consistent,
                },
                max_stale: self.consul_max_stale,
                held: client.max_connections - OTHERS,
                // The stores of datacenters are apart; the first one's rules count.
                rules: (at == 0 && !self.consul_rules.is_empty())
                    .then(|| self.consul_rules.clone()),
                ..ConsulConfig::default()
            };
            Source::Consul {
                config: Box::new(config),
                client: Box::new(client.clone()),
            }
        };
        Ok(datacenters.iter().enumerate().map(source).collect())
    }

    /// What flags say of TLS.
    fn secure(&self, client: &mut Settings) -> Result<(), String> {
        let said = [
            ("--consul-ca-file", self.consul_ca_file.is_some()),
            (
                "--consul-client-cert-file",
                self.consul_client_cert_file.is_some(),
            ),
            (
                "--consul-tls-server-name",
                self.consul_tls_server_name.is_some(),
            ),
        ];
        let said = said.iter().find(|(_, is_said)| *is_said);
        let has_tls = matches!(client.address, Address::Tcp { tls: true, .. });
        if let Some((flag, _)) = said.filter(|_| !has_tls) {
            return Err(format!(
                "{flag} is about TLS, and {} has none: write https://, or set CONSUL_HTTP_SSL=true",
                client.address
            ));
        }
        if let Some(file) = &self.consul_ca_file {
            client.ca_file = Some(file.clone());
            client.ca_path = None;
        }
        if let (Some(chain), Some(key)) =
            (&self.consul_client_cert_file, &self.consul_client_key_file)
        {
            client.client_certificate = Some((chain.clone(), key.clone()));
        }
        if let Some(name) = &self.consul_tls_server_name {
            client.server_name.clone_from(name);
        }
        Ok(())
    }
}
