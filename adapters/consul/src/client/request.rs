//! Requests over HTTP/1.1: one under way per connection, no more than permitted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connect::Connector;
use super::rights::{self, Question, Said};
use super::{
    Address, Answer, ConsulApi, Error, Instance, KvPair, Query, Readable, Settings, Token,
};

/// The largest answer that is read.
const MAX_BODY: usize = 64 << 20;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// What an answer has that can be waited on.
const INDEX: &str = "x-consul-index";
/// The body of an answer without values.
const NO_VALUES: Bytes = Bytes::from_static(b"[]");
/// Where rights are asked for, and what is said there where all may read everything.
const AUTHORIZE: &str = "/v1/internal/acl/authorize";
const NO_ACLS: &str = "ACL support disabled";
/// A filter that no check passes.
const NOTHING: &str = "CheckID == \"\"";

/// A client of one agent or server. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    settings: Arc<Settings>,
    http: legacy::Client<Connector, Full<Bytes>>,
    places: Arc<Semaphore>,
    /// The last content of the token's file.
    token: Arc<Mutex<String>>,
}

impl Client {
    /// A client. Nothing is connected yet.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector::new(settings.clone()));
        Self {
            http,
            places: Arc::new(Semaphore::new(settings.max_connections.max(1))),
            token: Arc::default(),
            settings,
        }
    }

    /// Whom it asks.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: Vec<(&'static str, String)>,
        query: &Query,
    ) -> Result<Answer<T>, Error> {
        let (headers, body) = self
            .send(Method::GET, path, parameters, Bytes::new(), query.silence())
            .await?;
        let value = serde_json::from_slice(&body).map_err(|source| Error::Decode {
            request: format!("GET {path}"),
            source,
        })?;
        Ok(Answer::of(&headers, value))
    }

    /// Sends a request whose answer Consul may hold back for `silence`, and reads all of its answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: Vec<(&'static str, String)>,
        body: Bytes,
        silence: Duration,
    ) -> Result<(HeaderMap, Bytes), Error> {
        let name = format!("{method} {path}");
        let request = self
            .request(method, path, &parameters, body)
            .await
            .map_err(|why| Error::Request {
                request: name.clone(),
                why,
            })?;
        // It is never closed.
        let _place = self.places.acquire().await;
        let response = self
            .within(silence, &name, self.http.request(request))
            .await?;
        let response = response.map_err(|source| Error::Connect {
            request: name.clone(),
            address: self.settings.address.to_string(),
            source: source.into(),
        })?;
        // What has begun comes at once, however long Consul has thought about it.
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect();
        let body = self.within(Duration::ZERO, &name, body).await?;
        let body = body.map_err(|source| Error::Body {
            request: name.clone(),
            source,
        })?;
        let body = body.to_bytes();
        // A key that is not there has no value, and still an index to wait on.
        let missing = head.status == StatusCode::NOT_FOUND && head.headers.contains_key(INDEX);
        if head.status.is_success() || missing {
            let body = if missing { NO_VALUES } else { body };
            return Ok((head.headers, body));
        }
        Err(Error::Status {
            request: name,
            status: head.status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Waits for a part of an exchange, for this long besides what any may take.
    async fn within<T>(
        &self,
        silence: Duration,
        name: &str,
        part: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let after = silence + self.settings.timeout;
        timeout(after, part).await.map_err(|_| Error::Timeout {
            request: name.into(),
            after,
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut target = path.to_owned();
        for (at, (name, value)) in parameters.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            if !value.is_empty() {
                target.push('=');
                escape(value, false, &mut target);
            }
        }
        let target = PathAndQuery::try_from(target).map_err(|error| error.to_string())?;
        let host = match &self.settings.address {
            Address::Tcp { .. } => self
                .settings
                .address
                .to_string()
                .replacen("https://", "http://", 1),
            Address::Unix(_) => "http://localhost".to_owned(),
        };
        let mut parts = host
            .parse::<Uri>()
            .map_err(|error| error.to_string())?
            .into_parts();
        parts.path_and_query = Some(target);
        let uri = Uri::from_parts(parts).map_err(|error| error.to_string())?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        if let Some(token) = self.token().await {
            let mut value = HeaderValue::from_str(&token)
                .map_err(|_| "the token has characters that no header can have".to_owned())?;
            value.set_sensitive(true);
            request.headers_mut().insert("x-consul-token", value);
        }
        if let Some(credentials) = &self.settings.credentials {
            let pair = STANDARD.encode(format!("{}:{}", credentials.name, credentials.password));
            let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
                .map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn token(&self) -> Option<String> {
        match &self.settings.token {
            Token::None => None,
            Token::Given(token) => Some(token.clone()),
            Token::File(path) => Some(self.token_of(path).await),
        }
        .filter(|token| !token.is_empty())
    }

    /// A file that is missing, or empty while it is written, leaves what was read before.
    async fn token_of(&self, path: &Path) -> String {
        let read = tokio::fs::read_to_string(path).await;
        let text = read.as_deref().map_or("", str::trim);
        let mut known = self.token.lock();
        if !text.is_empty() {
            text.clone_into(&mut known);
        } else if known.is_empty() {
            tracing::warn!(target: "consul", file = %path.display(), "the token's file cannot be read or is empty: requests are sent without token");
        }
        known.clone()
    }
}

#[async_trait]
impl ConsulApi for Client {
    async fn services(
        &self,
        query: &Query,
    ) -> Result<Answer<BTreeMap<String, Vec<String>>>, Error> {
        let answer = self
            .read("/v1/catalog/services", query.parameters(), query)
            .await?;
        Ok(answer.map(|all: BTreeMap<String, Option<Vec<String>>>| {
            all.into_iter()
                .map(|(name, tags)| (name, tags.unwrap_or_default()))
                .collect()
        }))
    }

    async fn health(&self, service: &str, query: &Query) -> Result<Answer<Vec<Instance>>, Error> {
        let mut path = "/v1/health/service/".to_owned();
        escape(service, false, &mut path);
        let answer: Answer<Option<_>> = self.read(&path, query.parameters(), query).await?;
        Ok(answer.map(Option::unwrap_or_default))
    }

    async fn pulse(&self, query: &Query) -> Result<Answer<()>, Error> {
        let query = Query {
            filter: NOTHING.into(),
            ..query.clone()
        };
        let answer: Answer<serde::de::IgnoredAny> = self
            .read("/v1/health/state/any", query.parameters(), &query)
            .await?;
        Ok(answer.map(|_| ()))
    }

    async fn datacenters(&self) -> Result<Vec<String>, Error> {
        let answer = self
            .read("/v1/catalog/datacenters", Vec::new(), &Query::default())
            .await?;
        Ok(answer.value)
    }

    async fn unreadable(
        &self,
        what: &BTreeSet<Readable>,
        query: &Query,
    ) -> Result<Option<BTreeSet<Readable>>, Error> {
        // What is in any of several namespaces cannot be asked for.
        if query.namespace == "*" {
            return Ok(None);
        }
        let all: Vec<&Readable> = what.iter().collect();
        let mut denied = BTreeSet::new();
        for some in all.chunks(rights::AT_ONCE) {
            let questions: Vec<_> = some
                .iter()
                .map(|what| Question::about(what, query))
                .collect();
            match self.authorize(&questions, query).await {
                Ok(said) => match rights::denied(some, &said) {
                    Some(some) => denied.extend(some),
                    None => return Ok(None),
                },
                Err(Error::Status { body, .. }) if body.contains(NO_ACLS) => {
                    return Ok(Some(BTreeSet::new()));
                }
                Err(Error::Status {
                    status:
                        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST,
                    ..
                }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(denied))
    }

    async fn list(&self, prefix: &str, query: &Query) -> Result<Answer<Vec<KvPair>>, Error> {
        let mut path = "/v1/kv/".to_owned();
        escape(prefix, true, &mut path);
        let mut parameters = query.parameters();
        parameters.push(("recurse", String::new()));
        self.read(&path, parameters, query).await
    }

    async fn get(&self, key: &str, query: &Query) -> Result<Answer<Option<KvPair>>, Error> {
        let mut path = "/v1/kv/".to_owned();
        escape(key, true, &mut path);
        let answer: Answer<Vec<KvPair>> = self.read(&path, query.parameters(), query).await?;
        Ok(answer.map(|all| all.into_iter().next()))
    }

    async fn put(
        &self,
        key: &str,
        value: Vec<u8>,
        if_index: u64,
        query: &Query,
    ) -> Result<bool, Error> {
        self.change(Method::PUT, key, value, if_index, query).await
    }

    async fn delete(&self, key: &str, if_index: u64, query: &Query) -> Result<bool, Error> {
        self.change(Method::DELETE, key, Vec::new(), if_index, query)
            .await
    }
}

impl Client {
    async fn authorize(
        &self,
        questions: &[Question<'_>],
        query: &Query,
    ) -> Result<Vec<Said>, Error> {
        let cannot = |source| Error::Decode {
            request: format!("POST {AUTHORIZE}"),
            source,
        };
        let body = serde_json::to_vec(questions).map_err(cannot)?;
        let mut parameters = Vec::new();
        if !query.datacenter.is_empty() {
            parameters.push(("dc", query.datacenter.clone()));
        }
        let (_, body) = self
            .send(
                Method::POST,
                AUTHORIZE,
                parameters,
                body.into(),
                Duration::ZERO,
            )
            .await?;
        serde_json::from_slice(&body).map_err(cannot)
    }

    async fn change(
        &self,
        method: Method,
        key: &str,
        value: Vec<u8>,
        if_index: u64,
        query: &Query,
    ) -> Result<bool, Error> {
        let mut path = "/v1/kv/".to_owned();
        escape(key, true, &mut path);
        let mut parameters = query.parameters();
        parameters.push(("cas", if_index.to_string()));
        let name = format!("{method} {path}");
        let (_, body) = self
            .send(method, &path, parameters, value.into(), Duration::ZERO)
            .await?;
        serde_json::from_slice(&body).map_err(|source| Error::Decode {
            request: name,
            source,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Adds a text to a URL.
fn escape(text: &str, slashes: bool, to: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                to.push(byte.into())
            }
            b'/' if slashes => to.push('/'),
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_means_something_in_a_url_is_escaped() {
        let check = |text: &str, slashes: bool, expected: &str| {
            let mut url = String::new();
            escape(text, slashes, &mut url);
            assert_eq!(url, expected, "{text}");
        };
        check("a b/\u{fc}?&=%", true, "a%20b/%C3%BC%3F%26%3D%25");
        check("a/b", false, "a%2Fb");
        check("CheckID == \"\"", false, "CheckID%20%3D%3D%20%22%22");
    }
}
