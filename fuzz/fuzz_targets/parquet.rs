#![no_main]

libfuzzer_sys::fuzz_target!(init: alike_fuzz::decode_parquet_apart(), |data: &[u8]| alike_fuzz::fuzz("parquet", data));
