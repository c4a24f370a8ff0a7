//! Explanation: which pixels the distance of two pictures depends on.

use super::{Model, TaskError};
use crate::data::Dataset;
use crate::eval::{Saliency, saliency};

/// Explains the distance of the two pictures of `two`; `seed` draws the pixels that salient ones are compared with.
///
/// # Errors
///
/// If the encoder has no gradient by pixels: an ensemble, or one with mirror images.
pub fn explain(model: &Model, two: &Dataset, seed: u64) -> Result<Saliency, TaskError> {
    let mut network = model.encoder().pixel_gradients().ok_or(TaskError::NoGradients)?;
    let images = &two.train.images;
    Ok(saliency(&mut network, [(images, 0), (images, 1)], seed)?)
}
