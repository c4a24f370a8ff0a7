//! From what a user asks for to a data set.

use super::cache::{Prepared, prepare};
use super::listing::{Entry, LeftOut, Listing, Part, Place, Role, Why};
use super::source::Wish;
use super::splits::{Lists, divide};
use super::survey::Survey;
use super::{
    DIGITS, DataError, Dataset, DigitCounts, Failure, IDX_FILES, KNOWN_FOLDERS, Keep, NAMED, Places,
    Preparation, PreparationWish, Progress, Split, SplitBy, digits, is_picture, named, read_idx_folder,
    source,
};
use crate::identity::Identities;
use crate::images::Images;
use crate::names::{shell_path, shown};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What happens to pictures that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Every class of the training part, turned by each quarter, is another class.
    pub rotations: bool,
    /// What happens to pictures that cannot be read.
    pub on_error: OnError,
    /// Decides what is not decided by the split's own seed.
    pub seed: u64,
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

/// The path that a user means, if there is one: where it was before, as it stands, or in the folder of data.
pub(super) fn path_of(request: &Request, places: &Places) -> Option<PathBuf> {
    let there = request.found_at.as_deref().filter(|at| source::is_there(at));
    there.map(Path::to_owned).or_else(|| {
        let (what, path) = (&request.what, Path::new(&request.what));
        if source::is_there(path) {
            return Some(path.to_owned());
        }
        let is_name =
            !what.is_empty() && path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let folder = |name: &str| places.folder(name).filter(|f| source::is_there(f));
        if is_name { folder(what) } else { None }
    })
}

/// Every image of a source, before anything is decoded.
pub fn list(request: &Request, places: &Places, progress: &mut dyn Progress) -> Result<Listing, DataError> {
    if let Some(data) = ready_made(request, places, progress)? {
        return Ok(as_listing(&data));
    }
    let path = path_of(request, places).ok_or_else(|| unknown(request, places))?;
    listed(&path, Wish { nested: request.nested, column: None })
}

/// The images of a source, in an order of their own.
fn listed(path: &Path, wish: Wish<'_>) -> Result<Listing, DataError> {
    let mut listing = source::list(path, wish)?;
    listing.sort();
    Ok(listing)
}

/// A column of a data set's table, by the names of its images.
///
/// # Errors
///
/// If the set has no table, or the table no such column.
pub fn column(request: &Request, places: &Places, name: &str) -> Result<HashMap<String, String>, DataError> {
    let path = path_of(request, places).ok_or_else(|| unknown(request, places))?;
    Ok(source::list(&path, Wish { nested: request.nested, column: Some(name) })?.values)
}

/// Sets that come as arrays of bytes.
fn ready_made(
    request: &Request,
    places: &Places,
    progress: &mut dyn Progress,
) -> Result<Option<Dataset>, DataError> {
    let what = request.what.as_str();
    if let Some((counts, seed)) = DigitCounts::parse(what)? {
        return Ok(Some(digits(counts, seed)));
    }
    if let Some(set) = named(what) {
        return set.load(places, progress).map(Some);
    }
    let idx = path_of(request, places)
        .filter(|path| IDX_FILES.iter().any(|file| super::idx::idx_file(path, file).is_some()));
    let read = |path: PathBuf| {
        let data = read_idx_folder(&path, what, None)?;
        Ok(Dataset { place: std::path::absolute(path).ok(), ..data })
    };
    idx.map(read).transpose()
}

fn unknown(request: &Request, places: &Places) -> DataError {
    let what = request.what.as_str();
    if let Some(before) = &request.found_at {
        let here = std::path::absolute(what).ok();
        let named = places.data_dir.as_ref().map(|dir| dir.join(what));
        let mut looked: Vec<PathBuf> = [Some(before.clone()), here, named].into_iter().flatten().collect();
        looked.dedup();
        return DataError::Moved { what: what.to_owned(), looked };
    }
    let known: Vec<&str> =
        NAMED.iter().map(|set| set.name).chain(KNOWN_FOLDERS.map(|f| f.0)).chain([DIGITS]).collect();
    let is_path = what.contains(['/', '\\', '.']);
    if KNOWN_FOLDERS.iter().any(|f| f.0 == what) {
        return DataError::Source {
            path: what.into(),
            why: format!(
                "it is not on this machine; put its files into a folder called {what} in --data-dir"
            ),
        };
    }
    DataError::Unknown {
        name: what.to_owned(),
        hint: if is_path { String::new() } else { crate::suggest::did_you_mean(what, known.iter().copied()) },
        known: known.join(", "),
    }
}

