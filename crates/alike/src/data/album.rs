//! Pictures as they lie in folders and archives, looked at one by one at their own sizes: no classes, no parts, no preparation.

use super::copies::{Relation, Sketch, Turn, relation};
use super::decode::{Decoded, Decoding, header};
use super::inspect::{LOSSY, MOST_COMPARED};
use super::listing::{Listing, Place};
use super::load_pictures::list_pictures;
use super::reader::{EntryError, Reader};
use super::{DataError, Failure, Progress, Unit, list_places};
use crate::images::Shape;
use crate::limits::COMPARING;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// Pictures of files, folders and archives.
#[derive(Debug)]
pub(crate) struct Album {
    listing: Listing,
}

/// What is known of a picture once it was decoded.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The format's name.
    pub(crate) format: &'static str,
    /// Its size, and 1 channel or 3.
    pub(crate) shape: Shape,
    /// Bytes of its file.
    pub(crate) bytes: u64,
    /// Of its file's content; of its pixels where it has no file.
    pub(crate) digest: u128,
    /// Of its shape and pixels.
    pub(crate) pixels: u128,
    /// What it looks like from afar.
    pub(crate) sketch: Sketch,
}

impl Seen {
    /// Whether its format keeps every pixel.
    pub(crate) fn is_lossless(&self) -> bool {
        !LOSSY.contains(&self.format)
    }
}

impl Album {
    /// Lists the pictures of files, folders and archives.
    ///
    /// # Errors
    ///
    /// If something cannot be listed, or holds no pictures but features.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Album, DataError> {
        Album::of(list_pictures(paths, false)?, &paths[0])
    }

    /// Lists the pictures at places that are known: see [`list_places`]. Those that are not there any more are left out.
    ///
    /// # Errors
    ///
    /// As [`Album::open`].
    pub(crate) fn at(places: &[String]) -> Result<Album, DataError> {
        Album::of(list_places(places)?.0, Path::new("."))
    }

    fn of(mut listing: Listing, path: &Path) -> Result<Album, DataError> {
        if listing.is_features() {
            let why = "it holds features, and only pictures can be compared pixel by pixel".to_owned();
            return Err(DataError::Source { path: path.to_owned(), why });
        }
        // One picture may be named twice, by a link or because a folder was given twice.
        let all: Vec<usize> = (0..listing.entries.len()).collect();
        if let Some(repeated) = listing.identities(&all, "").repeated() {
            let mut first = (0..).zip(repeated.gallery).map(|(i, number): (u32, u32)| i == number);
            listing.entries.retain(|_| first.next() == Some(true));
        }
        Ok(Album { listing })
    }

    pub(crate) fn len(&self) -> usize {
        self.listing.entries.len()
    }

    /// What a user calls a picture.
    pub(crate) fn name(&self, i: usize) -> &str {
        &self.listing.entries[i].name
    }

    /// The file that is this picture and nothing else; none where it is a member of an archive, or a part of a file.
    pub(crate) fn file(&self, i: usize) -> Option<&Path> {
        let entry = &self.listing.entries[i];
        match &entry.place {
            Place::File(path) if entry.area.is_none() => Some(path),
            _ => None,
        }
    }

    /// What a user should know of what was listed.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.listing.notes.iter().cloned().chain(self.listing.left_out()).collect()
    }

    /// Decodes every picture once; and those that cannot be read.
    pub(crate) fn look(&self, progress: &mut dyn Progress) -> (Vec<Option<Seen>>, Vec<Failure>) {
        let entries = &self.listing.entries;
        let mut all = Vec::with_capacity(entries.len());
        progress.begin("looking at pictures", Some(entries.len() as u64), Unit::Images);
        for chunk in (0..entries.len()).collect::<Vec<_>>().chunks(256) {
            all.par_extend(
                chunk.par_iter().map_init(|| self.listing.reader(), |reader, i| self.look_at(reader, *i)),
            );
            progress.advance(chunk.len() as u64);
        }
        progress.end();
        let mut failures = Vec::new();
        let seen = (all.into_iter().enumerate())
            .map(|(i, seen)| match seen {
                Ok(seen) => Some(seen),
                Err(why) => {
                    failures.push(Failure::new(i, &entries[i], &why));
                    None
                }
            })
            .collect();
        (seen, failures)
    }

    fn look_at(&self, reader: &mut Reader<'_>, i: usize) -> Result<Seen, EntryError> {
        let entry = &self.listing.entries[i];
        let file = match &entry.place {
            Place::Row(_) => None,
            _ => {
                let bytes = reader.bytes(entry)?;
                let head = header(&bytes).map_err(|e| e.to_string())?;
                Some((head.format, bytes.len() as u64, xxh3_128(&bytes)))
            }
        };
        let picture = reader.picture(entry, Decoding::default())?;
        let shape = picture.shape;
        let whole = [shape.h, shape.w, shape.c].map(|n| (n as u64).to_le_bytes()).concat();
        let pixels = xxh3_128(&whole).rotate_left(1) ^ xxh3_128(&picture.pixels);
        let (format, bytes, digest) = file.unwrap_or(("array", picture.pixels.len() as u64, pixels));
        Ok(Seen { format, shape, bytes, digest, pixels, sketch: Sketch::of(&picture)? })
    }

    /// What `b` is of `a`, once that is turned: both are decoded again.
    ///
    /// # Errors
    ///
    /// If either cannot be read any more.
    pub(crate) fn relation(
        &self,
        [a, b]: [(usize, &Seen); 2],
        turn: Turn,
    ) -> Result<Option<Relation>, (usize, String)> {
        let room: u64 = [a.1, b.1].iter().map(|s| 2 * s.shape.len() as u64).sum();
        let _held = COMPARING.take(room, MOST_COMPARED);
        let mut reader = self.listing.reader();
        let mut picture = |i: usize| {
            let decoded = reader.picture(&self.listing.entries[i], Decoding::default());
            decoded.map(Decoded::into_picture).map_err(|e| (i, e.to_string()))
        };
        let (one, two) = (turn.of(picture(a.0)?), picture(b.0)?);
        Ok(relation(&one, &two, a.1.is_lossless() && b.1.is_lossless()))
    }
}
