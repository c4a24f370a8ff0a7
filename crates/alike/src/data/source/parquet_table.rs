//! A manifest as a Parquet file: the columns of [`super::manifest`].

use super::{Wish, manifest, wrong};
use crate::data::listing::Listing;
use crate::data::table::Table;
use crate::data::{DataError, ParquetFile};
use crate::guard::{Headway, Patience, guarded_within};
use crate::limits::{Limit, LimitError};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::path::Path;

pub(super) fn open(table: &Path, wish: &Wish<'_>) -> Result<Listing, DataError> {
    manifest::from_table(table, &read_within(Patience::default(), table)?, wish)
}

fn read_within(patience: Patience, table: &Path) -> Result<Table, DataError> {
    let headway = Headway::default();
    let (path, counted) = (table.to_owned(), headway.clone());
    let read = move || read(&path, &counted);
    guarded_within(patience, &headway, read).unwrap_or_else(|e| Err(wrong(table, e.to_string())))
}

fn read(table: &Path, headway: &Headway) -> Result<Table, DataError> {
    let file = ParquetFile::open(table, headway.clone())?;
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
        headway.rows(1);
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
    use std::time::Duration;

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

    /// A field that nobody knows, a list of 2^31 - 1 numbers of 8 bytes, lies where the first page's header was.
    #[test]
    fn a_page_that_claims_more_than_the_file_has_fails_where_the_file_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        table(&path);
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[4..11].copy_from_slice(&[0xf9, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
        std::fs::write(&path, damaged).unwrap();
        // Long enough for any machine that is busy, and too short for 2^31 reads.
        let patience = Patience { ticks: 10, ..Patience::default() };
        let error = read_within(patience, &path).unwrap_err().to_string();
        assert!(error.contains("unexpected end of file"), "{error}");
    }

    /// Booleans in a list take no bytes, so nothing is read, and nothing fails, while the decoder counts to 2^30.
    #[test]
    fn a_footer_whose_decoding_does_not_end_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let footer = [0xf9, 0xf1, 0x80, 0x80, 0x80, 0x80, 0x04, 0];
        std::fs::write(&path, [&b"PAR1"[..], &footer, &8_u32.to_le_bytes(), b"PAR1"].concat()).unwrap();
        let patience = Patience { tick: Duration::from_millis(5), ticks: 2 };
        let error = read_within(patience, &path).unwrap_err().to_string();
        let stuck = "t.parquet cannot be used: it is damaged: its decoder has not ended after 0 s";
        assert!(error.ends_with(stuck), "{error}");
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
