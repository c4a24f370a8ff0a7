//! Prepared images in a file: decoded once, read by position ever after.
//!
//! A file is 4,096 bytes of header (one line of JSON, padded), the images back to back in the listing's order, and a footer ([`Footer`])
//! with sums of all that comes before. It is named by what it was made from: places, sizes and times of files. Where a file of the same
//! size and time is another one (its inode or the time of its last change differ), its content decides. A file that was cut, zeroed or
//! exchanged is noticed, and made again; it is written under another name first, so it is never half there; and it can be deleted at any
//! time.

use super::listing::{Entry, Listing, Place, State};
use super::progress::{Progress, Unit};
use super::{DataError, DataPaths, Failure, Preparation};
use crate::files::{self, FileError};
use crate::images::Images;
use crate::limits::{self, Limit};
use rayon::prelude::*;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;
use xxhash_rust::xxh3::xxh3_64;

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

#[derive(Serialize)]
struct Head {
    alike_images: u32,
    shape: String,
    n: usize,
}

/// Rises when the same files would be prepared to other bytes.
const VERSION: u32 = 3;
const HEAD: u64 = 4096;
const MARK: &[u8; 8] = b"alike-im";
const ENDING: &str = "images";
/// That of embeddings that an encoder made: see [`Cached`](crate::encoder::Cached).
pub(crate) const FEATURES: &str = "features";
/// Prepared images of up to so many bytes are kept in memory where they cannot be kept on disk.
pub(super) const SMALL: usize = 256 << 20;
/// Bytes of prepared images that are in memory on their way to disk, about.
const CHUNK: usize = 16 << 20;
/// As many as keep some threads busy, unless that is more.
const MOST_CHUNK: usize = 128 << 20;

/// The folder of prepared images.
pub fn image_cache(paths: &DataPaths) -> PathBuf {
    paths.cache().join("images")
}

