//! Translation, memoised by its input: equal inputs of any scope give one shared resource.

mod patched;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::encode::encode;
use crate::inputs::Input;
use crate::metrics::Metrics;
use crate::resource::Resource;
use crate::translate::{Output, translate};
use patched::Patched;

/// The table is not swept before it has this size.
const SMALL: usize = 1024;

/// What was made from which input, for as long as anybody holds it.
pub(super) struct Memo {
    made: HashMap<Input, Weak<Resource>, foldhash::fast::RandomState>,
    /// The table is swept when it has grown to this size.
    sweep_at: usize,
    patched: Patched,
    metrics: Metrics,
}

impl Memo {
    /// Nothing has been made yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            made: HashMap::default(),
            sweep_at: SMALL,
            patched: Patched::default(),
            metrics,
        }
    }

    /// The resource that `input` translates to. Each is serialised here, once.
    pub(super) fn resource(&mut self, input: Input) -> Arc<Resource> {
        if let Some(resource) = self.known(&input) {
            return resource;
        }
        let output = translate(&input);
        self.keep(input, output)
    }

    /// What was made from `input`, if somebody holds it.
    fn known(&self, input: &Input) -> Option<Arc<Resource>> {
        let known = self.made.get(input).and_then(Weak::upgrade);
        self.read(known.is_some());
        known
    }

    fn read(&self, hit: bool) {
        let read = if hit { "hit" } else { "miss" };
        if let Some(reads) = self.metrics.cache_reads.get(read) {
            reads.inc();
        }
    }

    fn encode(&self, output: Output) -> Arc<Resource> {
        self.metrics
            .encoded
            .of(output.message.resource_type())
            .inc();
        Arc::new(encode(output))
    }

    /// Remembers what `input` was translated to.
    fn keep(&mut self, input: Input, output: Output) -> Arc<Resource> {
        let resource = self.encode(output);
        if self.made.len() >= self.sweep_at {
            let before = self.made.len();
            self.made.retain(|_, resource| resource.strong_count() > 0);
            let gone = before - self.made.len();
            self.metrics.cache_evictions.inc_by(gone as u64);
            self.metrics.cache_size.dec_by(count(gone));
            self.sweep_at = (2 * self.made.len()).max(SMALL);
        }
        if self.made.insert(input, Arc::downgrade(&resource)).is_none() {
            self.metrics.cache_size.inc();
        }
        resource
    }
}

impl Drop for Memo {
    fn drop(&mut self) {
        self.metrics.cache_size.dec_by(count(self.made.len()));
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
