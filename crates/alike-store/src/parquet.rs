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
use alike::data::{FileStamp, ParquetFile};
use alike::files::{self, FileError};
use alike::guard::{GaveUp, Headway, Patience, guarded_within};
use alike::images::Features;
use alike::limits::Limit;
use parquet::basic::Type;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Pictures of a group of rows, and of a transaction.
const AT_ONCE: usize = 8192;
const FINGERPRINT: &str = "alike.fingerprint";
const SCHEMA: &str = "message collection {
  required binary path (STRING);
  optional binary class (STRING);
  optional binary group (STRING);
  optional binary facts (JSON);
  required group vector (LIST) { repeated group list { required float element; } }
}";

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
    import_within(Patience::default(), collection, path, same_encoder, taken)
}

fn import_within(
    patience: Patience,
    collection: &mut Collection,
    path: &Path,
    same_encoder: bool,
    taken: Taken,
) -> Result<Added, StoreError> {
    let wrong = |why: String| StoreError::File(FileError::reading(path)(io::Error::other(why)));
    let damaged = |e: ParquetError| wrong(format!("it is damaged or no Parquet file ({e})"));
    let gave_up = |e: GaveUp| wrong(e.to_string());
    let headway = Headway::default();
    let file = ParquetFile::open(path, headway.clone())?;
    let open = move || SerializedFileReader::new(file).map(Arc::new);
    let reader = guarded_within(patience, &headway, open).map_err(gave_up)?.map_err(damaged)?;
    let about = reader.metadata().file_metadata();
    let says = about.key_value_metadata().into_iter().flatten().find(|says| says.key == FINGERPRINT);
    match says.and_then(|says| says.value.as_deref()) {
        Some(of) if of == collection.about().fingerprint => {}
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
    let columns = columns(&reader).map_err(wrong)?;
    let mut why = Occasion::new("import", path.display().to_string());
    let mut all = Added::default();
    for group in 0..reader.num_row_groups() {
        let bytes = reader.metadata().row_group(group).columns().iter();
        let bytes = bytes.fold(0, |sum: u64, c| sum.saturating_add(c.uncompressed_size().unsigned_abs()));
        Limit::Member
            .check(bytes, || "a group of its rows is too large".into())
            .map_err(|e| wrong(e.to_string()))?;
        let shared = Arc::clone(&reader);
        let read = move || -> Result<Rows, ParquetError> { rows(&*shared.get_row_group(group)?, columns) };
        let Rows { texts: [paths, classes, groups, facts], vectors, lengths } =
            guarded_within(patience, &headway, read).map_err(gave_up)?.map_err(damaged)?;
        let d = collection.about().dimension;
        if let Some(got) = lengths.iter().copied().find(|n| *n != d) {
            return Err(StoreError::Dimension { path: collection.path().to_owned(), expected: d, got });
        }
        let mut items = Vec::with_capacity(lengths.len());
        for i in 0..lengths.len() {
            let at =
                |column: &[Option<String>]| column.get(i).cloned().flatten().filter(|text| !text.is_empty());
            let place = at(&paths).ok_or_else(|| wrong("a row has no path".into()))?;
            let known = match at(&facts).map(|text| serde_json::from_str(&text)) {
                None => serde_json::Map::new(),
                Some(Ok(Value::Object(known))) => known,
                Some(_) => return Err(wrong(format!("the facts of {place} are no JSON object"))),
            };
            let file = Path::new(&place);
            let stamp = if file.is_file() { FileStamp::of(file) } else { FileStamp::default() };
            let (class, group) = (at(&classes), at(&groups));
            items.push(NewItem { place, stamp, class, group, facts: known, ..NewItem::default() });
        }
        all += collection.add(&items, &Features::new(d, vectors), &mut why, taken)?;
    }
    Ok(all)
}

/// The numbers of the columns: path, class, group, facts; and that of the vectors.
#[derive(Clone, Copy)]
struct Columns {
    texts: [Option<usize>; 4],
    vector: usize,
}

fn columns(reader: &SerializedFileReader<ParquetFile>) -> Result<Columns, String> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let find = |names: &[&str], is: Type| {
        let column = |c: &parquet::schema::types::ColumnDescriptor| {
            c.path().parts().first().is_some_and(|first| names.contains(&first.as_str()))
                && c.physical_type() == is
        };
        schema.columns().iter().position(|c| column(c))
    };
    let text = |names: &[&str]| {
        let found = find(names, Type::BYTE_ARRAY);
        // Levels are read as a flat column has them.
        found.filter(|i| schema.column(*i).max_rep_level() == 0 && schema.column(*i).max_def_level() <= 1)
    };
    let path = text(&["path", "file", "image"]).ok_or("it has no column 'path' of texts")?;
    let vector = find(&["vector", "embedding", "features"], Type::FLOAT)
        .filter(|i| schema.column(*i).max_rep_level() == 1)
        .ok_or("it has no column 'vector' of lists of 32-bit floats")?;
    let texts = [Some(path), text(&["class", "label"]), text(&["group"]), text(&["facts"])];
    Ok(Columns { texts, vector })
}

