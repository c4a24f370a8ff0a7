//! Health of a data set: labels that neighbours contradict, pictures that are there twice, classes that are taken for each other.

use super::{Model, TaskError};
use crate::data::{Dataset, Of, Removed, Source, Split, look_alike};
use crate::eval::{Fitness, Health, Verdict, health as judge};
use crate::files::FileError;
use crate::images::Features;
use serde::Serialize;
use std::collections::HashSet;

/// How the health of a data set is judged, and what a cleaned table is without.
#[derive(Clone, Copy, Debug)]
pub struct HealthOptions {
    /// Neighbours that judge an image.
    pub k: usize,
    /// Whether images of the same group do not judge each other.
    pub leave_group: bool,
    /// Whether test images may be cleaned away too: a test that is cleaned by the model that it judges flatters it.
    pub clean_test: bool,
    /// Whether labels in doubt are cleaned away even where the model is not fit to judge them.
    pub drop_doubts: bool,
}

/// What is wrong with a data set.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthAnswer {
    /// The data set.
    pub data: String,
    /// Images of all parts.
    pub images: usize,
    /// Every label, the most doubtful first.
    pub labels: Vec<LabelInDoubt>,
    /// How far doubts can be trusted.
    pub model: Fitness,
    /// How many images a cleaned table is without.
    pub cleaned_without: CleanedWithout,
    /// Pictures that are there twice or more often, each with all its places.
    pub twice: Vec<Vec<PlacedImage>>,
    /// Pairs of classes that are taken for each other, the most frequent first.
    pub confused: Vec<ConfusedClasses>,
}

/// A label, and what neighbours say of it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelInDoubt {
    /// The image.
    pub image: String,
    /// The part of the data that it is in.
    pub part: &'static str,
    /// Its class.
    pub label: String,
    /// The class that most of its neighbours are of, but for its own.
    pub other: String,
    /// How much more of their votes the other class has, from -1 to 1.
    pub doubt: f64,
}

/// An image, and where it stands.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlacedImage {
    /// The image.
    pub image: String,
    /// The part of the data that it is in.
    pub part: &'static str,
    /// Its class.
    pub class: String,
}

/// Two classes that are taken for each other.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfusedClasses {
    /// The classes.
    pub classes: [String; 2],
    /// Images of either whose neighbours are mostly of the other.
    pub images: usize,
    /// Their share of both.
    pub share: f64,
}

/// What a cleaned table is without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CleanedWithout {
    /// Pictures that are there twice, all but one of each.
    pub copies: usize,
    /// Labels in doubt.
    pub doubts: usize,
}

/// What was found out about a data set: all that tables and figures are made from.
pub struct HealthReport<'a> {
    /// The images.
    pub all: AllImages<'a>,
    /// What their neighbours say.
    pub found: Health,
    /// Labels that neighbours contradict, the most doubtful first.
    pub doubtful: Vec<Verdict>,
    /// What a cleaned table is without.
    pub cleaning: Cleaning,
}

/// What a cleaned table is without, and why it is not without more.
#[derive(Clone, Debug)]
pub struct Cleaning {
    /// Images, rising.
    pub removed: Vec<usize>,
    /// How many of them are copies and doubts.
    pub without: CleanedWithout,
    /// Labels in doubt that stay, for the model is not fit to judge them.
    pub unfit_doubts: usize,
    /// Test images that stay, in doubt or there twice.
    pub kept_of_test: usize,
}

/// All parts of a data set in one row: first what is trained on, then what is judged by.
pub struct AllImages<'a> {
    /// The data set.
    pub data: &'a Dataset,
    /// Images of a gallery that are not among the test images.
    gallery: Split,
    /// By image: its class.
    pub labels: Vec<u32>,
    /// Where the images lie, if they are still there.
    pub source: Option<Source>,
}

