//! Rows of Parquet files.
//!
//! The crate `parquet` trusts what a file says of itself: 42 bytes make it reserve 16 GiB, types that lie 20,000 deep within each other overflow the stack, 30 bytes keep it
//! busy for as long as they like, and a page may unpack to any size. So it runs in a process of its own, whose memory is limited, and which ends itself
//! when nothing gets done. A program names that process with [`decode_by`].

mod decoder;
mod file;
mod stream;

pub use decoder::serve;

use super::DataError;
use crate::files;
use crate::limits::Limit;
use crate::process::{BASE_MEMORY, ran_out_of_memory};
use decoder::{Kind, Patience, Request};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use stream::{Head, Message};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// None, or bytes that are no text.
    Null,
    /// A text, or whatever else can be written as one.
    Text(String),
    /// A list of floats, as 32 bits each.
    Numbers(Vec<f32>),
}

/// Columns that are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Only {
    /// Those of texts and single values; lists and structures are left out.
    Flat,
    /// Those of these names that are flat, or lists of floats.
    Named(Vec<String>),
}

impl Only {
    fn takes(&self, name: &str, kind: Kind) -> bool {
        match self {
            Only::Flat => kind == Kind::Text,
            Only::Named(names) => kind != Kind::Other && names.iter().any(|n| n == name),
        }
    }
}

/// A program, and its arguments.
static DECODER: OnceLock<(PathBuf, Vec<OsString>)> = OnceLock::new();

/// Says which program decodes Parquet files: one that calls [`serve`] with its last two arguments. It counts once, for the whole process.
///
/// Where none is named, files are decoded in this process, in a thread of its own: a file that ends its decoder ends this process. Read only
/// files that you trust.
pub fn decode_by(program: PathBuf, arguments: Vec<OsString>) {
    let _ = DECODER.set((program, arguments));
}

/// The rows of a Parquet file, as an iterator; after an error there are no more.
#[derive(Debug)]
pub struct ParquetRows {
    path: PathBuf,
    head: Head,
    /// Nothing once they have ended.
    from: Option<Decoder>,
}

impl ParquetRows {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no Parquet file.
    pub fn open(path: &Path, only: Only) -> Result<ParquetRows, DataError> {
        ParquetRows::open_within(Patience::default(), path, only)
    }

    fn open_within(patience: Patience, path: &Path, only: Only) -> Result<ParquetRows, DataError> {
        // What is no file is told as elsewhere.
        files::open(path)?;
        let from = match DECODER.get() {
            Some((program, arguments)) => Decoder::process(program, arguments, path, only),
            None => Decoder::thread(patience, path, only),
        };
        let from = from.map_err(|e| wrong(path, format!("its decoder cannot be started: {e}")))?;
        let mut rows = ParquetRows { path: path.to_owned(), head: Head::default(), from: Some(from) };
        match rows.message()? {
            Some(Message::Head(head)) => rows.head = head,
            other => return Err(wrong(path, format!("its decoder's answer makes no sense: {other:?}"))),
        }
        Ok(rows)
    }

    /// The names of the columns, in the order of a row's cells.
    pub fn columns(&self) -> &[String] {
        &self.head.columns
    }

    /// What the file says of itself beside its rows.
    pub fn says(&self) -> &BTreeMap<String, String> {
        &self.head.says
    }

