//! An encoder that sees each image and its mirror image.

use super::{Encoder, EncoderError, EncoderFacts};
use crate::images::{Features, Images};

/// Mirror images that are in memory at a time.
const AT_ONCE: usize = 1024;
/// What the fingerprint ends with.
pub(super) const MIRRORED: &str = " and mirrored";

/// The mean of the embeddings of an image and of its mirror image, scaled to length 1 where the encoder's embeddings are: what is usual for
/// faces, and for whatever else has no left and right.
#[derive(Debug)]
pub struct Mirrored<E> {
    encoder: E,
    facts: EncoderFacts,
}

impl<E: Encoder> Mirrored<E> {
    /// The same encoder with mirror images.
    pub fn new(encoder: E) -> Mirrored<E> {
        let facts = encoder.facts();
        let fingerprint = format!("{}{MIRRORED}", facts.fingerprint);
        let facts = EncoderFacts { fingerprint, ..facts.clone() };
        Mirrored { encoder, facts }
    }
}

impl<E: Encoder> Encoder for Mirrored<E> {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        let d = self.facts.dimension;
        let mut out = self.encoder.embed(images)?.into_data();
        for first in (0..images.len()).step_by(AT_ONCE) {
            let some: Vec<usize> = (first..images.len().min(first + AT_ONCE)).collect();
            let mirrored = self.encoder.embed(&images.select(&some).mirrored()?)?;
            for (row, other) in out[first * d..].chunks_exact_mut(d).zip(mirrored.rows()) {
                row.iter_mut().zip(other).for_each(|(a, b)| *a = 0.5 * (*a + b));
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                if self.facts.unit_length && length > 0.0 {
                    row.iter_mut().for_each(|x| *x /= length);
                }
            }
        }
        Ok(Features::new(d, out))
    }
}
