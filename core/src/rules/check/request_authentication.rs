//! Checks of a `RequestAuthentication`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::RequestAuthentication;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &RequestAuthentication) {}
