//! A collection as data to train on: its pictures, with the classes that follow from all that people said of them.
//!
//! Pictures that are said to show the same are of one class: the one that was set by hand, else the commonest among them, else one of their own. Of two
//! that are said to be different and would be of one class, one is left out, for nobody says what it is instead: the one whose class was not
//! set by hand, or that was added later.

use crate::collection::{Access, Collection};
use crate::error::StoreError;
use crate::item::Item;
use crate::pairs::{Pair, Said};
use crate::user;
use alike::data::{Catalogue, CataloguedPicture, Catalogues};
use alike::tasks::Corrections;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Collections as data to train on and to judge by: `alike train --data COLLECTION`.
#[derive(Clone, Copy, Debug)]
pub struct Collections;

impl Catalogues for Collections {
    fn find(&self, what: &Path) -> Option<PathBuf> {
        user::find(what)
    }

    fn read(&self, file: &Path) -> Result<Catalogue, String> {
        let read = || Collection::open(file, Access::Read)?.catalogue();
        read().map_err(|e| e.to_string())
    }
}

impl Collection {
    /// The pictures, as data to train on and to judge by.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn catalogue(&self) -> Result<Catalogue, StoreError> {
        let items = self.items(None, None, usize::MAX)?;
        let pairs = self.pairs(None)?;
        let classes = classes(&items, &self.corrections()?);
        let without = left_out(&items, &classes, &pairs);
        let mut notes = Vec::new();
        if !without.is_empty() {
            notes.push(format!(
                "{} pictures are left out: each is said to be different from another of its class, and nobody said what it is; alike \
                 collection set says it",
                without.len()
            ));
        }
        let pictures = items.into_iter().filter(|item| !without.contains(&item.id)).map(|item| {
            let class = classes.get(&item.id).cloned().or(item.class);
            CataloguedPicture { place: item.path, class, group: item.group }
        });
        Ok(Catalogue { pictures: pictures.collect(), notes })
    }
}

/// By number of a picture: the class that follows for it, where it is said to show the same as another.
fn classes(items: &[Item], said: &Corrections) -> HashMap<i64, String> {
    let at: HashMap<&str, &Item> = items.iter().map(|item| (item.path.as_str(), item)).collect();
    let mut classes = HashMap::new();
    for group in said.same_groups() {
        let members: Vec<&Item> = group.iter().filter_map(|place| at.get(place).copied()).collect();
        let by_hand: Vec<&Item> = members.iter().copied().filter(|m| m.by_hand).collect();
        let first = members.iter().map(|m| m.id).min().unwrap_or(0);
        let class =
            commonest(&by_hand).or_else(|| commonest(&members)).unwrap_or_else(|| format!("#{first}"));
        classes.extend(members.into_iter().map(|m| (m.id, class.clone())));
    }
    classes
}

/// The class that most of these have; the first by name of two that are as common.
fn commonest(members: &[&Item]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    members
        .iter()
        .filter_map(|m| m.class.as_deref())
        .for_each(|class| *counts.entry(class).or_default() += 1);
    counts.into_iter().min_by_key(|(_, n)| Reverse(*n)).map(|(class, _)| class.to_owned())
}

/// Pictures that are said to be different from another of their class.
fn left_out(items: &[Item], classes: &HashMap<i64, String>, pairs: &[Pair]) -> HashSet<i64> {
    let of: HashMap<i64, &Item> = items.iter().map(|item| (item.id, item)).collect();
    let class = |id: &i64| classes.get(id).or_else(|| of.get(id)?.class.as_ref());
    let mut without = HashSet::new();
    for Pair { ids: [a, b], .. } in pairs.iter().filter(|pair| pair.said == Said::Different) {
        if class(a).is_none() || class(a) != class(b) || without.contains(a) || without.contains(b) {
            continue;
        }
        let by_hand = |id: &i64| of.get(id).is_some_and(|item| item.by_hand);
        without.insert(if by_hand(b) && !by_hand(a) { *a } else { *b });
    }
    without
}
