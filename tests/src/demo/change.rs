//! What is changed, and how a proxy that has it looks.

use std::collections::BTreeSet;

use super::{RATINGS, REVIEWS};

/// One edit of one file.
pub(super) struct Change {
    pub(super) what: &'static str,
    pub(super) file: &'static str,
    pub(super) edit: fn(&str) -> String,
    /// The cluster that shows it.
    pub(super) cluster: &'static str,
    pub(super) expected: Expected,
    /// A host and an answer that shall have come from it.
    pub(super) answers: Option<(&'static str, &'static str)>,
    /// A server that nobody needs any more.
    pub(super) then_stop: Option<&'static str>,
}

/// A cluster as a proxy has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cluster {
    /// Whether its endpoints come from discovery.
    pub(super) by_discovery: bool,
    /// Addresses with ports.
    pub(super) endpoints: BTreeSet<String>,
}

/// How a cluster shall be.
pub(super) struct Expected {
    by_discovery: bool,
    endpoints: &'static [&'static str],
}

impl Expected {
    pub(super) fn is_met_by(&self, cluster: &Cluster) -> bool {
        self.by_discovery == cluster.by_discovery
            && cluster
                .endpoints
                .iter()
                .map(String::as_str)
                .eq(self.endpoints.iter().copied())
    }
}

const REVIEWS_CLUSTER: &str = "outbound|9080||reviews.bookinfo.mesh";
const RATINGS_CLUSTER: &str = "outbound|9080||ratings.bookinfo.mesh";
const REVIEWS_V1: &str = "  - address: 127.0.1.2\n    labels: { app: reviews, version: v1 }\n";
const REVIEWS_V2: &str = "  - address: 127.0.1.3\n    labels: { app: reviews, version: v2 }\n";

/// The programme.
pub(super) fn changes() -> Vec<Change> {
    vec![
        Change {
            what: "reviews v2 is added",
            file: "reviews.yaml",
            edit: |text| format!("{text}{REVIEWS_V2}"),
            cluster: REVIEWS_CLUSTER,
            expected: Expected {
                by_discovery: true,
                endpoints: &["127.0.1.2:9080", "127.0.1.3:9080"],
            },
            answers: Some((REVIEWS, "reviews v2")),
            then_stop: None,
        },
        Change {
            what: "reviews v1 is taken away, then stopped",
            file: "reviews.yaml",
            edit: |text| text.replace(REVIEWS_V1, ""),
            cluster: REVIEWS_CLUSTER,
            expected: Expected {
                by_discovery: true,
                endpoints: &["127.0.1.3:9080"],
            },
            answers: None,
            then_stop: Some("reviews v1"),
        },
        Change {
            what: "ratings: a DNS name becomes an address",
            file: "ratings.yaml",
            edit: |text| {
                text.replace("resolution: DNS", "resolution: STATIC")
                    .replace("address: localhost", "address: 127.0.0.1")
            },
            cluster: RATINGS_CLUSTER,
            expected: Expected {
                by_discovery: true,
                endpoints: &["127.0.0.1:9084"],
            },
            answers: Some((RATINGS, "ratings v1")),
            then_stop: None,
        },
        Change {
            what: "ratings: the address becomes a DNS name",
            file: "ratings.yaml",
            edit: |text| {
                text.replace("resolution: STATIC", "resolution: DNS")
                    .replace("address: 127.0.0.1", "address: localhost")
            },
            cluster: RATINGS_CLUSTER,
            expected: Expected {
                by_discovery: false,
                endpoints: &["127.0.0.1:9084"],
            },
            answers: None,
            then_stop: None,
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_edit_changes_its_file() {
        let mesh = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/bookinfo-vm/mesh");
        let mut texts = std::collections::BTreeMap::new();
        for change in changes() {
            let text = texts
                .entry(change.file)
                .or_insert_with(|| std::fs::read_to_string(mesh.join(change.file)).unwrap());
            let edited = (change.edit)(text);
            assert_ne!(*text, edited, "{}", change.what);
            *text = edited;
        }
    }
}
