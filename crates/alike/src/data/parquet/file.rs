//! The file below a reader of Parquet.
//!
//! The crate `parquet` skips what it does not know in a page's header number by number, without looking whether there is anything to skip. Its own reader of files gives
//! nothing where a file ends, again and again: a list that claims 2^31 numbers took a minute, in a file of 600 bytes. This one fails there.

use crate::files::{self, FileError};
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// A file for `SerializedFileReader`, which fails where the file ends, and takes no memory before it knows that the bytes are there.
#[derive(Clone, Debug)]
pub(super) struct ParquetFile {
    file: Arc<File>,
    len: u64,
}

impl ParquetFile {
    pub(super) fn open(path: &Path) -> std::result::Result<ParquetFile, FileError> {
        let (file, len) = files::open_sized(path).map_err(FileError::reading(path))?;
        Ok(ParquetFile { file: Arc::new(file), len })
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<ParquetFileReader>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(ParquetFileReader { file: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            let why = format!("{length} bytes are asked for from {start} on, of {}", self.len);
            return Err(ParquetError::EOF(why));
        }
        let mut bytes = vec![0; length];
        files::read_at(&self.file, &mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A [`ParquetFile`] read from some position on.
#[derive(Debug)]
pub(super) struct ParquetFileReader {
    file: ParquetFile,
    at: u64,
}

impl Read for ParquetFileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.file.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let n = left.min(into.len());
        if n == 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        files::read_at(&self.file.file, &mut into[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_beyond_the_end_fails_and_takes_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = ParquetFile::open(&path).unwrap();
        assert_eq!(file.len(), 10);
        assert_eq!(&file.get_bytes(3, 7).unwrap()[..], b"3456789");
        for (start, length) in [(3, 8), (11, 0), (0, usize::MAX), (u64::MAX, 1)] {
            assert!(matches!(file.get_bytes(start, length), Err(ParquetError::EOF(_))), "{start} {length}");
        }
        // Two readers at a time do not disturb each other.
        let mut readers = [8, 0].map(|start| file.get_read(start).unwrap());
        let mut byte = [0];
        for (reader, is) in [(0, b'8'), (1, b'0'), (0, b'9'), (1, b'1')] {
            readers[reader].read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], is);
        }
        for _ in 0..2 {
            assert_eq!(readers[0].read(&mut byte).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        let mut beyond = file.get_read(u64::MAX).unwrap();
        assert_eq!(beyond.read(&mut byte).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
