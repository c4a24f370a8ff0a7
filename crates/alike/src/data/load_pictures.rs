//! Pictures that are given to a model: files, folders and arrays, without classes or parts.

use super::assemble::{Named, finish};
use super::cache::SMALL;
use super::listing::{Entry, Listing, Part, Place, Why};
use super::source::{self, Wish};
use super::{DataError, DataPaths, Dataset, Keep, OnError, Preparation, Progress, is_picture};
use crate::names::shown;
use std::path::PathBuf;

/// Every picture of these paths: files, folders, archives, tables or arrays, before any is decoded. `nested` is as in a [`Request`](super::Request).
///
/// # Errors
///
/// If something cannot be listed.
pub fn list_pictures(pictures: &[PathBuf], nested: bool) -> Result<Listing, DataError> {
    let mut all = Listing::default();
    for path in pictures {
        let name = shown(path);
        if path.is_file() && (is_picture(&name) || !source::is_source(path)) {
            all.entries.push(Entry::new(name, Place::File(path.clone())));
            continue;
        }
        // In the source's order, which is that of a table's rows: whoever embeds a table wants its rows.
        let mut more = source::list(path, Wish { nested, column: None })?;
        // Whatever needs neither classes nor parts takes every picture.
        let mut kept = Vec::new();
        for left in std::mem::take(&mut more.left) {
            if matches!(left.why, Why::NoClass | Why::BesideParts) {
                more.entries.extend(left.entries);
            } else {
                kept.push(left.sentence());
            }
        }
        more.notes.append(&mut kept);
        if more.rows.is_some() && pictures.len() > 1 {
            let why = "arrays are embedded one at a time".to_owned();
            return Err(DataError::Source { path: path.clone(), why });
        }
        let before = all.archives.len() as u32;
        for entry in &mut more.entries {
            if !entry.name.starts_with('/') {
                entry.name = format!("{}/{}", name.trim_end_matches('/'), entry.name);
            }
            if let Place::Zip { archive, .. } | Place::Span { archive, .. } = &mut entry.place {
                *archive += before;
            }
        }
        all.entries.append(&mut more.entries);
        all.archives.append(&mut more.archives);
        all.notes.append(&mut more.notes);
        all.rows = more.rows;
        all.ignored += more.ignored;
        all.unread.merge(more.unread);
    }
    Ok(all)
}

/// Pictures, and folders or files of them, all as one part and prepared as given: what a model embeds. `nested` is as in a [`Request`](super::Request).
///
/// # Errors
///
/// If something cannot be read, or the model takes features and these are pictures, or the other way round.
pub fn load_pictures(
    pictures: &[PathBuf],
    preparation: &Preparation,
    nested: bool,
    on_error: OnError,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let all = list_pictures(pictures, nested)?;
    let origin = pictures.iter().map(shown).collect::<Vec<_>>().join(", ");
    load_listing(all, &origin, preparation, on_error, paths, progress)
}

/// The pictures of a listing, all as one part and prepared as given. `origin` is what a user calls them.
///
/// # Errors
///
/// As [`load_pictures`].
pub fn load_listing(
    mut all: Listing,
    origin: &str,
    preparation: &Preparation,
    on_error: OnError,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let from = || PathBuf::from(origin);
    all.entries.iter_mut().for_each(|e| e.part = Some(Part::Train));
    if let Some(rows) = all.rows.as_ref().filter(|r| r.are_floats() && r.shape() != preparation.shape) {
        let why =
            format!("it holds {} numbers a row, but the network takes {}", rows.shape().c, preparation.shape);
        return Err(DataError::Source { path: from(), why });
    }
    if let Some(why) = no_features(&all, preparation) {
        return Err(DataError::Source { path: from(), why });
    }
    let mut notes = std::mem::take(&mut all.notes);
    notes.extend(all.left_out());
    // What is embedded once need not be kept, if there is room for it.
    let small = all.entries.len() * preparation.shape.len() <= SMALL;
    let paths = if small { &DataPaths { keep: Keep::Memory, ..paths.clone() } } else { paths };
    finish(&all, *preparation, Named { name: origin, origin, notes, on_error }, paths, progress)
}

/// Why pictures cannot be given to a model that takes features, if that is what they are given to.
pub(super) fn no_features(listing: &Listing, preparation: &Preparation) -> Option<String> {
    let takes = preparation.shape;
    (takes.is_features() && !listing.is_features()).then(|| {
        format!(
            "it holds pictures, but the model takes features, {} numbers a row; make them as those were made that it was trained on, \
             and give them as .npy or .npz",
            takes.c
        )
    })
}
