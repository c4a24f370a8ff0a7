//! From an entry of a listing to its bytes and its picture.

use super::decode::{Decoded, Decoding, decode_held};
use super::listing::{Content, Entry, Listing, Place};
use super::picture::Picture;
use crate::files::{self, FileError};
use crate::limits::{self, Held, Limit, READING};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;
use zip::ZipArchive;

/// Bytes of all files that threads have read but not decoded yet; a larger one is alone.
const MOST_READ: u64 = 128 << 20;
/// A buffer that is larger is not kept for the next file.
const MOST_KEPT: usize = 1 << 20;

/// Why there is no file or picture of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EntryError {
    /// The system refused to read it, and may read it the next time.
    #[error("it cannot be read: {0}")]
    System(String),
    /// The file itself is at fault, for as long as it stays as it is.
    #[error("{0}")]
    Content(String),
}

impl From<String> for EntryError {
    fn from(why: String) -> EntryError {
        EntryError::Content(why)
    }
}

impl From<&str> for EntryError {
    fn from(why: &str) -> EntryError {
        EntryError::Content(why.to_owned())
    }
}

impl From<io::Error> for EntryError {
    fn from(e: io::Error) -> EntryError {
        match e.kind() {
            // The latter where a table of an archive names what the archive does not hold.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "it is not there".into(),
            // What we found, not the system.
            io::ErrorKind::Other => e.to_string().into(),
            _ => EntryError::System(e.to_string()),
        }
    }
}

/// The bytes of a file, whose memory is accounted for.
pub(super) struct Bytes<'a> {
    bytes: &'a mut Vec<u8>,
    _held: Held<'static>,
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(MOST_KEPT);
    }
}

/// Reads entries; a thread's own.
pub(super) struct Reader<'a> {
    listing: &'a Listing,
    /// Copies of the zip archives that this thread has used.
    zips: Vec<Option<ZipArchive<FileAt>>>,
    scratch: Vec<u8>,
    digest: u128,
}

impl<'a> Reader<'a> {
    pub(super) fn new(listing: &'a Listing) -> Reader<'a> {
        Reader { listing, zips: vec![None; listing.archives.len()], scratch: Vec::new(), digest: 0 }
    }

    /// The bytes of an entry's file.
    pub(super) fn bytes(&mut self, entry: &Entry) -> Result<Bytes<'_>, EntryError> {
        self.read(entry, None)
    }

    /// The digest of the file or member that was read last; 0 where that was a part of it or nothing.
    pub(super) fn digest(&self) -> u128 {
        self.digest
    }

    /// The first bytes of an entry's file: at most so many.
    pub(super) fn head(&mut self, entry: &Entry, most: usize) -> Result<Bytes<'_>, EntryError> {
        self.read(entry, Some(most as u64))
    }

    fn read(&mut self, entry: &Entry, head: Option<u64>) -> Result<Bytes<'_>, EntryError> {
        let part = |len: u64| len.min(head.unwrap_or(u64::MAX));
        // What a member says of its size is not believed before it is checked.
        let member = |len: u64| Limit::Member.check(part(len), || "it is too large".into());
        let scratch = &mut self.scratch;
        scratch.clear();
        self.digest = 0;
        let held = match &entry.place {
            Place::File(path) => {
                let (mut file, len) = files::open_sized(path)?;
                // One read for the whole file, and one that finds its end.
                let len = part(len);
                if len > limits::alone() {
                    Limit::Memory.check(len, || "the file is too large".into()).map_err(|e| e.to_string())?;
                }
                fill(&mut file, len, scratch, head.is_some())?
            }
            Place::Zip { archive, member: number } => {
                let at = *archive as usize;
                let Content::Zip(original) = &self.listing.archives[at].content else {
                    return Err("its archive is no zip".into());
                };
                let zip = self.zips[at].get_or_insert_with(|| original.clone());
                let mut file =
                    zip.by_index(*number as usize).map_err(|e| format!("it cannot be unpacked: {e}"))?;
                let len = file.size();
                member(len).map_err(|e| e.to_string())?;
                fill(&mut file, part(len), scratch, head.is_some())
                    .map_err(|e| format!("it cannot be unpacked: {e}"))?
            }
            Place::Span { archive, start, len } => {
                let Content::Plain(file) = &self.listing.archives[*archive as usize].content else {
                    return Err("its archive is packed".into());
                };
                // A length beyond the file's end must not be believed.
                let most = file.metadata()?.len().saturating_sub(*start);
                if *len > most {
                    return Err("its archive ends before it does".into());
                }
                member(*len).map_err(|e| e.to_string())?;
                let held = READING.take(part(*len), MOST_READ);
                scratch.resize(part(*len) as usize, 0);
                files::read_at(file, scratch, *start)?;
                held
            }
            Place::Row(_) => return Err("it is no file".into()),
        };
        if head.is_none() {
            self.digest = xxh3_128(scratch);
        }
        Ok(Bytes { bytes: scratch, _held: held })
    }

    /// The picture of an entry: its part, turned as it says.
    pub(super) fn picture(&mut self, entry: &Entry, how: Decoding) -> Result<Decoded, EntryError> {
        let decoded = match &entry.place {
            Place::Row(row) => {
                let Some(rows) = &self.listing.rows else { return Err("it is not there".into()) };
                let pixels =
                    rows.image(*row as usize, &mut self.scratch).map_err(|e| e.to_string())?.to_vec();
                Decoded::free(Picture { shape: rows.shape(), pixels })
            }
            _ => {
                // Where only a part counts, the scale of the whole says nothing.
                let at_least = how.at_least.filter(|_| entry.area.is_none());
                // What will be turned is as high as the turned one is wide.
                let at_least = at_least.map(|[h, w]| if entry.quarters % 2 == 1 { [w, h] } else { [h, w] });
                decode_held(&self.bytes(entry)?, Decoding { at_least, ..how }).map_err(|e| e.to_string())?
            }
        };
        decoded.map(|picture| {
            let picture = match entry.area {
                Some(area) => picture.part(area).map_err(|e| e.to_string())?,
                None => picture,
            };
            Ok(picture.turned(entry.quarters))
        })
    }
}

/// Reads what should be so many bytes, once there is memory for them. What holds more than it says is refused, unless only its head is
/// wanted.
fn fill(from: &mut dyn Read, len: u64, into: &mut Vec<u8>, is_head: bool) -> io::Result<Held<'static>> {
    let held = READING.take(len, MOST_READ);
    into.reserve(len as usize + 1);
    from.take(len + u64::from(!is_head)).read_to_end(into)?;
    if into.len() as u64 > len && !is_head {
        return Err(io::Error::other("it holds more than it says"));
    }
    Ok(held)
}

/// A reader of a shared file with a position of its own.
#[derive(Clone, Debug)]
pub(super) struct FileAt {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl FileAt {
    pub(super) fn open(path: &Path) -> Result<FileAt, FileError> {
        let (file, len) = files::open_sized(path).map_err(FileError::reading(path))?;
        Ok(FileAt { file: Arc::new(file), len, at: 0 })
    }
}

impl Read for FileAt {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.len.saturating_sub(self.at) as usize);
        files::read_at(&self.file, &mut into[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for FileAt {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => i128::from(at),
            SeekFrom::End(by) => i128::from(self.len) + i128::from(by),
            SeekFrom::Current(by) => i128::from(self.at) + i128::from(by),
        };
        self.at = u64::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
