//! Tables as Parquet files that are taken.

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
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

pub(crate) fn parquet() -> Vec<Vec<u8>> {
    [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())]
        .map(|c| table(c).unwrap_or_else(|e| panic!("{e}")))
        .to_vec()
}
