//! Checks of a `PeerAuthentication`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::PeerAuthentication;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &PeerAuthentication) {}
