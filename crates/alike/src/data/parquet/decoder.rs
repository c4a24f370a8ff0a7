//! What the decoder's process does: reads a Parquet file with the crate `parquet`, and writes its rows as [`super::stream`] has them.

use super::file::ParquetFile;
use super::stream::{Head, Writer};
use super::{Cell, Only};
use crate::guard::guarded;
use crate::process::limit_memory;
use parquet::basic::ConvertedType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// The decoder's stack. Types within types are read by a function that calls itself.
const STACK: usize = 8 << 20;
/// Bytes that are handed on at once.
const CHUNK: usize = 64 << 10;

/// What is asked of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Bytes that it may take.
    pub(super) memory: u64,
    pub(super) only: Only,
}

/// How long a decoder may go without giving anything. Ticks are counted, and no clocks compared: a process that was stopped loses one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) tick: Duration,
    pub(super) ticks: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { tick: Duration::from_secs(1), ticks: 60 }
    }
}

/// Decodes a file and writes its rows to standard output: to be called by a process that was started to do this, and by nobody else ([`super::decode_by`]).
///
/// # Errors
///
/// If the request cannot be read, or the rows not written.
pub fn serve(request: &str, path: &Path) -> io::Result<()> {
    let request: Request = serde_json::from_str(request)?;
    limit_memory(request.memory);
    decode(path, request.only, Patience::default(), &mut io::stdout().lock())
}

/// Decodes in a thread of its own, so that this one can end when that one does not.
pub(super) fn decode(path: &Path, only: Only, patience: Patience, out: &mut dyn Write) -> io::Result<()> {
    let (give, given) = sync_channel(2);
    let path: PathBuf = path.to_owned();
    let work = move || {
        let mut out = Chunks { give, chunk: Vec::new() };
        let done =
            guarded(|| read(&path, &only, &mut out)).unwrap_or_else(|| Err("its decoder gave up".into()));
        // Whoever has stopped reading needs no end.
        let _ = match done {
            Ok(()) => Writer(&mut out).end(),
            Err(why) => Writer(&mut out).failure(&why),
        };
        let _ = out.flush();
    };
    thread::Builder::new().name("decoder".into()).stack_size(STACK).spawn(work)?;
    let mut ticks = 0;
    while ticks < patience.ticks {
        match given.recv_timeout(patience.tick) {
            Ok(chunk) => {
                out.write_all(&chunk)?;
                ticks = 0;
            }
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
            Err(RecvTimeoutError::Timeout) => ticks += 1,
        }
    }
    let seconds = (patience.tick * patience.ticks).as_secs();
    Writer(out).failure(&format!("its decoder has got nothing done for {seconds} s"))?;
    out.flush()
}

/// Bytes on their way to the thread that writes them.
struct Chunks {
    give: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.give.send(std::mem::take(&mut self.chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn read(path: &Path, only: &Only, out: &mut dyn Write) -> Result<(), String> {
    let damaged = |e: ParquetError| e.to_string();
    let file = ParquetFile::open(path).map_err(|e| e.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let about = reader.metadata().file_metadata();
    let says = about.key_value_metadata().into_iter().flatten();
    let says = says.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)));
    let fields: Vec<TypePtr> = about
        .schema()
        .get_fields()
        .iter()
        .filter(|field| only.takes(field.name(), kind(field)))
        .cloned()
        .collect();
    let head = Head { columns: fields.iter().map(|f| f.name().to_owned()).collect(), says: says.collect() };
    let mut out = Writer(out);
    let told = |e: io::Error| e.to_string();
    out.head(&head).map_err(told)?;
    if fields.is_empty() {
        return Ok(());
    }
    let schema =
        Type::group_type_builder(about.schema().name()).with_fields(fields).build().map_err(damaged)?;
    for row in reader.get_row_iter(Some(schema)).map_err(damaged)? {
        let row = row.map_err(damaged)?;
        let cells: Result<Vec<Cell>, String> = row.get_column_iter().map(|(_, field)| cell(field)).collect();
        out.row(&cells?).map_err(told)?;
    }
    Ok(())
}

/// What a column is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Numbers,
    Other,
}

fn kind(field: &Type) -> Kind {
    use parquet::basic::Repetition;
    use parquet::basic::Type::{DOUBLE, FLOAT};
    let is_float = |t: &Type| t.is_primitive() && matches!(t.get_physical_type(), FLOAT | DOUBLE);
    let is_repeated = |t: &Type| {
        t.get_basic_info().has_repetition() && t.get_basic_info().repetition() == Repetition::REPEATED
    };
    match field {
        t if t.is_primitive() && !is_repeated(t) => Kind::Text,
        t if is_float(t) => Kind::Numbers,
        t if t.is_primitive() => Kind::Other,
        // A list holds a repeated field, which is the number, or holds it.
        t if t.get_basic_info().converted_type() == ConvertedType::LIST => match t.get_fields() {
            [inner] if is_repeated(inner) && is_float(inner) => Kind::Numbers,
            [inner] if is_repeated(inner) && !inner.is_primitive() => match inner.get_fields() {
                [number] if is_float(number) && !is_repeated(number) => Kind::Numbers,
                _ => Kind::Other,
            },
            _ => Kind::Other,
        },
        _ => Kind::Other,
    }
}

fn cell(field: &Field) -> Result<Cell, String> {
    Ok(match field {
        Field::Null => Cell::Null,
        Field::Str(text) => Cell::Text(text.clone()),
        // Some programs write texts without saying that they are.
        Field::Bytes(bytes) => {
            std::str::from_utf8(bytes.data()).map_or(Cell::Null, |t| Cell::Text(t.to_owned()))
        }
        Field::ListInternal(list) => {
            let numbers = list.elements().iter().map(|element| match element {
                Field::Float(v) => Ok(*v),
                Field::Double(v) => Ok(*v as f32),
                other => Err(format!("{other} stands in a list of numbers")),
            });
            Cell::Numbers(numbers.collect::<Result<_, _>>()?)
        }
        other => Cell::Text(other.to_string()),
    })
}
