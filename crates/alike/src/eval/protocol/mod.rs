//! Protocols: what the field reports of an embedding, measured on a data set with raw pixels beside it.
//!
//! A protocol is a function from an [`Encoder`](crate::encoder::Encoder), a data set and typed options to a result that serialises.

mod accuracy;
mod anomaly;
mod consistency;
mod few_shot;
mod one_shot;
mod pairs;
mod verification;

pub use accuracy::{AccuracyAnswer, AccuracyOptions, Baseline, accuracy_protocol};
pub use anomaly::{
    AnomalyMeans, AnomalyProtocolAnswer, AnomalyProtocolOptions, AnomalyRow, anomaly_protocol,
};
pub use consistency::{ConsistencyAnswer, ConsistencyOptions, FoundItself, consistency_protocol};
pub use few_shot::{FewShotAnswer, FewShotOptions, Played, few_shot_protocol};
pub use one_shot::{OneShotAnswer, OneShotRunError, one_shot_protocol};
pub use pairs::{GivenPairs, read_pairs};
pub use verification::{VerificationAnswer, VerificationOptions, VerifiedSpace, verification_protocol};

use super::{AnomalyError, EpisodeError, EvalError, Independent};
use crate::data::{DataError, Dataset, Split};
use crate::encoder::EncoderError;
use crate::files::FileError;
use std::path::PathBuf;

/// A protocol cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Images cannot be embedded.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A table cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are no groups, for one.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Episodes cannot be drawn.
    #[error(transparent)]
    Episodes(#[from] EpisodeError),
    /// Normal images cannot be described.
    #[error(transparent)]
    Anomaly(#[from] AnomalyError),
    /// A data set without a test part.
    #[error(
        "{0} has no test images to judge by; hold some out by --split when training, or name data that has some with --data"
    )]
    NoTestImages(String),
    /// A data set without classes.
    #[error(
        "{0} has no classes to judge by; sort its pictures into a folder a class, or name classes in a table"
    )]
    NoClasses(String),
    /// Features, of which no views can be made.
    #[error("{0} has features, of which no views and no mirror images can be made")]
    NoViews(String),
    /// A data set whose images make no pairs of one class, or none of two.
    #[error("the test images make no pairs of one class, or none of two; give more images of each class")]
    NoPairs,
    /// A row of a table of pairs that makes no sense.
    #[error("{}, line {line}: {why}", path.display())]
    Pair {
        /// The table.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A table of pairs without a column that it needs.
    #[error("{} has no column '{column}' (its columns: {there}; wanted: {wanted})", path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The columns that it has.
        there: String,
        /// The columns that it needs.
        wanted: String,
    },
    /// An image that is paired with itself.
    #[error("{} pairs {one} with {other}, which is the same picture: an image is no match for itself", path.display())]
    SamePicture {
        /// The table.
        path: PathBuf,
        /// One name of the picture.
        one: String,
        /// The other.
        other: String,
    },
    /// One-shot runs that are none.
    #[error("{} holds no run", .0.display())]
    NoRuns(PathBuf),
    /// A data set whose classes are in one part each.
    #[error("no class of {0} has both training and test images; split it by image to judge classes alone")]
    OpenSet(String),
    /// A data set without a class that can be judged alone.
    #[error("{0} has no class with two training images and a test image")]
    NoClassAlone(String),
    /// Classes that are too small for a method.
    #[error(
        "no class of {data} has a test image and the {needed} training images that {method} needs ({classes})"
    )]
    SmallClasses {
        /// The data set.
        data: String,
        /// Training images that the method needs.
        needed: usize,
        /// The method.
        method: String,
        /// The classes, each with its number of training images.
        classes: String,
    },
    /// Test images that are all normal, or all anomalies.
    #[error("there are no anomalies among the test images, or nothing else")]
    OneKind,
}

/// What of test images is independent of each other: their classes where others would be met, or the images alone.
pub fn independent(data: &Dataset) -> Independent {
    if data.is_open_set() { Independent::Classes } else { Independent::Images }
}

/// The groups of a part of a data set, if they are to be excluded; else none.
///
/// # Errors
///
/// If it has none.
pub fn groups_of(data: &Dataset, split: &Split, leave_group: bool) -> Result<Vec<u32>, EvalError> {
    if leave_group && split.groups.is_empty() && !split.is_empty() {
        return Err(EvalError::NoGroups(data.name.clone()));
    }
    Ok(if leave_group { split.groups.clone() } else { Vec::new() })
}

/// How many classes the test part has images of.
fn test_classes(data: &Dataset) -> usize {
    let mut labels = data.test.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}
