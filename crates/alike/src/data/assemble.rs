//! From a listing whose parts are known to a data set: pictures are prepared, classes and groups numbered.

use super::cache::{Prepared, prepare};
use super::listing::{Entry, Listing, Part, Role};
use super::{DataError, DataPaths, Dataset, Failure, OnError, Preparation, Progress, Split};
use crate::identity::Identities;
use crate::images::Images;
use crate::names::shell_path;
use std::collections::{BTreeMap, HashSet};

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
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<Dataset, DataError> {
    let Named { name, origin, mut notes, on_error } = what;
    let Prepared { images, failures, warm, note } = prepare(listing, &preparation, paths, progress)?;
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

/// That pictures cannot be read, the first of them with its reason.
pub(super) fn unreadable(first: &Failure, count: usize, total: usize, origin: &str) -> DataError {
    let (first, why) = (first.name.clone(), first.why.clone());
    // Several sources have no one inspection.
    let path = if origin.contains(", ") { "PATH".to_owned() } else { shell_path(origin) };
    let hint = if count == total {
        format!("None can; see why with: alike data stats {path}")
    } else {
        format!("Give --on-error skip to leave them out, or see them all with: alike data stats {path}")
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

/// The name of the class of images that have none, beside others that do: what [`load_pictures`](super::load_pictures) reads may have both.
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
    if grouped {
        groups.iter().for_each(|(group, number)| (*group).clone_into(&mut group_names[*number as usize]));
    }
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
