//! Parquet files, where the library is built with them.

use super::{Asked, Found, Kind, Wish};
use crate::data::{DataError, Progress};

pub(super) struct Parquet;

impl Kind for Parquet {
    fn endings(&self) -> &'static [&'static str] {
        &[".parquet"]
    }

    #[cfg(feature = "parquet")]
    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        super::parquet_table::open(asked.path, &wish).map(Found::from)
    }

    #[cfg(not(feature = "parquet"))]
    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        let why = "this program was built without Parquet; build it with --features parquet, or write the table as CSV";
        Err(super::wrong(asked.path, why))
    }
}
