//! From what a user asks for to a data set.

use super::assemble::{Named, finish, unreadable};
use super::listing::{LeftOut, Listing, Part, Why};
use super::source::{self, Found, path_of};
use super::splits::{SplitLists, divide};
use super::survey::Survey;
use super::{DataError, DataPaths, Dataset, Failure, Preparation, PreparationWish, Progress, Quiet, SplitBy};
use crate::names::shown;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What happens to pictures that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Nothing is done with the rest either.
    #[default]
    Fail,
    /// They are left out, and listed.
    Skip,
}

/// What a user asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// A name, a folder or a file.
    pub what: String,
    /// Where it was found before, which counts for more as long as something is there.
    pub found_at: Option<PathBuf>,
    /// How pictures are prepared; what is not said follows from the pictures.
    pub prepare: PreparationWish,
    /// How training and test are told apart; as the source says if nothing, or else by image.
    pub split: Option<SplitBy>,
    /// A class is the whole path of an image's folder rather than the first folder.
    pub nested: bool,
    /// What happens to pictures that cannot be read.
    pub on_error: OnError,
}

impl Request {
    /// Whether two ask for the same data, from whatever folder they were asked for.
    pub fn is_same_as(&self, other: &Request) -> bool {
        let (mut a, mut b) = (self.clone(), other.clone());
        match (a.found_at.take(), b.found_at.take()) {
            (Some(one), Some(two)) if one == two => b.what.clone_from(&a.what),
            (Some(_), Some(_)) => return false,
            _ => {}
        }
        a == b
    }
}

impl From<&str> for Request {
    fn from(what: &str) -> Request {
        Request { what: what.to_owned(), ..Request::default() }
    }
}

/// Every image of a source, before anything is decoded, in an order that does not depend on the source's.
///
/// # Errors
///
/// If there is no such source, or it cannot be read, or holds no images.
pub fn list(request: &Request, paths: &DataPaths, progress: &mut dyn Progress) -> Result<Listing, DataError> {
    let mut listing = source::find(request, None, paths, progress)?.into_listing()?;
    listing.sort();
    Ok(listing)
}

/// A column of a data set's table, by the names of its images.
///
/// # Errors
///
/// If the set has no table, or the table no such column.
pub fn column(
    request: &Request,
    paths: &DataPaths,
    name: &str,
) -> Result<HashMap<String, String>, DataError> {
    Ok(source::find(request, Some(name), paths, &mut Quiet)?.into_listing()?.values)
}

/// The data set that a user means: found, prepared and split.
///
/// ```
/// use alike::data::{DataPaths, Quiet, load};
///
/// // A folder, a table, an archive or a set in `$ALIKE_DATA` is asked for in the same way.
/// let data = load(&"digits:train=60,test=20".into(), &DataPaths::from_env(), &mut Quiet)?;
/// assert_eq!((data.train.len(), data.test.len(), data.classes.len()), (60, 20, 10));
/// # Ok::<(), alike::data::DataError>(())
/// ```
///
/// # Errors
///
/// If there is no such source, or something of it cannot be read, or it cannot be split as asked for.
pub fn load(request: &Request, paths: &DataPaths, progress: &mut dyn Progress) -> Result<Dataset, DataError> {
    let plain = Request::from(request.what.as_str());
    let as_it_is = Request { on_error: OnError::Fail, found_at: None, ..request.clone() } == plain;
    let found = source::find(request, None, paths, progress)?;
    let (origin, path) = match found {
        Found::ReadyMade(data) if as_it_is => return Ok(*data),
        Found::ReadyMade(ref data) => (data.origin.clone(), data.place.clone()),
        Found::Listing(_) => path_of(request, paths).map_or_else(Default::default, |p| (shown(&p), Some(p))),
    };
    let mut listing = found.into_listing()?;
    listing.sort();
    let data = build(listing, &origin, path.as_deref(), request, paths, progress)?;
    Ok(Dataset { place: path.and_then(|p| std::path::absolute(p).ok()), ..data })
}

fn build(
    mut listing: Listing,
    origin: &str,
    path: Option<&Path>,
    request: &Request,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let name = &request.what;
    source::set_aside_classless(&mut listing);
    let mut notes = std::mem::take(&mut listing.notes);
    notes.extend(listing.left_out());
    let labelled = listing.entries.iter().all(|e| e.class.is_some());
    let (by, said) = split(&mut listing, request, path, labelled)?;
    notes.extend(listing.left.iter().map(LeftOut::sentence));
    notes.extend(said);
    let mut looked = None;
    let usual = match &listing.rows {
        Some(rows) => Preparation::exact(rows.shape()),
        None => {
            let Some(survey) = Survey::of(&listing) else { return Err(all_fail(&listing, origin)) };
            let (usual, [what, usually]) = survey.preparation();
            // Who says how pictures are prepared is told what that came to.
            let how = match request.prepare {
                wish if wish == PreparationWish::default() => usually,
                wish => format!("prepared as {}", wish.over(usual)),
            };
            notes.push(format!("{what}, {how}"));
            looked = Some(survey);
            usual
        }
    };
    let preparation = request.prepare.over(usual);
    notes.extend(looked.and_then(|survey| survey.shrunk(preparation.shape)));
    if listing.is_features() && preparation != usual {
        let why = "features are taken as they are; leave --prepare out".to_owned();
        return Err(DataError::Source { path: origin.into(), why });
    }
    let what = Named { name, origin, notes, on_error: request.on_error };
    Ok(Dataset { split: by, ..finish(&listing, preparation, what, paths, progress)? })
}

/// Gives entries their parts; says how. `path` is where the source lies.
pub(super) fn split(
    listing: &mut Listing,
    request: &Request,
    path: Option<&Path>,
    labelled: bool,
) -> Result<(Option<SplitBy>, Vec<String>), DataError> {
    // Where all is for training, nothing is said of what to judge by.
    let given = listing.entries.iter().any(|e| e.part.is_some_and(|p| p != Part::Train));
    let mut by = match &request.split {
        Some(by) => by.clone(),
        None if given => SplitBy::Given,
        None if !labelled => {
            listing.entries.iter_mut().for_each(|e| e.part = Some(Part::Train));
            let said = "images have no classes: all are for training, and nothing is judged";
            return Ok((None, vec![said.into()]));
        }
        None => "image".parse().unwrap_or(SplitBy::Given),
    };
    if let SplitBy::Lists(SplitLists { folder }) = &mut by {
        let here = PathBuf::from(&*folder);
        let within = path.unwrap_or(Path::new("")).join(&*folder);
        let is_here = here.is_dir() || !within.is_dir();
        let lists = if is_here { here } else { within };
        let chosen = source::list_classes(&listing.entries, &lists)?;
        let (entries, rest) = chosen;
        listing.entries = entries;
        if !rest.is_empty() {
            listing.left.push(LeftOut::of(Why::NotInLists, rest));
        }
        // A run finds them again from another folder. A comma would end the value.
        if is_here
            && let Some(whole) = std::path::absolute(&lists).ok().and_then(|l| l.to_str().map(str::to_owned))
            && !whole.contains(',')
        {
            *folder = whole;
        }
    }
    let said = divide(&mut listing.entries, &by, &request.what)?;
    Ok((Some(by), said))
}

fn all_fail(listing: &Listing, origin: &str) -> DataError {
    let mut reader = listing.reader();
    let first = &listing.entries[0];
    let why = reader.picture(first, super::Decoding::default()).err();
    let failure = Failure::new(0, first, &why.unwrap_or_else(|| "its size cannot be read".into()));
    unreadable(&failure, listing.entries.len(), listing.entries.len(), origin)
}
