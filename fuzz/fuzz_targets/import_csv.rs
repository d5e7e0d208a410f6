#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| strandline_fuzz::import_csv::check(input));
