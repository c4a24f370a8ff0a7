//! Prepared images in a file: decoded once, read by position ever after.
//!
//! A file is 4,096 bytes of header (one line of JSON, padded), the images back to back in the listing's order, a JSON list of
//! those that could not be read, its length as a little-endian `u64`, and a last mark. It is named by what it was made
//! from, so it is never wrong, only unused; it is written under another name first, so it is never half there; and it can be
//! deleted at any time.

use super::listing::{Listing, UNREADABLE};
use super::progress::{Progress, Unit};
use super::{DataError, Failure, Places, Preparation};
use crate::files::{self, FileError};
use crate::images::Images;
use md5::{Digest, Md5};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;

/// Where images are kept once they are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In files of the cache folder, which together stay below so many bytes: the longest unused are deleted.
    Disk {
        /// The most that all files may take.
        limit: u64,
    },
    /// In memory, for this run alone.
    Memory,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep::Disk { limit: 20 << 30 }
    }
}

/// Images of a listing as a network takes them. What could not be read is black, and named.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) images: Images,
    /// By rising number of the entry.
    pub(super) failures: Vec<Failure>,
    /// Whether they were there already.
    pub(super) warm: bool,
    /// What should be said of it.
    pub(super) note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    alike_images: u32,
    shape: String,
    n: usize,
}

/// Rises when the same files would be prepared to other bytes.
const VERSION: u32 = 2;
const HEAD: u64 = 4096;
const MARK: &[u8; 8] = b"alike-im";
const ENDING: &str = "images";
/// Prepared images of up to so many bytes are kept in memory where they cannot be kept on disk.
pub(super) const SMALL: usize = 256 << 20;
/// Bytes of prepared images that are in memory on their way to disk, about.
const CHUNK: usize = 16 << 20;
/// As many as keep some threads busy, unless that is more.
const MOST_CHUNK: usize = 128 << 20;

/// The folder of prepared images.
pub fn image_cache(places: &Places) -> PathBuf {
    places.cache().join("images")
}

/// The files in the folder of prepared images: size and last use.
pub fn cached(places: &Places) -> Vec<(PathBuf, u64, SystemTime)> {
    let entries = std::fs::read_dir(image_cache(places)).into_iter().flatten().flatten();
    let files = entries.filter_map(|e| {
        let (path, meta) = (e.path(), e.metadata().ok()?);
        let ours = path.extension().is_some_and(|e| e == ENDING) || files::is_part(&path);
        (ours && meta.is_file())
            .then(|| (path, meta.len(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
    });
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|f| f.2);
    files
}

/// Prepares every entry of a listing, or finds it prepared.
pub(super) fn prepare(
    listing: &Listing,
    preparation: &Preparation,
    places: &Places,
    progress: &mut dyn Progress,
) -> Result<Prepared, DataError> {
    let n = listing.entries.len();
    let bytes = n * preparation.shape.len();
    if let Some(rows) = listing.rows.as_ref().filter(|r| *preparation == Preparation::exact(r.shape())) {
        return Ok(Prepared { images: rows.clone(), failures: Vec::new(), warm: true, note: None });
    }
    let Keep::Disk { limit } = places.keep else { return in_memory(listing, preparation, progress) };
    let path = image_cache(places).join(format!("{}.{ENDING}", key(listing, preparation)));
    // What the system refused to read yesterday it may give today, though the file has not changed.
    let still = |failures: &[Failure]| !failures.iter().any(|f| f.why.starts_with(UNREADABLE));
    if let Some((images, failures)) = open(&path, preparation, n).filter(|(_, failures)| still(failures)) {
        return Ok(Prepared { images, failures, warm: true, note: None });
    }
    make_room(places, limit, bytes as u64, &path);
    let failures = match write(listing, preparation, &path, progress) {
        Ok(failures) => failures,
        Err(e) if bytes <= SMALL => {
            let kept = in_memory(listing, preparation, progress)?;
            let note = format!("prepared images are kept in memory for this run alone, because {e}");
            return Ok(Prepared { note: Some(note), ..kept });
        }
        Err(e) => return Err(DataError::Cache(e)),
    };
    let again = || std::io::Error::other("it vanished as soon as it was written");
    let (images, _) = open(&path, preparation, n).ok_or_else(|| FileError::reading(&path)(again()))?;
    Ok(Prepared { images, failures, warm: false, note: None })
}

/// What the bytes depend on, as a name.
fn key(listing: &Listing, preparation: &Preparation) -> String {
    let mut hash = Md5::new();
    hash.update(format!("{VERSION} {preparation}\n"));
    for stamp in listing.archive_stamps() {
        hash.update(format!("{stamp}\n"));
    }
    if let Some(rows) = &listing.rows {
        let mut scratch = Vec::new();
        (0..rows.len()).for_each(|i| hash.update(rows.image(i, &mut scratch)));
    }
    // Asking for a file's state takes long enough to be worth two threads.
    let stamps: Vec<String> = listing
        .entries
        .par_iter()
        .map(|e| format!("{} {:?} {}\n", listing.stamp(e), e.area, e.quarters))
        .collect();
    stamps.iter().for_each(|s| hash.update(s));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Decodes and prepares all entries on all threads, and hands them to `done` chunk by chunk, in order: however many there
/// are, no more than a chunk is in memory. `done` may keep the chunk and leave another vector in its place.
///
/// What could not be read is black, and is among the failures that come back.
pub fn prepare_chunks<E>(
    listing: &Listing,
    preparation: &Preparation,
    progress: &mut dyn Progress,
    mut done: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Vec<Failure>, E> {
    let len = preparation.shape.len();
    // A chunk of large images is of few: a file of a model may say that they are a gigabyte each.
    let per = (CHUNK / len).clamp((MOST_CHUNK / len).clamp(1, 32), 4096);
    let mut buffer = Vec::new();
    let mut failures = Vec::new();
    progress.begin("preparing images", Some(listing.entries.len() as u64), Unit::Images);
    for (chunk, entries) in listing.entries.chunks(per).enumerate() {
        buffer.resize(entries.len() * len, 0);
        let work = buffer.par_chunks_mut(len).zip(entries).enumerate();
        let failed: Vec<Failure> = work
            .map_init(
                || listing.reader(),
                |reader, (i, (out, entry))| {
                    let picture = reader.picture(entry, preparation.decoding());
                    let why = picture.and_then(|p| preparation.apply(&p, out)).err()?;
                    out.fill(0);
                    Some(Failure { entry: chunk * per + i, name: entry.name.clone(), why })
                },
            )
            .flatten()
            .collect();
        failures.extend(failed);
        if let Err(e) = done(&mut buffer) {
            progress.end();
            return Err(e);
        }
        progress.advance(entries.len() as u64);
    }
    progress.end();
    Ok(failures)
}

fn in_memory(
    listing: &Listing,
    preparation: &Preparation,
    progress: &mut dyn Progress,
) -> Result<Prepared, DataError> {
    let mut data = Vec::with_capacity(listing.entries.len() * preparation.shape.len());
    let failures = prepare_chunks(listing, preparation, progress, |chunk| {
        data.extend_from_slice(chunk);
        Ok::<(), DataError>(())
    })?;
    let images = Images::new(preparation.shape, data);
    Ok(Prepared { images, failures, warm: false, note: None })
}

/// Writes chunks while the next are decoded.
fn write_chunks(
    listing: &Listing,
    preparation: &Preparation,
    out: &mut (dyn Write + Send),
    progress: &mut dyn Progress,
) -> io::Result<Vec<Failure>> {
    let (full, to_write) = sync_channel::<Vec<u8>>(1);
    let (back, empty) = sync_channel::<Vec<u8>>(2);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            to_write.into_iter().try_for_each(|chunk| {
                out.write_all(&chunk)?;
                // Whoever decodes may be done already.
                let _ = back.send(chunk);
                io::Result::Ok(())
            })
        });
        let failures = prepare_chunks(listing, preparation, progress, |chunk| {
            let next = empty.try_recv().unwrap_or_default();
            full.send(std::mem::replace(chunk, next)).map_err(|_| ())
        });
        drop((full, empty));
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer gave up")));
        // If chunks could not be handed on, it is because one could not be written.
        written.map(|()| failures.unwrap_or_default())
    })
}

