//! A data set's source, looked at again: its pictures as they are, and its rows, of which those that are in order are written anew.

use super::decode::{Decoding, header};
use super::inspect::LOSSY;
use super::listing::{Entry, Listing, Part, Place, Role};
use super::load::split;
use super::picture::Picture;
use super::source::{path_of, set_aside_classless};
use super::{DataError, DataPaths, Dataset, Progress, Request, Split, list, same_picture};
use crate::names::shown;
use std::collections::{HashMap, HashSet};

/// The source of a data set.
#[derive(Clone, Debug)]
pub struct Source {
    listing: Listing,
    origin: String,
    /// By name.
    at: HashMap<String, usize>,
}

/// A table of images, its header first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Columns and rows, as a manifest has them.
    pub rows: Vec<Vec<String>>,
    /// Rows of the source that cannot be read, and were left out.
    pub unreadable: usize,
}

impl Source {
    /// Lists the source of a data set once more.
    ///
    /// # Errors
    ///
    /// As [`list`], or if it cannot be split as it was.
    pub fn reopen(
        request: &Request,
        paths: &DataPaths,
        progress: &mut dyn Progress,
    ) -> Result<Source, DataError> {
        let mut listing = list(request, paths, progress)?;
        set_aside_classless(&mut listing);
        let labelled = listing.entries.iter().all(|e| e.class.is_some());
        let path = path_of(request, paths);
        split(&mut listing, request, path.as_deref(), labelled)?;
        let at = listing.entries.iter().enumerate().map(|(i, e)| (e.name.clone(), i)).collect();
        let origin = path.map_or(String::new(), shown);
        Ok(Source { listing, origin, at })
    }

    /// The places of the images that are trained on, by which they are known again ([`crate::identity`]); classes called `excluded` are
    /// not.
    pub fn trained(&self, excluded: &[String]) -> HashSet<String> {
        let entries = &self.listing.entries;
        let is = |e: &Entry| {
            e.part == Some(Part::Train) && !e.class.as_ref().is_some_and(|class| excluded.contains(class))
        };
        let rows: Vec<usize> = (0..entries.len()).filter(|i| is(&entries[*i])).collect();
        let identities = self.listing.identities(&rows, &self.origin);
        (0..rows.len()).filter_map(|i| identities.place(i).map(str::to_owned)).collect()
    }

    fn entry(&self, split: &Split, i: usize) -> Option<&Entry> {
        self.at.get(split.names.get(i)?).map(|at| &self.listing.entries[*at])
    }

    /// An image as it is kept, and whether without loss.
    fn picture(&self, split: &Split, i: usize) -> Option<(Picture, bool)> {
        let entry = self.entry(split, i)?;
        if matches!(entry.place, Place::Row(_)) {
            return None;
        }
        let mut reader = self.listing.reader();
        let lossless = !LOSSY.contains(&header(&reader.bytes(entry).ok()?).ok()?.format);
        reader.picture(entry, Decoding::default()).ok().map(|p| (p.into_picture(), lossless))
    }

    /// Whether two images are one picture ([`same_picture`]); nothing where they are no pictures in files.
    pub fn same(&self, (one, a): (&Split, usize), (two, b): (&Split, usize)) -> Option<bool> {
        let ((first, lossless), (second, both)) = (self.picture(one, a)?, self.picture(two, b)?);
        Some(same_picture(&first, &second, lossless && both))
    }

