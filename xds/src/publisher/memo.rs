//! Translation, memoised by its input: equal inputs of any scope give one shared resource.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::encode::encode;
use crate::inputs::Input;
use crate::metrics::Metrics;
use crate::resource::Resource;
use crate::translate::translate;

/// The table is not swept before it has this size.
const SMALL: usize = 1024;

/// What was made from which input, for as long as anybody holds it.
pub(super) struct Memo {
    made: HashMap<Input, Weak<Resource>, foldhash::fast::RandomState>,
    /// The table is swept when it has grown to this size.
    sweep_at: usize,
    metrics: Metrics,
}

impl Memo {
    /// Nothing has been made yet.
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            made: HashMap::default(),
            sweep_at: SMALL,
            metrics,
        }
    }

    /// The resource that `input` translates to. Each is serialised here, once.
    pub(super) fn resource(&mut self, input: Input) -> Arc<Resource> {
        let known = self.made.get(&input).and_then(Weak::upgrade);
        let read = if known.is_some() { "hit" } else { "miss" };
        if let Some(reads) = self.metrics.cache_reads.get(read) {
            reads.inc();
        }
        if let Some(resource) = known {
            return resource;
        }
        let output = translate(&input);
        self.metrics
            .encoded
            .of(output.message.resource_type())
            .inc();
        let resource = Arc::new(encode(output));
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