/// What a group of rows holds.
struct Rows {
    texts: [Vec<Option<String>>; 4],
    vectors: Vec<f32>,
    /// Numbers of each vector.
    lengths: Vec<usize>,
}

fn rows(group: &dyn RowGroupReader, columns: Columns) -> Result<Rows, ParquetError> {
    let n = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let mut texts: [Vec<Option<String>>; 4] = Default::default();
    for (into, column) in texts.iter_mut().zip(columns.texts) {
        let Some(column) = column else { continue };
        let most = group.metadata().column(column).column_descr().max_def_level();
        let mut reader = get_typed_column_reader::<ByteArrayType>(group.get_column_reader(column)?);
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        reader.read_records(n, (most > 0).then_some(&mut levels), None, &mut values)?;
        // How many rows there are is the file's word: nothing is made of rows that it does not hold.
        if most > 0 && levels.len() != n {
            return Err(ParquetError::General("its texts are not as many as its rows".into()));
        }
        let mut values = values.into_iter();
        let mut next = || -> Result<String, ParquetError> {
            let bytes = values.next().ok_or_else(|| ParquetError::General("a value is missing".into()))?;
            String::from_utf8(bytes.data().to_vec()).map_err(|e| ParquetError::General(e.to_string()))
        };
        for i in 0..n {
            let is_there = most == 0 || levels.get(i) == Some(&most);
            into.push(if is_there { Some(next()?) } else { None });
        }
    }
    let most = group.metadata().column(columns.vector).column_descr().max_def_level();
    let mut reader = get_typed_column_reader::<FloatType>(group.get_column_reader(columns.vector)?);
    let (mut vectors, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    reader.read_records(n, Some(&mut defined), Some(&mut repeated), &mut vectors)?;
    let mut lengths: Vec<usize> = Vec::new();
    for (defined, repeated) in defined.iter().zip(&repeated) {
        if *repeated == 0 {
            lengths.push(0);
        }
        if let (true, Some(last)) = (*defined == most, lengths.last_mut()) {
            *last += 1;
        }
    }
    if lengths.len() != n || lengths.iter().sum::<usize>() != vectors.len() {
        return Err(ParquetError::General("its vectors are not as many as its rows".into()));
    }
    Ok(Rows { texts, vectors, lengths })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{About, Access, Address};
    use alike::data::Preparation;
    use alike::encoder::EncoderFacts;
    use alike::images::Shape;
    use std::time::Duration;

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

    /// A field that nobody knows, a list of 2^31 - 1 numbers of 8 bytes, lies where the first page's header was.
    #[test]
    fn a_page_that_claims_more_than_the_file_has_fails_where_the_file_ends() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        export(&filled(&folder.path().join("a.alike"), 3), None, &out).unwrap();
        let mut damaged = std::fs::read(&out).unwrap();
        damaged[4..11].copy_from_slice(&[0xf9, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
        std::fs::write(&out, damaged).unwrap();
        let mut into = collection(&folder.path().join("b.alike"), "one");
        // Long enough for any machine that is busy, and too short for 2^31 reads.
        let patience = Patience { ticks: 10, ..Patience::default() };
        let error = import_within(patience, &mut into, &out, true, Taken::Keep).unwrap_err().to_string();
        assert!(error.contains("unexpected end of file"), "{error}");
    }

    /// Booleans in a list take no bytes, so nothing is read, and nothing fails, while the decoder counts to 2^30.
    #[test]
    fn a_footer_whose_decoding_does_not_end_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("all.parquet");
        let footer = [0xf9, 0xf1, 0x80, 0x80, 0x80, 0x80, 0x04, 0];
        std::fs::write(&out, [&b"PAR1"[..], &footer, &8_u32.to_le_bytes(), b"PAR1"].concat()).unwrap();
        let mut into = collection(&folder.path().join("b.alike"), "one");
        let patience = Patience { tick: Duration::from_millis(5), ticks: 2 };
        let error = import_within(patience, &mut into, &out, true, Taken::Keep).unwrap_err().to_string();
        assert!(error.ends_with("it is damaged: its decoder has not ended after 0 s"), "{error}");
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
        assert!(error.contains("its texts are not as many as its rows"), "{error}");
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
