//! What watches a training run: progress bars, records, validation.

use super::{EmbeddingHealth, TrainError, Training};
use crate::loss::LossReport;
use serde::{Deserialize, Serialize};

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Counted from 1.
    pub epoch: u64,
    /// Within the epoch, counted from 1.
    pub step: u64,
    /// Steps in an epoch.
    pub steps: u64,
    /// What the batch came to.
    pub loss: LossReport,
    /// Images that went through the network, forward and backward.
    pub images: u64,
}

/// An epoch that ended: means over its steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: u64,
    /// Steps since the run began.
    pub step: u64,
    /// The mean loss.
    pub loss: f64,
    /// The mean share of the loss's elements that are not zero.
    pub active: f64,
    /// The mean distance of positive pairs.
    pub d_ap: f64,
    /// The mean distance of negative pairs.
    pub d_an: f64,
    /// What the last batch's embeddings look like.
    #[serde(default)]
    pub health: EmbeddingHealth,
    /// Accuracy on the validation part, if there is one: 1-NN against what is trained on.
    pub validation: Option<f64>,
}

/// What an observer sees at an epoch's end, or when the run is stopped between.
#[derive(Debug)]
pub struct View<'a> {
    /// The run as it stands.
    pub training: &'a mut Training,
    /// The epoch, which observers may add to; nothing when the run is stopped within one.
    pub epoch: Option<&'a mut EpochReport>,
    /// What observers keep from one session of the run to the next, saved in the checkpoint.
    pub notes: &'a mut serde_json::Map<String, serde_json::Value>,
}

/// Watches a run. Observers are called in order, so that one sees what those before it added; the loop calls them from
/// whichever thread it runs on.
pub trait Observer: Send {
    /// After every step.
    ///
    /// # Errors
    ///
    /// Ends the run.
    fn step(&mut self, _step: &StepReport) -> Result<(), TrainError> {
        Ok(())
    }

    /// At an epoch's end, and when the run is stopped within one.
    ///
    /// # Errors
    ///
    /// Ends the run.
    fn pause(&mut self, _view: &mut View<'_>) -> Result<(), TrainError> {
        Ok(())
    }
}
