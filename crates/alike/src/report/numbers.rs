//! The numbers that a figure shows, as a table.

use crate::own_files::OwnTable;
use std::io;

/// A table of what a figure shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Numbers {
    /// A table with these columns and no rows.
    pub(super) fn new(columns: &[&'static str]) -> Numbers {
        Numbers { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push<const N: usize>(&mut self, row: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell a column");
        self.rows.push(row.into());
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as CSV, its columns' names first. Every row says that Alike wrote it, so that no verb takes it for a user's table.
    pub fn csv(&self) -> String {
        let write = || -> io::Result<Vec<u8>> {
            let mut table = OwnTable::new("report", Vec::new(), &self.columns)?;
            self.rows.iter().try_for_each(|row| table.row(row))?;
            table.finish()
        };
        // Memory takes every row, and each has a cell a column.
        write().map_or_else(|_| String::new(), |csv| String::from_utf8_lossy(&csv).into_owned())
    }
}

/// A number as a table has it: with all its digits.
pub(super) fn exact(v: f64) -> String {
    v.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_csv_that_any_reader_reads() {
        let mut numbers = Numbers::new(&["class", "value"]);
        numbers.push(["hats, caps".into(), exact(0.5)]);
        numbers.push(["\"x\"\ny".into(), exact(1.0)]);
        let csv = numbers.csv();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["class", "value", "written_by"]);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows, [vec!["hats, caps", "0.5", "alike report"], vec!["\"x\"\ny", "1", "alike report"]]);
    }
}
