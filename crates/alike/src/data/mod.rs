//! Where images come from: IDX files, named sets, and digits that the program draws itself.

mod augment;
mod digits;
mod download;
mod idx;
mod named;
mod splits;

pub use augment::{Affine, Augment, Changes, Occasion};
pub use digits::{DIGITS, DigitCounts, digits};
pub use download::{DownloadProgress, Quiet};
pub use idx::{Idx, read as read_idx};
pub use named::{NAMED, NamedSet, Places, named};
pub use splits::{ClassError, exclude, find_class, hold_out};

use crate::files::FileError;
use crate::images::{Images, Shape};
use std::path::{Path, PathBuf};

/// Images of one shape with their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// `n x h x w x c` bytes.
    pub images: Images,
    /// `n` numbers, each below the number of class names.
    pub labels: Vec<u32>,
}

impl Split {
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
        }
    }
}

/// A training split, a test split, and the names of their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What the user called it.
    pub name: String,
    /// Where it was found or made, for a person to read.
    pub origin: String,
    /// By label.
    pub classes: Vec<String>,
    /// What is trained on; the gallery when judging.
    pub train: Split,
    /// The queries when judging.
    pub test: Split,
}

impl Dataset {
    /// The shape of every image.
    pub fn shape(&self) -> Shape {
        self.train.images.shape()
    }
}

/// Data could not be had, or are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not an IDX file, or a damaged one.
    #[error("{} is not a usable IDX file: {why}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Images and labels do not fit together.
    #[error("{} and {} do not belong together: {why}", images.display(), labels.display())]
    Mismatch {
        /// The images' file.
        images: PathBuf,
        /// The labels' file.
        labels: PathBuf,
        /// What differs.
        why: String,
    },
    /// A file's content is not the published one.
    #[error("{} is not the published file: its MD5 is {got}, not {expected}; delete it and fetch it again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Its MD5.
        got: String,
        /// The published MD5.
        expected: String,
    },
    /// No set of this name, and no folder of this path.
    #[error("there is no data set called '{name}' and no such folder{hint} (known sets: {known})")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name, as a question.
        hint: String,
        /// All names.
        known: String,
    },
    /// The digits that were asked for cannot be drawn.
    #[error(
        "cannot draw '{asked}': {why}; write it as digits:train=20000,test=4000,seed=0, each part as you like"
    )]
    Digits {
        /// What was asked for.
        asked: String,
        /// What is wrong with it.
        why: String,
    },
    /// A folder without the four files.
    #[error("{} holds no data set: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// A set is neither on this machine nor to be downloaded.
    #[error("'{name}' is not on this machine and could not be downloaded ({why}); put its files {files} into {} by hand", folder.display())]
    Unavailable {
        /// The set.
        name: String,
        /// Why the last mirror failed.
        why: String,
        /// The file names.
        files: String,
        /// Where they may be put.
        folder: PathBuf,
    },
}

/// The four files of a set in MNIST's layout.
pub const IDX_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Where MNIST's file `name` lies in `folder`: plain, or with `.gz` behind it.
pub(crate) fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// Reads a folder that holds [`IDX_FILES`], plain or with `.gz` behind their names.
pub fn read_idx_folder(folder: &Path, name: &str, classes: Option<&[&str]>) -> Result<Dataset, DataError> {
    let mut paths = Vec::new();
    for file in IDX_FILES {
        paths.push(idx_file(folder, file).ok_or_else(|| DataError::Folder {
            path: folder.to_owned(),
            why: format!("{file} (or {file}.gz) is missing"),
        })?);
    }
    let train = read_idx_pair(&paths[0], &paths[1])?;
    let test = read_idx_pair(&paths[2], &paths[3])?;
    if train.images.shape() != test.images.shape() {
        return Err(DataError::Mismatch {
            images: paths[0].clone(),
            labels: paths[2].clone(),
            why: format!("images of {} and of {}", train.images.shape(), test.images.shape()),
        });
    }
    let most = train.labels.iter().chain(&test.labels).max().map_or(0, |l| *l as usize);
    let classes: Vec<String> = match classes {
        Some(names) if most < names.len() => names.iter().map(|n| (*n).to_owned()).collect(),
        Some(names) => {
            return Err(DataError::Idx {
                path: paths[1].clone(),
                why: format!("it has a label {most}, but {name} has only {} classes", names.len()),
            });
        }
        None => (0..=most).map(|l| l.to_string()).collect(),
    };
    Ok(Dataset { name: name.to_owned(), origin: folder.display().to_string(), classes, train, test })
}

fn read_idx_pair(images: &Path, labels: &Path) -> Result<Split, DataError> {
    let pixels = read_idx(images)?;
    let classes = read_idx(labels)?;
    let shape = match pixels.dims[..] {
        [_, h, w] => Shape { h, w, c: 1 },
        [_, h, w, c] => Shape { h, w, c },
        _ => {
            return Err(DataError::Idx {
                path: images.to_owned(),
                why: format!("images have 3 or 4 dimensions, and it has {}", pixels.dims.len()),
            });
        }
    };
    if shape.is_empty() || pixels.dims[0] == 0 {
        return Err(DataError::Idx { path: images.to_owned(), why: "it holds no images".into() });
    }
    if classes.dims.len() != 1 {
        return Err(DataError::Idx { path: labels.to_owned(), why: "labels have one dimension".into() });
    }
    if classes.dims[0] != pixels.dims[0] {
        return Err(DataError::Mismatch {
            images: images.to_owned(),
            labels: labels.to_owned(),
            why: format!("{} images, but {} labels", pixels.dims[0], classes.dims[0]),
        });
    }
    Ok(Split {
        images: Images::new(shape, pixels.data),
        labels: classes.data.into_iter().map(u32::from).collect(),
    })
}

/// The data set that a user means: a name, or a folder with the four IDX files.
pub fn load(what: &str, places: &Places, progress: &mut dyn DownloadProgress) -> Result<Dataset, DataError> {
    if let Some((counts, seed)) = DigitCounts::parse(what)? {
        return Ok(digits(counts, seed));
    }
    if let Some(set) = named(what) {
        return set.load(places, progress);
    }
    let folder = Path::new(what);
    if folder.is_dir() {
        return read_idx_folder(folder, what, None);
    }
    let known: Vec<&str> = NAMED.iter().map(|set| set.name).chain([DIGITS]).collect();
    Err(DataError::Unknown {
        name: what.to_owned(),
        hint: crate::suggest::did_you_mean(what, known.iter().copied()),
        known: known.join(", "),
    })
}