/// A ready-made set as a listing, so that it can be prepared and split otherwise.
fn as_listing(data: &Dataset) -> Listing {
    let mut listing = Listing::default();
    let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
    for (part, split) in [(Part::Train, &data.train), (Part::Test, &data.test)] {
        let prefix = if part == Part::Train { "train" } else { "test" };
        for (i, label) in split.labels.iter().enumerate() {
            let row = listing.entries.len() as u32;
            let class = Some(data.classes[*label as usize].clone());
            let entry = Entry::new(format!("{prefix}/{i}"), Place::Row(row));
            listing.entries.push(Entry { class, part: Some(part), ..entry });
            bytes.extend_from_slice(split.images.image(i, &mut scratch));
        }
    }
    listing.rows = Some(Images::new(data.shape(), bytes));
    listing
}

/// The data set that a user means.
pub fn load(request: &Request, places: &Places, progress: &mut dyn Progress) -> Result<Dataset, DataError> {
    let plain = Request { what: request.what.clone(), seed: request.seed, ..Request::default() };
    let as_it_is = Request { on_error: OnError::Fail, found_at: None, ..request.clone() } == plain;
    if let Some(data) = ready_made(request, places, progress)? {
        return if as_it_is {
            Ok(data)
        } else {
            let place = data.place.clone();
            let built = build(as_listing(&data), &data.origin, place.as_deref(), request, places, progress)?;
            Ok(Dataset { place, ..built })
        };
    }
    let path = path_of(request, places).ok_or_else(|| unknown(request, places))?;
    let listing = listed(&path, Wish { nested: request.nested, column: None })?;
    let data = build(listing, &shown(&path), Some(&path), request, places, progress)?;
    Ok(Dataset { place: std::path::absolute(&path).ok(), ..data })
}

fn build(
    mut listing: Listing,
    origin: &str,
    path: Option<&Path>,
    request: &Request,
    places: &Places,
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
    if request.rotations && listing.is_features() {
        let why = "features cannot be turned; leave --rotations out".to_owned();
        return Err(DataError::Source { path: origin.into(), why });
    }
    if request.rotations && labelled {
        rotate(&mut listing.entries);
        notes.push("every class trained on is four: as it is, and turned by each quarter".into());
    }
    let usual = match &listing.rows {
        Some(rows) => Preparation::exact(rows.shape()),
        None => {
            let Some(survey) = Survey::of(&listing) else { return Err(all_fail(&listing, origin)) };
            let (usual, why) = survey.preparation();
            notes.push(why);
            usual
        }
    };
    let preparation = request.prepare.over(usual);
    if listing.is_features() && preparation != usual {
        let why = "features are taken as they are; leave --prepare out".to_owned();
        return Err(DataError::Source { path: origin.into(), why });
    }
    let what = Named { name, origin, notes, on_error: request.on_error };
    Ok(Dataset { split: by, ..finish(&listing, preparation, what, places, progress)? })
}

/// What a data set is called, and how it came about.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) origin: &'a str,
    pub(super) notes: Vec<String>,
    pub(super) on_error: OnError,
}

/// Prepares all entries, whose parts are known, and puts them together.
pub(super) fn finish(
    listing: &Listing,
    preparation: Preparation,
    what: Named<'_>,
    places: &Places,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let Named { name, origin, mut notes, on_error } = what;
    let Prepared { images, failures, warm, note } = prepare(listing, &preparation, places, progress)?;
    notes.extend(note);
    if warm && listing.rows.is_none() {
        notes.push("images were prepared already".into());
    }
    let total = listing.entries.len();
    if let Some(first) = failures.first().filter(|_| on_error == OnError::Fail || failures.len() == total) {
        return Err(unreadable(first, failures.len(), total, origin));
    }
    let failed: HashSet<usize> = failures.iter().map(|f| f.entry).collect();
    let kept: Vec<usize> = (0..total).filter(|i| !failed.contains(i)).collect();
    if !failures.is_empty() {
        notes.push(format!("{} of {total} images cannot be read and are left out", failures.len()));
    }
    let identities = listing.identities(&kept, origin);
    // A picture that is named again, for the same class and part, is one picture.
    let mut seen = HashSet::new();
    let once: Vec<usize> = (0..kept.len())
        .filter(|k| {
            let e = &listing.entries[kept[*k]];
            seen.insert((identities.place(*k), e.class.as_deref(), e.part.map(|p| p as u8), e.role as u8))
        })
        .collect();
    if once.len() < kept.len() {
        let again = kept.len() - once.len();
        let pictures = if again == 1 { "1 picture is" } else { &format!("{again} pictures are") };
        notes.push(format!("{pictures} named a second time and counted once"));
    }
    let (kept, identities): (Vec<usize>, _) =
        (once.iter().map(|k| kept[*k]).collect(), identities.select(&once));
    let mut classes = class_names(kept.iter().filter_map(|i| listing.entries[*i].class.as_deref()));
    let labelled = !classes.is_empty();
    if labelled && kept.iter().any(|i| listing.entries[*i].class.is_none()) {
        classes.push(NO_CLASS.to_owned());
    }
    let what = Gathered { name, origin, notes, labelled, preparation, classes, failures };
    Ok(gather(what, &listing.entries, &kept, (&images, &identities)))
}

