//! Catalogues: lists of pictures that lie elsewhere, with their classes and groups, as a collection has them.

use super::{Asked, Found, Kind, Wish, wrong};
use crate::data::kept::list_places;
use crate::data::listing::Listing;
use crate::data::{DataError, Progress};
use crate::identity;
use std::fmt;
use std::path::{Path, PathBuf};

/// Finds and reads catalogues of one kind, so that a user can name one wherever data are named; see
/// [`DataPaths::catalogues`](super::DataPaths::catalogues).
pub trait Catalogues: fmt::Debug + Sync {
    /// The file of the catalogue that a user means by a name or a path; nothing if none is meant.
    fn find(&self, what: &Path) -> Option<PathBuf>;

    /// Reads the catalogue of such a file.
    ///
    /// # Errors
    ///
    /// A sentence that names the file, if it cannot be read.
    fn read(&self, file: &Path) -> Result<Catalogue, String>;
}

/// A list of pictures that lie elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The pictures, each once.
    pub pictures: Vec<CataloguedPicture>,
    /// What a user should know of them.
    pub notes: Vec<String>,
}

/// A picture of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CataloguedPicture {
    /// Where it lies, as [`Listing::places`] has it.
    pub place: String,
    /// Its class.
    pub class: Option<String>,
    /// Its group.
    pub group: Option<String>,
}

/// The pictures of a catalogue that are where they were; `file` is what a user calls it.
///
/// # Errors
///
/// If none is where it was, or as [`list_places`].
pub fn list_catalogue(file: &Path, catalogue: Catalogue) -> Result<Listing, DataError> {
    let Catalogue { pictures, notes } = catalogue;
    let places: Vec<String> = pictures.iter().map(|p| p.place.clone()).collect();
    let (mut listing, numbers) = list_places(&places)?;
    // What is drawn by keys is the same wherever the pictures lie.
    let folder = identity::common_folder(places.iter().map(String::as_str));
    for (entry, i) in listing.entries.iter_mut().zip(numbers) {
        let CataloguedPicture { place, class, group } = &pictures[i];
        entry.class.clone_from(class);
        entry.group.clone_from(group);
        entry.name.clone_from(place);
        entry.key = identity::key(&place[folder..], "");
    }
    let missing = pictures.len() - listing.len();
    if listing.is_empty() && missing > 0 {
        return Err(wrong(
            file,
            "none of its pictures is where it was; alike collection sync follows moved folders",
        ));
    }
    listing.notes.extend(notes);
    if missing > 0 {
        let note =
            format!("{missing} pictures of {} are not where they were, and are left out", file.display());
        listing.notes.push(note);
    }
    Ok(listing)
}

/// A catalogue as a source.
pub(super) struct Catalogued;

fn file(asked: &Asked<'_>) -> Option<PathBuf> {
    // A folder of pictures is one, whatever a catalogue is called.
    let catalogues = asked.paths.catalogues.filter(|_| !asked.path.is_dir())?;
    catalogues.find(if asked.path.is_file() { asked.path } else { Path::new(asked.what) })
}

impl Kind for Catalogued {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        file(asked).is_some()
    }

    fn has_table(&self) -> bool {
        false
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        let (Some(catalogues), Some(file)) = (asked.paths.catalogues, file(asked)) else {
            return Err(wrong(asked.path, "it is not there"));
        };
        let catalogue = catalogues.read(&file).map_err(DataError::Catalogue)?;
        list_catalogue(&file, catalogue).map(Found::from)
    }
}
