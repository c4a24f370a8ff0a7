//! Parquet files that end, or fill, whatever decodes them: an error, and this process goes on.

use alike::data::parquet::{Cell, Only, ParquetRows};
use alike_fuzz::decode_parquet_by;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// Reads a file to its end: how many rows it gave, and why there were no more.
fn read(bytes: &[u8]) -> (usize, Option<String>) {
    decode_parquet_by(env!("CARGO_BIN_EXE_decode-parquet").into());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("-t.parquet");
    std::fs::write(&path, bytes).unwrap();
    let rows = match ParquetRows::open(&path, Only::Flat) {
        Ok(rows) => rows,
        Err(e) => return (0, Some(e.to_string())),
    };
    let (mut n, mut error) = (0, None);
    for row in rows {
        match row {
            Ok(_) => n += 1,
            Err(e) => error = Some(e.to_string()),
        }
    }
    (n, error)
}

/// A file that is a footer alone.
fn footer(footer: &[u8]) -> Vec<u8> {
    [&b"PAR1"[..], footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat()
}

/// A table of one column of texts.
fn texts(compression: Compression, text: &str, rows: usize) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { required binary path (UTF8); }").unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_size_limit(usize::MAX)
        .set_dictionary_page_size_limit(usize::MAX)
        .set_write_batch_size(usize::MAX)
        .build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let text = vec![ByteArray::from(text); rows];
    column.typed::<ByteArrayType>().write_batch(&text, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

#[test]
fn rows_come_from_another_process() {
    decode_parquet_by(env!("CARGO_BIN_EXE_decode-parquet").into());
    assert_eq!(read(&texts(Compression::SNAPPY, "a", 3000)), (3000, None));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    std::fs::write(&path, texts(Compression::UNCOMPRESSED, "ä", 2)).unwrap();
    let mut rows = ParquetRows::open(&path, Only::Flat).unwrap();
    assert_eq!(rows.columns(), ["path"]);
    assert_eq!(rows.next().unwrap().unwrap(), [Cell::Text("ä".into())]);
    // Whoever has enough of it ends the process.
    drop(rows);
}

/// A schema's element is a name, and how many of the next lie within it.
#[test]
fn types_within_types_may_lie_as_deep_as_they_like() {
    let depth = 100_000_u32;
    // Field 1, the version, is 1; field 2 is a list of structures (in a byte, or with its length after it).
    let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
    varint(&mut bytes, depth);
    for i in 0..depth {
        // Field 4, the name, is `a`; field 5, the children, is 1; the last is an int32 (field 1), required (field 3).
        let last = i + 1 == depth;
        bytes.extend(if last {
            &[0x15, 0x02, 0x25, 0x00, 0x18, 0x01, b'a', 0x00][..]
        } else {
            &[0x48, 0x01, b'a', 0x15, 0x02, 0x00]
        });
    }
    // Field 3, the rows, is 0; field 4 is an empty list of groups.
    bytes.extend([0x16, 0x00, 0x19, 0x0c, 0x00]);
    let (rows, error) = read(&footer(&bytes));
    let error = error.unwrap();
    assert!(rows == 0 && error.contains("-t.parquet") && error.contains("its decoder ended"), "{error}");
    assert!(error.contains("overflowed its stack"), "{error}");
}

fn varint(bytes: &mut Vec<u8>, mut n: u32) {
    while n > 0x7f {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

#[test]
fn columns_that_are_claimed_take_no_memory_here() {
    // As above: the first of two elements is `a`, and says that 2^31 - 1 lie within it.
    let mut bytes = vec![0x15, 0x02, 0x19, 0x2c, 0x48, 0x01, b'a', 0x15];
    varint(&mut bytes, u32::MAX - 1);
    bytes.extend([0x00, 0x15, 0x02, 0x25, 0x00, 0x18, 0x01, b'a', 0x00, 0x16, 0x00, 0x19, 0x0c, 0x00]);
    let (_, error) = read(&footer(&bytes));
    let error = error.unwrap();
    assert!(error.contains("-t.parquet: its decoder takes more memory than it may"), "{error}");
    assert!(error.contains("--limit memory=2G raises it"), "{error}");
}

/// A megabyte that becomes a text of a gigabyte.
#[test]
fn a_page_that_unpacks_to_more_than_there_may_be_is_an_error() {
    let mut file = texts(Compression::GZIP(Default::default()), &"a".repeat(1 << 30), 1);
    assert!(file.len() < 4 << 20, "{}", file.len());
    let (_, error) = read(&file);
    let error = error.unwrap();
    assert!(error.contains("more memory than it may") || error.contains("a row is too long"), "{error}");
    // Cut in its middle, it is damaged.
    file.truncate(file.len() / 2);
    assert!(read(&file).1.unwrap().contains("it is damaged or no Parquet file"));
}

/// A dictionary holds a word once, however many rows say it.
#[test]
fn a_long_word_of_many_rows_is_counted_wherever_it_stands() {
    let file = texts(Compression::UNCOMPRESSED, &"a".repeat(1 << 20), 100);
    assert!(file.len() < 4 << 20, "{}", file.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    std::fs::write(&path, file).unwrap();
    let paths = alike::data::DataPaths { offline: true, ..Default::default() };
    let error = alike::data::load(&path.to_str().unwrap().into(), &paths, &mut alike::data::Quiet);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("its texts are too large") && error.contains("--limit text="), "{error}");
}
