//! Embedded images that others are compared with, and where to find their pictures again.

use super::{Corrections, TaskError};
use crate::data::Dataset;
use crate::eval::Bursts;
use crate::gallery::Gallery;
use crate::identity::{Identities, NO_GROUP, Shared};
use crate::images::Images;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Embedded images, and where to find them again for a figure.
#[derive(Clone, Debug)]
pub struct Known {
    /// Their embeddings, names and classes.
    pub gallery: Gallery,
    /// What a user calls them.
    name: String,
    /// Whether they are the run's own images, so that `trained` knows all that the run learned from among them.
    is_own: bool,
    /// By image: whether the run learned from it; nothing where nobody knows.
    trained: Vec<Option<bool>>,
    /// By image: which of `sources` it is in, and where; nothing where only its name is known.
    places: Vec<Option<(usize, usize)>>,
    sources: Vec<Images>,
    /// What people said of them.
    corrections: Arc<Corrections>,
}

/// What an answer goes by: every answer names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GallerySummary {
    /// What a user calls it.
    pub name: String,
    /// How many images.
    pub images: usize,
    /// Classes that it has images of.
    pub classes: usize,
    /// Images that the run learned from, where that is known.
    pub trained_on: Option<usize>,
}

impl GallerySummary {
    /// In words.
    pub fn sentence(&self) -> String {
        let classes = match self.classes {
            0 => String::new(),
            1 => " of one class".to_owned(),
            n => format!(" of {n} classes"),
        };
        let trained = match self.trained_on {
            None | Some(0) => String::new(),
            Some(n) if n == self.images => ", all of them trained on".to_owned(),
            Some(n) => format!(", {n} of them trained on"),
        };
        format!("{}: {} images{classes}{trained}", self.name, self.images)
    }
}

impl Known {
    /// Embedded images, with the pictures.
    ///
    /// # Panics
    ///
    /// If there are not as many pictures as embeddings.
    pub fn of(gallery: Gallery, images: Images) -> Known {
        assert_eq!(gallery.len(), images.len(), "known images: a picture for each embedding");
        let places = (0..gallery.len()).map(|i| Some((0, i))).collect();
        Known { places, sources: vec![images], ..Known::kept(gallery) }
    }

    /// Embedded images whose pictures are found by their names, if at all.
    pub fn kept(gallery: Gallery) -> Known {
        let n = gallery.len();
        let (places, trained) = (vec![None; n], vec![None; n]);
        let corrections = Arc::default();
        Known {
            places,
            trained,
            sources: Vec::new(),
            name: String::new(),
            is_own: false,
            corrections,
            gallery,
        }
    }

    /// The same with what people said of the images, which tasks obey.
    pub fn corrected(self, corrections: Corrections) -> Known {
        Known { corrections: Arc::new(corrections), ..self }
    }

    /// What people said of the images.
    pub fn corrections(&self) -> &Corrections {
        &self.corrections
    }

    /// The same, as images of the run itself.
    pub(super) fn of_the_run(self) -> Known {
        Known { is_own: true, ..self }
    }

    pub(super) fn with_trained(self, trained: Vec<Option<bool>>) -> Known {
        Known { trained, ..self }
    }

    /// Notes which of them the run learned from, by where these lie.
    pub(super) fn mark_trained(&mut self, places: &HashSet<String>) {
        for (i, known) in self.trained.iter_mut().enumerate() {
            *known = self.gallery.identities.place(i).map(|place| places.contains(place));
        }
    }

    /// Where those lie that the run learned from, if these are all of its images.
    pub(super) fn own_trained_places(&self) -> Option<HashSet<String>> {
        let learned = |i: &usize| self.trained[*i] == Some(true);
        let place = |i: usize| self.gallery.identities.place(i).map(str::to_owned);
        self.is_own.then(|| (0..self.gallery.len()).filter(learned).filter_map(place).collect())
    }

    /// The picture of an image that is in memory. Features are none.
    pub(super) fn picture(&self, i: usize) -> Option<(Images, usize)> {
        let (source, at) = self.places[i]?;
        let images = &self.sources[source];
        (!images.are_floats()).then(|| (images.clone(), at))
    }

    /// In an order of its own, each picture once: a picture that several paths lead to is one.
    pub(super) fn sorted(mut self) -> Known {
        let order = self.gallery.sort();
        let mut trained: Vec<Option<bool>> = order.iter().map(|i| self.trained[*i]).collect();
        let twice = self.gallery.identities.repeated();
        let first = |i: &usize| {
            twice.as_ref().is_none_or(|t| {
                let first = t.gallery[*i] as usize;
                first == *i || self.gallery.class(first) != self.gallery.class(*i)
            })
        };
        // A picture that is in both parts was learned from.
        for i in twice.as_ref().map_or(0..0, |t| 0..t.gallery.len()) {
            let first = twice.as_ref().map_or(i, |t| t.gallery[i] as usize);
            if trained[i] == Some(true) {
                trained[first] = Some(true);
            }
        }
        let once: Vec<usize> = (0..order.len()).filter(first).collect();
        Known {
            places: once.iter().map(|i| self.places[order[*i]]).collect(),
            trained: once.iter().map(|i| trained[*i]).collect(),
            gallery: self.gallery.select(&once),
            ..self
        }
    }

    pub(super) fn append(&mut self, more: Known) {
        let before = self.sources.len();
        self.places.extend(more.places.iter().map(|p| p.map(|(source, i)| (source + before, i))));
        self.sources.extend(more.sources);
        self.trained.extend(more.trained);
        Arc::make_mut(&mut self.corrections).append(Arc::unwrap_or_clone(more.corrections));
        self.gallery.append(&more.gallery);
    }

