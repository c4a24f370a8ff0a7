//! A model on images without classes: nothing can be right or wrong, and yet there is something to see.

use super::TaskError;
use super::subject::{Opened, TrainingRecord};
use crate::data::Dataset;
use crate::eval::{ConsistencyAnswer, ConsistencyOptions, consistency_protocol};
use crate::images::Features;

/// A model with its embeddings of images that have no classes: what pages are made from.
#[derive(Clone, Debug)]
pub struct Unjudged {
    /// How it was trained; nothing where it was not trained here.
    pub training: Option<TrainingRecord>,
    /// Embeddings of the images.
    pub features: Features,
    /// How often an image finds what was made of itself.
    pub consistency: ConsistencyAnswer,
}

impl Opened {
    /// How consistency is measured: by the views that it was trained on, where it was trained on views.
    pub fn consistency_options(&self, seed: u64) -> ConsistencyOptions {
        let usual = ConsistencyOptions { seed, ..ConsistencyOptions::default() };
        match self.settings() {
            Some(s) if s.self_supervised => ConsistencyOptions { augment: s.augment, ..usual },
            _ => usual,
        }
    }

    /// Embeds the images of a data set without classes, and looks whether each finds what was made of itself.
    ///
    /// # Errors
    ///
    /// If an image cannot be read, or there are fewer than two.
    pub fn unjudged(self, data: &Dataset, seed: u64) -> Result<Unjudged, TaskError> {
        let options = self.consistency_options(seed);
        self.with_encoder(|encoder| {
            let features = encoder.embed(&data.train.images)?;
            let consistency = consistency_protocol(encoder, data, &options)?;
            Ok((features, consistency))
        })
        .map(|((features, consistency), training)| Unjudged { training, features, consistency })
    }
}
