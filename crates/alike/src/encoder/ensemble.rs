//! Several encoders, whose embeddings are concatenated.

use super::mirrored::MIRRORED;
use super::{Encoder, EncoderError, EncoderFacts};
use crate::engine::PixelGradients;
use crate::images::{Features, Images};

/// An ensemble: concatenates the embeddings of its members, each divided by the square root of their number, so that vectors of length 1
/// make one of length 1.
pub struct Ensemble {
    members: Vec<Box<dyn Encoder>>,
    facts: EncoderFacts,
}

impl Ensemble {
    /// All members take the same images.
    ///
    /// # Errors
    ///
    /// If there is none, or they prepare pictures in different ways.
    pub fn new(members: Vec<Box<dyn Encoder>>) -> Result<Ensemble, EncoderError> {
        let first = members.first().ok_or(EncoderError::Empty)?.facts().clone();
        for (i, member) in members.iter().enumerate() {
            let its = member.facts().preparation;
            if its != first.preparation {
                let (first, its) = (Box::new(first.preparation), Box::new(its));
                return Err(EncoderError::Preparation { member: i + 1, first, its });
            }
        }
        let each = || members.iter().map(|m| m.facts());
        // Where all are mirrored, that is said once.
        let bare: Option<Vec<&str>> = each().map(|f| f.fingerprint.strip_suffix(MIRRORED)).collect();
        let fingerprint = match bare {
            Some(bare) => format!("{}{MIRRORED}", bare.join("+")),
            None => each().map(|f| f.fingerprint.as_str()).collect::<Vec<_>>().join("+"),
        };
        let facts = EncoderFacts {
            dimension: each().map(|f| f.dimension).sum(),
            unit_length: each().all(|f| f.unit_length),
            fingerprint,
            preparation: first.preparation,
        };
        Ok(Ensemble { members, facts })
    }
}

impl Encoder for Ensemble {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        let mut parts = self.members.iter().map(|m| m.embed(images)).collect::<Result<Vec<_>, _>>()?;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let scale = 1.0 / (parts.len() as f32).sqrt();
        let mut data = Vec::with_capacity(images.len() * self.facts.dimension);
        for i in 0..images.len() {
            parts.iter().for_each(|p| data.extend(p.row(i).iter().map(|v| v * scale)));
        }
        Ok(Features::new(self.facts.dimension, data))
    }

    fn pixel_gradients(&self) -> Option<PixelGradients> {
        match &self.members[..] {
            [one] => one.pixel_gradients(),
            _ => None,
        }
    }
}