    /// The images at `rows`, in that order.
    pub fn select(&self, rows: &[usize]) -> Known {
        Known {
            gallery: self.gallery.select(rows),
            name: self.name.clone(),
            is_own: self.is_own,
            trained: rows.iter().map(|i| self.trained[*i]).collect(),
            places: rows.iter().map(|i| self.places[*i]).collect(),
            sources: self.sources.clone(),
            corrections: self.corrections.clone(),
        }
    }

    /// Gives it the name that answers call it by.
    pub fn call(&mut self, name: String) {
        self.name = name;
    }

    /// Only the images that have a class, and their labels.
    pub fn labelled(&self) -> (Known, Vec<u32>) {
        let labels = &self.gallery.labels;
        let rows: Vec<usize> = (0..labels.len()).filter(|i| labels[*i].is_some()).collect();
        (self.select(&rows), rows.iter().filter_map(|i| labels[*i]).collect())
    }

    /// Whether the run learned from an image, as far as that is known.
    pub fn trained(&self, i: usize) -> Option<bool> {
        self.trained[i]
    }

    /// What it is, for every answer.
    pub fn summary(&self) -> GallerySummary {
        let classes: BTreeSet<u32> = self.gallery.labels.iter().flatten().copied().collect();
        let is_known = self.trained.iter().any(Option::is_some);
        GallerySummary {
            name: self.name.clone(),
            images: self.gallery.len(),
            classes: classes.len(),
            trained_on: is_known.then(|| self.trained.iter().filter(|t| **t == Some(true)).count()),
        }
    }

    /// By image: its group's number, and the groups by name. Nothing where no image has a group.
    ///
    /// # Errors
    ///
    /// If some have a group and others have none, and groups are `asked` for.
    pub fn groups(&self, asked: bool) -> Result<(Vec<u32>, BTreeMap<String, u32>), TaskError> {
        let groups = &self.gallery.groups;
        let without = if groups.is_empty() {
            self.gallery.len()
        } else {
            groups.iter().filter(|g| g.is_empty()).count()
        };
        if asked && without > 0 {
            let (images, name) = (self.gallery.len(), self.name.clone());
            return Err(TaskError::NoGroups { without, images, name, embedded: self.sources.is_empty() });
        }
        if without > 0 {
            return Ok((Vec::new(), BTreeMap::new()));
        }
        let each = group_numbers(groups);
        let numbers = groups.iter().cloned().zip(each.iter().copied()).collect();
        Ok((each, numbers))
    }

    /// What does not count for each of the images that are asked about: the picture itself, and its group if `leave_group` says so.
    ///
    /// # Errors
    ///
    /// If groups are to be left out and some image has none.
    pub fn own(&self, asked: &Dataset, leave_group: bool) -> Result<Shared, TaskError> {
        let split = &asked.train;
        let shared = Identities::shared(&split.identities, &self.gallery.identities)
            .unwrap_or_else(|| Shared::none(split.len(), self.gallery.len()));
        let mut groups = vec![NO_GROUP; split.len()];
        if leave_group {
            let (members, numbers) = self.groups(true)?;
            for (i, group) in groups.iter_mut().enumerate() {
                let named = split.groups.get(i).map(|g| &asked.group_names[*g as usize]);
                *group = match (named, members.get(shared.queries[i] as usize)) {
                    (Some(name), _) => numbers.get(name).copied().unwrap_or(NO_GROUP),
                    (None, Some(of_member)) => *of_member,
                    (None, None) => {
                        let name = split.names.get(i).map_or("an image", String::as_str);
                        return Err(TaskError::NoGroup(name.to_owned()));
                    }
                };
            }
        }
        Ok(shared.of_groups(groups))
    }
}

/// What is left out when known images are compared with each other, as new ones will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// The image itself.
    Image,
    /// Its group.
    Group,
    /// Its burst of near copies.
    Burst,
}

impl Together {
    /// What belongs together, where these groups are known, or these bursts were found.
    pub fn of(groups: &[u32], found: Option<&Bursts>) -> Together {
        match (groups, found) {
            (_, Some(_)) => Together::Burst,
            ([], None) => Together::Image,
            _ => Together::Group,
        }
    }

    /// In words: each of those that calibrate is left out in this way.
    pub fn left_out(self) -> &'static str {
        match self {
            Together::Image => "each left out",
            Together::Group => "each left out with its group",
            Together::Burst => "each left out with its burst",
        }
    }
}

/// Names of groups as numbers; nothing where an image has none.
pub fn group_numbers(groups: &[String]) -> Vec<u32> {
    if groups.iter().any(String::is_empty) {
        return Vec::new();
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let each = groups.iter().map(|g| {
        let next = numbers.len() as u32;
        *numbers.entry(g).or_insert(next)
    });
    each.collect()
}

/// Those images whose class has others, of another group where there are groups.
pub fn with_others(labels: &[u32], groups: &[u32]) -> Vec<usize> {
    let mut counts: BTreeMap<(u32, Option<u32>), usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        *counts.entry((*label, None)).or_default() += 1;
        if let Some(group) = groups.get(i) {
            *counts.entry((*label, Some(*group))).or_default() += 1;
        }
    }
    let own = |i: usize| groups.get(i).map_or(1, |g| counts[&(labels[i], Some(*g))]);
    (0..labels.len()).filter(|i| counts[&(labels[*i], None)] > own(*i)).collect()
}