/// Pictures, and folders or files of them, all as one part and prepared as given: what a model embeds. `nested` is as in a [`Request`].
///
/// # Errors
///
/// If something cannot be read, or the model takes features and these are pictures, or the other way round.
pub fn load_pictures(
    paths: &[PathBuf],
    preparation: &Preparation,
    nested: bool,
    on_error: OnError,
    places: &Places,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let mut all = Listing::default();
    for path in paths {
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
        if more.rows.is_some() && paths.len() > 1 {
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
    all.entries.iter_mut().for_each(|e| e.part = Some(Part::Train));
    if let Some(rows) = all.rows.as_ref().filter(|r| r.are_floats() && r.shape() != preparation.shape) {
        let why =
            format!("it holds {} numbers a row, but the network takes {}", rows.shape().c, preparation.shape);
        return Err(DataError::Source { path: paths[0].clone(), why });
    }
    if let Some(why) = no_features(&all, preparation) {
        return Err(DataError::Source { path: paths[0].clone(), why });
    }
    let mut notes = std::mem::take(&mut all.notes);
    notes.extend(all.left_out());
    // What is embedded once need not be kept, if there is room for it.
    let small = all.entries.len() * preparation.shape.len() <= super::cache::SMALL;
    let places = if small { &Places { keep: Keep::Memory, ..places.clone() } } else { places };
    let origin = paths.iter().map(shown).collect::<Vec<_>>().join(", ");
    finish(&all, *preparation, Named { name: &origin, origin: &origin, notes, on_error }, places, progress)
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
    if let SplitBy::Lists(Lists { folder }) = &mut by {
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
    let by = by.seeded(request.seed);
    let said = divide(&mut listing.entries, &by, &request.what)?;
    Ok((Some(by), said))
}

fn rotate(entries: &mut Vec<Entry>) {
    let turned: Vec<Entry> = entries
        .iter()
        .filter(|e| e.part == Some(Part::Train))
        .flat_map(|e| {
            (1..4).map(|quarters| Entry {
                quarters: (e.quarters + quarters) % 4,
                class: e.class.as_ref().map(|c| format!("{c}@{}", 90 * u32::from(quarters))),
                name: format!("{}@{}", e.name, 90 * u32::from(quarters)),
                ..e.clone()
            })
        })
        .collect();
    entries.extend(turned);
}

fn all_fail(listing: &Listing, origin: &str) -> DataError {
    let mut reader = listing.reader();
    let first = &listing.entries[0];
    let why = reader.picture(first, super::Decoding::default()).err();
    let why = why.unwrap_or_else(|| "its size cannot be read".into());
    let failure = Failure { entry: 0, name: first.name.clone(), why };
    unreadable(&failure, listing.entries.len(), listing.entries.len(), origin)
}

fn unreadable(first: &Failure, count: usize, total: usize, origin: &str) -> DataError {
    let (first, why) = (first.name.clone(), first.why.clone());
    // Several sources have no one inspection.
    let see = if origin.contains(", ") {
        String::new()
    } else {
        format!(", or see them all with: alike data stats {}", shell_path(origin))
    };
    let hint = if count == total {
        format!("None can; see why with: alike data stats {}", shell_path(origin))
    } else {
        format!("Give --on-error skip to leave them out{see}")
    };
    DataError::Unreadable { count, total, first, why, hint }
}

/// Every name once: as numbers if all are numbers, else as text.
fn class_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<&str> = names.collect::<HashSet<_>>().into_iter().collect();
    let number = |n: &&str| n.parse::<i64>().ok();
    if names.iter().all(|n| number(n).is_some()) {
        names.sort_by_key(|n| (number(n), *n));
    } else {
        // Digits within names count as numbers too: s2 comes before s10.
        names.sort_by_cached_key(|n| natural(n));
    }
    names.into_iter().map(str::to_owned).collect()
}

/// A name in pieces: text, and numbers by their value.
fn natural(name: &str) -> (Vec<(String, u64)>, String) {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let end = rest[digits..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |e| digits + e);
        pieces.push((rest[..digits].to_owned(), rest[digits..end].parse().unwrap_or(u64::MAX)));
        rest = &rest[end..];
    }
    (pieces, name.to_owned())
}

/// The name of the class of images that have none, beside others that do: what [`load_pictures`] reads may have both.
pub const NO_CLASS: &str = "";

/// What a data set is besides its images.
struct Gathered<'a> {
    name: &'a str,
    origin: &'a str,
    notes: Vec<String>,
    labelled: bool,
    preparation: Preparation,
    classes: Vec<String>,
    failures: Vec<Failure>,
}

