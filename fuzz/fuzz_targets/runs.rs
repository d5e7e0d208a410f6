#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| strandline_fuzz::runs::check(input));
