//! A manifest as a Parquet file: the columns of [`super::manifest`].

use super::{Wish, manifest, wrong};
use crate::data::DataError;
use crate::data::listing::Listing;
use crate::data::parquet::{Cell, Only, ParquetRows};
use crate::data::table::{MOST_CELLS, Table, check_columns};
use crate::limits::{Limit, LimitError};
use std::path::Path;

pub(super) fn open(path: &Path, wish: &Wish<'_>) -> Result<Listing, DataError> {
    let limited = |error: LimitError| DataError::Limit { path: path.to_owned(), error };
    let rows = ParquetRows::open(path, Only::Flat)?;
    check_columns(rows.columns().len()).map_err(|why| wrong(path, why))?;
    let mut table = Table { columns: rows.columns().to_vec(), rows: Vec::new() };
    // A word of a dictionary counts in the file once, and here wherever it stands.
    let mut bytes = 0;
    for (i, row) in rows.enumerate() {
        let cells: Vec<String> = row?
            .into_iter()
            .map(|cell| match cell {
                Cell::Text(text) => text,
                Cell::Null | Cell::Numbers(_) => String::new(),
            })
            .collect();
        if table.columns.len() * (i + 1) > MOST_CELLS {
            return Err(wrong(path, format!("it has more than {MOST_CELLS} cells")));
        }
        Limit::Images.check(i as u64 + 1, || "it has too many rows".into()).map_err(limited)?;
        bytes += cells.iter().map(|cell| cell.len() as u64).sum::<u64>();
        Limit::Text.check(bytes, || "its texts are too large".into()).map_err(limited)?;
        table.rows.push((i + 1, cells));
    }
    manifest::from_table(path, &table, wish)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::fs::File;
    use std::sync::Arc;

    #[test]
    fn columns_are_those_of_a_csv_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let schema =
            "message m { required binary path (UTF8); required int64 label; optional binary split (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer =
            SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
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
        let listing = open(&path, &Wish::default()).unwrap();
        let facts: Vec<_> = listing.entries.iter().map(|e| (e.class.as_deref(), e.part.is_some())).collect();
        assert_eq!(facts, [(Some("7"), true), (Some("8"), false)]);
    }
}
