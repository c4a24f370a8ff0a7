//! Whether two pictures are copies of one another, and what was done to one of them.
//!
//! From cheap to dear: a [`Sketch`] of each picture finds pairs that may be copies, however they are turned; [`Sketch::fits`] lays the two
//! thumbnails over each other; [`relation`] does so with the pictures themselves.

mod altered;
mod same;
mod sketch;
mod turn;

pub use same::same_picture;
pub(crate) use sketch::{SKETCH, Sketch};
pub use turn::Turn;

use crate::data::Picture;

/// What one picture is of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Relation {
    /// The same picture: encoded anew, scaled, or in grey.
    Encoded,
    /// The same, once brightness and contrast are adjusted and edges are cut.
    Altered,
    /// The same scene a moment later, or nearly so.
    Scene,
}

/// What `b` is of `a` once that is turned; nothing if they show different things. `lossless`: both are kept without loss.
pub(crate) fn relation(a: &Picture, b: &Picture, lossless: bool) -> Option<Relation> {
    if same_picture(a, b, lossless) {
        return Some(Relation::Encoded);
    }
    altered::fit(a, b)?.relation()
}
