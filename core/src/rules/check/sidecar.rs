//! Checks of a `Sidecar`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::Sidecar;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &Sidecar) {}
