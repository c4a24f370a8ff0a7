//! Explanation: which pixels the distance of two pictures hangs on.

use super::{Model, TaskError};
use crate::data::Dataset;
use crate::eval::{Masking, Saliency, saliency};
use serde::Serialize;

/// Which pixels a distance hangs on.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainAnswer {
    /// The Euclidean distance of the two embeddings.
    pub distance: f64,
    /// How much the distance changes where pixels are painted over.
    pub masking: Masking,
    /// By picture and pixel: how much the distance hangs on it.
    #[serde(skip)]
    pub saliency: Saliency,
}

/// Explains the distance of the two pictures of `two`; `seed` draws the pixels that salient ones are compared with.
///
/// # Errors
///
/// If the encoder has no gradient by pixels: an ensemble, or one with mirror images.
pub fn explain(model: &Model, two: &Dataset, seed: u64) -> Result<ExplainAnswer, TaskError> {
    let mut network = model.encoder().pixel_gradients().ok_or(TaskError::NoGradients)?;
    let images = &two.train.images;
    let saliency = saliency(&mut network, [(images, 0), (images, 1)], seed);
    Ok(ExplainAnswer { distance: saliency.distance, masking: saliency.masking, saliency })
}