/// The files in the folder of prepared images, and of embeddings that are kept there: size and last use.
pub fn cached(paths: &DataPaths) -> Vec<(PathBuf, u64, SystemTime)> {
    let entries = std::fs::read_dir(image_cache(paths)).into_iter().flatten().flatten();
    let files = entries.filter_map(|e| {
        let (path, meta) = (e.path(), e.metadata().ok()?);
        let ours = path.extension().is_some_and(|e| e == ENDING || e == FEATURES) || files::is_part(&path);
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
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Prepared, DataError> {
    let n = listing.entries.len();
    let bytes = n * preparation.shape.len();
    if let Some(rows) = listing.rows.as_ref().filter(|r| *preparation == Preparation::exact(r.shape()))
        && let Some(images) = as_they_are(listing, rows)
    {
        return Ok(Prepared { images, failures: Vec::new(), warm: true, note: None });
    }
    let Keep::Disk { limit } = paths.keep else { return in_memory(listing, preparation, progress) };
    let (name, states) = key(listing, preparation)?;
    let path = image_cache(paths).join(format!("{name}.{ENDING}"));
    // What the system refused to read yesterday it may give today, though the file has not changed.
    let still = |failures: &[Failure]| failures.iter().all(|f| f.lasting);
    let found = open(&path, preparation, n).filter(|(file, footer)| {
        still(&footer.failures)
            && is_sound(file, &footer.sums, preparation.shape.len(), n)
            && is_same(listing, &states, footer)
    });
    let at = |e| DataError::Cache(FileError::reading(&path)(e));
    let in_file = |file: File| Images::in_file(preparation.shape, n, file, &path, HEAD).map_err(at);
    if let Some((file, footer)) = found {
        // The time of the last change is that of the last use: what is longest unused goes first.
        let _ = file.set_modified(SystemTime::now());
        return Ok(Prepared { images: in_file(file)?, failures: footer.failures, warm: true, note: None });
    }
    make_room(paths, limit, bytes as u64, &path);
    let footer = match write(listing, preparation, (&path, states), progress) {
        Ok(footer) => footer,
        Err(e) if bytes <= SMALL => {
            let kept = in_memory(listing, preparation, progress)?;
            let note = format!("prepared images are kept in memory for this run alone, because {e}");
            return Ok(Prepared { note: Some(note), ..kept });
        }
        Err(e) => return Err(DataError::Cache(e)),
    };
    // Images that were just written are not read again: header and footer are enough.
    let again = || io::Error::other("it vanished as soon as it was written");
    let (file, _) = open(&path, preparation, n).ok_or_else(|| at(again()))?;
    Ok(Prepared { images: in_file(file)?, failures: footer.failures, warm: false, note: None })
}

/// The rows of the entries, which may be some of them and in another order; nothing where an entry is changed.
fn as_they_are(listing: &Listing, rows: &Images) -> Option<Images> {
    let row = |e: &Entry| match e.place {
        Place::Row(row) if e.area.is_none() && e.quarters == 0 => Some(row as usize),
        _ => None,
    };
    let chosen: Vec<usize> = listing.entries.iter().map(row).collect::<Option<_>>()?;
    let all = chosen.len() == rows.len() && chosen.iter().enumerate().all(|(i, row)| i == *row);
    Some(if all { rows.clone() } else { rows.select(&chosen) })
}

/// What the bytes depend on, as a name; and the state of the file that each entry lies in.
fn key(listing: &Listing, preparation: &Preparation) -> Result<(String, Vec<State>), FileError> {
    let mut hash = md5::Context::new();
    hash.consume(format!("{VERSION} {preparation}\n"));
    // What is refused under one limit is not under another.
    hash.consume(limits::unusual(&[Limit::Pixels, Limit::Memory, Limit::Member]));
    let archives = listing.archive_stamps();
    for (stamp, _) in &archives {
        hash.consume(format!("{stamp}\n"));
    }
    if let Some(rows) = &listing.rows {
        let mut scratch = Vec::new();
        for i in 0..rows.len() {
            hash.consume(rows.image(i, &mut scratch)?);
        }
    }
    // Asking for a file's state takes long enough to be worth two threads.
    let stamps: Vec<(String, State)> = listing
        .entries
        .par_iter()
        .map(|e| {
            let (stamp, state) = listing.stamp(e);
            let state = match e.place {
                Place::Zip { archive, .. } | Place::Span { archive, .. } => archives[archive as usize].1,
                Place::File(_) | Place::Row(_) => state,
            };
            (format!("{stamp} {:?} {}\n", e.area, e.quarters), state)
        })
        .collect();
    stamps.iter().for_each(|(stamp, _)| hash.consume(stamp));
    let name = format!("{:x}", hash.finalize());
    Ok((name, stamps.into_iter().map(|(_, state)| state).collect()))
}

/// Images of a chunk.
fn per_chunk(len: usize) -> usize {
    // A chunk of large images is of few: a file of a model may say that they are a gigabyte each.
    (CHUNK / len).clamp((MOST_CHUNK / len).clamp(1, 32), 4096)
}

/// Decodes and prepares all entries on all threads, and hands them to `done` chunk by chunk, in order: however many there
/// are, no more than a chunk is in memory. `done` may keep the chunk and leave another vector in its place.
///
/// What could not be read is black, and is among the failures that come back.
///
/// # Errors
///
/// If `done` fails.
pub fn prepare_chunks<E>(
    listing: &Listing,
    preparation: &Preparation,
    progress: &mut dyn Progress,
    mut done: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Vec<Failure>, E> {
    digested_chunks(listing, preparation, progress, |chunk, _| done(chunk))
}

/// Decodes and prepares as [`prepare_chunks`] does, and hands each chunk over with the digests of its entries' files.
pub(super) fn digested_chunks<E>(
    listing: &Listing,
    preparation: &Preparation,
    progress: &mut dyn Progress,
    mut done: impl FnMut(&mut Vec<u8>, Vec<u128>) -> Result<(), E>,
) -> Result<Vec<Failure>, E> {
    let len = preparation.shape.len();
    let per = per_chunk(len);
    let mut buffer = Vec::new();
    let mut failures = Vec::new();
    progress.begin("preparing images", Some(listing.entries.len() as u64), Unit::Images);
    for (chunk, entries) in listing.entries.chunks(per).enumerate() {
        buffer.resize(entries.len() * len, 0);
        let work = buffer.par_chunks_mut(len).zip(entries).enumerate();
        let (failed, digests): (Vec<Option<Failure>>, Vec<u128>) = work
            .map_init(
                || listing.reader(),
                |reader, (i, (out, entry))| {
                    let picture = reader.picture(entry, preparation.decoding());
                    let prepared = picture.and_then(|p| Ok(preparation.apply(&p, out)?));
                    let failure = prepared.err().map(|why| {
                        out.fill(0);
                        Failure::new(chunk * per + i, entry, &why)
                    });
                    (failure, reader.digest())
                },
            )
            .unzip();
        failures.extend(failed.into_iter().flatten());
        if let Err(e) = done(&mut buffer, digests) {
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

/// What stands behind the images, in this order: states and digests by entry, sums by chunk of images, all as little-endian numbers,
/// and a JSON list of what could not be read. Then come the sum of the header and the footer, and a last mark.
#[derive(Debug)]
struct Footer {
    /// The state of each entry's file before it was read.
    states: Vec<State>,
    /// The digest of what was read.
    digests: Vec<u128>,
    sums: Vec<u64>,
    failures: Vec<Failure>,
}

/// Sum and mark.
const TAIL: u64 = 16;

impl Footer {
    /// Its bytes without the tail.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for state in &self.states {
            bytes.extend_from_slice(&state.inode.to_le_bytes());
            bytes.extend_from_slice(&state.changed.to_le_bytes());
        }
        self.digests.iter().for_each(|d| bytes.extend_from_slice(&d.to_le_bytes()));
        self.sums.iter().for_each(|s| bytes.extend_from_slice(&s.to_le_bytes()));
        bytes.extend(serde_json::to_vec(&self.failures)?);
        Ok(bytes)
    }

    /// From such bytes, of so many entries and chunks; nothing if they are none.
    fn read(bytes: &[u8], entries: usize, chunks: usize) -> Option<Footer> {
        let (states, rest) = bytes.split_at_checked(16 * entries)?;
        let (digests, rest) = rest.split_at_checked(16 * entries)?;
        let (sums, list) = rest.split_at_checked(8 * chunks)?;
        let eights = |bytes: &[u8]| bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let pairs: Vec<u64> = eights(states);
        let state = |pair: &[u64; 2]| State { inode: pair[0], changed: pair[1] as i64 };
        Some(Footer {
            states: pairs.as_chunks::<2>().0.iter().map(state).collect(),
            digests: digests.as_chunks::<16>().0.iter().map(|b| u128::from_le_bytes(*b)).collect(),
            sums: eights(sums),
            failures: serde_json::from_slice(list).ok()?,
        })
    }
}

/// Writes chunks while the next are decoded.
fn write_chunks(
    listing: &Listing,
    preparation: &Preparation,
    states: Vec<State>,
    out: &mut (dyn Write + Send),
    progress: &mut dyn Progress,
) -> io::Result<Footer> {
    let (full, to_write) = sync_channel::<Vec<u8>>(1);
    let (back, empty) = sync_channel::<Vec<u8>>(2);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut sums = Vec::new();
            to_write.into_iter().try_for_each(|chunk| {
                sums.push(xxh3_64(&chunk));
                out.write_all(&chunk)?;
                // Whoever decodes may be done already.
                let _ = back.send(chunk);
                io::Result::Ok(())
            })?;
            Ok(sums)
        });
        let mut digests = Vec::with_capacity(listing.entries.len());
        let failures = digested_chunks(listing, preparation, progress, |chunk, of_files| {
            digests.extend(of_files);
            let next = empty.try_recv().unwrap_or_default();
            full.send(std::mem::replace(chunk, next)).map_err(|_| ())
        });
        drop((full, empty));
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer gave up")));
        // If chunks could not be handed on, it is because one could not be written.
        written.map(|sums| Footer { states, digests, sums, failures: failures.unwrap_or_default() })
    })
}

fn head(preparation: &Preparation, n: usize) -> io::Result<Vec<u8>> {
    let head = Head { alike_images: VERSION, shape: preparation.shape.to_string(), n };
    let mut line = serde_json::to_vec(&head)?;
    line.resize(HEAD as usize - 1, b' ');
    line.push(b'\n');
    Ok(line)
}

fn write(
    listing: &Listing,
    preparation: &Preparation,
    (path, states): (&Path, Vec<State>),
    progress: &mut dyn Progress,
) -> Result<Footer, FileError> {
    let mut written = None;
    // A machine that stops before the disk has all leaves a file that is cut or holds zeros, which is seen when it is opened.
    files::write_soon(path, |out| {
        let head = head(preparation, listing.entries.len())?;
        out.write_all(&head)?;
        let footer = write_chunks(listing, preparation, states, out, progress)?;
        let bytes = footer.bytes()?;
        out.write_all(&bytes)?;
        out.write_all(&xxh3_64(&[head, bytes].concat()).to_le_bytes())?;
        written = Some(footer);
        out.write_all(MARK)
    })?;
    written.ok_or_else(|| FileError::writing(path)(io::Error::other("nothing was written")))
}

/// A file of `n` images with its footer, if header and footer are what they should be.
fn open(path: &Path, preparation: &Preparation, n: usize) -> Option<(File, Footer)> {
    let (file, len) = files::open_sized(path).ok()?;
    let mut begin = vec![0; HEAD as usize];
    files::read_at(&file, &mut begin, 0).ok()?;
    if begin != head(preparation, n).ok()? {
        return None;
    }
    // Memory is taken for no more than the file has.
    let data = n.checked_mul(preparation.shape.len())? as u64;
    let mut bytes = vec![0; usize::try_from(len.checked_sub(HEAD + TAIL)?.checked_sub(data)?).ok()?];
    files::read_at(&file, &mut bytes, HEAD + data).ok()?;
    let mut tail = [0; TAIL as usize];
    files::read_at(&file, &mut tail, len - TAIL).ok()?;
    let footer = Footer::read(&bytes, n, n.div_ceil(per_chunk(preparation.shape.len())))?;
    let sum = xxh3_64(&[begin, bytes].concat());
    (tail == *[sum.to_le_bytes(), *MARK].as_flattened()).then_some((file, footer))
}

/// Whether the images have the sums that they were written with.
fn is_sound(file: &File, sums: &[u64], len: usize, n: usize) -> bool {
    let per = per_chunk(len);
    sums.par_iter().enumerate().all(|(i, sum)| {
        let first = i * per;
        let mut bytes = vec![0; per.min(n - first) * len];
        files::read_at(file, &mut bytes, HEAD + (first * len) as u64).is_ok() && xxh3_64(&bytes) == *sum
    })
}

/// Whether entries lie in the files that they lay in, or in others of the same content, and failures are of these entries, each once.
fn is_same(listing: &Listing, states: &[State], known: &Footer) -> bool {
    let is_of = |f: &Failure| listing.entries.get(f.entry).is_some_and(|e| e.name == f.name);
    let rising = known.failures.windows(2).all(|f| f[0].entry < f[1].entry);
    let other: Vec<usize> = (0..states.len()).filter(|i| states[*i] != known.states[*i]).collect();
    let same = |reader: &mut super::reader::Reader<'_>, i: &usize| {
        let entry = &listing.entries[*i];
        // An archive is one file for all of its members.
        known.digests[*i] != 0
            && matches!(entry.place, Place::File(_))
            && reader.bytes(entry).map(drop).is_ok()
            && reader.digest() == known.digests[*i]
    };
    rising
        && known.failures.iter().all(is_of)
        && other.par_iter().map_init(|| listing.reader(), same).all(|same| same)
}

/// Deletes what others left half-written, and the longest unused until there is room.
fn make_room(paths: &DataPaths, limit: u64, needed: u64, keep: &Path) {
    files::sweep(&image_cache(paths));
    let files = cached(paths);
    let mut total: u64 = needed + files.iter().map(|f| f.1).sum::<u64>();
    for (path, size, _) in files.iter().filter(|f| f.0 != keep && !files::is_part(&f.0)) {
        if total > limit && std::fs::remove_file(path).is_ok() {
            total -= size;
        }
    }
}
