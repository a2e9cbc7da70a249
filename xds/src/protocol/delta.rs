//! The incremental variant: what its requests and responses look like to the rest.

use bytes::BytesMut;

use crate::fanout::field;
use crate::resource::{Name, ResourceType, Version};

/// The fields of a `DeltaDiscoveryResponse` except its resources.
pub(super) fn head(
    resource_type: ResourceType,
    version: Version,
    nonce: &str,
    removed: &[Name],
) -> BytesMut {
    let names: usize = removed.iter().map(|n| n.as_str().len() + 4).sum();
    let mut head = BytesMut::with_capacity(128 + names);
    field(1, version.to_string().as_bytes(), &mut head);
    field(4, resource_type.url().as_bytes(), &mut head);
    field(5, nonce.as_bytes(), &mut head);
    for name in removed {
        field(6, name.as_str().as_bytes(), &mut head);
    }
    head
}

/// What a client reports to hold, sorted. A version that is not one of ours is one that we never sent.
pub(super) fn reported<'a>(initial: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, Version)> {
    let version = |text: &str| Version::parse(text).unwrap_or(Version::of(text.as_bytes()));
    let mut reported: Vec<_> = initial
        .into_iter()
        .map(|(name, text)| (name, version(text)))
        .collect();
    if !reported.is_sorted() {
        reported.sort_unstable();
    }
    reported.dedup_by(|a, b| a.0 == b.0);
    reported
}
