//! Checks of a `AuthorizationPolicy`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::AuthorizationPolicy;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &AuthorizationPolicy) {}
