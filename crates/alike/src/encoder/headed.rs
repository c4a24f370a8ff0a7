//! An encoder on top of another: a head that was trained here, over the embeddings of one that others trained.

use super::{Encoder, EncoderError, EncoderFacts};
use crate::data::{Augment, Dataset};
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

/// Pictures that are changed at a time.
const AT_ONCE: usize = 1024;

/// The embeddings of changed copies of the training pictures, for [`Dataset::views`]: `count` of each picture. They are the same for every seed of
/// a run, so that an encoder that keeps embeddings makes each once.
///
/// # Errors
///
/// As [`Encoder::embed`].
pub fn embedded_views(
    pictures: &Dataset,
    encoder: &dyn Encoder,
    augment: &Augment,
    count: usize,
) -> Result<Vec<Images>, EncoderError> {
    let images = &pictures.train.images;
    let view = |number: usize| {
        let mut data = Vec::new();
        for first in (0..images.len()).step_by(AT_ONCE) {
            let some: Vec<usize> = (first..images.len().min(first + AT_ONCE)).collect();
            let keys = &pictures.train.identities.keys()[first..][..some.len()];
            let changed = augment.changed(&images.select(&some), keys, number as u64 + 1)?;
            data.extend_from_slice(encoder.embed(&changed)?.data());
        }
        Ok(Images::from_features(encoder.facts().dimension, &data))
    };
    (0..count).map(view).collect()
}
