//! `exportTo`: the namespaces that see an object.

use std::collections::BTreeSet;

use super::name::is_label;
use crate::rules::at::At;
use crate::rules::spec::excerpt;

/// The `exportTo` of an object in `namespace`, or a default for it (`namespace` is empty then).
pub(super) fn export_to(at: &At<'_>, namespace: &str, export_to: &[String]) {
    let mut seen = BTreeSet::new();
    for (index, text) in export_to.iter().enumerate() {
        let here = at.index(index);
        let means = if text == "." && !namespace.is_empty() {
            namespace
        } else {
            text
        };
        if !seen.insert(means) {
            here.error(format!("names {:?} for the second time", excerpt(means)));
        } else if !matches!(text.as_str(), "*" | "." | "~") && !is_label(text) {
            here.error_hint(
                format!("{:?} is not a namespace", excerpt(text)),
                "'*' is all, '.' the object's own, '~' none; otherwise namespaces by name",
            );
        }
    }
    for (all, meaning) in [("*", "everybody"), ("~", "nobody")] {
        if seen.contains(all) && seen.len() > 1 {
            at.error(format!(
                "names namespaces beside {all:?}, which stands for {meaning}"
            ));
        }
    }
}
