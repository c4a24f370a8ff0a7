//! Duplicates: which pictures are there more than once, how one was made from another, and which to keep.
//!
//! Every picture is looked at once and keeps a thumbnail of a kilobyte. Those with the same bytes or pixels are found by digests; the
//! others by their sketches, in all eight ways in which a picture can lie, and are then compared as they are.

mod find;
mod groups;
mod journal;

pub use journal::{Journal, JournalError, Moved, Undone, link, move_to};

use super::TaskError;
use crate::data::{Album, DataError, Failure, Progress, Seen, Turn};
use crate::files::{self, FileError};
use crate::gallery::Gallery;
use crate::limits::Limit;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// How a picture was made from another, from the closest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CopyKind {
    /// The same bytes.
    Bytes,
    /// The same picture in another encoding, size, or in grey.
    Encoded,
    /// The same picture, rotated or mirrored.
    Turned,
    /// Brightness or contrast were changed, or edges were cut.
    Altered,
    /// Another picture of the same scene, as in a burst.
    Burst,
    /// Another picture that the model finds as near as those of a burst.
    LookAlike,
}

impl CopyKind {
    /// All of them, from the closest on.
    pub const ALL: [CopyKind; 6] = [
        CopyKind::Bytes,
        CopyKind::Encoded,
        CopyKind::Turned,
        CopyKind::Altered,
        CopyKind::Burst,
        CopyKind::LookAlike,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            CopyKind::Bytes => "bytes",
            CopyKind::Encoded => "encoded",
            CopyKind::Turned => "turned",
            CopyKind::Altered => "altered",
            CopyKind::Burst => "burst",
            CopyKind::LookAlike => "look-alike",
        }
    }

    /// Whether it is the same picture, rather than another one of the same thing.
    pub fn is_copy(self) -> bool {
        self <= CopyKind::Altered
    }
}

/// Which pictures are there more than once.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DuplicatesAnswer {
    /// How many pictures were compared.
    pub pictures: usize,
    /// Those that cannot be read.
    pub unreadable: Vec<Failure>,
    /// Groups of copies of one picture, then groups of different pictures of one thing.
    pub groups: Vec<DuplicateGroup>,
    /// What a user should know of what was read.
    pub notes: Vec<String>,
}

/// Pictures that are copies of one, or of one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DuplicateGroup {
    /// The loosest relation between them.
    pub kind: CopyKind,
    /// The picture to keep.
    pub keep: DuplicatePicture,
    /// Why it is the one to keep.
    pub why: String,
    /// The others.
    pub others: Vec<DuplicateMember>,
}

/// A picture of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DuplicatePicture {
    /// Its name.
    pub name: String,
    /// Its file; nothing where it is a member of an archive or a part of a file, which cannot be moved.
    pub file: Option<PathBuf>,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The format's name.
    pub format: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Digest of its file's content (XXH3, 128 bits).
    pub digest: String,
}

/// A picture that need not be kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DuplicateMember {
    /// Which one.
    #[serde(flatten)]
    pub picture: DuplicatePicture,
    /// What it is of the picture `of`.
    pub kind: CopyKind,
    /// The picture of this group that it was compared with.
    pub of: String,
    /// How it was turned; nothing if it was not.
    pub turn: Option<Turn>,
}

/// What is taken for a duplicate.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DuplicatesOptions<'a> {
    /// Pictures that a person said are different.
    pub decisions: Option<&'a Decisions>,
    /// How look-alikes are found; they are not if nothing is said.
    pub look_alikes: Option<LookAlikes<'a>>,
}

/// Pictures that a model finds near.
#[derive(Clone, Copy, Debug)]
pub struct LookAlikes<'a> {
    /// The pictures' embeddings, found by their names.
    pub gallery: &'a Gallery,
    /// The Euclidean distance up to which pictures are look-alikes; nothing for those below the gap between the distances within bursts and
    /// all others, if there is one.
    pub within: Option<f64>,
}

/// The pictures of files, folders and archives, to be searched for duplicates.
#[derive(Debug)]
pub struct DuplicatePictures {
    album: Album,
}

impl DuplicatePictures {
    /// Lists them.
    ///
    /// # Errors
    ///
    /// If something cannot be listed, or holds no pictures.
    pub fn open(paths: &[PathBuf]) -> Result<DuplicatePictures, DataError> {
        Ok(DuplicatePictures { album: Album::open(paths)? })
    }

