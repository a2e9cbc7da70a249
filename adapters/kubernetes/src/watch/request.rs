//! The requests for one resource, and how they are refused.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::timeout;

use super::failing::{Status, WatchError};
use super::{Resource, Scope};

/// How much is read of what a refusing server says.
const MAX_REFUSAL: usize = 64 << 10;

/// One resource of one API server.
pub(super) struct Source {
    client: kube::Client,
    pub(super) resource: Resource,
    scope: Scope,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    Watch,
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: WatchError,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// The version that was asked for is no good.
    pub(super) version: bool,
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self {
            error,
            retry_after: None,
            version: false,
        }
    }
}

impl Failure {
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.error.status()
    }

    /// Whether nothing could be had of the server, whatever it is asked for.
    pub(super) fn is_of_the_server(&self) -> bool {
        match &self.error {
            WatchError::Unreachable { .. } => true,
            error => error.is_denied() || error.status() == Some(StatusCode::TOO_MANY_REQUESTS),
        }
    }

    /// Whether the server can make nothing of the request.
    pub(super) fn is_of_the_request(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
        )
    }
}

impl Source {
    pub(super) fn new(client: kube::Client, resource: Resource, scope: Scope) -> Self {
        Self {
            client,
            resource,
            scope,
        }
    }

    /// What is asked for, as people say it.
    pub(super) fn asked(&self, verb: Verb) -> String {
        let verb = match verb {
            Verb::List => "list",
            Verb::Watch => "watch",
        };
        match &self.scope.namespace {
            Some(namespace) => format!("{verb} {} in namespace {namespace}", self.resource),
            None => format!("{verb} {}", self.resource),
        }
    }

    /// Asks, and waits for the beginning of the answer.
    pub(super) async fn ask(
        &self,
        verb: Verb,
        parameters: &[(&str, &str)],
        patience: Duration,
    ) -> Result<Body, Failure> {
        let request = self.request(verb, parameters)?;
        let sent = timeout(patience, self.client.send(request)).await;
        let silent = || WatchError::Silent {
            asked: self.asked(verb),
            after: patience,
        };
        let response = sent
            .map_err(|_| silent())?
            .map_err(|source| WatchError::Unreachable {
                asked: self.asked(verb),
                source: source.into(),
            })?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let said = timeout(patience, beginning(body))
            .await
            .map_err(|_| silent())?;
        let status = Status::of(head.status, &said);
        let mut failure = self.refused(verb, &status);
        failure.retry_after = retry_after(&head.headers).or(failure.retry_after);
        Err(failure)
    }

    /// What it means that the server says this.
    pub(super) fn refused(&self, verb: Verb, status: &Status) -> Failure {
        let (plural, group) = (self.resource.plural, self.resource.group);
        let hint = match status.http() {
            StatusCode::FORBIDDEN => format!(
                "; allow the verbs list and watch on {plural} of the API group {group:?} to the account of this process"
            ),
            StatusCode::UNAUTHORIZED => {
                "; the credentials of this process are not valid, or have expired".into()
            }
            _ => String::new(),
        };
        Failure {
            error: WatchError::Refused {
                asked: self.asked(verb),
                status: status.http(),
                message: status.shown(),
                hint,
            },
            retry_after: status.retry_after(),
            version: status.is_of_the_version(),
        }
    }

    fn request(
        &self,
        verb: Verb,
        parameters: &[(&str, &str)],
    ) -> Result<Request<Body>, WatchError> {
        let mut request = Request::get(self.target(parameters));
        let of = match verb {
            Verb::List => "PartialObjectMetadataList",
            Verb::Watch => "PartialObjectMetadata",
        };
        request = match self.resource.metadata_only {
            true => request.header(
                ACCEPT,
                format!("application/json;as={of};g=meta.k8s.io;v=v1,application/json"),
            ),
            false => request.header(ACCEPT, "application/json"),
        };
        request
            .header(ACCEPT_ENCODING, "identity")
            .body(Body::empty())
            .map_err(|error| WatchError::Nonsense {
                asked: self.asked(verb),
                why: error.to_string(),
            })
    }

    fn target(&self, parameters: &[(&str, &str)]) -> String {
        let Resource {
            group,
            version,
            plural,
            ..
        } = &self.resource;
        let mut target = match *group {
            "" => format!("/api/{version}/"),
            group => format!("/apis/{group}/{version}/"),
        };
        if let Some(namespace) = &self.scope.namespace {
            target.push_str("namespaces/");
            escape(namespace, &mut target);
            target.push('/');
        }
        target.push_str(plural);
        let selectors = [
            ("labelSelector", self.scope.labels.as_deref()),
            ("fieldSelector", self.scope.fields.as_deref()),
        ];
        let selectors = selectors
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        for (at, (name, value)) in parameters.iter().copied().chain(selectors).enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            escape(value, &mut target);
        }
        target
    }
}

/// The beginning of a body, as far as it comes.
async fn beginning(mut body: Body) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < MAX_REFUSAL
        && let Some(Ok(frame)) = body.frame().await
    {
        let bytes: Bytes = frame.into_data().unwrap_or_default();
        read.extend_from_slice(&bytes);
    }
    read.truncate(MAX_REFUSAL);
    read
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.trim().parse().ok()?))
}

/// Adds a text to a URL.
fn escape(text: &str, to: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                to.push(byte.into());
            }
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn source(group: &'static str, scope: Scope) -> Source {
        let nobody = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        });
        let resource = Resource {
            group,
            version: "v1".into(),
            plural: "things",
            kind: "Thing",
            metadata_only: false,
        };
        Source::new(kube::Client::new(nobody, "default"), resource, scope)
    }

    #[tokio::test]
    async fn requests_say_what_is_wanted() {
        let check = |group, scope: Scope, target: &str, asked: &str| {
            let source = source(group, scope);
            assert_eq!(
                source.target(&[("limit", "5"), ("continue", "a/b=")]),
                target
            );
            assert_eq!(source.asked(Verb::Watch), asked);
        };
        let all = Scope::default();
        check(
            "",
            all.clone(),
            "/api/v1/things?limit=5&continue=a%2Fb%3D",
            "watch things",
        );
        let some = Scope {
            namespace: Some("shop".into()),
            labels: Some("app in (a,b)".into()),
            fields: Some("metadata.name=x".into()),
        };
        check(
            "example.com",
            some,
            "/apis/example.com/v1/namespaces/shop/things?limit=5&continue=a%2Fb%3D&labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=metadata.name%3Dx",
            "watch things.example.com in namespace shop",
        );
        let nothing = source("", all);
        assert_eq!(nothing.target(&[]), "/api/v1/things");
    }
}
