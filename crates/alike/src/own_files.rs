//! What Alike itself writes, and how it is known again.
//!
//! Tables, figures and runs are often written into the very folder of pictures that they are about, and then renamed or moved.
//! They must never be read back as that folder's data. So every table that names images has a last column `written_by`, every PNG
//! figure a text chunk `Software`, and the folder of a run is told by its files.

use std::io::{self, Write};

/// The column by which a table tells that Alike wrote it.
pub const WRITTEN_BY: &str = "written_by";
/// The settings of a run, in its folder.
pub const CONFIG: &str = "config.toml";
/// What else the folder of a run has, at least one of them.
pub const OF_A_RUN: [&str; 3] = ["last.safetensors", "best.safetensors", "metrics.jsonl"];

/// A table about images, as a verb writes it: every row says who wrote it.
pub struct OwnTable<W: Write> {
    csv: csv::Writer<W>,
    by: String,
}

impl<W: Write> OwnTable<W> {
    /// Begins a table with its header.
    ///
    /// # Errors
    ///
    /// If the header cannot be written.
    pub fn new(verb: &str, out: W, header: &[&str]) -> io::Result<OwnTable<W>> {
        let mut table = OwnTable { csv: csv::Writer::from_writer(out), by: WRITTEN_BY.to_owned() };
        table.row(header)?;
        table.by = format!("alike {verb}");
        Ok(table)
    }

    /// Writes a row.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn row<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> io::Result<()> {
        cells.into_iter().try_for_each(|cell| self.csv.write_field(cell))?;
        self.csv.write_field(&self.by)?;
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }

    /// What was written to.
    ///
    /// # Errors
    ///
    /// If what is left cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
    }
}

/// A table as a spreadsheet may have it: an apostrophe before cells that it would take for formulas, and that are no numbers.
///
/// # Errors
///
/// If it is no table.
pub fn for_spreadsheets(csv: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Tabs and ends of lines before a formula are passed over.
    let formula =
        |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    for row in csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv).records() {
        let safe = |cell: &str| if formula(cell) { format!("'{cell}") } else { cell.to_owned() };
        out.write_record(row?.iter().map(safe))?;
    }
    out.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// Whether a table with these columns was written by Alike.
pub fn is_own_table<'a>(mut columns: impl Iterator<Item = &'a str>) -> bool {
    columns.any(|c| c == WRITTEN_BY)
}

/// Bytes at the beginning of a PNG file that tell whether Alike drew it.
pub const PNG_HEAD: usize = 128;
const PNG: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// A whole chunk: length, kind, content, checksum.
const MARK: &[u8; 26] = b"\0\0\0\x0etEXtSoftware\0Alike\x40\xe6\xf4\xd4";
/// The signature and the header's chunk, which comes first.
const BEFORE: usize = 33;

/// The same figure with a mark that Alike drew it.
pub fn marked_png(mut png: Vec<u8>) -> Vec<u8> {
    if png.len() > BEFORE && png.starts_with(PNG) {
        png.splice(BEFORE..BEFORE, MARK.iter().copied());
    }
    png
}

/// Whether a file that begins so is a figure that Alike drew.
pub fn is_own_png(head: &[u8]) -> bool {
    // From the kind on: another program may have put other chunks before it.
    let content = &MARK[4..22];
    head.starts_with(PNG) && head[..head.len().min(PNG_HEAD)].windows(content.len()).any(|w| w == content)
}

/// Whether a folder that holds these files is a run's; `has` tells whether there is a file.
pub fn is_run(has: impl Fn(&str) -> bool) -> bool {
    has(CONFIG) && OF_A_RUN.iter().any(|file| has(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_png_is_known_and_has_the_same_pixels() {
        let mut plain = Vec::new();
        let picture = image::GrayImage::from_fn(5, 4, |x, y| image::Luma([(x * 9 + y) as u8]));
        picture.write_to(&mut io::Cursor::new(&mut plain), image::ImageFormat::Png).unwrap();
        let marked = marked_png(plain.clone());
        assert!(
            is_own_png(&marked) && is_own_png(&marked[..PNG_HEAD.min(marked.len())]) && !is_own_png(&plain)
        );
        // A decoder that checks sums reads it.
        assert_eq!(image::load_from_memory(&marked).unwrap().to_luma8(), picture);
        assert_eq!(marked_png(b"no png".to_vec()), b"no png");
    }

    #[test]
    fn a_spreadsheet_gets_no_formulas_and_keeps_numbers() {
        let mut table = OwnTable::new("classify", Vec::new(), &["path", "class", "distance"]).unwrap();
        table.row(["=cmd|' /C calc'!A0.png", "@x, \"y\"", "-1.5e-3"]).unwrap();
        table.row(["a=b.png", "\t=1", "+inf"]).unwrap();
        let safe = for_spreadsheets(&table.finish().unwrap()).unwrap();
        assert_eq!(
            String::from_utf8(safe).unwrap(),
            "path,class,distance,written_by\n'=cmd|' /C calc'!A0.png,\"'@x, \"\"y\"\"\",-1.5e-3,alike classify\n\
             a=b.png,'\t=1,+inf,alike classify\n"
        );
    }

    #[test]
    fn a_row_says_who_wrote_it() {
        let mut table = OwnTable::new("embed", Vec::new(), &["row", "path"]).unwrap();
        table.row(["0", "a, b.png"]).unwrap();
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        assert_eq!(text, "row,path,written_by\n0,\"a, b.png\",alike embed\n");
    }
}