    /// The next message; nothing at the end.
    fn message(&mut self) -> Result<Option<Message>, DataError> {
        let Some(decoder) = &mut self.from else { return Ok(None) };
        let limited = |error| DataError::Limit { path: self.path.clone(), error };
        let last = match stream::next(&mut decoder.from, Limit::Text.most()) {
            Ok(Message::End) => Ok(None),
            Ok(Message::TooLong(bytes)) => {
                Limit::Text.check(bytes, || "a row is too long".into()).map(|()| None).map_err(limited)
            }
            Ok(Message::Failure(why)) => Err(damaged(&self.path, &why)),
            Ok(message) => return Ok(Some(message)),
            Err(e) => Err(match decoder.died(&e) {
                Died::OfMemory => {
                    limited(Limit::Memory.exceeded("its decoder takes more memory than it may"))
                }
                Died::Otherwise(how) => damaged(&self.path, &how),
            }),
        };
        self.from = None;
        last
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Vec<Cell>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.message() {
            Ok(None) => None,
            Ok(Some(Message::Row(cells))) if cells.len() == self.head.columns.len() => Some(Ok(cells)),
            Ok(Some(other)) => {
                self.from = None;
                Some(Err(wrong(&self.path, format!("its decoder's answer makes no sense: {other:?}"))))
            }
            Err(e) => Some(Err(e)),
        }
    }
}

fn wrong(path: &Path, why: String) -> DataError {
    DataError::Source { path: path.to_owned(), why }
}

fn damaged(path: &Path, why: &str) -> DataError {
    wrong(path, format!("it is damaged or no Parquet file ({why})"))
}

/// What decodes: a process, or a thread of this one. A process that is dropped before its end is killed.
struct Decoder {
    child: Option<Child>,
    from: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("child", &self.child).finish_non_exhaustive()
    }
}

/// How a decoder died.
enum Died {
    OfMemory,
    Otherwise(String),
}

impl Decoder {
    fn process(program: &Path, arguments: &[OsString], path: &Path, only: Only) -> io::Result<Decoder> {
        let request = Request { memory: Limit::Memory.most().saturating_add(BASE_MEMORY), only };
        let mut command = Command::new(program);
        // A path may begin as a flag does.
        command.args(arguments).arg(serde_json::to_string(&request)?).arg("--").arg(path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Decoder { child: Some(child), from: Box::new(BufReader::new(out)) })
    }

    fn thread(patience: Patience, path: &Path, only: Only) -> io::Result<Decoder> {
        let (from, mut to) = io::pipe()?;
        let path = path.to_owned();
        // Whoever has stopped reading misses nothing.
        let work = move || _ = decoder::decode(&path, only, patience, &mut to);
        thread::Builder::new().spawn(work)?;
        Ok(Decoder { child: None, from: Box::new(BufReader::new(from)) })
    }

    /// Why there is no more of it.
    fn died(&mut self, error: &io::Error) -> Died {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        let Some(child) = self.child.as_mut().filter(|_| closed) else {
            return Died::Otherwise(format!("its decoder ended: {error}"));
        };
        // It closed its output, so it ends soon, and has little to say.
        let mut said = Vec::new();
        let _ = child.stderr.take().map(|pipe| pipe.take(64 << 10).read_to_end(&mut said));
        let said = String::from_utf8_lossy(&said);
        if ran_out_of_memory(&said) {
            return Died::OfMemory;
        }
        let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        let first = said.lines().map(str::trim).find(|line| !line.is_empty());
        Died::Otherwise(format!(
            "its decoder ended, {status}{}",
            first.map_or(String::new(), |l| format!(": {l}"))
        ))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // One that has ended is only waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    use std::fs::File;
    use std::sync::Arc;
    use std::time::Duration;

    const SCHEMA: &str = "message m {
        required binary path (UTF8);
        required int64 label;
        optional binary split (UTF8);
        required binary raw;
        optional group vector (LIST) { repeated group list { optional float element; } }
        repeated double plain;
        required group inner { required int64 deep; }
    }";

