//! What training and judging work on.

use super::listing::Entry;
use super::reader::EntryError;
use super::{Preparation, SplitBy};
use crate::identity::{Identities, Shared};
use crate::images::{Images, Shape};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Images of one shape with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// `n x h x w x c` values.
    pub images: Images,
    /// `n` numbers, each below the number of class names.
    pub labels: Vec<u32>,
    /// `n` names within the source; none where images have no names.
    pub names: Vec<String>,
    /// `n` numbers: images of one group belong on one side of a split. None where there are no groups.
    pub groups: Vec<u32>,
    /// Which `n` pictures these are.
    pub identities: Identities,
}

impl Split {
    /// Images and labels, without names and groups.
    pub fn new(images: Images, labels: Vec<u32>) -> Split {
        let identities = Identities::numbered(labels.len());
        Split { images, labels, names: Vec::new(), groups: Vec::new(), identities }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Split {
        Split {
            images: self.images.select(indices),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            names: indices.iter().filter_map(|&i| self.names.get(i).cloned()).collect(),
            groups: indices.iter().filter_map(|&i| self.groups.get(i).copied()).collect(),
            identities: self.identities.select(indices),
        }
    }
}

/// An image that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// Its number among the entries of its listing.
    #[serde(rename = "i")]
    pub entry: usize,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether the file is at fault. Otherwise the system refused to read it, and may read it the next time.
    #[serde(default)]
    pub lasting: bool,
}

impl Failure {
    pub(super) fn new(entry: usize, of: &Entry, why: &EntryError) -> Failure {
        let lasting = !matches!(why, EntryError::System(_));
        Failure { entry, name: of.name.clone(), why: why.to_string(), lasting }
    }
}

/// A training split, a test split, and the names of their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What the user called it.
    pub name: String,
    /// Where it was found or made, for a person to read.
    pub origin: String,
    /// By label.
    pub classes: Vec<String>,
    /// By label: what the class is a kind of. None where there are no categories.
    pub categories: Vec<String>,
    /// By number of a group: its name. None where there are no groups.
    pub group_names: Vec<String>,
    /// What is trained on; the gallery when judging, unless the classes of the test split are others.
    pub train: Split,
    /// The queries when judging.
    pub test: Split,
    /// What the queries are compared with, where the source names such images.
    pub given_gallery: Option<Split>,
    /// How training and test were told apart; nothing for ready-made sets.
    pub split: Option<SplitBy>,
    /// Changed copies of the training images, each list as long as `train`: an epoch of training sees the images themselves or one of these, in
    /// turn. For heads, whose images are embeddings of pictures that were changed before they were embedded.
    pub views: Vec<Images>,
    /// Training images that the source names as validation's.
    pub held_out: Vec<usize>,
    /// What was done to every picture.
    pub preparation: Preparation,
    /// Whether images have classes. Without, all have label 0.
    pub labelled: bool,
    /// Pictures that could not be read and were left out.
    pub skipped: Vec<Failure>,
    /// What a user should know of how the set was made.
    pub notes: Vec<String>,
    /// Where its files lie, from the system's root on; nothing for what the program draws, or finds by a set's name.
    pub place: Option<PathBuf>,
}

impl Dataset {
    /// What pages call it: its name, or of a path the last part.
    pub fn title(&self) -> &str {
        self.name.rsplit(std::path::is_separator).find(|part| !part.is_empty()).unwrap_or(&self.name)
    }

    /// A set of two splits whose images are taken as they are.
    pub fn new(
        name: impl Into<String>,
        origin: impl Into<String>,
        classes: Vec<String>,
        train: Split,
        test: Split,
    ) -> Dataset {
        Dataset {
            name: name.into(),
            origin: origin.into(),
            classes,
            categories: Vec::new(),
            group_names: Vec::new(),
            preparation: Preparation::exact(train.images.shape()),
            train,
            test,
            given_gallery: None,
            split: None,
            views: Vec::new(),
            held_out: Vec::new(),
            labelled: true,
            skipped: Vec::new(),
            notes: Vec::new(),
            place: None,
        }
    }

    /// The same set with other images in the place of its own, part by part.
    ///
    /// # Errors
    ///
    /// If `change` fails.
    ///
    /// # Panics
    ///
    /// If it changes how many images there are.
    pub fn with_images<E>(&self, change: &mut dyn FnMut(&Images) -> Result<Images, E>) -> Result<Dataset, E> {
        let mut other = |split: &Split| -> Result<Split, E> {
            let images = change(&split.images)?;
            assert_eq!(images.len(), split.len(), "with_images: an image for each");
            Ok(Split { images, ..split.clone() })
        };
        let (train, test) = (other(&self.train)?, other(&self.test)?);
        let given_gallery = self.given_gallery.as_ref().map(other).transpose()?;
        let preparation = Preparation::exact(train.images.shape());
        Ok(Dataset { train, test, given_gallery, preparation, ..self.clone() })
    }

    /// The training images as an epoch sees them, counted from 0.
    pub fn seen_in(&self, epoch: u64) -> &Images {
        match epoch % (self.views.len() as u64 + 1) {
            0 => &self.train.images,
            view => &self.views[view as usize - 1],
        }
    }

    /// The shape of every image.
    pub fn shape(&self) -> Shape {
        self.train.images.shape()
    }

    /// Whether the test split's classes are all others than those trained on: an open set.
    pub fn is_open_set(&self) -> bool {
        let trained = self.of_labels(&self.train.labels);
        self.labelled && !self.test.is_empty() && !self.test.labels.iter().any(|l| trained[*l as usize])
    }

    fn of_labels(&self, labels: &[u32]) -> Vec<bool> {
        let mut there = vec![false; self.classes.len()];
        labels.iter().for_each(|l| there[*l as usize] = true);
        there
    }

    /// What test images are compared with, and whether it is the test images themselves, each left out when it asks.
    pub fn gallery(&self) -> (&Split, bool) {
        match &self.given_gallery {
            Some(gallery) => (gallery, false),
            None if self.is_open_set() => (&self.test, true),
            None => (&self.train, false),
        }
    }

    /// Which test images are members of the gallery: they are no match for themselves. Nothing where none is, or where the test
    /// images are the gallery and no picture is there twice.
    pub fn shared(&self) -> Option<Shared> {
        let (gallery, itself) = self.gallery();
        if itself {
            self.test.identities.repeated()
        } else {
            Identities::shared(&self.test.identities, &gallery.identities)
        }
    }

    /// How many classes the training split has images of.
    pub fn trained_classes(&self) -> usize {
        self.of_labels(&self.train.labels).iter().filter(|t| **t).count()
    }

    /// A table of which image is in which part, if images have names: a line each, `part,class,name`.
    pub fn split_table(&self) -> Option<String> {
        if self.train.names.is_empty() {
            return None;
        }
        let mut csv = csv::Writer::from_writer(Vec::new());
        let _ = csv.write_record(["part", "class", "name"]);
        let mut held = vec![false; self.train.len()];
        self.held_out.iter().for_each(|i| held[*i] = true);
        let given = self.given_gallery.as_ref().map(|g| ("gallery", g));
        for (part, split) in [("train", &self.train), ("test", &self.test)].into_iter().chain(given) {
            for (i, (name, label)) in split.names.iter().zip(&split.labels).enumerate() {
                let part = if part == "train" && held[i] { "val" } else { part };
                let class = if self.labelled { self.classes[*label as usize].as_str() } else { "" };
                // Writing to memory cannot fail.
                let _ = csv.write_record([part, class, name]);
            }
        }
        csv.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok())
    }
}
