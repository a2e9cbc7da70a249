//! `apply`, `get` and `delete`: rules in Consul's key-value store, one object per key, where discovery reads them.
//!
//! Keys are changed only if they still are what was read (check-and-set): of two people at once, one is told to look again.

mod apply;
mod delete;
mod get;
mod stored;

use anyhow::Result;
use clap::Args;
use pilothouse_consul::RULES;
use pilothouse_consul::client::{Client, Query, Settings};

pub use apply::{ApplyArgs, apply};
pub use delete::{DeleteArgs, delete};
pub use get::{GetArgs, get};
pub(crate) use stored::text;

/// Which store.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Rules are in the key-value store of a Consul, at this address of its HTTP API. Default: CONSUL_HTTP_ADDR, or
    /// http://127.0.0.1:8500. The other variables of Consul's own tools count, too: token, TLS, namespace.
    #[arg(long, required = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_name = "ADDR")]
    pub consul: String,

    /// Below which keys they stand, as discovery's --consul-rules.
    #[arg(long, default_value = RULES, value_name = "PREFIX")]
    pub consul_rules: String,
}

impl StoreArgs {
    fn client(&self) -> Result<(Client, Query)> {
        let variable = |name: &str| std::env::var(name).ok();
        let mut settings = Settings::from_environment(variable)?;
        if !self.consul.is_empty() {
            settings.address = self.consul.parse()?;
        }
        let query = Query {
            namespace: variable("CONSUL_NAMESPACE").unwrap_or_default(),
            partition: variable("CONSUL_PARTITION").unwrap_or_default(),
            ..Query::default()
        };
        Ok((Client::new(settings), query))
    }
}
