//! Pictures that somebody keeps account of: where they lie, whether their files changed, and the pictures at places that are known.

use super::cache::digested_chunks;
use super::decode::{Decoded, Decoding};
use super::listing::{Entry, Listing, Place};
use super::progress::Quiet;
use super::reader::Reader;
use super::source::{self, Wish};
use super::{DataError, Failure, Picture, Preparation};
use crate::images::Images;
use crate::names::{shown, unescaped};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What tells without reading whether a file is as it was; nothing where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes.
    pub size: Option<i64>,
    /// When its content changed, in nanoseconds since 1970.
    pub modified: Option<i64>,
    /// When anything of it changed, in nanoseconds since 1970.
    pub changed: Option<i64>,
}

impl FileStamp {
    /// That of a file; an empty one where there is none.
    pub fn of(path: &Path) -> FileStamp {
        let Ok(facts) = std::fs::metadata(path) else { return FileStamp::default() };
        let modified = facts.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        FileStamp {
            size: i64::try_from(facts.len()).ok(),
            modified: modified.and_then(|t| i64::try_from(t.as_nanos()).ok()),
            changed: changed(&facts),
        }
    }
}

/// When anything of a file changed, in nanoseconds since 1970.
#[cfg(unix)]
pub(super) fn changed(facts: &std::fs::Metadata) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    Some(facts.ctime().wrapping_mul(1_000_000_000).wrapping_add(facts.ctime_nsec()))
}

#[cfg(not(unix))]
pub(super) fn changed(_: &std::fs::Metadata) -> Option<i64> {
    None
}

/// Pictures as an encoder takes them.
#[derive(Clone, Debug)]
pub struct PreparedPictures {
    /// By entry; black where one could not be read.
    pub images: Images,
    /// By entry: the hash (XXH3, 128 bits) of its file's content, 0 where that is not known.
    pub hashes: Vec<u128>,
    /// Those that could not be read, by rising number of the entry.
    pub failures: Vec<Failure>,
}

/// Decodes and prepares all entries of a listing at once, into memory: for a listing of a few hundred.
///
/// # Errors
///
/// If the listing holds features and the encoder takes pictures, or the other way round.
pub fn prepare_pictures(listing: &Listing, preparation: &Preparation) -> Result<PreparedPictures, DataError> {
    if let Some(rows) = &listing.rows {
        let takes = preparation.shape;
        if rows.are_floats() && rows.shape() != takes {
            let why = format!("it holds {} numbers a row, but the encoder takes {takes}", rows.shape().c);
            return Err(DataError::Source { path: PathBuf::from("the array"), why });
        }
        if rows.are_floats() {
            let row = |e: &Entry| if let Place::Row(row) = e.place { row as usize } else { 0 };
            let chosen: Vec<usize> = listing.entries.iter().map(row).collect();
            let hashes = vec![0; chosen.len()];
            return Ok(PreparedPictures { images: rows.select(&chosen), hashes, failures: Vec::new() });
        }
    }
    if let Some(why) = super::load_pictures::no_features(listing, preparation) {
        return Err(DataError::Source { path: PathBuf::from("the pictures"), why });
    }
    let (mut data, mut hashes) = (Vec::new(), Vec::new());
    let failures = digested_chunks(listing, preparation, &mut Quiet, |chunk, digests| {
        data.extend_from_slice(chunk);
        hashes.extend(digests);
        Ok::<(), DataError>(())
    })?;
    Ok(PreparedPictures { images: Images::new(preparation.shape, data), hashes, failures })
}

impl Listing {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries of these numbers, in that order.
    pub fn select(&self, rows: &[usize]) -> Listing {
        Listing {
            entries: rows.iter().map(|i| self.entries[*i].clone()).collect(),
            more: self.more.clone(),
            archives: self.archives.clone(),
            rows: self.rows.clone(),
            ..Listing::default()
        }
    }

    /// By entry: where it lies, as [`crate::identity`] has it. `origin` is what holds them, where they are no files.
    pub fn places(&self, origin: &str) -> Vec<String> {
        let all: Vec<usize> = (0..self.entries.len()).collect();
        let identities = self.identities(&all, origin);
        all.iter().map(|i| identities.place(*i).unwrap_or_default().to_owned()).collect()
    }

    /// By entry: the state of its file, or of the archive that it is in.
    pub fn file_stamps(&self) -> Vec<FileStamp> {
        let archives: Vec<FileStamp> = self.archives.iter().map(|a| FileStamp::of(&a.path)).collect();
        let stamp = |e: &Entry| match &e.place {
            Place::File(path) => FileStamp::of(path),
            Place::Zip { archive, .. } | Place::Span { archive, .. } => archives[*archive as usize],
            Place::Row(_) => FileStamp::default(),
        };
        self.entries.par_iter().map(stamp).collect()
    }

    /// The hash (XXH3, 128 bits) of the content of an entry's file; nothing if it cannot be read.
    pub fn hash(&self, i: usize) -> Option<u128> {
        let mut reader = Reader::new(self);
        reader.bytes(&self.entries[i]).ok().map(drop)?;
        Some(reader.digest())
    }

    /// The first bytes of an entry's file, at most so many; nothing if it cannot be read.
    pub fn head(&self, i: usize, most: usize) -> Option<Vec<u8>> {
        Reader::new(self).head(&self.entries[i], most).ok().map(|bytes| bytes.to_vec())
    }