/// `kept` are the entries that could be read, `identities` theirs.
fn gather(
    what: Gathered<'_>,
    entries: &[Entry],
    kept: &[usize],
    (images, identities): (&Images, &Identities),
) -> Dataset {
    let label: BTreeMap<&str, u32> =
        what.classes.iter().enumerate().map(|(i, c)| (c.as_str(), i as u32)).collect();
    let mut groups: BTreeMap<&str, u32> = BTreeMap::new();
    for &i in kept {
        let next = groups.len() as u32;
        entries[i].group.as_deref().map(|g| *groups.entry(g).or_insert(next));
    }
    let grouped = kept.iter().all(|i| entries[*i].group.is_some());
    let part = |wanted: &dyn Fn(&Entry) -> bool| {
        let at: Vec<usize> = (0..kept.len()).filter(|k| wanted(&entries[kept[*k]])).collect();
        let rows: Vec<usize> = at.iter().map(|k| kept[*k]).collect();
        let of =
            |map: &BTreeMap<&str, u32>, key: Option<&str>| key.and_then(|k| map.get(k)).copied().unwrap_or(0);
        Split {
            images: images.select(&rows),
            labels: rows
                .iter()
                .map(|i| of(&label, entries[*i].class.as_deref().or(Some(NO_CLASS))))
                .collect(),
            names: rows.iter().map(|i| entries[*i].name.clone()).collect(),
            groups: if grouped {
                rows.iter().map(|i| of(&groups, entries[*i].group.as_deref())).collect()
            } else {
                vec![]
            },
            identities: identities.select(&at),
        }
    };
    let is_test = |e: &Entry| e.part == Some(Part::Test);
    let train = part(&|e| !is_test(e));
    let test = part(&|e| is_test(e) && e.role != Role::Gallery);
    let gallery = part(&|e| is_test(e) && e.role != Role::Query);
    let apart = kept.iter().any(|i| is_test(&entries[*i]) && entries[*i].role != Role::Both);
    let validation = kept.iter().filter(|i| !is_test(&entries[**i])).enumerate();
    let held_out =
        validation.filter(|(_, i)| entries[**i].part == Some(Part::Validation)).map(|(row, _)| row).collect();
    let mut categories = Vec::new();
    if kept.iter().any(|i| entries[*i].category.is_some()) {
        categories = vec![String::new(); what.classes.len()];
        for &i in kept {
            if let (Some(class), Some(category)) = (&entries[i].class, &entries[i].category) {
                categories[label[class.as_str()] as usize].clone_from(category);
            }
        }
    }
    let classes = if what.labelled { what.classes } else { vec!["all".to_owned()] };
    let mut group_names = vec![String::new(); if grouped { groups.len() } else { 0 }];
    group_names.iter_mut().zip(0u32..).for_each(|(name, number)| {
        let of = groups.iter().find(|g| *g.1 == number);
        of.into_iter().for_each(|(group, _)| (*group).clone_into(name));
    });
    Dataset {
        categories,
        group_names,
        given_gallery: apart.then_some(gallery),
        held_out,
        preparation: what.preparation,
        labelled: what.labelled,
        skipped: what.failures,
        notes: what.notes,
        ..Dataset::new(what.name, what.origin, classes, train, test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_as_a_person_would() {
        let names = |list: &[&str]| class_names(list.iter().copied());
        assert_eq!(names(&["10", "9", "1", "9"]), ["1", "9", "10"]);
        assert_eq!(names(&["s10", "s2", "a"]), ["a", "s2", "s10"]);
    }
}
