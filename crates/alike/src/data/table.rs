//! Tables, as people and programs write them: one reader for manifests, columns to tell images apart by, and pairs.
//!
//! Columns are set apart by commas, semicolons, tabs or bars, whichever makes known names of the header; cells may be quoted and
//! hold line breaks. Text is UTF-8, with or without a mark before it, UTF-16 with one, or else Windows-1252. A file that ends in
//! `.jsonl` holds an object a line. Names of columns are compared without regard to case, blanks, dashes and underscores.

use super::DataError;
use crate::files;
use crate::limits::{Limit, LimitError};
use std::borrow::Cow;
use std::path::Path;

/// Rows under named columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// As they are written, without blanks around them.
    pub columns: Vec<String>,
    /// A row's line, and as many cells as there are columns.
    pub rows: Vec<(usize, Vec<String>)>,
}

/// Columns of a table; nobody writes more, and looking one up takes as long as there are many.
const MOST_COLUMNS: usize = 4096;
/// Cells of a table whose rows do not spell them out.
pub(super) const MOST_CELLS: usize = 1 << 25;

/// Names of columns that mean something to one of the readers; they tell what sets cells apart.
const KNOWN: [&[&str]; 9] =
    [&PATH, &LABEL, &SPLIT, &GROUP, &CATEGORY, &CORNERS, &FIRST, &SECOND, &["is_query", "is_gallery", "row"]];
/// The file of an image.
pub(super) const PATH: [&str; 13] = [
    "path",
    "file_name",
    "file",
    "file_path",
    "file_paths",
    "file_names",
    "image_path",
    "image_file",
    "image_name",
    "image",
    "img_path",
    "img_name",
    "img",
];
/// Its class.
pub(super) const LABEL: [&str; 6] = ["label", "class", "labels", "class_name", "label_name", "target"];
/// Its part.
pub(super) const SPLIT: [&str; 4] = ["split", "subset", "partition", "data_set"];
/// What belongs on one side of a split.
pub(super) const GROUP: [&str; 2] = ["group", "group_id"];
/// What its class is a kind of.
pub(super) const CATEGORY: [&str; 3] = ["category", "superclass", "super_class"];
/// The part of the picture that counts.
pub(super) const CORNERS: [&str; 12] =
    ["x_1", "y_1", "x_2", "y_2", "x_min", "y_min", "x_max", "y_max", "left", "top", "right", "bottom"];
/// The first image of a pair.
pub const FIRST: [&str; 5] = ["a", "image_a", "image_1", "path_1", "file_1"];
/// The other.
pub const SECOND: [&str; 5] = ["b", "image_b", "image_2", "path_2", "file_2"];
/// Whether both are of one class.
pub const SAME: [&str; 4] = ["same", "is_same", "match", "label"];

/// Bytes of a column's name that is compared with others.
const LONGEST_NAME: usize = 1 << 10;

/// A column's name for comparison.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Whether two names of columns are the same.
pub(super) fn same_column(a: &str, b: &str) -> bool {
    // Where nothing sets cells apart that was tried, a cell is all of a table's first line.
    a.len().max(b.len()) <= LONGEST_NAME && folded(a) == folded(b)
}

/// What a cell says that is true or false.
pub fn truth(cell: &str) -> Option<bool> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" | "t" | "y" => Some(true),
        "0" | "0.0" | "false" | "no" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// Whether a file is a table by its name.
pub(super) fn is_table(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".csv", ".tsv", ".jsonl"].iter().any(|e| name.ends_with(e))
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no table.
    pub fn read(path: &Path) -> Result<Table, DataError> {
        Table::parse(path, &files::read(path, Limit::Text)?)
    }

    /// Reads the bytes of a file that is called `path`.
    ///
    /// # Errors
    ///
    /// If they are no table.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Table, DataError> {
        let wrong = |why: String| DataError::Source { path: path.to_owned(), why };
        let limited = |error: LimitError| DataError::Limit { path: path.to_owned(), error };
        Limit::Text.check(bytes.len() as u64, || "it is too large".into()).map_err(limited)?;
        let text = text(bytes).map_err(wrong)?;
        // A line takes many times its length once it is read.
        let lines = |end: u8| text.bytes().filter(|b| *b == end).count() as u64;
        let lines = lines(b'\n').max(lines(b'\r'));
        Limit::Images.check(lines, || "it has too many lines".into()).map_err(limited)?;
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jsonl")) {
            return objects(&text).map_err(wrong);
        }
        separated(&text).map_err(wrong)
    }

    /// The columns alone, of a file that begins so.
    pub fn columns_of(path: &Path, head: &[u8]) -> Vec<String> {
        let Ok(text) = text(head) else { return Vec::new() };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jsonl")) {
            let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
            return objects(first).map(|t| t.columns).unwrap_or_default();
        }
        let (delimiter, from, _) = delimiter(&text);
        cells(&text[from..], delimiter).into_iter().map(|c| c.trim().to_owned()).collect()
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| same_column(c, name))
    }

    /// The first of several names that there is a column of.
    pub fn any(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.column(name))
    }
}

