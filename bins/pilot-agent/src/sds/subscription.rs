//! What is sent on one stream and when, in both variants of the protocol; without I/O.
//!
//! A secret is due when its version is not the one that was sent last. Whether Envoy took that is not looked at: what it refused
//! is not sent again until it differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use xxhash_rust::xxh3::xxh3_128;

use super::load::Loaded;

/// The type of what is served.
pub(super) const TYPE: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A variant of the protocol.
pub(super) trait Variant: Default + Send + 'static {
    /// What Envoy says.
    type Request: Send + 'static;
    /// What it is told.
    type Response: Send + 'static;

    /// Takes what Envoy says; returns what it has refused, if it has.
    fn request(&mut self, request: Self::Request) -> Option<String>;

    /// The names that are subscribed to.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// What is to be sent, if anything is.
    fn response(&mut self, secrets: &BTreeMap<String, Arc<Loaded>>) -> Option<Self::Response>;
}

/// Subscribed names, each with the version that Envoy has been sent or says that it has.
type Names = BTreeMap<String, Option<String>>;

/// The incremental variant.
#[derive(Debug, Default)]
pub(super) struct Delta {
    names: Names,
    sent: u64,
}

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    fn request(&mut self, mut request: DeltaDiscoveryRequest) -> Option<String> {
        for name in request.resource_names_unsubscribe {
            self.names.remove(&name);
        }
        for name in request.resource_names_subscribe {
            let held = request.initial_resource_versions.remove(&name);
            self.names.insert(name, held);
        }
        request.error_detail.map(|refusal| refusal.message)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    fn response(
        &mut self,
        secrets: &BTreeMap<String, Arc<Loaded>>,
    ) -> Option<DeltaDiscoveryResponse> {
        let mut resources = Vec::new();
        for (name, sent) in &mut self.names {
            let Some(secret) = secrets.get(name).filter(|secret| is_due(secret, sent)) else {
                continue;
            };
            *sent = Some(secret.version.clone());
            resources.push(Resource {
                name: name.clone(),
                version: secret.version.clone(),
                resource: Some(secret.body.clone()),
                ..Resource::default()
            });
        }
        if resources.is_empty() {
            return None;
        }
        self.sent += 1;
        Some(DeltaDiscoveryResponse {
            type_url: TYPE.to_owned(),
            nonce: self.sent.to_string(),
            resources,
            ..DeltaDiscoveryResponse::default()
        })
    }
}

/// The state of the world.
#[derive(Debug, Default)]
pub(super) struct Sotw {
    names: Names,
    sent: u64,
}

impl Variant for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn request(&mut self, request: DiscoveryRequest) -> Option<String> {
        let nonce = &request.response_nonce;
        // One that answers an older response is followed by one that answers the newest. A stream's first may have the nonce of another
        // stream.
        if self.sent > 0 && !nonce.is_empty() && *nonce != self.sent.to_string() {
            return None;
        }
        let mut former = std::mem::take(&mut self.names);
        for name in request.resource_names {
            let sent = former.remove(&name).flatten();
            self.names.insert(name, sent);
        }
        request.error_detail.map(|refusal| refusal.message)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    fn response(&mut self, secrets: &BTreeMap<String, Arc<Loaded>>) -> Option<DiscoveryResponse> {
        let is_due = |(name, sent): (&String, &Option<String>)| {
            secrets.get(name).is_some_and(|secret| is_due(secret, sent))
        };
        if !self.names.iter().any(is_due) {
            return None;
        }
        let (mut resources, mut versions) = (Vec::new(), String::new());
        for (name, sent) in &mut self.names {
            if let Some(secret) = secrets.get(name) {
                *sent = Some(secret.version.clone());
                versions.push_str(&secret.version);
                resources.push(secret.body.clone());
            }
        }
        self.sent += 1;
        Some(DiscoveryResponse {
            version_info: format!("{:032x}", xxh3_128(versions.as_bytes())),
            type_url: TYPE.to_owned(),
            nonce: self.sent.to_string(),
            resources,
            ..DiscoveryResponse::default()
        })
    }
}

