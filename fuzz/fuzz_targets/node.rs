//! Any node is a proxy that is served, or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pilothouse_tests::fuzz::node(data));
