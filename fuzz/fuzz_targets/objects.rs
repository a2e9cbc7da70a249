//! Files of any kinds of objects are read or refused, and a mesh is served.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pilothouse_tests::fuzz::objects(data));
