//! A manifest as a Parquet file: the columns of [`super::manifest`].

use super::{Wish, manifest, wrong};
use crate::data::DataError;
use crate::data::listing::Listing;
use crate::data::table::Table;
use crate::files;
use crate::guard::guarded;
use crate::limits::{Limit, LimitError};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::path::Path;

pub(super) fn open(table: &Path, wish: &Wish<'_>) -> Result<Listing, DataError> {
    let damaged = || Err(wrong(table, "it is damaged: its decoder gave up"));
    manifest::from_table(table, &guarded(|| read(table)).unwrap_or_else(damaged)?, wish)
}

fn read(table: &Path) -> Result<Table, DataError> {
    let file = files::open(table)?;
    let damaged =
        |e: parquet::errors::ParquetError| wrong(table, format!("it is damaged or no Parquet file ({e})"));
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let limited = |error: LimitError| DataError::Limit { path: table.to_owned(), error };
    let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(u64::MAX);
    Limit::Images.check(rows, || "it has too many rows".into()).map_err(limited)?;
    // Rows are read group by group, and a group is unpacked whole.
    for group in reader.metadata().row_groups() {
        let bytes = group.columns().iter().map(|c| u64::try_from(c.uncompressed_size()).unwrap_or(u64::MAX));
        let bytes = bytes.fold(0, u64::saturating_add);
        Limit::Member.check(bytes, || "a group of its rows is too large".into()).map_err(limited)?;
    }
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let cell = |field: &Field| match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    };
    let rows = reader.get_row_iter(None).map_err(damaged)?.enumerate().map(|(i, row)| {
        let row = row.map_err(damaged)?;
        Limit::Images.check(i as u64, || "it has too many rows".into()).map_err(limited)?;
        Ok((i + 1, row.get_column_iter().map(|(_, field)| cell(field)).collect()))
    });
    Ok(Table { columns, rows: rows.collect::<Result<_, DataError>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::fs::File;
    use std::sync::Arc;

    /// Paths, labels, and the part of the first.
    fn table(path: &Path) {
        let schema =
            "message m { required binary path (UTF8); required int64 label; optional binary split (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer =
            SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let text = |list: &[&str]| list.iter().map(|s| ByteArray::from(*s)).collect::<Vec<_>>();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&text(&["a.png", "b.png"]), None, None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[7, 8], None, None).unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&text(&["test"]), Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn columns_are_those_of_a_csv_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        table(&path);
        let listing = open(&path, &Wish::default()).unwrap();
        let facts: Vec<_> = listing.entries.iter().map(|e| (e.class.as_deref(), e.part.is_some())).collect();
        assert_eq!(facts, [(Some("7"), true), (Some("8"), false)]);
        std::fs::write(&path, b"PAR1 no").unwrap();
        assert!(open(&path, &Wish::default()).unwrap_err().to_string().contains("no Parquet file"));
    }

    /// Some of these make the reader panic.
    #[test]
    fn a_damaged_byte_is_an_error_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        table(&path);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff, good[at].wrapping_add(1)] {
                let mut damaged = good.clone();
                damaged[at] = value;
                std::fs::write(&path, damaged).unwrap();
                let _ = open(&path, &Wish::default());
            }
        }
    }
}
