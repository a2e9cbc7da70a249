//! Checks of a `EnvoyFilter`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::EnvoyFilter;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &EnvoyFilter) {}
