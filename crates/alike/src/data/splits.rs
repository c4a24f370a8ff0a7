//! Which images are trained on, validated by and judged by.

use super::listing::{Entry, Part, Role};
use super::{DataError, Dataset, Split};
use crate::rng::{Purpose, SliceRandom, stream};
use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    // A key is taken if that comes nearer to the wanted number than leaving it. The first that is not ends the draw.
    let drawn = |pass_over: bool| {
        let (mut chosen, mut n) = (BTreeSet::new(), 0);
        for key in &order {
            if chosen.len() < most && n as f64 + counts[key] as f64 / 2.0 <= wanted {
                n += counts[key];
                chosen.insert(*key);
            } else if !pass_over {
                break;
            }
        }
        (chosen, n)
    };
    let (mut chosen, n) = drawn(false);
    if 2.0 * (n as f64) < wanted {
        // A key that is very large stood in the way: it stays. Where all are, the smallest goes.
        chosen = drawn(true).0;
        if chosen.is_empty() && most > 0 {
            chosen.extend(order.iter().min_by_key(|key| counts[key]));
        }
    }
    keys.iter().map(|key| chosen.contains(key)).collect()
}

/// How training and test images are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
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
    Lists(SplitLists),
}

/// See [`SplitBy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// The share that is for the test.
    pub test: f64,
    /// Decides which. The seed of training does not, so that runs of several seeds share a split.
    pub seed: u64,
}

impl Default for Share {
    fn default() -> Share {
        Share { test: 0.2, seed: 0 }
    }
}

/// See [`SplitBy::Lists`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitLists {
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
            SplitBy::Lists(SplitLists::default()),
        ]
    }
}

impl std::str::FromStr for SplitBy {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<SplitBy, text::ChoiceError> {
        text::parse(s)
    }
}

/// Gives every entry its part; says what was done.
pub(super) fn divide(entries: &mut [Entry], by: &SplitBy, name: &str) -> Result<Vec<String>, DataError> {
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
    // What is held back, what it is called, and what should be said if it is little.
    let (marked, what, share, alas) = match by {
        SplitBy::Lists(_) => return Ok(given(entries, "classes are split by the lists")),
        SplitBy::Given => {
            if entries.iter().all(|e| e.part.is_none()) {
                let why = "it names no parts: neither folders called train and test, nor a column 'split'";
                return Err(refuse("as given", why));
            }
            return Ok(given(entries, "split as the source says"));
        }
        SplitBy::Image(share) => {
            check(share, "by image")?;
            let classes = number(&|e| e.class.as_ref()).unwrap_or_else(|| vec![0; entries.len()]);
            let marked = share_of_each(&classes, share.test, (Purpose::Split, share.seed));
            let mut held: BTreeMap<u32, (usize, bool)> = BTreeMap::new();
            for (class, marked) in classes.iter().zip(&marked) {
                let (n, any) = held.entry(*class).or_default();
                *n += 1;
                *any |= marked;
            }
            let none = held.values().filter(|(_, any)| !any).count();
            let most = held.values().map(|(n, _)| *n).max().unwrap_or(0);
            let alas = if none == held.len() {
                let few = if most <= 2 {
                    format!("no class has more than {most} images")
                } else {
                    format!("no class has enough images for a share of {}", share.test)
                };
                format!(
                    "nothing is held back for judging, because {few}; --split class holds back whole classes"
                )
            } else if none > 0 {
                format!(
                    "{none} of {} classes have too few images for one to be held back: all of theirs are trained on",
                    held.len()
                )
            } else {
                String::new()
            };
            (marked, "a share of every class", share, alas)
        }
        SplitBy::Class(share) => {
            check(share, "by class")?;
            let classes =
                number(&|e| e.class.as_ref()).ok_or_else(|| refuse("by class", "it has no classes"))?;
            let marked = whole_keys(&classes, share.test, (Purpose::Split, share.seed));
            let alas = "no class is held back for judging, because two are the least to train on".to_owned();
            (marked, "whole classes", share, alas)
        }
        SplitBy::Group(share) => {
            check(share, "by group")?;
            let groups = number(&|e| e.group.as_ref());
            let why = "not every image has a group; a manifest's column 'group' gives them";
            let groups = groups.ok_or_else(|| refuse("by group", why))?;
            let marked = whole_keys(&groups, share.test, (Purpose::Split, share.seed));
            let alas = "no group is held back for judging, because two are the least to train on".to_owned();
            (marked, "whole groups", share, alas)
        }
    };
    let test = marked.iter().filter(|m| **m).count();
    for (entry, test) in entries.iter_mut().zip(&marked) {
        entry.part = Some(if *test { Part::Test } else { Part::Train });
        entry.role = Role::Both;
    }
    let mut said = vec![format!(
        "{what} held back for judging: {test} of {} images (--split {})",
        marked.len(),
        crate::names::shell(text::write(by))
    )];
    let by_image = matches!(by, SplitBy::Image(_));
    if share.test > 0.0 && !alas.is_empty() && (test == 0 || by_image) {
        said.push(alas);
    }
    Ok(said)
}

