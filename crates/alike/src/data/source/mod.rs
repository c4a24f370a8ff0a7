//! Where images come from: one ordered list of kinds of source, each of which knows its own and lists its images.
//!
//! A new kind is a file here, with a line in [`KINDS`].

mod archive;
mod arrange;
mod arrays;
mod catalogue;
mod checksum;
mod cifar;
mod described;
mod digits;
#[cfg(feature = "download")]
mod download;
mod folder;
mod idx;
mod locate;
mod manifest;
mod named;
mod npy;
mod omniglot;
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_table;
mod samples;
mod tables;
mod walk;

pub use catalogue::{Catalogue, CataloguedPicture, Catalogues, list_catalogue};
pub use digits::{DIGITS, DigitCounts, digits};
pub use idx::{IDX_FILES, Idx, read as read_idx, read_folder as read_idx_folder};
pub use named::{DataPaths, KNOWN_FOLDERS, NAMED, NamedSet, named};

use super::listing::{Entry, Listing, Part, Place};
use super::{DataError, Dataset, Progress, Quiet, Request};
use crate::images::Images;
use std::path::Path;

pub(super) use arrange::set_aside_classless;
pub(super) use locate::path_of;
pub(super) use omniglot::list_classes;

/// A kind of source.
trait Kind: Sync {
    /// How the names of its files end, in small letters.
    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether this is what is asked for.
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        ends_in(asked.path, self.endings()) && asked.path.exists() && !asked.path.is_dir()
    }

    /// Whether a table may stand beside its images, whose columns can be asked for.
    fn has_table(&self) -> bool {
        true
    }

    /// Lists its images.
    fn list(
        &self,
        asked: &Asked<'_>,
        wish: Wish<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Found, DataError>;
}

/// Every kind of source; the first that recognises what is asked for lists it.
static KINDS: [&dyn Kind; 13] = [
    &digits::Digits,
    &named::NamedSets,
    &idx::IdxFolder,
    &archive::Shards,
    &omniglot::Omniglot,
    &cifar::Cifar,
    &folder::Folder,
    &manifest::Manifest,
    &parquet::Parquet,
    &archive::Zip,
    &archive::Tar,
    &arrays::Arrays,
    &catalogue::Catalogued,
];

/// What is asked for.
pub(super) struct Asked<'a> {
    /// As the user wrote it; empty where a path is asked for.
    what: &'a str,
    /// Where that lies; empty where nothing of that name is found.
    path: &'a Path,
    paths: &'a DataPaths,
}

impl<'a> Asked<'a> {
    /// The folder that is asked for, if it is one. Where nothing is found there is none, not the current one.
    fn folder(&self) -> Option<&'a Path> {
        self.path.is_dir().then_some(self.path)
    }
}

/// What a source holds.
pub(super) enum Found {
    /// Images that are not decoded yet, or rows of an array.
    Listing(Box<Listing>),
    /// A data set that needs no preparation and no split.
    ReadyMade(Box<Dataset>),
}

/// A file of a source: its name within it, and where it lies.
struct Member {
    name: String,
    place: Place,
}

/// How a source is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish<'a> {
    /// A class is the whole path of an image's folder.
    pub(super) nested: bool,
    /// A column of the source's table that is kept by image; a source without one is refused.
    pub(super) column: Option<&'a str>,
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    endings.iter().any(|e| name.ends_with(e))
}

/// Whether a file's name is that of one with many images.
pub(super) fn is_source(path: &Path) -> bool {
    KINDS.iter().any(|kind| ends_in(path, kind.endings()))
}

fn wrong(path: &Path, why: impl Into<String>) -> DataError {
    DataError::Source { path: path.to_owned(), why: why.into() }
}

