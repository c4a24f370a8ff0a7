//! Explanation: which pixels the distance of two pictures depends on.

use super::{Model, TaskError};
use crate::data::Dataset;
use crate::eval::{Saliency, occlusion, saliency};

/// Explains the distance of the two pictures of `two`; `seed` draws the pixels that salient ones are compared with. An encoder without
/// a gradient by pixels is asked again and again, with parts of the pictures covered.
///
/// # Errors
///
/// If the pictures cannot be embedded, or are features, which have no pixels.
pub fn explain(model: &Model, two: &Dataset, seed: u64) -> Result<Saliency, TaskError> {
    let images = &two.train.images;
    let pair = [(images, 0), (images, 1)];
    match model.encoder().pixel_gradients() {
        Some(mut network) => Ok(saliency(&mut network, pair, seed)?),
        None if images.are_floats() => Err(TaskError::NoPixels),
        None => Ok(occlusion(model.encoder(), pair, seed)?),
    }
}
