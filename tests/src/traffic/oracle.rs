//! Which failed requests the changes explain.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long after the return of a host its requests may still fail.
const GRACE: Duration = Duration::from_secs(2);

/// A request that was not answered with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it asked for.
    pub host: String,
    /// Whom it asked.
    pub via: SocketAddr,
    /// What it got instead.
    pub why: String,
    /// When it was sent.
    pub began: Instant,
    /// When it had failed.
    pub ended: Instant,
}

/// The failures, and the times at which hosts had no endpoint.
#[derive(Debug, Default)]
pub struct Oracle {
    failures: Vec<Failure>,
    /// Per host: when it went, and when it came back.
    absences: BTreeMap<String, Vec<(Instant, Option<Instant>)>>,
}

impl Oracle {
    /// The host, or its last endpoint, is being deleted.
    pub fn gone(&mut self, host: &str, at: Instant) {
        self.absences
            .entry(host.to_owned())
            .or_default()
            .push((at, None));
    }

    /// It has an endpoint again.
    pub fn back(&mut self, host: &str, at: Instant) {
        if let Some((_, back)) = self
            .absences
            .get_mut(host)
            .and_then(|absences| absences.last_mut())
        {
            back.get_or_insert(at);
        }
    }

    /// A request has failed.
    pub fn failed(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// All failures, in the order in which they ended.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The failures of hosts that were there all the time.
    pub fn unexplained(&self) -> Vec<Failure> {
        self.failures
            .iter()
            .filter(|failure| !self.explains(failure))
            .cloned()
            .collect()
    }

    fn explains(&self, failure: &Failure) -> bool {
        let absences = self
            .absences
            .get(&failure.host)
            .map(Vec::as_slice)
            .unwrap_or_default();
        absences.iter().any(|(gone, back)| {
            failure.ended >= *gone && back.is_none_or(|back| failure.began <= back + GRACE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absence_explains_a_failure() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut oracle = Oracle::default();
        oracle.gone("a", at(10));
        oracle.back("a", at(20));
        oracle.gone("b", at(10));
        let cases = [
            ("a", 8, 9, false),
            ("a", 9, 10, true),
            ("a", 22, 23, true),
            ("a", 23, 24, false),
            ("b", 90, 91, true),
            ("c", 12, 13, false),
        ];
        for (host, began, ended, _) in cases {
            let via = SocketAddr::from(([127, 0, 0, 1], 80));
            oracle.failed(Failure {
                host: host.to_owned(),
                via,
                why: String::new(),
                began: at(began),
                ended: at(ended),
            });
        }
        let unexplained: Vec<_> = oracle
            .unexplained()
            .into_iter()
            .map(|failure| (failure.host, failure.began))
            .collect();
        let expected: Vec<_> = cases
            .into_iter()
            .filter(|case| !case.3)
            .map(|case| (case.0.to_owned(), at(case.1)))
            .collect();
        assert_eq!(unexplained, expected);
    }
}