/// Parts as the source has them.
fn given(entries: &mut [Entry], how: &str) -> Vec<String> {
    let mut said = vec![how.to_owned()];
    // What is left unsaid is trained on.
    let unsaid = entries.iter().filter(|e| e.part.is_none()).count();
    if unsaid > 0 {
        entries.iter_mut().for_each(|e| e.part = e.part.or(Some(Part::Train)));
        said.push(format!("{unsaid} images of which it says no part are trained on"));
    }
    let count = |entries: &[Entry], part| entries.iter().filter(|e| e.part == Some(part)).count();
    let (judged, validation) = (count(entries, Part::Test), count(entries, Part::Validation));
    if judged == 0 && validation > 0 {
        entries
            .iter_mut()
            .filter(|e| e.part == Some(Part::Validation))
            .for_each(|e| e.part = Some(Part::Test));
        said.push(format!(
            "there is no test part: the {validation} images of val are judged by, and none watches training unless --validate says so"
        ));
    }
    // Defects, say, of which there is nothing to train on.
    let classes = |test: bool| -> BTreeSet<&str> {
        let of = entries.iter().filter(|e| (e.part == Some(Part::Test)) == test);
        of.filter_map(|e| e.class.as_deref()).collect()
    };
    let (trained, tested) = (classes(false), classes(true));
    let alone: Vec<&str> = tested.difference(&trained).copied().collect();
    if !alone.is_empty() && !trained.is_disjoint(&tested) {
        let more = if alone.len() > NAMED { ", ..." } else { "" };
        let names = alone[..alone.len().min(NAMED)].join(", ");
        said.push(format!("classes that are judged by but not trained on: {} ({names}{more})", alone.len()));
    }
    said
}

/// Names of classes in a sentence.
const NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::exclude;
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
        let said = divide(&mut all, &"image:test=0.2,seed=3".parse().unwrap(), "x").unwrap().join("; ");
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

    #[test]
    fn one_giant_class_does_not_keep_the_others_from_being_held_back() {
        for seed in 0..40 {
            let mut all = entries(
                &[vec!["giant"; 900], vec!["a"; 30], vec!["b"; 30], vec!["c"; 20], vec!["d"; 20]].concat(),
            );
            let by = format!("class:test=0.05,seed={seed}").parse().unwrap();
            divide(&mut all, &by, "x").unwrap();
            let test: Vec<&str> = all
                .iter()
                .filter(|e| e.part == Some(Part::Test))
                .filter_map(|e| e.class.as_deref())
                .collect();
            assert!(
                (20..=75).contains(&test.len()) && !test.contains(&"giant"),
                "seed {seed}: {}",
                test.len()
            );
        }
        // Where every class is too large for the share, the smallest.
        let mut all = entries(&[vec!["a"; 10], vec!["b"; 9], vec!["c"; 8]].concat());
        divide(&mut all, &"class:test=0.01".parse().unwrap(), "x").unwrap();
        assert!(all.iter().all(|e| (e.part == Some(Part::Test)) == (e.class.as_deref() == Some("c"))));
    }

    #[test]
    fn where_nothing_can_be_held_back_a_sentence_says_why() {
        let said = |classes: &[&str], by: &str| {
            divide(&mut entries(classes), &by.parse().unwrap(), "x").unwrap().join("; ")
        };
        let two = said(&["a", "a", "b", "b"], "image");
        assert!(two.contains("no class has more than 2 images; --split class"), "{two}");
        let some = said(&[vec!["a"; 9], vec!["b"; 2]].concat(), "image");
        assert!(some.contains("1 of 2 classes have too few images"), "{some}");
        assert!(said(&["a", "a", "b", "b"], "class").contains("two are the least"));
        assert!(!said(&["a", "a", "b", "b"], "image:test=0").contains("nothing is held back"));
    }

    #[test]
    fn val_judges_where_there_is_no_test_and_what_is_judged_alone_is_said() {
        let mut all = entries(&["good", "good", "good", "bad"]);
        for (e, p) in all.iter_mut().zip([Part::Train, Part::Train, Part::Validation, Part::Validation]) {
            e.part = Some(p);
        }
        let said = divide(&mut all, &SplitBy::Given, "x").unwrap().join("; ");
        assert_eq!(all.iter().filter(|e| e.part == Some(Part::Test)).count(), 2);
        assert!(
            said.contains("the 2 images of val are judged by") && said.contains("not trained on: 1 (bad)"),
            "{said}"
        );
    }
}
