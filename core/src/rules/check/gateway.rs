//! Checks of a `Gateway`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::Gateway;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &Gateway) {}