fn is_due(secret: &Loaded, sent: &Option<String>) -> bool {
    sent.as_ref() != Some(&secret.version)
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf::Any;
    use envoy_types::pb::google::rpc::Status;

    use super::*;

    fn secrets(versions: &[(&str, &str)]) -> BTreeMap<String, Arc<Loaded>> {
        let secret = |version: &str| Loaded {
            version: version.to_owned(),
            body: Any {
                type_url: TYPE.to_owned(),
                value: version.into(),
            },
            validity: None,
        };
        versions
            .iter()
            .map(|(name, version)| ((*name).to_owned(), Arc::new(secret(version))))
            .collect()
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The nonce and the versions that are sent.
    fn delta(stream: &mut Delta, has: &[(&str, &str)]) -> Option<(String, Vec<String>)> {
        let response = stream.response(&secrets(has))?;
        let versions = response
            .resources
            .iter()
            .map(|resource| format!("{}={}", resource.name, resource.version));
        Some((response.nonce, versions.collect()))
    }

    fn subscribe(names: &[&str]) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            resource_names_subscribe: owned(names),
            ..DeltaDiscoveryRequest::default()
        }
    }

    fn sent(nonce: &str, versions: &[&str]) -> Option<(String, Vec<String>)> {
        Some((nonce.to_owned(), owned(versions)))
    }

    #[test]
    fn delta_sends_what_differs() {
        let mut stream = Delta::default();
        assert_eq!(stream.request(subscribe(&["a", "b"])), None);
        assert_eq!(
            delta(&mut stream, &[]),
            None,
            "what is not there is waited for"
        );
        assert_eq!(
            delta(&mut stream, &[("a", "1"), ("c", "1")]),
            sent("1", &["a=1"])
        );
        assert_eq!(delta(&mut stream, &[("a", "1")]), None);
        assert_eq!(
            delta(&mut stream, &[("a", "2"), ("b", "1")]),
            sent("2", &["a=2", "b=1"])
        );
        let refusal = DeltaDiscoveryRequest {
            response_nonce: "2".to_owned(),
            error_detail: Some(Status {
                message: "no".to_owned(),
                ..Status::default()
            }),
            ..DeltaDiscoveryRequest::default()
        };
        assert_eq!(stream.request(refusal), Some("no".to_owned()));
        assert_eq!(
            delta(&mut stream, &[("a", "2"), ("b", "1")]),
            None,
            "what was refused is not repeated"
        );
        stream.request(subscribe(&["b"]));
        assert_eq!(
            delta(&mut stream, &[("a", "2"), ("b", "1")]),
            sent("3", &["b=1"]),
            "who asks again is answered"
        );
        stream.request(DeltaDiscoveryRequest {
            resource_names_unsubscribe: owned(&["a"]),
            ..DeltaDiscoveryRequest::default()
        });
        assert_eq!(delta(&mut stream, &[("a", "3"), ("b", "1")]), None);
        assert_eq!(stream.names().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn delta_does_not_repeat_what_is_reported() {
        let mut stream = Delta::default();
        stream.request(DeltaDiscoveryRequest {
            initial_resource_versions: [
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), "0".to_owned()),
            ]
            .into(),
            ..subscribe(&["a", "b"])
        });
        assert_eq!(
            delta(&mut stream, &[("a", "1"), ("b", "1")]),
            sent("1", &["b=1"])
        );
    }

    #[test]
    fn sotw_sends_everything_when_something_differs() {
        let mut stream = Sotw::default();
        let ask = |nonce: &str, names: &[&str]| DiscoveryRequest {
            response_nonce: nonce.to_owned(),
            resource_names: owned(names),
            ..DiscoveryRequest::default()
        };
        let get = |stream: &mut Sotw, has: &[(&str, &str)]| {
            let response = stream.response(&secrets(has))?;
            let bodies = response
                .resources
                .iter()
                .map(|any| String::from_utf8(any.value.clone()).unwrap());
            Some((response.nonce, bodies.collect::<Vec<_>>()))
        };
        stream.request(ask("another stream's", &["a", "b"]));
        assert_eq!(get(&mut stream, &[("a", "1")]), sent("1", &["1"]));
        assert_eq!(
            get(&mut stream, &[("a", "1"), ("b", "2")]),
            sent("2", &["1", "2"])
        );
        stream.request(ask("1", &["a"]));
        assert_eq!(
            stream.names().collect::<Vec<_>>(),
            ["a", "b"],
            "it answers an older response"
        );
        stream.request(ask("2", &["a"]));
        assert_eq!(get(&mut stream, &[("a", "1"), ("b", "3")]), None);
        stream.request(ask("2", &["a", "b"]));
        assert_eq!(
            get(&mut stream, &[("a", "1"), ("b", "3")]),
            sent("3", &["1", "3"])
        );
    }
}
