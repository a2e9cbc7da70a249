//! Checks of selectors of labels.

use super::super::labels::{is_key, labels};
use crate::rules::at::At;
use crate::rules::spec::excerpt;
use crate::rules::spec::mesh_config::{LabelRequirement, LabelSelector};

/// All that is wrong with the selectors here.
pub(super) fn selectors(at: &At<'_>, selectors: &[LabelSelector]) {
    for (index, selector) in selectors.iter().enumerate() {
        let here = at.index(index);
        labels(&here.field("matchLabels"), &selector.match_labels);
        let expressions = here.field("matchExpressions");
        for (index, one) in selector.match_expressions.iter().enumerate() {
            requirement(&expressions.index(index), one);
        }
    }
}

fn requirement(at: &At<'_>, one: &LabelRequirement) {
    if !is_key(&one.key) {
        at.field("key").error_hint(
            format!("{:?} is not a label's key", excerpt(&one.key)),
            "such as istio-discovery or example.com/team",
        );
    }
    let values = at.field("values");
    match one.operator.as_str() {
        "In" | "NotIn" => {
            if one.values.is_empty() {
                values.error(format!(
                    "{} compares with values: there are none",
                    one.operator
                ));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !one.values.is_empty() {
                values.error(format!("{} looks at no values", one.operator));
            }
        }
        other => at.field("operator").error_hint(
            format!("{:?} is not an operator", excerpt(other)),
            "it is In, NotIn, Exists or DoesNotExist",
        ),
    }
}