    /// Two rows of everything.
    fn table(path: &Path) {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let says = vec![KeyValue::new("k".into(), "v".to_owned()), KeyValue::new("none".into(), None)];
        let properties = WriterProperties::builder().set_key_value_metadata(Some(says)).build();
        let mut writer =
            SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let text = |list: &[&[u8]]| list.iter().map(|s| ByteArray::from(s.to_vec())).collect::<Vec<_>>();
        macro_rules! column {
            ($type:ty, $values:expr, $defined:expr, $repeated:expr) => {
                let mut column = rows.next_column().unwrap().unwrap();
                column.typed::<$type>().write_batch($values, $defined, $repeated).unwrap();
                column.close().unwrap();
            };
        }
        column!(ByteArrayType, &text(&[b"a.png", b"b.png"]), None, None);
        column!(Int64Type, &[7, 8], None, None);
        column!(ByteArrayType, &text(&[b"test"]), Some(&[1, 0]), None);
        column!(ByteArrayType, &text(&["ä".as_bytes(), b"\xff"]), None, None);
        column!(FloatType, &[0.5, -1.0, 3.0], Some(&[3, 3, 3]), Some(&[0, 1, 0]));
        column!(DoubleType, &[0.1], Some(&[1, 0]), Some(&[0, 0]));
        column!(Int64Type, &[1, 2], None, None);
        rows.close().unwrap();
        writer.close().unwrap();
    }

    fn read(path: &Path, only: Only) -> Result<Vec<Vec<Cell>>, DataError> {
        ParquetRows::open(path, only)?.collect()
    }

    fn cells(texts: &[&str]) -> Vec<Cell> {
        let cell = |t: &&str| if t.is_empty() { Cell::Null } else { Cell::Text((*t).into()) };
        texts.iter().map(cell).collect()
    }

    #[test]
    fn flat_columns_are_texts_and_those_that_are_named_may_be_lists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        table(&path);
        let rows = ParquetRows::open(&path, Only::Flat).unwrap();
        assert_eq!(rows.columns(), ["path", "label", "split", "raw"]);
        assert_eq!(*rows.says(), [("k".to_owned(), "v".to_owned())].into());
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        assert_eq!(rows, [cells(&["a.png", "7", "test", "ä"]), cells(&["b.png", "8", "", ""])]);
        let named = ["plain", "inner", "vector", "label", "nothing"].map(str::to_owned).to_vec();
        let rows = ParquetRows::open(&path, Only::Named(named)).unwrap();
        assert_eq!(rows.columns(), ["label", "vector", "plain"]);
        let numbers = |v: &[f32]| Cell::Numbers(v.to_vec());
        let label = |t: &str| Cell::Text(t.into());
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        assert_eq!(rows[0], [label("7"), numbers(&[0.5, -1.0]), numbers(&[0.1])]);
        assert_eq!(rows[1], [label("8"), numbers(&[3.0]), numbers(&[])]);
        let nothing = ParquetRows::open(&path, Only::Named(vec![])).unwrap();
        assert_eq!(nothing.columns().len() + nothing.count(), 0);
    }

    #[test]
    fn what_is_no_parquet_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        std::fs::write(&path, b"PAR1 no").unwrap();
        assert!(read(&path, Only::Flat).unwrap_err().to_string().contains("no Parquet file"));
        assert!(read(folder.path(), Only::Flat).is_err());
        assert!(matches!(read(&folder.path().join("none"), Only::Flat), Err(DataError::File(_))));
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
        let rows = ParquetRows::open_within(patience, &path, Only::Flat);
        let error = rows.map_or_else(Some, |mut rows| rows.find_map(Result::err)).unwrap().to_string();
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
        let error = ParquetRows::open_within(patience, &path, Only::Flat).unwrap_err().to_string();
        let stuck = "it is damaged or no Parquet file (its decoder has got nothing done for 0 s)";
        assert!(error.ends_with(stuck), "{error}");
    }

    /// Some of these make the crate panic.
    #[test]
    fn a_damaged_byte_is_an_error_or_another_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        table(&path);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff, good[at].wrapping_add(1)] {
                let mut damaged = good.clone();
                damaged[at] = value;
                std::fs::write(&path, damaged).unwrap();
                let _ = read(&path, Only::Flat);
                let _ = read(&path, Only::Named(vec!["vector".into(), "plain".into()]));
            }
        }
    }
}
