//! Carries xDS between Envoy and discovery.