/// Bytes as text.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        Ok(Cow::Owned(String::from_utf16_lossy(&units)))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return wide(rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err("it is no text: it holds zero bytes; save it as UTF-8".into());
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        // A head may end within a character.
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => {
            String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned().into()
        }
        Err(_) => bytes.iter().map(|b| windows(*b)).collect::<String>().into(),
    })
}

/// What Windows-1252 has where Latin-1 has control characters.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn windows(byte: u8) -> char {
    if (0x80..0xa0).contains(&byte) { WINDOWS[usize::from(byte) - 0x80] } else { char::from(byte) }
}

/// The bytes of a text in Windows-1252, for names of files that a table of that kind has.
pub(super) fn as_windows(text: &str) -> Option<Vec<u8>> {
    let byte = |c: char| match WINDOWS.iter().position(|w| *w == c) {
        Some(at) => Some(at as u8 + 0x80),
        None => u8::try_from(u32::from(c)).ok(),
    };
    text.chars().map(byte).collect()
}

/// What sets cells apart; where the header begins; and how many lines stand before it.
fn delimiter(text: &str) -> (char, usize, usize) {
    // Excel's own way of saying it.
    let first = text.lines().next().unwrap_or_default();
    if let Some(c) = first.trim().to_ascii_lowercase().strip_prefix("sep=").and_then(|c| c.chars().next()) {
        return (c, text.find('\n').map_or(text.len(), |at| at + 1), 1);
    }
    let score = |c: char| {
        let cells = cells(text, c);
        let known = |cell: &&String| KNOWN.iter().any(|set| set.iter().any(|k| same_column(k, cell)));
        (cells.iter().filter(known).count(), cells.len())
    };
    // Of equals the last is chosen: the comma.
    let best = ['|', '\t', ';', ','].into_iter().max_by_key(|c| score(*c));
    (best.unwrap_or(','), 0, 0)
}

/// The cells of the first record.
fn cells(text: &str, delimiter: char) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            c if c == delimiter && !quoted && cells.len() > MOST_COLUMNS => break,
            '"' => quoted = !quoted,
            '\n' | '\r' if !quoted => break,
            c if c == delimiter && !quoted => cells.push(String::new()),
            c => cells.last_mut().into_iter().for_each(|cell| cell.push(c)),
        }
    }
    cells
}

pub(super) fn check_columns(n: usize) -> Result<(), String> {
    if n <= MOST_COLUMNS { Ok(()) } else { Err(format!("it has more than {MOST_COLUMNS} columns")) }
}

fn separated(text: &str) -> Result<Table, String> {
    let (delimiter, from, before) = delimiter(text);
    check_columns(cells(&text[from..], delimiter).len())?;
    let delimiter = u8::try_from(delimiter).map_err(|_| format!("'{delimiter}' cannot set cells apart"))?;
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(&text.as_bytes()[from..]);
    let mut columns: Vec<String> =
        csv.headers().map_err(|e| e.to_string())?.iter().map(str::to_owned).collect();
    // A spreadsheet may write empty columns at the end.
    while columns.last().is_some_and(String::is_empty) {
        columns.pop();
    }
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|e| e.to_string())?;
        let line = before + record.position().map_or(0, |p| p.line() as usize);
        if record.iter().all(str::is_empty) {
            continue;
        }
        let n = record.len();
        let filled = (0..n).rev().find(|i| !record[*i].is_empty()).map_or(0, |at| at + 1);
        if filled > columns.len() || n < columns.len() {
            return Err(format!(
                "line {line} has {} cells, but the header has {}",
                n.max(filled),
                columns.len()
            ));
        }
        rows.push((line, record.iter().take(columns.len()).map(str::to_owned).collect()));
    }
    Ok(Table { columns, rows })
}

