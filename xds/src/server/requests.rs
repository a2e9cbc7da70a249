//! `DiscoveryRequest` and `DeltaDiscoveryRequest`, read by hand: names are borrowed from the message, everything that is not
//! used is skipped, and nothing is kept.

use thiserror::Error;
use tonic::Code;

use super::wire::{Malformed, Value, each_field, map_entry};
use crate::protocol::{Mode, Names, Rejection, Request};
use crate::resource::ResourceType;

/// Bytes of a rejection's text that are looked at for names.
const REJECTION: usize = 64 << 10;

/// One message of a client.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    /// The encoded node, which only the first message has to have.
    pub(crate) node: Option<&'a [u8]>,
    /// `None` for a type that is not served: such a request stays without an answer.
    pub(crate) request: Option<Request<'a>>,
}

/// Why a message is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unacceptable {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("type_url is empty, which only the services of one type allow")]
    NoType,
    #[error("a message has more than {limit} names")]
    TooManyNames { limit: usize },
}

impl Unacceptable {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::NoType => Code::InvalidArgument,
            Self::TooManyNames { .. } => Code::ResourceExhausted,
        }
    }
}

/// Reads one message. An empty type URL stands for `only`, the one type of the service; at most `names` are taken.
pub(crate) fn read(
    message: &[u8],
    mode: Mode,
    only: Option<ResourceType>,
    names: usize,
) -> Result<Message<'_>, Unacceptable> {
    let mut fields = Fields::default();
    match mode {
        Mode::Sotw => each_field(message, |tag, value| fields.sotw(tag, value, names))?,
        Mode::Delta => each_field(message, |tag, value| fields.delta(tag, value, names))?,
    }
    let resource_type = match (fields.type_url, only) {
        ("", None) => return Err(Unacceptable::NoType),
        ("", only) => only,
        (url, _) => ResourceType::of_url(url),
    };
    let names = match mode {
        Mode::Sotw => Names::Sotw {
            version: fields.version,
            names: fields.subscribe,
        },
        Mode::Delta => Names::Delta {
            subscribe: fields.subscribe,
            unsubscribe: fields.unsubscribe,
            initial: fields.initial,
        },
    };
    Ok(Message {
        node: fields.node,
        request: resource_type.map(|resource_type| Request {
            resource_type,
            nonce: fields.nonce,
            error: fields.error,
            names,
        }),
    })
}

#[derive(Default)]
struct Fields<'a> {
    node: Option<&'a [u8]>,
    type_url: &'a str,
    nonce: &'a str,
    version: &'a str,
    subscribe: Vec<&'a str>,
    unsubscribe: Vec<&'a str>,
    initial: Vec<(&'a str, &'a str)>,
    error: Option<Rejection>,
}

