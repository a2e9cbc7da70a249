//! Discovery requests, encoded straight into the gRPC stream.

use crate::kind::Mode;
use crate::wire::put;

/// A request under construction; [`Request::finish`] completes it.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    mode: Mode,
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Request<'a> {
    /// Begins a request at the end of `out`.
    pub(crate) fn begin(mode: Mode, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        // Not compressed, and a length that is known at the end.
        out.extend_from_slice(&[0; 5]);
        Self { mode, out, start }
    }

    pub(crate) fn node(&mut self, node: &[u8]) {
        let tag = match self.mode {
            Mode::Delta => 1,
            Mode::Sotw => 2,
        };
        put(tag, node, self.out);
    }

    pub(crate) fn type_url(&mut self, url: &str) {
        let tag = match self.mode {
            Mode::Delta => 2,
            Mode::Sotw => 4,
        };
        put(tag, url.as_bytes(), self.out);
    }

    pub(crate) fn nonce(&mut self, nonce: &[u8]) {
        let tag = match self.mode {
            Mode::Delta => 6,
            Mode::Sotw => 5,
        };
        put(tag, nonce, self.out);
    }

    /// Delta: one more name to subscribe to.
    pub(crate) fn subscribe(&mut self, name: &[u8]) {
        put(3, name, self.out);
    }

    /// Delta: one name to give up.
    pub(crate) fn unsubscribe(&mut self, name: &[u8]) {
        put(4, name, self.out);
    }

    /// Delta: one entry of `initial_resource_versions`.
    pub(crate) fn held(&mut self, name: &[u8], version: &[u8]) {
        let mut entry = Vec::with_capacity(name.len() + version.len() + 4);
        put(1, name, &mut entry);
        put(2, version, &mut entry);
        put(5, &entry, self.out);
    }

    /// State of the world: the last version accepted.
    pub(crate) fn version(&mut self, version: &[u8]) {
        put(1, version, self.out);
    }

    /// State of the world: all names asked for, as [`encoded_names`] made them.
    pub(crate) fn names(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    pub(crate) fn finish(self) {
        let length = (self.out.len() - self.start - 5) as u32;
        if let Some(prefix) = self.out.get_mut(self.start + 1..self.start + 5) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// The field `resource_names` of a state-of-the-world request.
pub(crate) fn encoded_names<'n>(names: impl Iterator<Item = &'n [u8]>) -> Vec<u8> {
    let mut encoded = Vec::new();
    for name in names {
        put(3, name, &mut encoded);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
    use prost::Message;

    use super::*;

    #[test]
    fn requests_decode_to_what_was_meant() {
        let mut out = Vec::new();
        let mut request = Request::begin(Mode::Delta, &mut out);
        request.type_url("t");
        request.nonce(b"n");
        request.subscribe(b"a");
        request.unsubscribe(b"b");
        request.held(b"c", b"1");
        request.finish();
        let expected = DeltaDiscoveryRequest {
            type_url: "t".to_owned(),
            response_nonce: "n".to_owned(),
            resource_names_subscribe: vec!["a".to_owned()],
            resource_names_unsubscribe: vec!["b".to_owned()],
            initial_resource_versions: [("c".to_owned(), "1".to_owned())].into(),
            ..DeltaDiscoveryRequest::default()
        };
        assert_eq!(out[..5], [0, 0, 0, 0, out.len() as u8 - 5]);
        assert_eq!(DeltaDiscoveryRequest::decode(&out[5..]).unwrap(), expected);

        out.clear();
        let mut request = Request::begin(Mode::Sotw, &mut out);
        request.type_url("t");
        request.nonce(b"n");
        request.version(b"7");
        request.names(&encoded_names([&b"a"[..], b"b"].into_iter()));
        request.finish();
        let expected = DiscoveryRequest {
            type_url: "t".to_owned(),
            response_nonce: "n".to_owned(),
            version_info: "7".to_owned(),
            resource_names: vec!["a".to_owned(), "b".to_owned()],
            ..DiscoveryRequest::default()
        };
        assert_eq!(DiscoveryRequest::decode(&out[5..]).unwrap(), expected);
    }
}
