//! A client of Consul's HTTP API, as far as a reader of the catalog needs it: catalog, health, key-value store.
//!
//! [`ConsulApi`] is what it does; [`Client`] does it over HTTP/1.1 to one agent or server. Reads may *block*: with the
//! [`Index`] of an earlier answer, Consul answers when there is something newer, or after the given time. A return does not
//! say that anything has changed.
//!
//! - Addresses, tokens and TLS are [`Settings`], with the meaning that Consul's own tools give to `CONSUL_HTTP_*` and
//!   the like ([`Settings::from_environment`]).
//! - At most [`Settings::max_connections`] requests are under way at once; a further one waits for its turn. An agent accepts
//!   200 connections of one client unless it is told otherwise.
//! - Every answer tells what Consul says about its truth: how old it may be, whether there is a leader, whether the token
//!   hid a part of it ([`Answer`]). Nothing is decided about it here.
//! - Dropping a future closes its connection.
//!
//! See <https://developer.hashicorp.com/consul/api-docs> for the API.

mod address;
mod answer;
mod connect;
mod error;
mod model;
mod query;
mod request;
mod rights;
mod settings;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;

pub use address::Address;
pub use answer::{Answer, Index};
pub use error::Error;
pub use model::{Check, Instance, KvPair, Locality, Node, Port, Service, TaggedAddress, Weights};
pub use query::{Block, Consistency, Query};
pub use request::Client;
pub use rights::Readable;
pub use settings::{Credentials, Settings, SettingsError, Token};

/// What a reader of the catalog asks Consul.
#[async_trait]
pub trait ConsulApi: Debug + Send + Sync {
    /// The names of all services with the tags that their instances have: `GET /v1/catalog/services`.
    async fn services(&self, query: &Query)
    -> Result<Answer<BTreeMap<String, Vec<String>>>, Error>;

    /// The instances of a service with their node and all checks: `GET /v1/health/service/NAME`.
    async fn health(&self, service: &str, query: &Query) -> Result<Answer<Vec<Instance>>, Error>;

    /// Waits for a change of any check, and says nothing else: `GET /v1/health/state/any` with a filter that nothing passes.
    async fn pulse(&self, query: &Query) -> Result<Answer<()>, Error>;

    /// The names of all datacenters, the nearest first: `GET /v1/catalog/datacenters`.
    async fn datacenters(&self) -> Result<Vec<String>, Error>;

    /// Which of these the token may not read: `POST /v1/internal/acl/authorize`, which Consul's own pages ask (1.7), and which its
    /// documentation does not promise. Without ACLs all may be read. `None`: the agent does not say.
    async fn unreadable(
        &self,
        what: &BTreeSet<Readable>,
        query: &Query,
    ) -> Result<Option<BTreeSet<Readable>>, Error>;

    /// Everything below a prefix of the key-value store, by key. A prefix under which nothing stands is empty.
    async fn list(&self, prefix: &str, query: &Query) -> Result<Answer<Vec<KvPair>>, Error>;

    /// One key; `None` where there is none.
    async fn get(&self, key: &str, query: &Query) -> Result<Answer<Option<KvPair>>, Error>;

    /// Writes a key if its `ModifyIndex` is still this, 0 for one that must not exist yet. Returns whether it was.
    async fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        if_index: u64,
        query: &Query,
    ) -> Result<bool, Error>;

    /// Removes a key if its `ModifyIndex` is still this. Returns whether it was.
    async fn delete(&self, key: &str, if_index: u64, query: &Query) -> Result<bool, Error>;
}
