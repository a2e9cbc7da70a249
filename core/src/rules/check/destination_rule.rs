//! Checks of `DestinationRule`.

use super::export_to::export_to;
use super::name::host;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::DestinationRule;

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &DestinationRule) {
    host(&at.field("host"), &rule.host);
    export_to(
        &at.field("exportTo"),
        meta.key.namespace.as_str(),
        &rule.export_to,
    );
}
