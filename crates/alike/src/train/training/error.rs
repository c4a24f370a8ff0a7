//! Why a run cannot begin or go on.

use crate::data::ClassError;
use crate::files::FileError;
use crate::loss::ObjectiveError;
use crate::model::NetworkError;
use crate::train::{IdentityError, PatchesError, RunError, SamplerError, SettingsError, WhitenError};

/// A run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting is impossible.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A class to be excluded does not exist.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The network does not fit the images.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The network cannot begin as it was asked to.
    #[error(transparent)]
    Whiten(#[from] WhitenError),
    /// The network's first filters cannot be patches of the images.
    #[error(transparent)]
    Patches(#[from] PatchesError),
    /// The network cannot begin as the identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No triplets can be drawn.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The instructions that were asked for are not to be had.
    #[error(transparent)]
    Tier(#[from] alike_kernels::TierError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Losses, miner and the rest do not go together.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// A batch cannot be filled.
    #[error(
        "a batch of {batch} is more than the {anchors} training images; lower --batch-size to at most {anchors}"
    )]
    BatchTooLarge {
        /// What was asked for.
        batch: usize,
        /// What is there.
        anchors: usize,
    },
    /// The loss became NaN or infinite.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; the last good checkpoint is kept. Lower --learning-rate, \
         or check the images for what is unlike the rest"
    )]
    NotFinite {
        /// The value.
        loss: f64,
        /// Counted from 1.
        epoch: u64,
        /// Within the epoch, counted from 1.
        step: u64,
    },
    /// The weights became NaN or infinite, though the losses did not.
    #[error(
        "weights became infinite or NaN in epoch {epoch}; the last good checkpoint is kept. Lower --learning-rate, or check \
         the images for what is unlike the rest"
    )]
    WeightsNotFinite {
        /// Counted from 1.
        epoch: u64,
    },
    /// There is nothing to tell apart.
    #[error(
        "{name} has {} to be trained on; without two there is nothing to tell apart. Give --self-supervised with a loss such as \
         nt-xent and an --augment, or leave --recipe out, which finds all three",
        if *labelled { "images of fewer than two classes" } else { "no classes" }
    )]
    OneClass {
        /// The data set.
        name: String,
        /// Whether images have classes.
        labelled: bool,
    },
    /// An image could not be read.
    #[error(transparent)]
    Images(#[from] FileError),
    /// A checkpoint is not one of this run.
    #[error("this checkpoint cannot be continued: {0}")]
    Resume(String),
    /// Something that watches the run failed.
    #[error("{0}")]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}
