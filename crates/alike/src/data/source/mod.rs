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

use super::DataError;
use super::listing::{Listing, Place};
use crate::files::FileError;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

pub use manifest::manifest_column;
pub(super) use omniglot::list_classes;

/// A file of a source: its name within it, and where it lies.
struct Member {
    name: String,
    place: Place,
}

/// Endings of files that hold many images.
const ENDINGS: [&str; 9] = [".csv", ".tsv", ".parquet", ".zip", ".tar", ".tar.gz", ".tgz", ".npy", ".npz"];

/// Whether a file's name is that of one with many images.
pub(super) fn is_source(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    ENDINGS.iter().any(|e| name.ends_with(e))
}

fn wrong(path: &Path, why: impl Into<String>) -> DataError {
    DataError::Source { path: path.to_owned(), why: why.into() }
}

/// Lists what `path` holds, whatever it is. `nested`: a class is the whole path of an image's folder.
pub(super) fn list(path: &Path, nested: bool) -> Result<Listing, DataError> {
    if let Some(shards) = braces(path) {
        return archive::shards(&shards, nested);
    }
    let ending = |e: &str| path.to_string_lossy().to_ascii_lowercase().ends_with(e);
    let listing = if path.is_dir() {
        folder(path, nested)?
    } else if !path.exists() {
        return Err(wrong(path, "it is not there"));
    } else if ending(".csv") || ending(".tsv") {
        manifest::open(path)?
    } else if ending(".parquet") {
        #[cfg(feature = "parquet")]
        {
            parquet::open(path)?
        }
        #[cfg(not(feature = "parquet"))]
        return Err(wrong(
            path,
            "this program was built without Parquet; build it with --features parquet, or write the table as CSV",
        ));
    } else if ending(".zip") {
        archive::zip(path, nested)?
    } else if [".tar", ".tar.gz", ".tgz"].iter().any(|e| ending(e)) {
        archive::shards(&[path.to_owned()], nested)?
    } else if ending(".npy") || ending(".npz") {
        arrays::open(path)?
    } else {
        return Err(wrong(
            path,
            "it is neither a folder nor a file that holds a data set (.csv, .parquet, .zip, .tar, .tar.gz, .npy, .npz)",
        ));
    };
    if listing.entries.is_empty() {
        let others = match (listing.ignored, &listing.unread.sentences()[..]) {
            (0, []) => String::new(),
            (n, []) => format!(", only {n} other files"),
            (_, unread) => format!("; {}", unread.join("; ")),
        };
        return Err(wrong(
            path,
            format!("it holds no pictures that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM){others}"),
        ));
    }
    Ok(listing)
}

fn folder(path: &Path, nested: bool) -> Result<Listing, DataError> {
    if omniglot::is(path) {
        return omniglot::open(path);
    }
    if let Some(cifar) = cifar::open(path)? {
        return Ok(cifar);
    }
    let members = walk(path, "", 0)?;
    let tar = |m: &Member| [".tar", ".tar.gz", ".tgz"].iter().any(|e| m.name.ends_with(e));
    let mut tars: Vec<PathBuf> = members.iter().filter(|m| tar(m)).map(|m| path.join(&m.name)).collect();
    tars.sort();
    if !tars.is_empty() && !members.iter().any(|m| super::picture::is_picture(&m.name)) {
        return archive::shards(&tars, nested);
    }
    if let Some(table) = manifest::among(members.iter().map(|m| m.name.as_str()))
        .map(|name| path.join(name))
        .filter(|table| manifest::has_paths(table))
    {
        return manifest::open(&table);
    }
    Ok(arrange::arrange(members, nested))
}

/// Folders within folders; beyond this it is a circle of links.
const DEEPEST: usize = 32;

/// All files below a folder, hidden ones left out, in any order.
fn walk(folder: &Path, within: &str, depth: usize) -> Result<Vec<Member>, DataError> {
    if depth > DEEPEST {
        return Err(wrong(folder, format!("it lies more than {DEEPEST} folders deep; is a link circular?")));
    }
    let reading = |e| DataError::File(FileError::reading(folder)(e));
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let (kind, path) = (entry.file_type().map_err(reading)?, entry.path());
        let name = format!("{within}{name}");
        if if kind.is_symlink() { path.is_dir() } else { kind.is_dir() } {
            folders.push((path, name + "/"));
        } else {
            files.push(Member { name, place: Place::File(path) });
        }
    }
    let below: Vec<Vec<Member>> =
        folders.par_iter().map(|(path, name)| walk(path, name, depth + 1)).collect::<Result<_, _>>()?;
    files.extend(below.into_iter().flatten());
    Ok(files)
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
