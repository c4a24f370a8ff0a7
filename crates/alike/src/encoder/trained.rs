//! A trained network.

use super::{Encoder, EncoderError, EncoderFacts, check_shape};
use crate::engine::{Inference, PixelGradients};
use crate::images::{Features, Images};
use crate::model::{Checkpoint, Layer};
use alike_kernels::{Tier, TierError};

/// The network of a checkpoint.
#[derive(Debug)]
pub struct TrainedNetwork {
    facts: EncoderFacts,
    checkpoint: Checkpoint,
    inference: Inference,
}

impl TrainedNetwork {
    /// Packs the checkpoint's weights for this machine.
    ///
    /// # Errors
    ///
    /// If `ALIKE_SIMD` names instructions that this machine does not have.
    pub fn new(checkpoint: Checkpoint) -> Result<TrainedNetwork, TierError> {
        let network = &checkpoint.network;
        let inference = Inference::new(network, &checkpoint.parameters, Tier::from_env()?);
        let facts = EncoderFacts {
            preparation: checkpoint.preparation,
            dimension: network.embedding(),
            unit_length: network.spec().layers.last() == Some(&Layer::L2),
            fingerprint: checkpoint.fingerprint(),
        };
        Ok(TrainedNetwork { facts, checkpoint, inference })
    }

    /// The network and its weights.
    pub fn into_checkpoint(self) -> Checkpoint {
        self.checkpoint
    }
}

impl Encoder for TrainedNetwork {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        check_shape(&self.facts, images)?;
        Ok(self.inference.embed(images)?)
    }

    fn pixel_gradients(&self) -> Option<PixelGradients> {
        let Checkpoint { network, parameters, .. } = &self.checkpoint;
        Some(PixelGradients::new(network, parameters, self.inference.tier()))
    }
}
