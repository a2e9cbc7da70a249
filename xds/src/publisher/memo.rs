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
        if let Some(resource) = self.made.get(&input).and_then(Weak::upgrade) {
            return resource;
        }
        let output = translate(&input);
        self.metrics
            .encoded
            .of(output.message.resource_type())
            .inc();
        let resource = Arc::new(encode(output));
        if self.made.len() >= self.sweep_at {
            self.made.retain(|_, resource| resource.strong_count() > 0);
            self.sweep_at = (2 * self.made.len()).max(SMALL);
        }
        self.made.insert(input, Arc::downgrade(&resource));
        resource
    }
}
