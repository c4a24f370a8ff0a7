//! Choosing which images and classes take part.

use super::listing::{Entry, Part, Role};
use super::{DataError, Dataset, Split};
use crate::rng::{Purpose, SliceRandom, stream};
use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A class was named that a data set does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{dataset} has no class '{name}'{hint} (its classes: {known})")]
pub struct ClassError {
    dataset: String,
    name: String,
    hint: String,
    known: String,
}

/// The label of the class called `name`.
pub fn find_class(dataset: &Dataset, name: &str) -> Result<u32, ClassError> {
    dataset.classes.iter().position(|c| c == name).map(|i| i as u32).ok_or_else(|| ClassError {
        dataset: dataset.name.clone(),
        name: name.to_owned(),
        hint: crate::suggest::did_you_mean(name, dataset.classes.iter().map(String::as_str)),
        known: dataset.classes.join(", "),
    })
}

/// The indices of the images whose class is not in `excluded`.
pub fn exclude(labels: &[u32], excluded: &[u32]) -> Vec<usize> {
    (0..labels.len()).filter(|&i| !excluded.contains(&labels[i])).collect()
}

/// What stays together when images are held out for validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Nothing: a share of every class is held out.
    Image,
    /// Groups.
    Group,
    /// Classes.
    Class,
}

impl Apart {
    /// How the test split of a set was set apart, so that validation asks what the test will ask.
    pub fn of(data: &Dataset) -> Apart {
        if data.is_open_set() {
            Apart::Class
        } else if data.train.groups.is_empty() {
            Apart::Image
        } else {
            Apart::Group
        }
    }
}

/// Cuts `indices` into what stays for training and what is held out for validation. Both lists are ascending.
///
/// By image, `fraction` of each class is held out, rounded, but never its last two images; by group or class, whole ones
/// until `fraction` of the images are, but never the last two.
pub fn hold_out(
    split: &Split,
    indices: &[usize],
    fraction: f64,
    seed: u64,
    apart: Apart,
) -> (Vec<usize>, Vec<usize>) {
    let of = match apart {
        Apart::Image | Apart::Class => &split.labels,
        Apart::Group => &split.groups,
    };
    let keys: Vec<u32> = indices.iter().map(|&i| of[i]).collect();
    let out = match apart {
        Apart::Image => share_of_each(&keys, fraction, (Purpose::Validation, seed)),
        Apart::Group | Apart::Class => whole_keys(&keys, fraction, (Purpose::Validation, seed)),
    };
    let (mut stay, mut held) = (Vec::new(), Vec::new());
    indices.iter().zip(out).for_each(|(i, out)| if out { held.push(*i) } else { stay.push(*i) });
    stay.sort_unstable();
    held.sort_unstable();
    (stay, held)
}

/// Marks `fraction` of the places of every key, but never the last two.
fn share_of_each(keys: &[u32], fraction: f64, (purpose, seed): (Purpose, u64)) -> Vec<bool> {
    let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    keys.iter().enumerate().for_each(|(i, key)| places.entry(*key).or_default().push(i));
    let mut marked = vec![false; keys.len()];
    for (key, mut members) in places {
        members.shuffle(&mut stream(seed, purpose, u64::from(key), 0));
        let n = ((members.len() as f64 * fraction).round() as usize).min(members.len().saturating_sub(2));
        members[..n].iter().for_each(|i| marked[*i] = true);
    }
    marked
}

/// Marks all places of some keys, drawn until `fraction` of all places is reached, but never of the last two.
fn whole_keys(keys: &[u32], fraction: f64, (purpose, seed): (Purpose, u64)) -> Vec<bool> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    keys.iter().for_each(|key| *counts.entry(*key).or_default() += 1);
    let mut order: Vec<u32> = counts.keys().copied().collect();
    order.shuffle(&mut stream(seed, purpose, u64::MAX, 0));
    let most = order.len().saturating_sub(2);
    let wanted = keys.len() as f64 * fraction;
    let (mut chosen, mut n) = (BTreeSet::new(), 0);
    for key in order.into_iter().take(most) {
        // A key is taken if that comes nearer to the wanted number than leaving it.
        if n as f64 + counts[&key] as f64 / 2.0 > wanted {
            break;
        }
        n += counts[&key];
        chosen.insert(key);
    }
    keys.iter().map(|key| chosen.contains(key)).collect()
}

