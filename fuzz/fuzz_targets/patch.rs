//! Any value of a patch is applied or refused, and a mesh is served.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pilothouse_tests::fuzz::patch(data));
