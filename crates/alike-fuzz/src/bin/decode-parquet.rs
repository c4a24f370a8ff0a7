//! The process that decodes Parquet files for the tests.

fn main() {
    alike_fuzz::decode_parquet_apart();
}