fn write(
    listing: &Listing,
    preparation: &Preparation,
    path: &Path,
    progress: &mut dyn Progress,
) -> Result<Vec<Failure>, FileError> {
    let head = Head { alike_images: VERSION, shape: preparation.shape.to_string(), n: listing.entries.len() };
    let mut failures = Vec::new();
    // A machine that stops before the disk has all leaves a file that is too short, which `open` sees.
    files::write_soon(path, |out| {
        let mut line = serde_json::to_vec(&head)?;
        line.resize(HEAD as usize - 1, b' ');
        line.push(b'\n');
        out.write_all(&line)?;
        failures = write_chunks(listing, preparation, out, progress)?;
        let list = serde_json::to_vec(&failures)?;
        out.write_all(&list)?;
        out.write_all(&(list.len() as u64).to_le_bytes())?;
        out.write_all(MARK)
    })?;
    Ok(failures)
}

/// The images of a file, if it is whole and what it should be.
fn open(path: &Path, preparation: &Preparation, n: usize) -> Option<(Images, Vec<Failure>)> {
    let file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    let mut head = vec![0; HEAD as usize];
    files::read_at(&file, &mut head, 0).ok()?;
    let head: Head = serde_json::from_slice(&head).ok()?;
    let data = (n * preparation.shape.len()) as u64;
    if head.alike_images != VERSION || head.shape != preparation.shape.to_string() || head.n != n {
        return None;
    }
    let mut foot = [0; 16];
    files::read_at(&file, &mut foot, len.checked_sub(16)?).ok()?;
    let (list, mark) = foot.split_at(8);
    let list = u64::from_le_bytes(list.try_into().ok()?);
    if mark != MARK || len != HEAD + data + list + 16 {
        return None;
    }
    let mut text = vec![0; list as usize];
    files::read_at(&file, &mut text, HEAD + data).ok()?;
    let failures = serde_json::from_slice(&text).ok()?;
    // The time of the last change is that of the last use: what is longest unused goes first.
    let _ = file.set_modified(SystemTime::now());
    Some((Images::in_file(preparation.shape, n, file, path, HEAD).ok()?, failures))
}

/// Deletes what others left half-written, and the longest unused until there is room.
fn make_room(places: &Places, limit: u64, needed: u64, keep: &Path) {
    files::sweep(&image_cache(places));
    let files = cached(places);
    let mut total: u64 = needed + files.iter().map(|f| f.1).sum::<u64>();
    for (path, size, _) in files.iter().filter(|f| f.0 != keep && !files::is_part(&f.0)) {
        if total > limit && std::fs::remove_file(path).is_ok() {
            total -= size;
        }
    }
}
