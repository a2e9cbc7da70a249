//! Any mesh config is in force or refused, and a mesh is served.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pilothouse_tests::fuzz::mesh_config(data));