impl<'a> AllImages<'a> {
    /// All images of a data set, each once.
    pub fn new(data: &'a Dataset, source: Option<Source>) -> AllImages<'a> {
        let gallery = match &data.given_gallery {
            None => data.test.select(&[]),
            Some(gallery) => {
                let asked: HashSet<&str> =
                    (0..data.test.len()).filter_map(|i| data.test.identities.place(i)).collect();
                let alone = |i: &usize| gallery.identities.place(*i).is_none_or(|p| !asked.contains(p));
                gallery.select(&(0..gallery.len()).filter(alone).collect::<Vec<_>>())
            }
        };
        let labels = [&data.train.labels[..], &data.test.labels, &gallery.labels].concat();
        AllImages { data, gallery, labels, source }
    }

    fn parts(&self) -> [(&Split, &'static str, Of); 3] {
        let Dataset { train, test, .. } = self.data;
        [(train, "train", Of::Train), (test, "test", Of::Test), (&self.gallery, "gallery", Of::Test)]
    }

    /// The part that an image is in, and its index there.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn place(&self, i: usize) -> (&Split, &'static str, usize) {
        let mut i = i;
        for (split, part, _) in self.parts() {
            if i < split.len() {
                return (split, part, i);
            }
            i -= split.len();
        }
        unreachable!("an image of no part")
    }

    /// Whether an image is trained on, or validated by.
    pub fn is_trained(&self, i: usize) -> bool {
        i < self.data.train.len()
    }

    /// How an image is named in a table that is to be without it.
    pub fn removed(&self, i: usize) -> Option<Removed> {
        let (split, _, at) = self.place(i);
        Removed::of(self.data, split, if self.is_trained(i) { Of::Train } else { Of::Test }, at)
    }

    /// The name of an image.
    pub fn name(&self, i: usize) -> String {
        let (split, part, i) = self.place(i);
        split.names.get(i).cloned().unwrap_or_else(|| format!("{part}/{i}"))
    }

    /// The name of a class.
    pub fn class(&self, label: u32) -> &str {
        &self.data.classes[label as usize]
    }

    /// Whether two images are one picture: as they are kept, or as they were prepared where they are no files.
    fn same(&self, a: usize, b: usize) -> Result<bool, FileError> {
        let ((one, _, a), (two, _, b)) = (self.place(a), self.place(b));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if one.images.are_floats() {
            return Ok(false);
        }
        let (first, second) = (one.images.image(a, &mut first)?, two.images.image(b, &mut second)?);
        if first == second {
            return Ok(true);
        }
        let is_same = || self.source.as_ref().and_then(|s| s.same((one, a), (two, b)));
        // Images of arrays are as they were made: a copy is the same to the bit.
        Ok(look_alike(first, second) && is_same().unwrap_or(false))
    }

    /// By image: what it is not judged by, where that is more than itself.
    fn apart(&self, leave_group: bool) -> Result<Vec<u32>, TaskError> {
        let mut identities = self.data.train.identities.clone();
        identities.append(&self.data.test.identities);
        identities.append(&self.gallery.identities);
        if !leave_group {
            return Ok(identities.repeated().map_or(Vec::new(), |shared| shared.gallery));
        }
        let groups: Vec<u32> = self.parts().iter().flat_map(|p| p.0.groups.iter().copied()).collect();
        let (images, name) = (self.labels.len(), self.data.name.clone());
        if groups.len() == images {
            return Ok(groups);
        }
        Err(TaskError::NoGroups { without: images - groups.len(), images, name, embedded: false })
    }

    fn embed(&self, model: &Model) -> Result<Features, TaskError> {
        let mut all = Vec::new();
        for (part, _, _) in self.parts() {
            all.extend_from_slice(model.embed(&part.images)?.data());
        }
        Ok(Features::new(model.encoder().facts().dimension, all))
    }
}

/// Judges every image of a run's data by its nearest others. `source` says where the images lie, if they are still there: copies are told
/// by it.
///
/// # Errors
///
/// If the data have no classes or hold one image only, or an image cannot be embedded.
pub fn health<'a>(
    model: &Model,
    data: &'a Dataset,
    source: Option<Source>,
    options: &HealthOptions,
) -> Result<HealthReport<'a>, TaskError> {
    if !data.labelled {
        return Err(TaskError::NoLabels(data.name.clone()));
    }
    let all = AllImages::new(data, source);
    if all.labels.len() < 2 {
        return Err(TaskError::OneImage);
    }
    let features = all.embed(model)?;
    let apart = all.apart(options.leave_group)?;
    let found = judge(&features, &all.labels, &apart, options.k, |a, b| all.same(a, b))?;
    let doubtful: Vec<Verdict> = found.doubtful().into_iter().filter(|v| v.doubt > 0.0).collect();
    let cleaning = clean(&all, &found, &doubtful, options);
    Ok(HealthReport { all, found, doubtful, cleaning })
}