impl<'a> Fields<'a> {
    fn sotw(&mut self, tag: u32, value: Value<'a>, limit: usize) -> Result<(), Unacceptable> {
        match tag {
            1 => self.version = value.text()?,
            2 => self.node = Some(value.bytes()?),
            3 => {
                self.room(limit)?;
                self.subscribe.push(value.text()?);
            }
            4 => self.type_url = value.text()?,
            5 => self.nonce = value.text()?,
            6 => self.reject(value.bytes()?)?,
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, tag: u32, value: Value<'a>, limit: usize) -> Result<(), Unacceptable> {
        match tag {
            1 => self.node = Some(value.bytes()?),
            2 => self.type_url = value.text()?,
            3 => {
                self.room(limit)?;
                self.subscribe.push(value.text()?);
            }
            4 => {
                self.room(limit)?;
                self.unsubscribe.push(value.text()?);
            }
            5 => {
                self.room(limit)?;
                let (name, version) = map_entry(value.bytes()?)?;
                self.initial.push((name, version.text()?));
            }
            6 => self.nonce = value.text()?,
            7 => self.reject(value.bytes()?)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether another name may be taken, told before memory grows.
    fn room(&self, limit: usize) -> Result<(), Unacceptable> {
        if self
            .subscribe
            .len()
            .max(self.unsubscribe.len())
            .max(self.initial.len())
            >= limit
        {
            return Err(Unacceptable::TooManyNames { limit });
        }
        Ok(())
    }

    /// A `google.rpc.Status`. Its presence alone says that the response was rejected.
    fn reject(&mut self, status: &'a [u8]) -> Result<(), Malformed> {
        let rejection = self.error.get_or_insert(Rejection {
            code: 0,
            message: String::new(),
        });
        each_field(status, |tag, value| {
            match tag {
                // An int32 is sent in as many bits as an int64.
                1 => rejection.code = value.integer()? as i32,
                2 => {
                    let text = value.text()?;
                    rejection.message = text[..text.floor_char_boundary(REJECTION)].to_owned();
                }
                _ => {}
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use envoy_types::pb::envoy::config::core::v3::Node;
    use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
    use envoy_types::pb::google::rpc::Status;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// What is read, in a form that can be compared.
    #[derive(Debug, PartialEq)]
    struct Read {
        node: bool,
        nonce: String,
        error: Option<(i32, String)>,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: BTreeMap<String, String>,
        version: String,
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn ours(bytes: &[u8], mode: Mode) -> Result<Read, Unacceptable> {
        let message = read(bytes, mode, Some(ResourceType::Cluster), 100)?;
        let request = message.request.ok_or(Unacceptable::NoType)?;
        let (subscribe, unsubscribe, initial, version) = match request.names {
            Names::Sotw { version, names } => (owned(&names), vec![], BTreeMap::new(), version),
            Names::Delta {
                subscribe,
                unsubscribe,
                initial,
            } => {
                let initial = initial
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect();
                (owned(&subscribe), owned(&unsubscribe), initial, "")
            }
        };
        Ok(Read {
            node: message.node.is_some(),
            nonce: request.nonce.to_owned(),
            error: request.error.map(|error| (error.code, error.message)),
            subscribe,
            unsubscribe,
            initial,
            version: version.to_owned(),
        })
    }

    fn error(status: Option<Status>) -> Option<(i32, String)> {
        status.map(|status| (status.code, status.message))
    }

    fn prosts_delta(request: DeltaDiscoveryRequest) -> Read {
        Read {
            node: request.node.is_some(),
            nonce: request.response_nonce,
            error: error(request.error_detail),
            subscribe: request.resource_names_subscribe,
            unsubscribe: request.resource_names_unsubscribe,
            initial: request.initial_resource_versions.into_iter().collect(),
            version: String::new(),
        }
    }

    fn prosts_sotw(request: DiscoveryRequest) -> Read {
        Read {
            node: request.node.is_some(),
            nonce: request.response_nonce,
            error: error(request.error_detail),
            subscribe: request.resource_names,
            unsubscribe: vec![],
            initial: BTreeMap::new(),
            version: request.version_info,
        }
    }

    fn status() -> impl Strategy<Value = Option<Status>> {
        prop::option::of(any::<(i32, String)>().prop_map(|(code, message)| Status {
            code,
            message,
            details: vec![Default::default()],
        }))
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(any::<String>(), 0..5)
    }

    fn node() -> impl Strategy<Value = Option<Node>> {
        prop::option::of(any::<String>().prop_map(|id| Node {
            id,
            ..Node::default()
        }))
    }

    prop_compose! {
        fn delta()(
            node in node(),
            response_nonce in any::<String>(),
            error_detail in status(),
            resource_names_subscribe in names(),
            resource_names_unsubscribe in names(),
            initial in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5),
        ) -> DeltaDiscoveryRequest {
            DeltaDiscoveryRequest {
                node,
                response_nonce,
                error_detail,
                resource_names_subscribe,
                resource_names_unsubscribe,
                initial_resource_versions: initial.into_iter().collect(),
                resource_locators_subscribe: vec![Default::default()],
                ..DeltaDiscoveryRequest::default()
            }
        }
    }

    prop_compose! {
        fn sotw()(
            node in node(),
            version_info in any::<String>(),
            response_nonce in any::<String>(),
            error_detail in status(),
            resource_names in names(),
        ) -> DiscoveryRequest {
            DiscoveryRequest {
                node,
                version_info,
                response_nonce,
                error_detail,
                resource_names,
                ..DiscoveryRequest::default()
            }
        }
    }

    proptest! {
        #[test]
        fn requests_are_read_as_prost_reads_them(delta in delta(), sotw in sotw()) {
            prop_assert_eq!(ours(&delta.encode_to_vec(), Mode::Delta), Ok(prosts_delta(delta)));
            prop_assert_eq!(ours(&sotw.encode_to_vec(), Mode::Sotw), Ok(prosts_sotw(sotw)));
        }

        #[test]
        fn broken_requests_are_read_no_worse_than_prost_reads_them(
            delta in delta(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = delta.encode_to_vec();
            for (place, byte) in changes {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            let prosts = DeltaDiscoveryRequest::decode(&bytes[..]);
            if let Ok(prosts) = prosts && prosts.type_url.is_empty() {
                prop_assert_eq!(ours(&bytes, Mode::Delta), Ok(prosts_delta(prosts)));
            }
            let _ = ours(&bytes, Mode::Sotw);
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ours(&bytes, Mode::Delta);
            let _ = ours(&bytes, Mode::Sotw);
        }
    }

    #[test]
    fn types_are_inferred_only_where_there_is_one() {
        let of = |url: &str, only| {
            let request = DeltaDiscoveryRequest {
                type_url: url.to_owned(),
                ..DeltaDiscoveryRequest::default()
            };
            read(&request.encode_to_vec(), Mode::Delta, only, 1)
                .map(|message| message.request.map(|request| request.resource_type))
        };
        let endpoints = Some(ResourceType::Endpoint);
        assert_eq!(of("", None), Err(Unacceptable::NoType));
        assert_eq!(of("", endpoints), Ok(endpoints));
        assert_eq!(of(ResourceType::Endpoint.url(), None), Ok(endpoints));
        assert_eq!(
            of(ResourceType::Route.url(), endpoints),
            Ok(Some(ResourceType::Route))
        );
        assert_eq!(of("type.googleapis.com/something.Else", None), Ok(None));
    }

    #[test]
    fn names_and_texts_have_limits() {
        let many = DiscoveryRequest {
            resource_names: vec![String::new(); 101],
            ..DiscoveryRequest::default()
        };
        assert_eq!(
            ours(&many.encode_to_vec(), Mode::Sotw),
            Err(Unacceptable::TooManyNames { limit: 100 })
        );
        let long = DiscoveryRequest {
            error_detail: Some(Status {
                message: "ü".repeat(1 << 20),
                ..Status::default()
            }),
            ..DiscoveryRequest::default()
        };
        let read = ours(&long.encode_to_vec(), Mode::Sotw).unwrap();
        assert_eq!(read.error.unwrap().1, "ü".repeat(REJECTION / 2));
    }
}
