//! The state-of-the-world variant: what its responses look like.
//!
//! Of clusters and listeners every response is the whole state, and what is missing in it is deleted. Of the other types a
//! response has what changed, and nothing is ever deleted by it.

use std::sync::Arc;

use bytes::BytesMut;

use super::channel::Open;
use super::held::Held;
use crate::fanout::{Exception, Fanout, Has, Interest, Item, Segment, field, find};
use crate::resource::{ResourceType, Version};

/// The fields of a `DiscoveryResponse` except its resources.
pub(super) fn head(resource_type: ResourceType, version: Version, nonce: &str) -> BytesMut {
    let mut head = BytesMut::with_capacity(128);
    field(1, version.to_string().as_bytes(), &mut head);
    field(4, resource_type.url().as_bytes(), &mut head);
    field(5, nonce.as_bytes(), &mut head);
    head
}

/// Everything that a client is to hold.
pub(super) fn whole(shared: &Fanout, after: &Held, interest: &Interest) -> Vec<Arc<Segment>> {
    let Some(content) = &after.base else {
        return Vec::new();
    };
    let everything = shared.diff(None, content, interest);
    let exceptions = &after.exceptions;
    if exceptions.is_empty() {
        return everything.upserts.clone();
    }
    let own = exceptions.iter().filter_map(item).cloned();
    let rest = everything.items();
    let rest = rest.filter(|item| find(exceptions, item.name().as_str()).is_none());
    let mut items: Vec<Item> = rest.cloned().chain(own).collect();
    items.sort_by(|a, b| a.name().cmp(b.name()));
    if items.is_empty() {
        return Vec::new();
    }
    vec![shared.segment(content.resource_type, items)]
}

/// What a whole state has and the `last` one without an answer changed, sorted. That one may be rejected, and no word of it
/// come when the answer to this one does: then the client has these from this one, which changes them as well.
pub(super) fn repeated(
    last: Option<&Open>,
    upserts: &[Arc<Segment>],
    whole: &[Arc<Segment>],
) -> Vec<Item> {
    let changed = last.iter().flat_map(|open| &open.upserts);
    let changed = changed.flat_map(|segment| segment.items());
    let again = changed.filter(|item| get(whole, item).is_some() && get(upserts, item).is_none());
    let mut items: Vec<Item> = again.cloned().collect();
    items.sort_by(|a, b| a.name().cmp(b.name()));
    items
}

/// The version of what segments have together, which does not depend on how it came about.
pub(super) fn version(segments: &[Arc<Segment>]) -> Version {
    let digests = segments.iter().map(|s| s.digest());
    Version(digests.fold(0, u64::wrapping_add))
}

/// The same resource in the same version.
fn get<'a>(segments: &'a [Arc<Segment>], item: &Item) -> Option<&'a Item> {
    let mut same = segments.iter().filter_map(|s| s.get(item.name().as_str()));
    same.find(|same| same.version == item.version)
}

fn item(exception: &Exception) -> Option<&Item> {
    match &exception.has {
        Has::Item(item) | Has::Unsure(Some(item)) | Has::Perhaps(item) => Some(item),
        Has::Nothing | Has::Version(_) | Has::Unsure(None) => None,
    }
}
