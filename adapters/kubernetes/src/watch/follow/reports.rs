//! What is said, and what need not be said again.

use std::collections::VecDeque;
use std::error::Error;
use std::mem::Discriminant;

use http::StatusCode;

use crate::watch::request::Source;
use crate::watch::{Event, WatchError};

/// What is to be said, and what was.
pub(super) struct Reports<T> {
    pub(super) events: VecDeque<Event<T>>,
    /// Causes of failures that were said.
    causes: Vec<(Discriminant<WatchError>, Option<StatusCode>)>,
}

impl<T> Reports<T> {
    pub(super) fn new() -> Self {
        Self {
            events: VecDeque::new(),
            causes: Vec::new(),
        }
    }

    /// Something fails. It is said and logged once for each cause.
    pub(super) fn failing(&mut self, error: WatchError) {
        let cause = error.cause();
        if self.causes.contains(&cause) {
            tracing::debug!(target: "kube", "{}", chain(&error));
            return;
        }
        tracing::warn!(target: "kube", "{}; what is known stays", chain(&error));
        self.causes.push(cause);
        self.events.push_back(Event::Failing(error));
    }

    /// Something works. Returns whether it was said to fail.
    pub(super) fn recovered(&mut self, source: &Source) -> bool {
        let failed = !self.causes.is_empty();
        if failed {
            tracing::info!(target: "kube", resource = %source.resource, "can be read again");
        }
        self.causes.clear();
        failed
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
