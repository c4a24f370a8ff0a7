//! Tables as Parquet files that are taken.

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

fn table(compression: Compression) -> Result<Vec<u8>> {
    let schema =
        "message m { required binary path (UTF8); required int64 label; optional binary split (UTF8); }";
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, Arc::new(parse_message_type(schema)?), Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    let text = |list: &[&str]| list.iter().map(|s| ByteArray::from(*s)).collect::<Vec<_>>();
    if let Some(mut column) = rows.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&text(&["1.png", "1.png"]), None, None)?;
        column.close()?;
    }
    if let Some(mut column) = rows.next_column()? {
        column.typed::<Int64Type>().write_batch(&[7, 8], None, None)?;
        column.close()?;
    }
    if let Some(mut column) = rows.next_column()? {
        column.typed::<ByteArrayType>().write_batch(&text(&["test"]), Some(&[1, 0]), None)?;
        column.close()?;
    }
    rows.close()?;
    writer.close()?;
    Ok(file)
}

/// As a collection is exported.
fn vectors() -> Result<Vec<u8>> {
    let schema = "message m { required binary path (UTF8); required group vector (LIST) { repeated group list { optional float element; } } }";
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, Arc::new(parse_message_type(schema)?), Arc::default())?;
    let mut rows = writer.next_row_group()?;
    if let Some(mut column) = rows.next_column()? {
        let paths = ["1.png", "2.png"].map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&paths, None, None)?;
        column.close()?;
    }
    if let Some(mut column) = rows.next_column()? {
        column.typed::<FloatType>().write_batch(&[0.5, 1.5, -2.0], Some(&[2; 3]), Some(&[0, 1, 0]))?;
        column.close()?;
    }
    rows.close()?;
    writer.close()?;
    Ok(file)
}

pub(crate) fn parquet() -> Vec<Vec<u8>> {
    let compressions =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())];
    let tables = compressions.into_iter().map(table).chain([vectors()]);
    tables.map(|t| t.unwrap_or_else(|e| panic!("{e}"))).collect()
}
