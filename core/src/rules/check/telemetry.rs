//! Checks of a `Telemetry`.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::Telemetry;

pub(super) fn check(_: &At<'_>, _: &Meta, _: &Telemetry) {}
