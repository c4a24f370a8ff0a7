//! Where images come from: each kind of source becomes a [`Listing`].

mod archive;
mod arrange;
mod arrays;
mod cifar;
mod manifest;
mod npy;
mod omniglot;
#[cfg(feature = "parquet")]
mod parquet;
mod samples;
mod tables;
mod walk;

use super::DataError;
use super::listing::{Listing, Place};
use crate::files;
use crate::limits::Limit;
use std::io::Read;
use std::path::{Path, PathBuf};

pub(super) use arrange::set_aside_classless;
pub(crate) use npy::check_header;
pub(super) use omniglot::list_classes;

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

/// Endings of files that hold many images.
const ENDINGS: [&str; 10] =
    [".csv", ".tsv", ".jsonl", ".parquet", ".zip", ".tar", ".tar.gz", ".tgz", ".npy", ".npz"];

/// Whether a file's name is that of one with many images.
pub(super) fn is_source(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    ENDINGS.iter().any(|e| name.ends_with(e))
}

fn wrong(path: &Path, why: impl Into<String>) -> DataError {
    DataError::Source { path: path.to_owned(), why: why.into() }
}

/// Whether there is something at a path, or at the first of the paths that it stands for.
pub(super) fn is_there(path: &Path) -> bool {
    path.exists() || braces(path).is_some_and(|all| all.first().is_some_and(|first| first.exists()))
}

/// Lists what `path` holds, whatever it is.
pub(super) fn list(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    if let Some(shards) = braces(path).filter(|_| !path.exists()) {
        return archive::shards(&shards, wish);
    }
    let ending = |e: &str| path.to_string_lossy().to_ascii_lowercase().ends_with(e);
    let listing = if path.is_dir() {
        folder(path, wish)?
    } else if !path.exists() {
        return Err(wrong(path, "it is not there"));
    } else if ending(".csv") || ending(".tsv") || ending(".jsonl") {
        manifest::open(path, &wish)?
    } else if ending(".parquet") {
        #[cfg(feature = "parquet")]
        {
            parquet::open(path, &wish)?
        }
        #[cfg(not(feature = "parquet"))]
        return Err(wrong(
            path,
            "this program was built without Parquet; build it with --features parquet, or write the table as CSV",
        ));
    } else if ending(".zip") {
        archive::zip(path, wish)?
    } else if [".tar", ".tar.gz", ".tgz"].iter().any(|e| ending(e)) {
        archive::shards(&[path.to_owned()], wish)?
    } else if ending(".npy") || ending(".npz") {
        arrays::open(path)?
    } else {
        return Err(wrong(
            path,
            "it is neither a folder nor a file that holds a data set (.csv, .tsv, .jsonl, .parquet, .zip, .tar, .tar.gz, .npy, .npz)",
        ));
    };
    if listing.entries.is_empty() {
        let others = match (listing.ignored, &listing.unread.sentences()[..]) {
            (0, []) => String::new(),
            (n, []) => format!(", only {n} other files"),
            (_, unread) => format!("; {}", unread.join("; ")),
        };
        let left: String = listing.left.iter().map(|l| format!("; {}", l.sentence())).collect();
        return Err(wrong(
            path,
            format!(
                "it holds no pictures that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM){others}{left}"
            ),
        ));
    }
    if let Some(column) = wish.column.filter(|_| listing.values.is_empty()) {
        let said: String =
            listing.notes.iter().filter(|n| n.contains("table")).map(|n| format!("; {n}")).collect();
        return Err(wrong(
            path,
            format!("it has no table with columns, so there is no '{column}' to tell images apart by{said}"),
        ));
    }
    Ok(listing)
}

fn folder(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    if omniglot::is(path) {
        return omniglot::open(path);
    }
    if let Some(cifar) = cifar::open(path)? {
        return Ok(cifar);
    }
    let walk::Walked { members, left, notes } = walk::walk(path)?;
    let is_tar = |m: &Member| {
        let name = m.name.to_ascii_lowercase();
        [".tar", ".tar.gz", ".tgz"].iter().any(|e| name.ends_with(e))
    };
    if !members.iter().any(|m| super::picture::is_picture(&m.name)) {
        let tars = members.iter().filter(|m| is_tar(m)).filter_map(|m| match &m.place {
            Place::File(file) => Some(file.clone()),
            _ => None,
        });
        let mut tars: Vec<PathBuf> = tars.collect();
        tars.sort();
        if !tars.is_empty() {
            return archive::shards(&tars, wish);
        }
    }
    let read = |member: &Member, most: Option<usize>| {
        let Place::File(file) = &member.place else { return Err("it is no file".to_owned()) };
        let Some(most) = most else { return files::read(file, Limit::Text).map_err(|e| e.to_string()) };
        let mut bytes = Vec::new();
        let opened = files::open(file).map_err(|e| e.to_string())?;
        opened.take(most as u64).read_to_end(&mut bytes).map(|_| bytes).map_err(|e| e.to_string())
    };
    let root = manifest::Folder::new(path);
    let files = tables::Files { root: path, members: &members, read: &read, elsewhere: &|p| root.find(p) };
    let mut listing = match tables::find(&files, &wish)? {
        tables::Found::Set(listing) => *listing,
        tables::Found::None(notes) => {
            let mut listing = arrange::arrange(members, wish.nested);
            listing.notes.splice(0..0, notes);
            listing
        }
    };
    listing.left.extend(left);
    listing.notes.extend(notes);
    Ok(listing)
}

/// `train-{000..127}.tar` written out; nothing if there are no braces.
fn braces(path: &Path) -> Option<Vec<PathBuf>> {
    let text = path.to_str()?;
    let (before, rest) = text.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (from, to) = range.split_once("..")?;
    let (first, last): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    let width = from.len();
    (first <= last && last - first < 100_000)
        .then(|| (first..=last).map(|i| format!("{before}{i:0width$}{after}").into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_written_out() {
        let names = braces(Path::new("a/t-{008..011}.tar")).unwrap();
        let names: Vec<_> = names.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(names, ["a/t-008.tar", "a/t-009.tar", "a/t-010.tar", "a/t-011.tar"]);
        assert_eq!(braces(Path::new("a/t.tar")), None);
    }
}
