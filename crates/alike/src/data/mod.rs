//! Where images come from: folders, archives, tables, arrays, named sets, and digits that the program draws itself.
//!
//! A source becomes a [`Listing`], a line an image; a split gives each its part; a [`Preparation`] makes all alike in size and
//! channels, once, into a file of the cache; what comes of it is a [`Dataset`].

mod album;
mod assemble;
mod augment;
mod cache;
mod classes;
mod copies;
mod crop;
mod dataset;
mod decode;
mod foreign;
mod inspect;
mod jpeg;
mod kept;
mod listing;
mod load;
mod load_pictures;
mod need;
mod one_shot;
#[cfg(feature = "parquet")]
pub mod parquet;
mod picture;
mod prepare;
mod progress;
mod reader;
mod rewrite;
mod source;
mod splits;
mod survey;
mod table;
mod tiff;

pub(crate) use album::{Album, Seen};
pub use assemble::NO_CLASS;
pub use augment::{Affine, Augment, Changes, Occasion, Photo};
pub(crate) use cache::FEATURES;
pub use cache::{Keep, cached, image_cache, prepare_chunks};
pub use classes::{ClassError, exclude, find_class, find_classes};
pub(crate) use copies::{Relation, SKETCH};
pub use copies::{Turn, same_picture};
pub use crop::{Crop, Place};
pub use dataset::{Dataset, Failure, Split};
pub use decode::{Decoding, Header, PictureError, decode, header};
pub use foreign::{Foreign, Unread, unreadable_kind};
pub use inspect::{Inspection, inspect, leaks, look_alike};
pub use kept::{FileStamp, PreparedPictures, list_places, prepare_pictures};
pub use listing::{Entry, LeftOut, Listing, Part, Role, Why};
pub use load::{OnError, Request, column, list, load};
pub use load_pictures::{list_pictures, load_listing, load_pictures};
pub use one_shot::{OneShotRun, OneShotRuns, load_one_shot_runs};
pub use picture::{Picture, is_picture};
pub use prepare::{Filter, Preparation, PreparationWish, Resize};
pub use progress::{Progress, Quiet, Unit};
pub use rewrite::{Of, Removed, Rows, Source};
pub use source::{
    Catalogue, CataloguedPicture, Catalogues, DIGITS, DataPaths, DigitCounts, IDX_FILES, Idx, KNOWN_FOLDERS,
    NAMED, NamedSet, digits, list_catalogue, named, read_idx, read_idx_folder,
};
pub use splits::{Apart, Share, SplitBy, hold_out};
pub use survey::{Survey, drawn};
pub use table::{FIRST, SAME, SECOND, Table, truth};

use crate::files::FileError;
use crate::limits::LimitError;
use std::path::PathBuf;

/// Data could not be had, or are not what they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A catalogue ([`Catalogues`]) cannot be read.
    #[error("{0}")]
    Catalogue(String),
    /// A file is not an IDX file, or a damaged one.
    #[error("{} is not a usable IDX file: {why}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A file asks for more than it may have.
    #[error("{}: {error}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What it asks for, and which flag allows it.
        error: LimitError,
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
    #[error("{} is not the published file: its SHA-256 is {got}, not {expected}; delete it and fetch it again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Its SHA-256.
        got: String,
        /// The published SHA-256.
        expected: String,
    },
    /// No set of this name, and no folder of this path.
    #[error("there is no data set called '{name}' and no such file or folder{hint} (known sets: {known})")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name, as a question.
        hint: String,
        /// All names.
        known: String,
    },
    /// What a run was made from is not where it was.
    #[error(
        "{what} is not there any more: looked for at {}",
        looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" and at ")
    )]
    Moved {
        /// As it was given.
        what: String,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A source cannot be read.
    #[error("{} cannot be used: {why}", path.display())]
    Source {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Some pictures cannot be read, and none may be left out.
    #[error("{}", if *total == 1 {
        format!("{first} cannot be used: {why}")
    } else {
        format!("{count} of {total} images cannot be read; the first is {first}: {why}. {hint}")
    })]
    Unreadable {
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// The first one's name.
        first: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: String,
    },
    /// A split cannot be made.
    #[error("{name} cannot be split {how}: {why}")]
    Split {
        /// The data set.
        name: String,
        /// By what.
        how: &'static str,
        /// What is missing.
        why: String,
    },
    /// Prepared images cannot be kept.
    #[error("{0}; give another --cache-dir, or --no-cache to keep prepared images in memory")]
    Cache(FileError),
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