/// How training and test images are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SplitBy {
    /// As the source says: by folders called train and test, a column, or archives.
    Given,
    /// A share of the images of every class is for the test.
    Image(Share),
    /// Whole classes are: recognising what was never trained on.
    Class(Share),
    /// Whole groups (a manifest's column) are.
    Group(Share),
    /// Lists of class names say: `train.txt`, `val.txt` and `test.txt` in a folder.
    Lists(Lists),
}

/// See [`SplitBy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// The share that is for the test.
    pub test: f64,
    /// Decides which; the run's seed if nothing.
    pub seed: Option<u64>,
}

impl Default for Share {
    fn default() -> Share {
        Share { test: 0.2, seed: None }
    }
}

/// See [`SplitBy::Lists`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lists {
    /// The folder, which may lie within the source.
    pub folder: String,
}

impl Choice for SplitBy {
    const WHAT: &'static str = "split";

    fn all() -> Vec<SplitBy> {
        vec![
            SplitBy::Given,
            SplitBy::Image(Share::default()),
            SplitBy::Class(Share::default()),
            SplitBy::Group(Share::default()),
            SplitBy::Lists(Lists::default()),
        ]
    }
}

impl std::str::FromStr for SplitBy {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<SplitBy, text::ChoiceError> {
        text::parse(s)
    }
}

impl SplitBy {
    /// The same with the seed decided.
    pub fn seeded(mut self, seed: u64) -> SplitBy {
        if let SplitBy::Image(share) | SplitBy::Class(share) | SplitBy::Group(share) = &mut self {
            share.seed.get_or_insert(seed);
        }
        self
    }
}

