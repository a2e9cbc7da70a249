//! Checks of a `VirtualService`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::VirtualService;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &VirtualService) {}
