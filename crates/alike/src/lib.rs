//! Alike teaches a machine which images are alike.
//!
//! It trains an image embedding by metric learning, shows what the embedding learned, and puts it to use.
//!
//! Data flow one way, and the modules stand in that order; each uses only those before it:
//!
//! 1. [`images`], [`identity`], [`sample`], [`distance`], [`rng`], [`files`], [`guard`], [`limits`], [`suggest`], [`text`], [`names`], [`own`]: the
//!    shared vocabulary.
//! 2. [`data`]: where images come from.
//! 3. [`model`]: what a network is, and the files that hold one.
//! 4. [`engine`]: runs a network forward and backward.
//! 5. [`encoder`]: whatever makes a vector of a picture.
//! 6. [`gallery`]: embedded images, kept.
//! 7. [`neighbours`]: who is nearest to whom, exactly.
//! 8. [`projection`]: few dimensions out of many.
//! 9. [`mining`]: which pairs and triplets a loss looks at.
//! 10. [`loss`]: formulas over distances.
//! 11. [`train`]: the loop, its settings, its observers, the run folder.
//! 12. [`eval`]: how good an embedding is, by the field's own rules.
//! 13. [`tasks`]: questions and answers, how an embedding is used.
//! 14. [`tune`]: which loss, with which values.
//! 15. [`report`]: figures and the page.
//!
//! # Shapes
//!
//! Images are `n x h x w x c` bytes and embeddings `n x d` floats, row-major. Labels are `n` numbers, each an index into
//! the class names. A distance is smaller when nearer. Accuracy, recall and their kin are fractions from 0 to 1.

#![forbid(unsafe_code)]

pub mod distance;
pub mod files;
pub mod guard;
pub mod identity;
pub mod images;
pub mod limits;
pub mod names;
mod npy;
pub mod own;
pub mod rng;
pub mod sample;
#[cfg(feature = "schema")]
mod schema;
pub mod suggest;
pub mod text;

pub mod data;
pub mod model;

pub mod engine;

pub mod encoder;

pub mod gallery;

pub mod neighbours;

pub mod projection;

pub mod mining;

pub mod loss;

pub mod train;

pub mod eval;

pub mod tasks;

pub mod tune;

#[cfg(feature = "report")]
pub mod report;
