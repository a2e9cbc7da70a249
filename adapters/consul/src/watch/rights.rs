//! What is lost because a token sees less than before, which Consul does not say: the catalog looks just as if it were gone.
//!
//! Whatever an answer lacks that an earlier one had is asked for by name: may the token still read it? What it may not read is
//! stated as lost in doubt, which only a person resolves, or the right when it is given back.

use std::collections::BTreeSet;

use super::Shared;
use crate::client::{Error, Readable};

/// How many things are named to people.
const NAMED: usize = 5;

impl Shared {
    /// Those of what is lost that the token may not read. `filtered`: the answer that lacks them says that it was filtered, which
    /// has to do where the agent does not tell more.
    pub(super) async fn hidden(
        &self,
        lost: BTreeSet<Readable>,
        filtered: bool,
    ) -> Result<BTreeSet<Readable>, Error> {
        if lost.is_empty() {
            return Ok(lost);
        }
        let told = self.api.unreadable(&lost, &self.query(None)).await?;
        Ok(told.unwrap_or_else(|| if filtered { lost } else { BTreeSet::new() }))
    }
}

/// Why what is lost may be there: for people.
pub(super) fn why(hidden: &BTreeSet<Readable>) -> String {
    let named: Vec<_> = hidden.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match hidden.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the token may not read {}{more}, which it could: give it the right back, or confirm that it has gone",
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named() {
        let check = |count: usize, expected: &str| {
            let all = (1..=count).map(|n| Readable::Service(format!("s{n}")));
            let said = why(&all.collect());
            assert!(said.starts_with(expected), "{said}");
        };
        check(1, "the token may not read service \"s1\", which");
        check(
            7,
            "the token may not read service \"s1\", service \"s2\", service \"s3\", service \"s4\", service \"s5\" and 2 more, which",
        );
    }
}