    /// Why the images cannot be named in a table of paths, if they cannot.
    pub fn nameless(&self) -> Option<&'static str> {
        let entries = &self.listing.entries;
        if entries.iter().any(|e| matches!(e.place, Place::Row(_))) {
            return Some("they are no files but rows of arrays");
        }
        let packed = entries.iter().any(|e| !matches!(e.place, Place::File(_)));
        packed.then_some("they lie in an archive; unpack it, and train on the folder")
    }

    /// The rows of a set's images without those of `removed`, as a table that can be read from any folder. Nothing that the source
    /// says of them is lost: parts, roles, categories, groups, areas, and columns that mean nothing here.
    ///
    /// # Errors
    ///
    /// See [`Source::nameless`].
    pub fn without(&self, data: &Dataset, removed: &HashSet<Removed>) -> Result<Rows, &'static str> {
        if let Some(why) = self.nameless() {
            return Err(why);
        }
        let listing = &self.listing;
        let all: Vec<usize> = (0..listing.entries.len()).collect();
        let identities = listing.identities(&all, &self.origin);
        // A picture that is named again is the same as its first row.
        let key = |place: &str, class: Option<&str>, part: Of| Removed {
            place: place.to_owned(),
            class: class.unwrap_or_default().to_owned(),
            part,
        };
        let given = data.given_gallery.as_ref().map(|g| (Of::Test, g));
        let parts = [(Of::Train, &data.train), (Of::Test, &data.test)].into_iter().chain(given);
        let there: HashSet<Removed> = parts
            .flat_map(|(part, split)| (0..split.len()).filter_map(move |i| Removed::of(data, split, part, i)))
            .collect();
        let entries = &listing.entries;
        let some = |has: &dyn Fn(&Entry) -> bool| entries.iter().any(has);
        let (classes, categories, groups, areas) = (
            data.labelled,
            some(&|e| e.category.is_some()),
            some(&|e| e.group.is_some()),
            some(&|e| e.area.is_some()),
        );
        let mut header = vec!["path".to_owned()];
        let columns = [
            (classes, &["label"][..]),
            (true, &["split"]),
            (categories, &["category"]),
            (groups, &["group"]),
            (areas, &["x_1", "y_1", "x_2", "y_2"]),
        ];
        header.extend(columns.iter().filter(|c| c.0).flat_map(|c| c.1.iter().map(|s| (*s).to_owned())));
        header.extend(listing.more.iter().cloned());
        let mut table = Rows { rows: vec![header], unreadable: 0 };
        for (i, e) in entries.iter().enumerate() {
            let Place::File(path) = &e.place else { continue };
            let part = if e.part == Some(Part::Test) { Of::Test } else { Of::Train };
            let own =
                key(identities.place(i).unwrap_or_default(), e.class.as_deref().filter(|_| classes), part);
            if removed.contains(&own) {
                continue;
            }
            if !there.contains(&own) {
                table.unreadable += 1;
                continue;
            }
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            let mut row = vec![shown(path)];
            let text = |of: &Option<String>| of.clone().unwrap_or_default();
            if classes {
                row.push(text(&e.class));
            }
            let split = match (e.part, e.role) {
                (Some(Part::Test), Role::Query) => "query",
                (Some(Part::Test), Role::Gallery) => "gallery",
                (Some(Part::Test), Role::Both) => "test",
                (Some(Part::Validation), _) => "val",
                _ => "train",
            };
            row.push(split.to_owned());
            if categories {
                row.push(text(&e.category));
            }
            if groups {
                row.push(text(&e.group));
            }
            if areas {
                row.extend((0..4).map(|k| e.area.map_or(String::new(), |a| a[k].to_string())));
            }
            row.extend((0..listing.more.len()).map(|k| e.more.get(k).cloned().unwrap_or_default()));
            table.rows.push(row);
        }
        Ok(table)
    }
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// What is trained on, or validated by.
    Train,
    /// What is judged by.
    Test,
}

/// An image that is left out of a table: which picture, as what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removed {
    place: String,
    class: String,
    part: Of,
}

impl Removed {
    /// Image `i` of a part of a data set; nothing where images have no place.
    pub fn of(data: &Dataset, split: &Split, part: Of, i: usize) -> Option<Removed> {
        let class =
            if data.labelled { data.classes[split.labels[i] as usize].clone() } else { String::new() };
        Some(Removed { place: split.identities.place(i)?.to_owned(), class, part })
    }
}
