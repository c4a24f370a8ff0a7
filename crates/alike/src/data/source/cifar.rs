//! CIFAR-10 and CIFAR-100 in their binary form.
//!
//! Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; <https://www.cs.toronto.edu/~kriz/cifar.html>,
//! section "Binary version": a record is one label byte (CIFAR-10) or two (CIFAR-100: coarse, fine), then 3,072 bytes, the
//! red, green and blue planes of 32 x 32 pixels.

use super::{Asked, Found, Kind, Wish, wrong};
use crate::data::listing::{Entry, Listing, Part, Place};
use crate::data::{DataError, Progress};
use crate::files;
use crate::images::{Images, Shape};
use crate::limits::Limit;
use std::path::{Path, PathBuf};

const SHAPE: Shape = Shape { h: 32, w: 32, c: 3 };

struct Layout {
    train: &'static [&'static str],
    test: &'static str,
    labels: usize,
    names: &'static str,
    categories: Option<&'static str>,
}

static LAYOUTS: [Layout; 2] = [
    Layout {
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        labels: 1,
        names: "batches.meta.txt",
        categories: None,
    },
    Layout {
        train: &["train.bin"],
        test: "test.bin",
        labels: 2,
        names: "fine_label_names.txt",
        categories: Some("coarse_label_names.txt"),
    },
];

/// A folder of the files, or the folder in which its archive was unpacked.
pub(super) struct Cifar;

impl Kind for Cifar {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        asked.folder().is_some_and(|folder| find(folder).is_some())
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        let (folder, layout) = find(asked.path).ok_or_else(|| wrong(asked.path, "its files are gone"))?;
        read(&folder, layout).map(Found::from)
    }
}

/// Where the set's files lie, and which of the two sets it is.
fn find(folder: &Path) -> Option<(PathBuf, &'static Layout)> {
    let inner = ["cifar-10-batches-bin", "cifar-100-binary"].map(|name| folder.join(name));
    for folder in std::iter::once(folder.to_owned()).chain(inner) {
        for layout in &LAYOUTS {
            if folder.join(layout.train[0]).is_file() && folder.join(layout.test).is_file() {
                return Some((folder, layout));
            }
        }
    }
    None
}

fn read(folder: &Path, layout: &Layout) -> Result<Listing, DataError> {
    let classes = names(&folder.join(layout.names))?;
    let categories = layout.categories.map(|file| names(&folder.join(file))).transpose()?.unwrap_or_default();
    let mut listing = Listing::default();
    let mut pixels = Vec::new();
    let files = layout.train.iter().map(|f| (*f, Part::Train)).chain([(layout.test, Part::Test)]);
    for (file, part) in files {
        let path: PathBuf = folder.join(file);
        if !path.is_file() {
            listing.notes.push(format!("{file} is not there: its images are missing"));
            continue;
        }
        let bytes = files::read(&path, Limit::Array)?;
        let record = layout.labels + SHAPE.len();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let n = bytes.len();
            return Err(wrong(
                &path,
                format!("it has {n} bytes, which is no whole number of records of {record}"),
            ));
        }
        for (i, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, planes) = record.split_at(layout.labels);
            let label = usize::from(labels[layout.labels - 1]);
            let class = classes.get(label).cloned().unwrap_or_else(|| label.to_string());
            let category = categories.get(usize::from(labels[0])).cloned();
            let row = listing.entries.len() as u32;
            let entry = Entry::new(format!("{file}/{i}"), Place::Row(row));
            listing.entries.push(Entry { class: Some(class), category, part: Some(part), ..entry });
            let (red, rest) = planes.split_at(1024);
            let (green, blue) = rest.split_at(1024);
            pixels.extend(red.iter().zip(green).zip(blue).flat_map(|((r, g), b)| [*r, *g, *b]));
        }
    }
    listing.rows = Some(Images::new(SHAPE, pixels));
    Ok(listing)
}

/// A name a line; without the file, classes are called by their numbers.
fn names(path: &Path) -> Result<Vec<String>, DataError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = files::read_text(path)?;
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
}