impl HealthReport<'_> {
    /// What is wrong with the data, as it is printed and kept.
    pub fn answer(&self) -> HealthAnswer {
        let all = &self.all;
        let label = |v: Verdict| LabelInDoubt {
            image: all.name(v.image),
            part: all.place(v.image).1,
            label: all.class(v.label).to_owned(),
            other: all.class(v.other).to_owned(),
            doubt: v.doubt,
        };
        let placed = |i: &usize| PlacedImage {
            image: all.name(*i),
            part: all.place(*i).1,
            class: all.class(all.labels[*i]).to_owned(),
        };
        let confused = self.found.confused.iter().map(|c| ConfusedClasses {
            classes: c.classes.map(|l| all.class(l).to_owned()),
            images: c.images,
            share: c.share,
        });
        HealthAnswer {
            data: all.data.name.clone(),
            images: all.labels.len(),
            labels: self.found.doubtful().into_iter().map(label).collect(),
            model: self.found.fitness,
            cleaned_without: self.cleaning.without,
            twice: self.found.twice.iter().map(|group| group.iter().map(placed).collect()).collect(),
            confused: confused.collect(),
        }
    }
}

/// What a cleaned table is to be without: copies, and labels in doubt where the model is fit to doubt them; test images only if that
/// is asked for, for a test that is cleaned by the model that it judges flatters it.
fn clean(all: &AllImages<'_>, found: &Health, doubtful: &[Verdict], options: &HealthOptions) -> Cleaning {
    let may = |i: usize| all.is_trained(i) || options.clean_test;
    let held_out: HashSet<usize> = all.data.held_out.iter().copied().collect();
    let mut removed: HashSet<usize> = HashSet::new();
    let mut of_test = 0;
    for group in &found.twice {
        // One is kept: a test image before one that is validated by, and this before one that is trained on, so that none is
        // trained on that is judged by; among equals the one whose label is least in doubt.
        let rank = |i: usize| match i {
            i if !all.is_trained(i) => 0,
            i if held_out.contains(&i) => 1,
            _ => 2,
        };
        let first = group.iter().copied().min_by(|a, b| {
            let doubt = |i: usize| found.verdicts[i].doubt;
            rank(*a).cmp(&rank(*b)).then(doubt(*a).total_cmp(&doubt(*b))).then(a.cmp(b))
        });
        for i in group.iter().copied().filter(|i| Some(*i) != first) {
            if may(i) {
                removed.insert(i);
            } else {
                of_test += 1;
            }
        }
    }
    let copies = removed.len();
    let trust = found.fitness.fit || options.drop_doubts;
    let in_question: Vec<usize> = doubtful.iter().map(|v| v.image).collect();
    if trust {
        removed.extend(in_question.iter().copied().filter(|i| may(*i)));
    }
    let doubts = removed.len() - copies;
    let kept = if trust { in_question.iter().filter(|i| !may(**i)).count() } else { 0 };
    let mut removed: Vec<usize> = removed.into_iter().collect();
    removed.sort_unstable();
    Cleaning {
        removed,
        without: CleanedWithout { copies, doubts },
        unfit_doubts: if trust { 0 } else { in_question.len() },
        kept_of_test: kept + of_test,
    }
}
