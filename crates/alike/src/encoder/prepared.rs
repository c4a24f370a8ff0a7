//! An encoder whose pictures are prepared in another way than it says itself.

use super::{Encoder, EncoderError, EncoderFacts};
use crate::data::Preparation;
use crate::engine::PixelGradients;
use crate::images::{Features, Images};

/// An encoder that takes pictures prepared in another way than it says itself: another part of each, say.
#[derive(Debug)]
pub struct Prepared<E> {
    encoder: E,
    facts: EncoderFacts,
}

impl<E: Encoder> Prepared<E> {
    /// The same encoder, for pictures that are prepared so. Its fingerprint is another where the preparation is.
    ///
    /// # Errors
    ///
    /// If the preparation makes images of another shape than the encoder takes.
    pub fn new(encoder: E, preparation: Preparation) -> Result<Prepared<E>, EncoderError> {
        let own = encoder.facts();
        let (takes, got) = (own.preparation.shape, preparation.shape);
        if takes != got {
            return Err(EncoderError::Shape { takes, got });
        }
        let fingerprint = if preparation == own.preparation {
            own.fingerprint.clone()
        } else {
            format!("{} of {preparation}", own.fingerprint)
        };
        let facts = EncoderFacts { preparation, fingerprint, ..own.clone() };
        Ok(Prepared { encoder, facts })
    }
}

impl<E: Encoder> Encoder for Prepared<E> {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        self.encoder.embed(images)
    }

    fn base(&self) -> Option<&dyn Encoder> {
        self.encoder.base()
    }

    fn pixel_gradients(&self) -> Option<PixelGradients> {
        self.encoder.pixel_gradients()
    }
}
