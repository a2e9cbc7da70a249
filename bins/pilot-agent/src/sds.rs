//! Serves certificates from files to Envoy.
