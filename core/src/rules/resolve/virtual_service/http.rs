//! Routes of HTTP requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{GatewayRef, Place, Target};
use crate::model::{Labels, NamespaceName};
use crate::registry::{Kind, ObjectKey};
use crate::rules::spec::Double;

/// What becomes of requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpRoute {
    /// Where it is written.
    pub place: Place,
    /// What its author calls it; empty: nothing.
    pub name: Arc<str>,
    /// The requests that it is for: any of these; none: all requests.
    pub matches: Vec<HttpMatch>,
    /// What becomes of them.
    pub action: HttpAction,
    /// How long a request may take; `None`: for ever.
    pub timeout: Option<Duration>,
    /// How failed requests are tried again; `None`: as the mesh does.
    pub retries: Option<Retries>,
    /// What of the request is changed.
    pub rewrite: Option<Rewrite>,
    /// What of headers is changed, in both directions, whatever the destination.
    pub headers: HeaderOperations,
    /// Who gets a copy of requests.
    pub mirrors: Vec<Mirror>,
    /// What browsers may do from elsewhere.
    pub cors: Option<Arc<Cors>>,
    /// What goes wrong on purpose.
    pub fault: Option<Arc<Fault>>,
}

/// Requests of one kind: everything that is said has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HttpMatch {
    /// What its author calls it; empty: nothing.
    pub name: Arc<str>,
    /// The path, without the query.
    pub uri: Option<StringMatch>,
    /// Whether a prefix of the path is for whole segments: `/a` for `/a` and `/a/b`, not for `/ab`.
    pub whole_segments: bool,
    /// Whether the case of the path does not count, unless it is a regular expression.
    pub ignore_uri_case: bool,
    /// `http` or `https`.
    pub scheme: Option<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The host, with the port if the client writes it.
    pub authority: Option<StringMatch>,
    /// Headers, by lower-case name.
    pub headers: BTreeMap<Arc<str>, HeaderMatch>,
    /// Headers that must not be like this, by lower-case name.
    pub without_headers: BTreeMap<Arc<str>, HeaderMatch>,
    /// Parameters of the query, by name.
    pub query_params: BTreeMap<Arc<str>, HeaderMatch>,
    /// The port that the client asked for.
    pub port: Option<u16>,
    /// The client's labels.
    pub source_labels: Labels,
    /// The client's namespace.
    pub source_namespace: Option<NamespaceName>,
    /// Where it is in force, in place of what the rule as a whole says; empty: there.
    pub gateways: Vec<GatewayRef>,
    /// The prefix of statistics about these requests; empty: none are kept.
    pub stat_prefix: Arc<str>,
}

impl HttpMatch {
    /// Whether it is for all requests of the clients that it is for.
    pub fn is_catch_all(&self) -> bool {
        let of_path = |uri: &StringMatch| match uri {
            StringMatch::Prefix(prefix) => &**prefix == "/",
            StringMatch::Regex(regex) => matches!(&**regex, ".*" | "/.*"),
            StringMatch::Exact(_) => false,
        };
        self.uri.as_ref().is_none_or(of_path)
            && self.scheme.is_none()
            && self.method.is_none()
            && self.authority.is_none()
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.query_params.is_empty()
            && self.port.is_none()
    }

    /// Whether it is for all clients.
    pub fn is_for_everybody(&self) -> bool {
        self.source_labels.is_empty() && self.source_namespace.is_none() && self.gateways.is_empty()
    }
}

/// How a text has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StringMatch {
    /// Equal.
    Exact(Arc<str>),
    /// Begin like this.
    Prefix(Arc<str>),
    /// As a whole like this regular expression (RE2).
    Regex(Arc<str>),
}

/// How a header or parameter has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HeaderMatch {
    /// There, whatever its value.
    Present,
    /// There, with a value like this.
    Value(StringMatch),
}

/// What becomes of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HttpAction {
    /// They go to one of these, in proportion to the weights; there is at least one with a weight above 0.
    Route(Vec<HttpTarget>),
    /// Their clients are sent elsewhere.
    Redirect(Redirect),
    /// They are answered by the proxy.
    DirectResponse(DirectResponse),
    /// Another rule says; it is replaced by that rule's routes before anybody looks a host up.
    Delegate(DelegateRef),
}

/// Where some requests go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpTarget {
    /// Where.
    pub to: Target,
    /// In proportion to all weights of the route.
    pub weight: u32,
    /// What of headers is changed for this destination.
    pub headers: HeaderOperations,
}

