//! Collections as Parquet files, and back.
//!
//! | column | type |
//! |---|---|
//! | `path` | text |
//! | `class`, `group` | text, or null |
//! | `facts` | text: a JSON object, or null |
//! | `vector` | a list of `float` |
//!
//! The file's metadata hold `alike.fingerprint`, the encoder's.

use crate::collection::Collection;
use crate::error::StoreError;
use crate::filter::Filter;
use crate::item::{Added, Item, NewItem, Occasion, Taken};
use alike::data::FileStamp;
use alike::data::parquet::{Cell, Only, ParquetRows};
use alike::files::{self, FileError};
use alike::images::Features;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Pictures of a group of rows, and of a transaction.
const AT_ONCE: usize = 8192;
/// Bytes of texts after which no more pictures are added at once.
const MOST_BYTES: usize = 64 << 20;
const FINGERPRINT: &str = "alike.fingerprint";
const SCHEMA: &str = "message collection {
  required binary path (STRING);
  optional binary class (STRING);
  optional binary group (STRING);
  optional binary facts (JSON);
  required group vector (LIST) { repeated group list { required float element; } }
}";

/// What columns may be called: path, class, group, facts, vector.
const COLUMNS: [&[&str]; 5] = [
    &["path", "file", "image"],
    &["class", "label"],
    &["group"],
    &["facts"],
    &["vector", "embedding", "features"],
];

/// Writes the pictures of which a condition holds; returns how many there were.
///
/// # Errors
///
/// If the collection cannot be read, or the file not written.
pub fn export(collection: &Collection, filter: Option<&Filter>, out: &Path) -> Result<usize, StoreError> {
    let mut written = 0;
    let mut failed = None;
    let done = files::write_with(out, |w| {
        written = fill(collection, filter, w).map_err(|e| match e {
            Ended::Store(e) => {
                failed = Some(*e);
                io::Error::other("the collection cannot be read")
            }
            Ended::Parquet(e) => io::Error::other(e),
        })?;
        Ok(())
    });
    match failed {
        Some(e) => Err(e),
        None => Ok(done.map(|()| written)?),
    }
}

/// Why a table is not finished.
enum Ended {
    Store(Box<StoreError>),
    Parquet(ParquetError),
}

impl From<StoreError> for Ended {
    fn from(e: StoreError) -> Ended {
        Ended::Store(Box::new(e))
    }
}

impl From<ParquetError> for Ended {
    fn from(e: ParquetError) -> Ended {
        Ended::Parquet(e)
    }
}

fn fill(
    collection: &Collection,
    filter: Option<&Filter>,
    w: &mut (dyn Write + Send),
) -> Result<usize, Ended> {
    let says = KeyValue::new(FINGERPRINT.to_owned(), collection.about().fingerprint.clone());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![says])).build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(w, schema, Arc::new(properties))?;
    let (mut after, mut written) = (None, 0);
    loop {
        let items = collection.items(filter, after, AT_ONCE)?;
        let Some(last) = items.last() else { break };
        after = Some(last.id);
        written += items.len();
        let mut rows = writer.next_row_group()?;
        texts(&mut rows, &items, true, |item| Some(item.path.clone()))?;
        texts(&mut rows, &items, false, |item| item.class.clone())?;
        texts(&mut rows, &items, false, |item| item.group.clone())?;
        let facts =
            |item: &Item| (!item.facts.is_empty()).then(|| Value::from(item.facts.clone()).to_string());
        texts(&mut rows, &items, false, facts)?;
        let d = collection.about().dimension;
        let mut vectors = Vec::with_capacity(items.len() * d);
        for item in &items {
            vectors.extend(collection.vector(item.id)?);
        }
        // A vector's first number begins a list, and the others go on with it.
        let repetition: Vec<i16> = (0..vectors.len()).map(|i| i16::from(i % d != 0)).collect();
        let mut column = next(&mut rows)?;
        column.typed::<FloatType>().write_batch(
            &vectors,
            Some(&vec![1; vectors.len()]),
            Some(&repetition),
        )?;
        column.close()?;
        rows.close()?;
    }
    writer.close()?;
    Ok(written)
}

type Column<'a> = parquet::file::writer::SerializedColumnWriter<'a>;

fn next<'a, W: Write + Send>(
    rows: &'a mut SerializedRowGroupWriter<'_, W>,
) -> Result<Column<'a>, ParquetError> {
    rows.next_column()?.ok_or_else(|| ParquetError::General("the schema has fewer columns".into()))
}

