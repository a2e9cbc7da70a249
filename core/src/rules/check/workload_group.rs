//! Checks of a `WorkloadGroup`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::WorkloadGroup;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &WorkloadGroup) {}