/// The rule that another one delegates to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelegateRef {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name.
    pub name: Arc<str>,
}

impl DelegateRef {
    /// The identity of the `VirtualService`.
    pub fn key(&self) -> ObjectKey {
        let kind = Kind::new("VirtualService");
        ObjectKey::new(kind, self.namespace.clone(), Arc::clone(&self.name))
    }
}

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Redirect {
    /// The new path, or what replaces the matched prefix; `None`: the same path.
    pub uri: Option<UriRewrite>,
    /// The new host; `None`: the same.
    pub authority: Option<Arc<str>>,
    /// The new port; `None`: the same.
    pub port: Option<RedirectPort>,
    /// `http` or `https`; `None`: the same.
    pub scheme: Option<Arc<str>>,
    /// The status: 301, 302, 303, 307 or 308.
    pub code: u16,
}

/// The port of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedirectPort {
    /// This one.
    Number(u16),
    /// The standard port of the new scheme.
    FromProtocolDefault,
    /// The port that the request came to.
    FromRequestPort,
}

/// An answer by the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirectResponse {
    /// The status.
    pub status: u16,
    /// The body; `None`: none.
    pub body: Option<BodyBytes>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BodyBytes {
    /// A text.
    Text(Arc<str>),
    /// Any bytes.
    Bytes(Arc<[u8]>),
}

/// What of a request is changed before it is sent on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rewrite {
    /// The path.
    pub uri: Option<UriRewrite>,
    /// The host.
    pub authority: Option<Arc<str>>,
}

/// How a path is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UriRewrite {
    /// The part that the match's prefix covers, or all of it where the match is no prefix.
    Plain(Arc<str>),
    /// What a regular expression finds.
    Regex {
        /// The expression (RE2).
        pattern: Arc<str>,
        /// What replaces it, with `\1` for groups.
        substitution: Arc<str>,
    },
}

/// How failed requests are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Retries {
    /// How often at most; 0: never.
    pub attempts: u32,
    /// How long one attempt may take; `None`: as long as the request.
    pub per_try_timeout: Option<Duration>,
    /// After which failures, in Envoy's words, statuses among them; `None`: as the mesh does.
    pub retry_on: Option<Arc<str>>,
    /// Whether endpoints elsewhere are tried, too; `None`: as the mesh does.
    pub remote_localities: Option<bool>,
    /// Whether endpoints that failed are left out; `None`: as the mesh does.
    pub ignore_previous_hosts: Option<bool>,
    /// The least pause between attempts; `None`: Envoy's.
    pub backoff: Option<Backoff>,
}

/// The pause between attempts: it doubles with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The first pause.
    pub base: Duration,
}

/// What of headers is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HeaderOperations {
    /// Of requests.
    pub request: Operations,
    /// Of responses.
    pub response: Operations,
}

/// Changes of headers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Operations {
    /// They get this value in place of what they have.
    pub set: BTreeMap<Arc<str>, Arc<str>>,
    /// They get this value besides what they have.
    pub add: BTreeMap<Arc<str>, Arc<str>>,
    /// They are taken away.
    pub remove: Vec<Arc<str>>,
}

/// Who gets a copy of requests; its answers are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// Who.
    pub to: Target,
    /// Of how many requests, in percent.
    pub percent: Double,
}

/// What browsers may do from elsewhere (CORS).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Cors {
    /// From where.
    pub allow_origins: Vec<StringMatch>,
    /// With which methods.
    pub allow_methods: Vec<Arc<str>>,
    /// With which headers.
    pub allow_headers: Vec<Arc<str>>,
    /// Which headers of responses they see.
    pub expose_headers: Vec<Arc<str>>,
    /// How long the answer may be remembered; `None`: nothing is said.
    pub max_age: Option<Duration>,
    /// Whether with cookies and the like; `None`: nothing is said.
    pub allow_credentials: Option<bool>,
    /// Whether preflight requests from elsewhere go to the service; `None`: they do.
    pub forward_unmatched_preflights: Option<bool>,
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Fault {
    /// Requests are held up.
    pub delay: Option<Delay>,
    /// Requests are answered with a failure.
    pub abort: Option<(Abort, Double)>,
}

/// Requests are held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delay {
    /// How long.
    pub fixed: Duration,
    /// How many, in percent.
    pub percent: Double,
}

/// The failure that requests are answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abort {
    /// An HTTP status.
    Http(u16),
    /// A gRPC status, by number.
    Grpc(u32),
}