fn texts<W: Write + Send>(
    rows: &mut SerializedRowGroupWriter<'_, W>,
    items: &[Item],
    required: bool,
    of: impl Fn(&Item) -> Option<String>,
) -> Result<(), ParquetError> {
    let all: Vec<Option<String>> = items.iter().map(of).collect();
    let levels: Vec<i16> = all.iter().map(|text| i16::from(text.is_some())).collect();
    let there: Vec<ByteArray> = all.iter().flatten().map(|text| ByteArray::from(text.as_str())).collect();
    let mut column = next(rows)?;
    column.typed::<ByteArrayType>().write_batch(&there, (!required).then_some(&levels[..]), None)?;
    column.close()
}

/// Adds the pictures of a table. It names its encoder, or a person says that it is the collection's: `same_encoder`.
///
/// # Errors
///
/// If the table is damaged, lacks a column, is of another encoder or of other dimensions, or the collection cannot be written. What was added before
/// stays.
pub fn import(
    collection: &mut Collection,
    path: &Path,
    same_encoder: bool,
    taken: Taken,
) -> Result<Added, StoreError> {
    let mut rows =
        ParquetRows::open(path, Only::Named(COLUMNS.concat().iter().map(|n| (*n).to_owned()).collect()))?;
    let wrong = |why: String| StoreError::File(FileError::reading(path)(io::Error::other(why)));
    match rows.says().get(FINGERPRINT) {
        Some(of) if *of == collection.about().fingerprint => {}
        Some(_) => {
            let address = collection.about().address.to_string();
            return Err(StoreError::Fingerprint { path: collection.path().to_owned(), address });
        }
        None if same_encoder => {}
        None => {
            return Err(wrong(
                "it does not say which model its vectors are from; give --same-model if that is the collection's".into(),
            ));
        }
    }
    let columns = COLUMNS.map(|names| rows.columns().iter().position(|c| names.contains(&c.as_str())));
    let [path_column, .., vector_column] = columns;
    for (column, name, kind) in [(path_column, "path", "texts"), (vector_column, "vector", "lists of floats")]
    {
        if column.is_none() {
            return Err(wrong(format!("it has no column '{name}' of {kind}")));
        }
    }
    let mut why = Occasion::new("import", path.display().to_string());
    let mut all = Added::default();
    loop {
        let batch = batch(&mut rows, columns, collection, &wrong)?;
        if batch.items.is_empty() {
            return Ok(all);
        }
        let vectors = Features::new(collection.about().dimension, batch.vectors);
        all += collection.add(&batch.items, &vectors, &mut why, taken)?;
    }
}

/// Pictures that are added at once, and their vectors.
#[derive(Default)]
struct Batch {
    items: Vec<NewItem>,
    vectors: Vec<f32>,
}

