//! The guard, as operators and adapters meet it.