/// What a user asks for, whatever it is.
///
/// # Errors
///
/// If there is no such thing, or it cannot be read, or holds no images.
pub(super) fn find(
    request: &Request,
    column: Option<&str>,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Found, DataError> {
    let path = path_of(request, paths);
    let asked = Asked { what: &request.what, path: path.as_deref().unwrap_or(Path::new("")), paths };
    let wish = Wish { nested: request.nested, column };
    match (KINDS.iter().find(|kind| kind.recognises(&asked)), column) {
        // Before anything is downloaded.
        (Some(kind), Some(column)) if !kind.has_table() => Err(no_column(&asked, column, &[])),
        (Some(kind), _) => checked(kind.list(&asked, wish, progress)?, &asked, wish),
        (None, _) if path.is_none() => Err(locate::unknown(request, paths)),
        (None, _) => Err(unrecognised(asked.path)),
    }
}

/// Lists what a path holds, whatever it is.
///
/// # Errors
///
/// As [`find`].
pub(super) fn list(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    let paths = DataPaths::default();
    let asked = Asked { what: "", path, paths: &paths };
    let kind = KINDS.iter().find(|kind| kind.recognises(&asked)).ok_or_else(|| unrecognised(path))?;
    checked(kind.list(&asked, wish, &mut Quiet)?, &asked, wish)?.into_listing()
}

fn unrecognised(path: &Path) -> DataError {
    if !path.exists() {
        return wrong(path, "it is not there");
    }
    let endings: Vec<&str> = KINDS.iter().flat_map(|kind| kind.endings()).copied().collect();
    let endings = endings.join(", ");
    wrong(path, format!("it is neither a folder nor a file that holds a data set ({endings})"))
}

/// Refuses a source without images, or without the column that is asked for.
fn checked(found: Found, asked: &Asked<'_>, wish: Wish<'_>) -> Result<Found, DataError> {
    let Found::Listing(listing) = &found else { return Ok(found) };
    if listing.entries.is_empty() {
        let others = match (listing.ignored, &listing.unread.sentences()[..]) {
            (0, []) => String::new(),
            (n, []) => format!(", only {n} other files"),
            (_, unread) => format!("; {}", unread.join("; ")),
        };
        let left: String = listing.left.iter().map(|l| format!("; {}", l.sentence())).collect();
        return Err(wrong(
            asked.path,
            format!(
                "it holds no pictures that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM){others}{left}"
            ),
        ));
    }
    if let Some(column) = wish.column.filter(|_| listing.values.is_empty()) {
        return Err(no_column(asked, column, &listing.notes));
    }
    Ok(found)
}

fn no_column(asked: &Asked<'_>, column: &str, notes: &[String]) -> DataError {
    let said: String = notes.iter().filter(|n| n.contains("table")).map(|n| format!("; {n}")).collect();
    let is_path = !asked.path.as_os_str().is_empty();
    wrong(
        if is_path { asked.path } else { Path::new(asked.what) },
        format!("it has no table with columns, so there is no '{column}' to tell images apart by{said}"),
    )
}

impl From<Listing> for Found {
    fn from(listing: Listing) -> Found {
        Found::Listing(Box::new(listing))
    }
}

impl From<Dataset> for Found {
    fn from(data: Dataset) -> Found {
        Found::ReadyMade(Box::new(data))
    }
}

impl Found {
    /// The source as a listing, whose images can be prepared and split otherwise.
    pub(super) fn into_listing(self) -> Result<Listing, DataError> {
        let data = match self {
            Found::Listing(listing) => return Ok(*listing),
            Found::ReadyMade(data) => data,
        };
        let mut listing = Listing::default();
        let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
        for (part, split) in [(Part::Train, &data.train), (Part::Test, &data.test)] {
            let prefix = if part == Part::Train { "train" } else { "test" };
            for (i, label) in split.labels.iter().enumerate() {
                let row = listing.entries.len() as u32;
                let class = Some(data.classes[*label as usize].clone());
                let entry = Entry::new(format!("{prefix}/{i}"), Place::Row(row));
                listing.entries.push(Entry { class, part: Some(part), ..entry });
                bytes.extend_from_slice(split.images.image(i, &mut scratch)?);
            }
        }
        listing.rows = Some(Images::new(data.shape(), bytes));
        Ok(listing)
    }
}
