//! Rules of the kernel that bring traffic to Envoy.
