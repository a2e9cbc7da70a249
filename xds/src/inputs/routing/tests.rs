//! What clients find of rules.