/// The next pictures; none at the end.
fn batch(
    rows: &mut ParquetRows,
    columns: [Option<usize>; 5],
    collection: &Collection,
    wrong: &dyn Fn(String) -> StoreError,
) -> Result<Batch, StoreError> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    while batch.items.len() < AT_ONCE && bytes < MOST_BYTES {
        let Some(mut row) = rows.next().transpose()? else { break };
        let cells = columns.map(|c| c.map_or(Cell::Null, |c| std::mem::replace(&mut row[c], Cell::Null)));
        bytes += cells.iter().map(|c| if let Cell::Text(text) = c { text.len() } else { 0 }).sum::<usize>();
        let [path, class, group, facts, vector] = cells;
        let text = |cell: Cell| match cell {
            Cell::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let place = text(path).ok_or_else(|| wrong("a row has no path".into()))?;
        let facts = text(facts).unwrap_or_default();
        let facts = match serde_json::from_str(&facts) {
            _ if facts.is_empty() => serde_json::Map::new(),
            Ok(Value::Object(facts)) => facts,
            _ => return Err(wrong(format!("the facts of {place} are no JSON object"))),
        };
        let expected = collection.about().dimension;
        match vector {
            Cell::Numbers(vector) if vector.len() == expected => batch.vectors.extend(vector),
            other => {
                let got = if let Cell::Numbers(vector) = other { vector.len() } else { 0 };
                return Err(StoreError::Dimension { path: collection.path().to_owned(), expected, got });
            }
        }
        let file = Path::new(&place);
        let stamp = if file.is_file() { FileStamp::of(file) } else { FileStamp::default() };
        let (class, group) = (text(class), text(group));
        batch.items.push(NewItem { place, stamp, class, group, facts, ..NewItem::default() });
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{About, Access, Address};
    use alike::data::Preparation;
    use alike::encoder::EncoderFacts;
    use alike::images::Shape;

    fn collection(path: &Path, fingerprint: &str) -> Collection {
        let facts = EncoderFacts {
            preparation: Preparation::exact(Shape { h: 1, w: 1, c: 1 }),
            dimension: 3,
            unit_length: false,
            fingerprint: fingerprint.into(),
        };
        Collection::create(path, About::new(&facts, Address::default())).unwrap()
    }

    fn filled(path: &Path, n: usize) -> Collection {
        let mut filled = collection(path, "one");
        let item = |i: usize| NewItem {
            place: format!("/p/{i}.png"),
            class: (!i.is_multiple_of(3)).then(|| format!("class {}", i % 3)),
            group: i.is_multiple_of(2).then(|| "ä, \"b\"".to_owned()),
            facts: if i == 1 {
                [("shelf".to_owned(), 3.into())].into_iter().collect()
            } else {
                serde_json::Map::new()
            },
            ..NewItem::default()
        };
        let items: Vec<NewItem> = (0..n).map(item).collect();
        let vectors = Features::new(3, (0..3 * n).map(|v| v as f32 / 7.0).collect());
        filled.add(&items, &vectors, &mut Occasion::new("add", "a test"), Taken::Refuse).unwrap();
        filled
    }

    #[test]
    fn what_is_exported_to_parquet_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        let n = AT_ONCE + 5;
        let source = filled(&folder.path().join("a.alike"), n);
        assert_eq!(export(&source, None, &out).unwrap(), n);
        let mut copy = collection(&folder.path().join("b.alike"), "one");
        let added = import(&mut copy, &out, false, Taken::Keep).unwrap();
        assert_eq!((added.added, added.kept), (n, 0));
        assert_eq!(copy.gallery(None).unwrap(), source.gallery(None).unwrap());
        let facts = |of: &Collection| of.items(Some(&"facts.shelf = 3".parse().unwrap()), None, 9).unwrap();
        assert_eq!(facts(&copy).len(), 1);
        assert_eq!(facts(&copy)[0].facts, facts(&source)[0].facts);
        let some = "class = 'class 1'".parse().unwrap();
        assert_eq!(export(&source, Some(&some), &out).unwrap(), (0..n).filter(|i| i % 3 == 1).count());
    }

    #[test]
    fn a_table_of_another_encoder_or_of_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        export(&filled(&folder.path().join("a.alike"), 4), None, &out).unwrap();
        let mut other = collection(&folder.path().join("b.alike"), "two");
        let refused = import(&mut other, &out, true, Taken::Keep).unwrap_err().to_string();
        assert!(refused.contains("another encoder"), "{refused}");
        let good = std::fs::read(&out).unwrap();
        let at = good.windows(FINGERPRINT.len()).rposition(|w| w == FINGERPRINT.as_bytes()).unwrap();
        let mut unnamed = good.clone();
        unnamed[at] = b'x';
        std::fs::write(&out, unnamed).unwrap();
        let refused = import(&mut other, &out, false, Taken::Keep).unwrap_err().to_string();
        assert!(refused.contains("--same-model"), "{refused}");
        assert_eq!(import(&mut other, &out, true, Taken::Keep).unwrap().added, 4);
        assert!(
            Collection::open(&folder.path().join("b.alike"), Access::Read)
                .unwrap()
                .check()
                .unwrap()
                .faults
                .is_empty()
        );
    }

    #[test]
    fn rows_that_are_claimed_and_not_there_are_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        let schema = SCHEMA.replace("required binary path", "optional binary path");
        let schema: String =
            schema.lines().filter(|l| !l.contains("optional") || l.contains("path")).collect();
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let file = std::fs::File::create(&out).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = next(&mut group).unwrap();
        let path = [ByteArray::from("/p/0.png")];
        column.typed::<ByteArrayType>().write_batch(&path, Some(&[1]), None).unwrap();
        column.close().unwrap();
        let mut column = next(&mut group).unwrap();
        column.typed::<FloatType>().write_batch(&[1.0; 3], Some(&[1; 3]), Some(&[0, 1, 1])).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let mut into = collection(&folder.path().join("b.alike"), "one");
        assert_eq!(import(&mut into, &out, true, Taken::Keep).unwrap().added, 1);
        // The group's field 3, an i64, says 63 in place of 1.
        let mut damaged = std::fs::read(&out).unwrap();
        let at = damaged.windows(2).rposition(|w| w == [0x16, 0x02]).unwrap();
        damaged[at + 1] = 0x7e;
        std::fs::write(&out, damaged).unwrap();
        let error = import(&mut into, &out, true, Taken::Replace).unwrap_err().to_string();
        assert!(error.contains("it is damaged or no Parquet file"), "{error}");
    }

    #[test]
    fn a_damaged_parquet_table_is_an_error_or_another_table() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        export(&filled(&folder.path().join("a.alike"), 3), None, &out).unwrap();
        let good = std::fs::read(&out).unwrap();
        let mut into = collection(&folder.path().join("b.alike"), "one");
        for at in 0..good.len() {
            for value in [0, 0xff, good[at].wrapping_add(1)] {
                let mut damaged = good.clone();
                damaged[at] = value;
                std::fs::write(&out, damaged).unwrap();
                let _ = import(&mut into, &out, true, Taken::Keep);
            }
        }
    }
}
