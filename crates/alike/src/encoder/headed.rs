//! An encoder on top of another: a head that was trained here, over the embeddings of one that others trained.

use super::{Encoder, EncoderError, EncoderFacts};
use crate::data::Dataset;
use crate::images::{Features, Images, Shape};

/// A head over the embeddings of another encoder.
#[derive(Debug)]
pub struct Headed<B, H> {
    base: B,
    head: H,
    facts: EncoderFacts,
}

impl<B: Encoder, H: Encoder> Headed<B, H> {
    /// Puts `head`, which takes features, on `base`.
    ///
    /// # Errors
    ///
    /// If the head takes other features than the base makes.
    pub fn new(base: B, head: H) -> Result<Headed<B, H>, EncoderError> {
        let (below, above) = (base.facts(), head.facts());
        let got = Shape { h: 1, w: 1, c: below.dimension };
        if above.preparation.shape != got {
            return Err(EncoderError::Shape { takes: above.preparation.shape, got });
        }
        let facts = EncoderFacts {
            preparation: below.preparation,
            fingerprint: format!("{} over {}", above.fingerprint, below.fingerprint),
            ..above.clone()
        };
        Ok(Headed { base, head, facts })
    }
}

impl<B: Encoder, H: Encoder> Encoder for Headed<B, H> {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn base(&self) -> Option<&dyn Encoder> {
        Some(&self.base)
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        let below = self.base.embed(images)?;
        self.head.embed(&Images::from_features(below.d(), below.data()))
    }
}

/// A data set with the embeddings of its images in their place: what a head is trained on.
///
/// # Errors
///
/// As [`Encoder::embed`].
pub fn embedded(data: &Dataset, encoder: &dyn Encoder) -> Result<Dataset, EncoderError> {
    data.with_images(&mut |images| {
        let features = encoder.embed(images)?;
        Ok(Images::from_features(features.d(), features.data()))
    })
}
