//! The agent's own subscription: the names of the mesh, asked for on Envoy's stream.
//!
//! The request goes out behind Envoy's first, which introduces the proxy; responses are taken out of what discovery says and
//! acknowledged here. Envoy sees neither. What was told last stays known while there is no stream, and its version is
//! reported on the next one, so that discovery sends it only if it differs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::{BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::rpc::Status as Refusal;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::watch;

use super::sieve::PREFIX;
use super::{Counters, Variant};
use crate::dns::table::NameTable;

/// The type of the table.
pub(super) const TYPE: &str = "type.googleapis.com/istio.networking.nds.v1.NameTable";

/// The names that are known, across streams.
#[derive(Debug)]
pub(super) struct Table {
    published: watch::Sender<Option<Arc<NameTable>>>,
    held: Mutex<Held>,
    limit: usize,
}

/// What is reported of it on the next stream.
#[derive(Debug, Default)]
struct Held {
    /// In the incremental variant, by resource.
    versions: BTreeMap<String, String>,
    /// In the other, of the whole.
    version: String,
}

impl Table {
    pub(super) fn new(published: watch::Sender<Option<Arc<NameTable>>>, limit: usize) -> Self {
        Self {
            published,
            held: Mutex::default(),
            limit,
        }
    }

    /// The largest response that is taken.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn publish(&self, table: NameTable) {
        self.published.send_if_modified(|known| {
            let news = known.as_deref() != Some(&table);
            if news {
                *known = Some(Arc::new(table));
            }
            news
        });
    }
}

/// The subscription on one stream.
#[derive(Debug)]
pub(super) struct Subscription {
    variant: Variant,
    table: Arc<Table>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    /// What is to be said next. An answer replaces one that is still there: discovery wants to know about its newest response.
    due: Option<Bytes>,
    waker: Option<Waker>,
}

impl Subscription {
    pub(super) fn new(variant: Variant, table: Arc<Table>, counters: Arc<Counters>) -> Self {
        Self {
            variant,
            table,
            counters,
            state: Mutex::default(),
        }
    }

    /// Envoy has introduced itself: asks for the names, the first time.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        if !state.begun {
            state.begun = true;
            state.due = Some(self.first());
        }
    }

    /// Whether something is to be said.
    pub(super) fn is_due(&self) -> bool {
        self.state.lock().due.is_some()
    }

    /// What is to be said; if that is nothing, the task is woken when it is something.
    pub(super) fn take_due(&self, cx: &Context<'_>) -> Option<Bytes> {
        let mut state = self.state.lock();
        let due = state.due.take();
        if due.is_none() {
            state.waker = Some(cx.waker().clone());
        }
        due
    }

    /// Takes a response of discovery's; `None` is one that was too large.
    pub(super) fn heard(&self, response: Option<Bytes>) {
        let Some(response) = response else {
            self.counters.named(false);
            tracing::warn!(target: "xdsproxy", limit = self.table.limit, "the table of names is too large; the last one is kept");
            return;
        };
        let answer = match self.variant {
            Variant::Delta => self.heard_delta(response),
            Variant::Sotw => self.heard_sotw(response),
        };
        let mut state = self.state.lock();
        state.due = answer;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn first(&self) -> Bytes {
        let held = self.table.held.lock();
        match self.variant {
            Variant::Delta => framed(&DeltaDiscoveryRequest {
                type_url: TYPE.to_owned(),
                initial_resource_versions: held.versions.clone().into_iter().collect(),
                ..DeltaDiscoveryRequest::default()
            }),
            Variant::Sotw => framed(&DiscoveryRequest {
                type_url: TYPE.to_owned(),
                version_info: held.version.clone(),
                ..DiscoveryRequest::default()
            }),
        }
    }

    fn heard_delta(&self, response: Bytes) -> Option<Bytes> {
        let response = match DeltaDiscoveryResponse::decode(response) {
            Ok(response) => response,
            Err(error) => return self.unreadable(&error.to_string()),
        };
        let mut refusal = None;
        for resource in &response.resources {
            let body = resource.resource.as_ref().map(|any| any.value.as_slice());
            match self.take(body.unwrap_or_default()) {
                Ok(()) => {
                    let (name, version) = (resource.name.clone(), resource.version.clone());
                    self.table.held.lock().versions.insert(name, version);
                }
                Err(why) => refusal = Some(why),
            }
        }
        // The names themselves stay known: a discovery that has none to offer may be an older one.
        for name in &response.removed_resources {
            self.table.held.lock().versions.remove(name);
        }
        Some(framed(&DeltaDiscoveryRequest {
            type_url: TYPE.to_owned(),
            response_nonce: response.nonce,
            error_detail: refusal,
            ..DeltaDiscoveryRequest::default()
        }))
    }

    fn heard_sotw(&self, response: Bytes) -> Option<Bytes> {
        let response = match DiscoveryResponse::decode(response) {
            Ok(response) => response,
            Err(error) => return self.unreadable(&error.to_string()),
        };
        let mut refusal = None;
        for any in &response.resources {
            refusal = self.take(&any.value).err();
        }
        let mut held = self.table.held.lock();
        if refusal.is_none() {
            held.version = response.version_info;
        }
        Some(framed(&DiscoveryRequest {
            type_url: TYPE.to_owned(),
            version_info: held.version.clone(),
            response_nonce: response.nonce,
            error_detail: refusal,
            ..DiscoveryRequest::default()
        }))
    }

    /// Takes a table, or says why not.
    fn take(&self, body: &[u8]) -> Result<(), Refusal> {
        match NameTable::from_resource(body) {
            Ok(table) => {
                self.counters.named(true);
                self.table.publish(table);
                Ok(())
            }
            Err(error) => {
                self.counters.named(false);
                tracing::warn!(target: "xdsproxy", %error, "the table of names cannot be read; the last one is kept");
                Err(Refusal {
                    code: tonic::Code::InvalidArgument.into(),
                    message: format!("the table of names cannot be read: {error}"),
                    details: Vec::new(),
                })
            }
        }
    }

    /// Without a nonce there is no answer.
    fn unreadable(&self, error: &str) -> Option<Bytes> {
        self.counters.named(false);
        tracing::warn!(target: "xdsproxy", error, "a response with the table of names cannot be read");
        None
    }
}

/// A message as gRPC sends it.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // Requests are a few hundred bytes.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}
