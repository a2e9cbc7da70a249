//! What connected proxies lack of Envoy: counted for each stream, and logged once for each combination.

use std::collections::BTreeSet;

use pilothouse_core::model::Proxy;

use crate::extensions::{Extension, Missing};
use crate::metrics::Metrics;

/// Proxies say what they have, so combinations that are remembered have a limit.
const COMBINATIONS: usize = 64;

/// The combinations that have been logged.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    logged: BTreeSet<Missing>,
}

impl Lacking {
    /// A proxy has come. Returns whether what it lacks has been logged for it.
    pub(super) fn note(&mut self, proxy: &Proxy, metrics: &Metrics) -> bool {
        let missing = Missing::of(&proxy.missing);
        if missing == Missing::default() {
            return false;
        }
        for extension in missing.iter() {
            if let Some(counter) = metrics.missing_extensions.get(extension.name()) {
                counter.inc();
            }
        }
        if self.logged.len() >= COMBINATIONS || !self.logged.insert(missing) {
            return false;
        }
        let names = |optional: bool| {
            let those = missing
                .iter()
                .filter(|extension| extension.is_optional() == optional);
            those.map(Extension::name).collect::<Vec<_>>().join(", ")
        };
        let (without, refused) = (names(true), names(false));
        let proxy = &proxy.id.name;
        if refused.is_empty() {
            tracing::info!(target: "ads", %proxy, without, "a proxy lacks extensions and is configured without them");
        } else {
            tracing::warn!(target: "ads", %proxy, without, refused, "a proxy lacks extensions that it cannot be configured without, and may refuse what it gets");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::sample::sidecar;

    #[test]
    fn each_combination_is_logged_once_and_each_stream_counts() {
        let metrics = Metrics::new(&mut Registry::default(), "");
        let mut lacking = Lacking::default();
        let mut note = |missing: &[Extension]| {
            let missing = missing.iter().map(|extension| extension.name()).collect();
            lacking.note(
                &Proxy {
                    missing,
                    ..sidecar()
                },
                &metrics,
            )
        };
        let logged = [
            note(&[]),
            note(&[Extension::Cors]),
            note(&[Extension::Cors]),
            note(&[Extension::Cors, Extension::Router]),
        ];
        assert_eq!(logged, [false, true, false, true]);
        let count = |extension: Extension| {
            let counter = metrics.missing_extensions.get(extension.name());
            counter.map(|counter| counter.get())
        };
        assert_eq!(count(Extension::Cors), Some(3));
        assert_eq!(count(Extension::Router), Some(1));
        assert_eq!(count(Extension::Fault), Some(0));
    }
}
