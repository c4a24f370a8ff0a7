//! The IDX format of MNIST, plain or compressed with gzip.
//!
//! A file is two zero bytes, a type (8: bytes), the number of dimensions, each dimension as a big-endian `u32`, and the
//! data (LeCun, Cortes and Burges, "The MNIST database", section "File formats").

use super::{Asked, Found, Kind, Wish};
use crate::data::{DataError, Dataset, Progress, Split};
use crate::files::{self, FileError};
use crate::images::{Images, Shape};
use crate::limits::{Limit, LimitError};
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// An array of bytes of any number of dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The length of every dimension.
    pub dims: Vec<usize>,
    /// Row-major; as long as the product of the dimensions.
    pub data: Vec<u8>,
}

/// Reads an IDX file of bytes, plain or compressed with gzip.
///
/// The header is believed only as far as the file bears it out: nothing is allocated by its word.
///
/// # Errors
///
/// If the file cannot be read, is damaged, holds other values than bytes, or asks for more than a [`Limit`] allows.
pub fn read(path: &Path) -> Result<Idx, DataError> {
    let wrong = |why: String| DataError::Idx { path: path.to_owned(), why };
    let limited = |error: LimitError| DataError::Limit { path: path.to_owned(), error };
    let (mut file, length) = files::open_sized(path).map_err(FileError::reading(path))?;
    let mut magic = [0; 2];
    let gzip = length >= 2 && {
        file.read_exact(&mut magic).map_err(FileError::reading(path))?;
        file.rewind().map_err(FileError::reading(path))?;
        magic == [0x1f, 0x8b]
    };
    let mut reader: Box<dyn Read> = if gzip {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let broken = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            wrong("it ends before its own header says; fetch it again".into())
        }
        _ if gzip => wrong(format!("it cannot be decompressed ({e}); fetch it again")),
        _ => DataError::File(FileError::reading(path)(e)),
    };
    if length == 0 {
        return Err(wrong("it is empty; fetch it again".into()));
    }
    let mut head = [0; 4];
    reader.read_exact(&mut head).map_err(broken)?;
    if head[..2] != [0, 0] || !(1..=4).contains(&head[3]) {
        return Err(wrong("it does not begin as an IDX file does".into()));
    }
    if head[2] != 8 {
        return Err(wrong(format!("it holds values of type {:#04x}; only bytes (0x08) are read", head[2])));
    }
    let mut dims = Vec::new();
    let mut expected = 1u64;
    for _ in 0..head[3] {
        let mut dim = [0; 4];
        reader.read_exact(&mut dim).map_err(broken)?;
        let dim = u64::from(u32::from_be_bytes(dim));
        expected = expected.saturating_mul(dim);
        dims.push(dim as usize);
    }
    Limit::Array.check(expected, || "its header claims many bytes".into()).map_err(limited)?;
    // Rows of nothing are none.
    let rows = dims.first().map_or(0, |n| *n as u64);
    Limit::Images.check(rows, || "its header claims many rows".into()).map_err(limited)?;
    let header = 4 + 4 * dims.len() as u64;
    if !gzip && length != header + expected {
        return Err(wrong(format!(
            "its header promises {expected} bytes of data, but {} are there; fetch it again",
            length - header.min(length)
        )));
    }
    // Compressed, the true length shows only on reading: the vector grows with what arrives, and stops one byte late.
    let mut data = Vec::with_capacity(if gzip { 0 } else { expected as usize });
    reader.by_ref().take(expected + 1).read_to_end(&mut data).map_err(broken)?;
    if data.len() as u64 != expected {
        let there = if data.len() as u64 > expected { "more".to_owned() } else { data.len().to_string() };
        return Err(wrong(format!(
            "its header promises {expected} bytes of data, but {there} are there; fetch it again"
        )));
    }
    data.shrink_to_fit();
    Ok(Idx { dims, data })
}

/// The four files of a set in MNIST's layout.
pub const IDX_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Where MNIST's file `name` lies in `folder`: plain, or with `.gz` behind it.
pub(super) fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// A folder with a set in MNIST's layout.
pub(super) struct IdxFolder;

impl Kind for IdxFolder {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        // Where a path is given to a model, pictures are meant.
        let folder = asked.folder().filter(|_| !asked.what.is_empty());
        folder.is_some_and(|folder| IDX_FILES.iter().any(|file| idx_file(folder, file).is_some()))
    }

    fn has_table(&self) -> bool {
        false
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        let data = read_folder(asked.path, asked.what, None)?;
        let place = std::path::absolute(asked.path).ok();
        Ok(Dataset { place, ..data }.into())
    }
}

