//! A collection as data to train on: its pictures, with the classes that follow from all that people said of them.
//!
//! Pictures that are said to show the same are of one class: the one that was set by hand, else the commonest among them, else one of their own. Of two
//! that are said to be different and would be of one class, one is left out, for nobody says what it is instead: the one whose class was not
//! set by hand, or that was added later.

use crate::collection::Collection;
use crate::error::StoreError;
use crate::item::Item;
use crate::pairs::{Pair, Said};
use alike::data::{Catalogue, CataloguedPicture};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

impl Collection {
    /// The pictures, as data to train on and to judge by.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn catalogue(&self) -> Result<Catalogue, StoreError> {
        let items = self.items(None, None, usize::MAX)?;
        let pairs = self.pairs(None)?;
        let classes = classes(&items, &pairs);
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
fn classes(items: &[Item], pairs: &[Pair]) -> HashMap<i64, String> {
    let mut root: HashMap<i64, i64> = HashMap::new();
    fn top(root: &HashMap<i64, i64>, mut id: i64) -> i64 {
        while let Some(next) = root.get(&id).filter(|next| **next != id) {
            id = *next;
        }
        id
    }
    for pair in pairs.iter().filter(|pair| pair.said == Said::Same) {
        pair.ids.iter().for_each(|id| {
            root.entry(*id).or_insert(*id);
        });
        let [a, b] = pair.ids.map(|id| top(&root, id));
        root.insert(a.max(b), a.min(b));
    }
    let mut alike: BTreeMap<i64, Vec<&Item>> = BTreeMap::new();
    for item in items.iter().filter(|item| root.contains_key(&item.id)) {
        alike.entry(top(&root, item.id)).or_default().push(item);
    }
    let mut classes = HashMap::new();
    for (first, members) in alike {
        let by_hand = members.iter().filter(|m| m.by_hand).find_map(|m| m.class.clone());
        let class = by_hand.or_else(|| commonest(&members)).unwrap_or_else(|| format!("#{first}"));
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
