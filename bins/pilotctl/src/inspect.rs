//! Commands that ask a running proxy or discovery.