/// An object a line; what is neither text, number nor truth is no cell.
fn objects(text: &str) -> Result<Table, String> {
    use serde_json::Value;
    let mut table = Table::default();
    let mut sparse: Vec<(usize, Vec<(usize, String)>)> = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1))?;
        let mut row = Vec::new();
        for (key, value) in object {
            check_columns(table.columns.len())?;
            let cell = match value {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(n) => n.to_string(),
                Value::Bool(b) => b.to_string(),
                _ => continue,
            };
            let at = table.columns.iter().position(|c| *c == key).unwrap_or_else(|| {
                table.columns.push(key);
                table.columns.len() - 1
            });
            row.push((at, cell));
        }
        sparse.push((i + 1, row));
    }
    let n = table.columns.len();
    if n.saturating_mul(sparse.len()) > MOST_CELLS {
        return Err(format!("it has {n} columns and {} lines, too many together", sparse.len()));
    }
    table.rows = sparse
        .into_iter()
        .map(|(line, row)| {
            let mut cells = vec![String::new(); n];
            row.into_iter().for_each(|(at, cell)| cells[at] = cell);
            (line, cells)
        })
        .collect();
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &[u8]) -> Table {
        Table::parse(Path::new("t.csv"), text).unwrap()
    }

    fn cells_of(t: &Table) -> Vec<Vec<&str>> {
        t.rows.iter().map(|(_, r)| r.iter().map(String::as_str).collect()).collect()
    }

    /// The same table, as many programs write it.
    #[test]
    fn however_it_is_written_it_is_the_same_table() {
        let plain = "path,label\na.png,\"cat, tame\"\nb.png,Über\n";
        let expected = vec![vec!["a.png", "cat, tame"], vec!["b.png", "Über"]];
        let wide = |of: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            let tabs = "path\tlabel\r\na.png\tcat, tame\r\nb.png\tÜber\r\n";
            [mark.to_vec(), tabs.encode_utf16().flat_map(of).collect()].concat()
        };
        let written: Vec<Vec<u8>> = vec![
            plain.into(),
            format!("\u{feff}{plain}").into(),
            plain.replace('\n', "\r\n").into(),
            plain.trim_end().into(),
            b"\"Path\" ; LABEL\na.png;cat, tame\nb.png;\xc3\x9cber\n".to_vec(),
            b"path;label\na.png;cat, tame\nb.png;\xdcber\n".to_vec(),
            "sep=;\npath;label\na.png;cat, tame\nb.png;Über\n".into(),
            "path\tlabel\na.png\tcat, tame\nb.png\tÜber\n".into(),
            "path|label\na.png|cat, tame\n\n|\nb.png|Über\n".into(),
            "path,label,,\na.png,\"cat, tame\",,\n,,,\nb.png,Über,,\n".into(),
            wide(u16::to_le_bytes, [0xff, 0xfe]),
            wide(u16::to_be_bytes, [0xfe, 0xff]),
        ];
        for bytes in written {
            let t = table(&bytes);
            assert_eq!(cells_of(&t), expected, "{}", String::from_utf8_lossy(&bytes));
            assert_eq!((t.any(&PATH), t.any(&LABEL)), (Some(0), Some(1)));
        }
        let lines = "{\"file_name\": \"a.png\", \"label\": 7, \"objects\": {\"x\": 1}}\n\n{\"extra\": true, \"file_name\": \"b.png\"}\n";
        let t = Table::parse(Path::new("t.jsonl"), lines.as_bytes()).unwrap();
        assert_eq!(t.columns, ["file_name", "label", "extra"]);
        assert_eq!(cells_of(&t), [vec!["a.png", "7", ""], vec!["b.png", "", "true"]]);
        assert_eq!(t.rows[1].0, 3);
    }

    #[test]
    fn what_sets_cells_apart_is_not_sought_within_quotes() {
        let t = table(b"\"path\";\"label, in English\"\na.png;x\n");
        assert_eq!(t.columns, ["path", "label, in English"]);
        let t = table(b"path,\"note; long; very\"\na.png,x\n");
        assert_eq!(t.columns.len(), 2);
        let t = table(b"path\na.png\nb;c.png\n");
        assert_eq!(cells_of(&t), [["a.png"], ["b;c.png"]]);
    }

    #[test]
    fn lines_are_counted_through_quoted_breaks_and_ragged_rows_are_refused() {
        let t = table(b"path,label\n\"a\nb.png\",x\nc.png,y\n");
        assert_eq!((t.rows[0].1[0].as_str(), t.rows[1].0), ("a\nb.png", 4));
        let refused = |text: &[u8]| Table::parse(Path::new("t.csv"), text).unwrap_err().to_string();
        assert!(refused(b"path,label\na,b\nc\n").contains("line 3 has 1 cells"));
        assert!(refused(b"path,label\na,b,c\n").contains("line 2 has 3 cells"));
        assert!(refused(b"p\0a\0").contains("zero bytes"));
    }

    #[test]
    fn windows_names_go_there_and_back() {
        let text: String = (0x80..=0xff).map(windows).collect();
        assert_eq!(as_windows(&text), Some((0x80..=0xff).collect()));
        assert_eq!(as_windows("日"), None);
    }
}