/// Gives every entry its part; says what was done.
pub(super) fn divide(entries: &mut [Entry], by: &SplitBy, name: &str) -> Result<String, DataError> {
    let refuse =
        |how: &'static str, why: &str| DataError::Split { name: name.to_owned(), how, why: why.into() };
    let number = |of: &dyn Fn(&Entry) -> Option<&String>| -> Option<Vec<u32>> {
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let each = entries.iter().map(|e| {
            let key = of(e)?.clone();
            let next = numbers.len() as u32;
            Some(*numbers.entry(key).or_insert(next))
        });
        each.collect()
    };
    let check = |share: &Share, how: &'static str| {
        if (0.0..=0.9).contains(&share.test) {
            return Ok(());
        }
        Err(refuse(how, &format!("the test's share is from 0 to 0.9, not {}", share.test)))
    };
    let (marked, what) = match by {
        SplitBy::Lists(_) => return Ok("classes are split by the lists".into()),
        SplitBy::Given => {
            if entries.iter().all(|e| e.part.is_none()) {
                let why = "it names no parts: neither folders called train and test, nor a column 'split'";
                return Err(refuse("as given", why));
            }
            // What is left unsaid is trained on.
            entries.iter_mut().for_each(|e| e.part = e.part.or(Some(Part::Train)));
            return Ok("split as the source says".into());
        }
        SplitBy::Image(share) => {
            check(share, "by image")?;
            let classes = number(&|e| e.class.as_ref()).unwrap_or_else(|| vec![0; entries.len()]);
            let seed = share.seed.unwrap_or(0);
            (share_of_each(&classes, share.test, (Purpose::Split, seed)), "a share of every class")
        }
        SplitBy::Class(share) => {
            check(share, "by class")?;
            let classes =
                number(&|e| e.class.as_ref()).ok_or_else(|| refuse("by class", "it has no classes"))?;
            let seed = share.seed.unwrap_or(0);
            (whole_keys(&classes, share.test, (Purpose::Split, seed)), "whole classes")
        }
        SplitBy::Group(share) => {
            check(share, "by group")?;
            let groups = number(&|e| e.group.as_ref());
            let why = "not every image has a group; a manifest's column 'group' gives them";
            let groups = groups.ok_or_else(|| refuse("by group", why))?;
            let seed = share.seed.unwrap_or(0);
            (whole_keys(&groups, share.test, (Purpose::Split, seed)), "whole groups")
        }
    };
    let test = marked.iter().filter(|m| **m).count();
    for (entry, test) in entries.iter_mut().zip(&marked) {
        entry.part = Some(if *test { Part::Test } else { Part::Train });
        entry.role = Role::Both;
    }
    Ok(format!(
        "{what} held back for judging: {test} of {} images (--split {})",
        marked.len(),
        text::write(by)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Images, Shape};

    #[test]
    fn validation_takes_its_share_of_every_class_and_overlaps_nothing() {
        let labels: Vec<u32> = (0..100).map(|i| u32::from(i >= 60)).chain([2, 2]).collect();
        let split = Split::new(Images::new(Shape { h: 1, w: 1, c: 1 }, vec![0; 102]), labels);
        let indices = exclude(&split.labels, &[]);
        let (stay, out) = hold_out(&split, &indices, 0.1, 7, Apart::Image);
        let count = |list: &[usize], class| list.iter().filter(|&&i| split.labels[i] == class).count();
        assert_eq!([count(&out, 0), count(&out, 1), count(&out, 2)], [6, 4, 0]);
        assert_eq!(stay.len() + out.len(), 102);
        assert!(out.iter().all(|i| !stay.contains(i)));
        assert_ne!(out, hold_out(&split, &indices, 0.1, 8, Apart::Image).1, "another seed holds out others");
    }

    #[test]
    fn whole_classes_and_groups_stay_together() {
        let labels: Vec<u32> = (0..100).map(|i| i / 10).collect();
        let groups = (0..100).map(|i| i / 5).collect();
        let images = Images::new(Shape { h: 1, w: 1, c: 1 }, vec![0; 100]);
        let split = Split { groups, ..Split::new(images, labels) };
        let indices = exclude(&split.labels, &[]);
        let (stay, out) = hold_out(&split, &indices, 0.3, 1, Apart::Class);
        assert_eq!((stay.len(), out.len()), (70, 30));
        assert!(out.iter().all(|i| stay.iter().all(|j| split.labels[*i] != split.labels[*j])));
        let (stay, out) = hold_out(&split, &indices, 0.3, 1, Apart::Group);
        assert_eq!((stay.len(), out.len()), (70, 30));
        assert!(out.iter().all(|i| stay.iter().all(|j| split.groups[*i] != split.groups[*j])));
    }

    fn entries(classes: &[&str]) -> Vec<Entry> {
        let place = crate::data::listing::Place::Row(0);
        let entry = |(i, c): (usize, &&str)| Entry {
            class: Some((*c).into()),
            ..Entry::new(i.to_string(), place.clone())
        };
        classes.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn parts_are_given_or_drawn() {
        let mut all = entries(&["a"; 20].into_iter().chain(["b"; 30]).chain(["c"; 50]).collect::<Vec<_>>());
        let test = |all: &[Entry], class: &str| {
            all.iter().filter(|e| e.part == Some(Part::Test) && e.class.as_deref() == Some(class)).count()
        };
        let said = divide(&mut all, &"image:test=0.2,seed=3".parse().unwrap(), "x").unwrap();
        assert_eq!([test(&all, "a"), test(&all, "b"), test(&all, "c")], [4, 6, 10]);
        assert!(said.contains("20 of 100") && said.contains("image:seed=3,test=0.2"), "{said}");
        divide(&mut all, &"class:test=0.3".parse().unwrap(), "x").unwrap();
        let counts = [test(&all, "a"), test(&all, "b"), test(&all, "c")];
        assert!([20, 30, 50].iter().zip(counts).all(|(n, t)| t == 0 || t == *n), "{counts:?}");
        assert!(counts.iter().sum::<usize>() > 0);
        let why = divide(&mut all, &"group".parse().unwrap(), "x").unwrap_err().to_string();
        assert!(why.contains("column 'group'"), "{why}");
        let mut bare = entries(&["a", "a"]);
        assert!(divide(&mut bare, &SplitBy::Given, "x").unwrap_err().to_string().contains("no parts"));
    }
}
