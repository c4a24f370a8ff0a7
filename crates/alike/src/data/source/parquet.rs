//! A manifest as a Parquet file: the columns of [`super::manifest`].

use super::{manifest, wrong};
use crate::data::DataError;
use crate::data::listing::{Listing, Place};
use crate::files::FileError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::fs::File;
use std::path::Path;

pub(super) fn open(table: &Path) -> Result<Listing, DataError> {
    let file = File::open(table).map_err(FileError::reading(table))?;
    let damaged =
        |e: parquet::errors::ParquetError| wrong(table, format!("it is damaged or no Parquet file ({e})"));
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let rows = reader.get_row_iter(None).map_err(damaged)?.enumerate().map(|(i, row)| {
        let row = row.map_err(damaged)?;
        let cell = |field: &Field| match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            other => other.to_string(),
        };
        Ok((i + 1, row.get_column_iter().map(|(_, field)| cell(field)).collect()))
    });
    let base = table.parent().unwrap_or(Path::new(""));
    manifest::from_rows(table, &columns, rows, &|name| Some(Place::File(base.join(name))))
}