    /// The picture of an entry; nothing if it cannot be read. A far larger one than `at_least` (height and width) may be decoded at a reduced
    /// scale.
    pub fn picture(&self, i: usize, at_least: Option<[usize; 2]>) -> Option<Picture> {
        let how = Decoding { at_least, fit: true, ..Decoding::default() };
        Reader::new(self).picture(&self.entries[i], how).ok().map(Decoded::into_picture)
    }

    /// What the source's table says of an entry in columns that mean nothing to Alike: columns and values, without empty ones.
    pub fn facts(&self, i: usize) -> impl Iterator<Item = (&str, &str)> {
        let values = self.entries[i].more.iter().map(String::as_str);
        self.more.iter().map(String::as_str).zip(values).filter(|(_, value)| !value.is_empty())
    }
}

/// What of its picture a place means: the place without that, the area and the quarters.
type Shared<'a> = (&'a str, Option<[u32; 4]>, u8);

/// Takes what of the picture is meant from the end of a place.
fn share(place: &str) -> Option<Shared<'_>> {
    let (rest, degrees) = place.rsplit_once('@')?;
    let quarters = match degrees {
        "0" => 0,
        "90" => 1,
        "180" => 2,
        "270" => 3,
        _ => return None,
    };
    let area = rest.rsplit_once('#').and_then(|(path, numbers)| {
        let numbers: Vec<u32> = numbers.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some((path, <[u32; 4]>::try_from(numbers).ok()?))
    });
    Some(match area {
        Some((path, area)) => (path, Some(area), quarters),
        None => (rest, None, quarters),
    })
}

/// The pictures at places that are known ([`Listing::places`]), and by entry the number of its place. Places where nothing is any more
/// have no entry.
///
/// # Errors
///
/// If an archive that is there cannot be listed.
pub fn list_places(places: &[String]) -> Result<(Listing, Vec<usize>), DataError> {
    let mut all = Listing::default();
    let mut numbers = Vec::new();
    let file = |text: &str| -> Option<PathBuf> {
        let path = unescaped(text).map_or_else(|| PathBuf::from(text), PathBuf::from);
        path.is_file().then_some(path)
    };
    let mut in_archives: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (i, place) in places.iter().enumerate() {
        let whole = || file(place).map(|path| (path, None, 0));
        let part = || share(place).and_then(|(path, area, quarters)| Some((file(path)?, area, quarters)));
        if let Some((path, area, quarters)) = whole().or_else(part) {
            all.entries.push(Entry { area, quarters, ..Entry::new(place.clone(), Place::File(path)) });
            numbers.push(i);
            continue;
        }
        let member = share(place).map_or(place.as_str(), |s| s.0);
        if let Some(archive) = member.rsplit_once('/').and_then(|(archive, _)| file(archive)) {
            in_archives.entry(archive).or_default().push(i);
        }
    }
    for (path, wanted) in in_archives {
        let mut more = source::list(&path, Wish { nested: true, column: None })?;
        let before = all.archives.len() as u32;
        let at: HashMap<String, usize> =
            more.places(&shown(&path)).into_iter().enumerate().map(|(i, place)| (place, i)).collect();
        if more.rows.is_some() && (all.rows.is_some() || !all.entries.is_empty()) {
            let why = "arrays are embedded one at a time, without pictures beside them".to_owned();
            return Err(DataError::Source { path, why });
        }
        all.rows = all.rows.or(more.rows.take());
        for i in wanted {
            let Some(entry) = at.get(&places[i]).map(|at| &mut more.entries[*at]) else { continue };
            let mut entry = entry.clone();
            if let Place::Zip { archive, .. } | Place::Span { archive, .. } = &mut entry.place {
                *archive += before;
            }
            all.entries.push(entry);
            numbers.push(i);
        }
        all.archives.append(&mut more.archives);
    }
    Ok((all, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_again_by_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let picture = |value: u8| [b"P5 2 1 255\n".as_slice(), &[value, value + 1]].concat();
        for i in 0..3u8 {
            std::fs::write(folder.path().join(format!("{i}@90.pgm")), picture(i * 10)).unwrap();
        }
        let listing = list_pictures_of(folder.path());
        let mut places = listing.places("");
        places.push(format!("{}#1,0,2,1@180", places[2]));
        places.push("/nowhere/at/all.png".into());
        let (found, numbers) = list_places(&places).unwrap();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!((found.entries[3].area, found.entries[3].quarters), (Some([1, 0, 2, 1]), 2));
        let exact = Preparation::exact(crate::images::Shape { h: 1, w: 2, c: 1 });
        let prepared = prepare_pictures(&found.select(&[1, 0]), &exact).unwrap();
        let mut scratch = Vec::new();
        assert_eq!(prepared.images.image(0, &mut scratch).unwrap(), [10, 11]);
        assert_eq!(prepared.hashes[1], xxhash_rust::xxh3::xxh3_128(&picture(0)));
        assert_eq!((prepared.failures.len(), found.hash(1)), (0, Some(prepared.hashes[0])));
        let stamp = found.file_stamps()[2];
        assert_eq!(stamp.size, Some(13));
        assert!(stamp.modified > Some(1_600_000_000_000_000_000));
    }

    fn list_pictures_of(folder: &Path) -> Listing {
        let mut listing = super::super::list_pictures(&[folder.to_owned()], false).unwrap();
        listing.sort();
        listing
    }
}
