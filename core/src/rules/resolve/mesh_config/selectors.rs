//! Selectors of labels as written → as they hold.

use crate::mesh::{LabelRequirement, LabelSelector};
use crate::rules::spec::mesh_config as spec;

/// What `written` asks of labels. It has been checked.
pub(super) fn selector(written: &spec::LabelSelector) -> LabelSelector {
    let labels = written.match_labels.iter();
    let labels = labels.map(|(key, value)| LabelRequirement::In {
        key: key.into(),
        values: [value.into()].into(),
    });
    let expressions = written.match_expressions.iter().map(requirement);
    LabelSelector(labels.chain(expressions).collect())
}

fn requirement(written: &spec::LabelRequirement) -> LabelRequirement {
    let key = written.key.as_str().into();
    let values = || written.values.iter().map(|value| value.as_str().into());
    match written.operator.as_str() {
        "NotIn" => LabelRequirement::NotIn {
            key,
            values: values().collect(),
        },
        "Exists" => LabelRequirement::Exists { key },
        "DoesNotExist" => LabelRequirement::Missing { key },
        _ => LabelRequirement::In {
            key,
            values: values().collect(),
        },
    }
}
