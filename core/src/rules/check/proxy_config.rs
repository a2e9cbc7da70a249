//! Checks of a `ProxyConfig`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::ProxyConfigRule;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &ProxyConfigRule) {}
