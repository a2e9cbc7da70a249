//! Checks of rules: every problem of an object at once, one file per kind.