/// Reads a folder that holds [`IDX_FILES`], plain or with `.gz` behind their names.
///
/// # Errors
///
/// If a file is missing or damaged, or images and labels do not fit together.
pub fn read_folder(folder: &Path, name: &str, classes: Option<&[&str]>) -> Result<Dataset, DataError> {
    let mut paths = Vec::new();
    for file in IDX_FILES {
        paths.push(idx_file(folder, file).ok_or_else(|| DataError::Folder {
            path: folder.to_owned(),
            why: format!("{file} (or {file}.gz) is missing"),
        })?);
    }
    let train = read_pair(&paths[0], &paths[1])?;
    let test = read_pair(&paths[2], &paths[3])?;
    if train.images.shape() != test.images.shape() {
        return Err(DataError::Mismatch {
            images: paths[0].clone(),
            labels: paths[2].clone(),
            why: format!("images of {} and of {}", train.images.shape(), test.images.shape()),
        });
    }
    let most = train.labels.iter().chain(&test.labels).max().map_or(0, |l| *l as usize);
    let classes: Vec<String> = match classes {
        Some(names) if most < names.len() => names.iter().map(|n| (*n).to_owned()).collect(),
        Some(names) => {
            return Err(DataError::Idx {
                path: paths[1].clone(),
                why: format!("it has a label {most}, but {name} has only {} classes", names.len()),
            });
        }
        None => (0..=most).map(|l| l.to_string()).collect(),
    };
    Ok(Dataset::new(name, folder.display().to_string(), classes, train, test))
}

fn read_pair(images: &Path, labels: &Path) -> Result<Split, DataError> {
    let pixels = read(images)?;
    let classes = read(labels)?;
    let shape = match pixels.dims[..] {
        [_, h, w] => Shape { h, w, c: 1 },
        [_, h, w, c] => Shape { h, w, c },
        _ => {
            return Err(DataError::Idx {
                path: images.to_owned(),
                why: format!("images have 3 or 4 dimensions, and it has {}", pixels.dims.len()),
            });
        }
    };
    if shape.is_empty() || pixels.dims[0] == 0 {
        return Err(DataError::Idx { path: images.to_owned(), why: "it holds no images".into() });
    }
    if classes.dims.len() != 1 {
        return Err(DataError::Idx { path: labels.to_owned(), why: "labels have one dimension".into() });
    }
    if classes.dims[0] != pixels.dims[0] {
        return Err(DataError::Mismatch {
            images: images.to_owned(),
            labels: labels.to_owned(),
            why: format!("{} images, but {} labels", pixels.dims[0], classes.dims[0]),
        });
    }
    let labels = classes.data.into_iter().map(u32::from).collect();
    Ok(Split::new(Images::new(shape, pixels.data), labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut f = tempfile::NamedTempFile::new().unwrap();
        f.write_all(bytes).unwrap();
        f
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    /// 2 images of 2 x 3.
    const GOOD: &[u8] =
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    #[test]
    fn plain_and_compressed_files_hold_the_same() {
        let expected = Idx { dims: vec![2, 2, 3], data: (1..=12).collect() };
        assert_eq!(read(file(GOOD).path()).unwrap(), expected);
        assert_eq!(read(file(&gzip(GOOD)).path()).unwrap(), expected);
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], because: &str) {
        let f = file(bytes);
        let message = read(f.path()).unwrap_err().to_string();
        assert!(message.contains(because), "{message}");
        assert!(message.contains(f.path().to_str().unwrap()), "{message}");
    }

    #[test]
    fn damaged_files_are_refused_with_the_reason() {
        check_refused(&[], "empty");
        check_refused(&GOOD[..3], "ends before");
        check_refused(&GOOD[..9], "ends before");
        check_refused(&GOOD[..20], "promises 12 bytes of data, but 4 are there");
        check_refused(&[GOOD, &[1]].concat(), "but 13 are there");
        check_refused(&gzip(&GOOD[..20]), "promises 12 bytes of data, but 4 are there");
        check_refused(&gzip(&[GOOD, &[1]].concat()), "but more are there");
        check_refused(&gzip(GOOD)[..20], "ends before");
        check_refused(b"%PDF-1.4 and so on", "does not begin");
        check_refused(&[0, 0, 13, 1, 0, 0, 0, 1, 0], "type 0x0d");
        let huge = [&[0, 0, 8, 4][..], &[255; 16]].concat();
        check_refused(&huge, "--limit array=");
        check_refused(&gzip(&huge), "--limit array=");
        // A lying header within the limit must not allocate either: a gigabyte promised, nothing there.
        let lying = [&[0, 0, 8, 3][..], &[0, 0, 4, 0], &[0, 0, 4, 0], &[0, 0, 4, 0]].concat();
        check_refused(&lying, "but 0 are there");
        check_refused(&gzip(&lying), "but 0 are there");
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = read(Path::new("/nowhere/x.idx")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/x.idx"), "{message}");
    }
}