    /// Those at places that are known: canonical paths, or those of an archive and a member. What is not there any more is left out.
    ///
    /// # Errors
    ///
    /// If an archive cannot be listed.
    pub fn at(places: &[String]) -> Result<DuplicatePictures, DataError> {
        Ok(DuplicatePictures { album: Album::at(places)? })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.album.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The digest of a file's content, as groups have it.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn digest(file: &Path) -> Result<String, FileError> {
        content(file).map(digest_text)
    }
}

fn content(file: &Path) -> Result<u128, FileError> {
    files::read(file, Limit::Memory).map(|bytes| xxh3_128(&bytes))
}

fn digest_text(digest: u128) -> String {
    format!("{digest:032x}")
}

/// Finds the pictures that are there more than once.
///
/// # Errors
///
/// If a picture that was read before cannot be read any more.
pub fn duplicates(
    pictures: &DuplicatePictures,
    options: DuplicatesOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<DuplicatesAnswer, TaskError> {
    let album = &pictures.album;
    let (seen, unreadable) = album.look(progress);
    let apart = |a: &Seen, b: &Seen| options.decisions.is_some_and(|d| d.differ(a.digest, b.digest));
    let (pairs, lost) = find::pairs(album, &seen, options.look_alikes, progress);
    let pairs = pairs.into_iter().filter(|p| match (&seen[p.of], &seen[p.is]) {
        (Some(a), Some(b)) => !apart(a, b),
        _ => false,
    });
    let groups = groups::groups(album, &seen, pairs.collect(), &apart);
    let mut notes = album.notes();
    notes.extend(lost);
    Ok(DuplicatesAnswer { pictures: seen.iter().flatten().count(), unreadable, groups, notes })
}

/// Which pictures a person said are no duplicates of each other, by the digests of their files: they stay different wherever they are
/// moved to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    different: HashSet<[u128; 2]>,
}

#[derive(Serialize, Deserialize)]
struct Decision {
    different: [String; 2],
}

impl Decisions {
    /// Reads decisions; none if there is no such file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds anything else.
    pub fn read(path: &Path) -> Result<Decisions, FileError> {
        if !path.exists() {
            return Ok(Decisions::default());
        }
        let wrong = |why: String| FileError::reading(path)(io::Error::other(why));
        let lines: Vec<(usize, Decision)> = files::json_lines(&files::read_lines(path)?)
            .map_err(|(line, e)| wrong(format!("line {line} is no decision about two pictures: {e}")))?;
        let mut all = Decisions::default();
        for (line, Decision { different: [a, b] }) in lines {
            let digest = |text: &str| {
                u128::from_str_radix(text, 16)
                    .map_err(|_| wrong(format!("line {line}: '{text}' is no digest")))
            };
            all.add(digest(&a)?, digest(&b)?);
        }
        Ok(all)
    }

    /// Where a user's decisions are kept unless something else is said; nothing if the system names no folder.
    pub fn usual_path() -> Option<PathBuf> {
        let user = choose_native_strategy().ok()?;
        Some(user.data_dir().join("alike").join("different.jsonl"))
    }

    /// Adds two contents (XXH3, 128 bits) that are different pictures, without writing anything.
    pub fn add(&mut self, a: u128, b: u128) {
        self.different.insert([a.min(b), a.max(b)]);
    }

    /// Remembers that two files are different pictures, and writes all decisions.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, both have the same bytes, or the decisions cannot be written.
    pub fn remember(&mut self, a: &Path, b: &Path, path: &Path) -> Result<(), FileError> {
        let (one, two) = (content(a)?, content(b)?);
        if one == two {
            let why =
                format!("it has the same bytes as {}, so they cannot be different pictures", b.display());
            return Err(FileError::reading(a)(io::Error::other(why)));
        }
        self.add(one, two);
        let mut all: Vec<[u128; 2]> = self.different.iter().copied().collect();
        all.sort_unstable();
        files::write_with(path, |w| {
            all.iter().try_for_each(|pair| {
                let line = serde_json::to_string(&Decision { different: pair.map(digest_text) })?;
                writeln!(w, "{line}")
            })
        })
    }

    fn differ(&self, a: u128, b: u128) -> bool {
        self.different.contains(&[a.min(b), a.max(b)])
    }
}
