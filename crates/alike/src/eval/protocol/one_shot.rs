//! The one-shot runs of Lake et al. 2015 ("Human-level concept learning through probabilistic program induction"), in the layout of
//! Omniglot's `all_runs.zip`.

use super::{Played, ProtocolError};
use crate::data::OneShotRuns;
use crate::encoder::Encoder;
use crate::eval::{Accuracy, Episode};
use crate::images::{Vectors, with_pixels};
use serde::Serialize;
use std::path::Path;

/// Errors of one-shot classification.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OneShotAnswer {
    /// Mean error over runs, by pixels.
    pub image_error: Accuracy,
    /// Mean error over runs, by embeddings.
    pub feature_error: Accuracy,
    /// Every run.
    pub runs: Vec<OneShotRunError>,
    /// Classes of a run.
    #[serde(skip)]
    pub classes: usize,
    /// The runs as episodes, for figures.
    #[serde(skip)]
    pub played: Played,
}

/// The errors of a run, each from 0 to 1.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OneShotRunError {
    /// Its name.
    pub run: String,
    /// By pixels.
    pub image_error: f64,
    /// By embeddings.
    pub feature_error: f64,
}

/// Classifies every query of every run by the nearest of the images that stand for the classes. `path` is named in errors.
///
/// # Errors
///
/// If there is no run, or images cannot be read.
pub fn one_shot_protocol(
    encoder: &dyn Encoder,
    sets: &OneShotRuns,
    path: &Path,
) -> Result<OneShotAnswer, ProtocolError> {
    let images = &sets.data.train.images;
    let features = encoder.embed(images)?;
    let episode = |r: &crate::data::OneShotRun| Episode {
        support: r.support.iter().map(|i| vec![*i]).collect(),
        queries: r.queries.clone(),
    };
    let episodes: Vec<Episode> = sets.runs.iter().map(episode).collect();
    let Some(first) = episodes.first() else { return Err(ProtocolError::NoRuns(path.to_owned())) };
    let classes = first.support.len();
    let error = |vectors: Vectors<'_>| -> Vec<f64> {
        episodes.iter().map(|e| 1.0 - e.accuracy(vectors)[1]).collect()
    };
    let image = with_pixels([images], |[pixels]| error(pixels))?;
    let feature = error(Vectors::Features(&features));
    let runs = sets.runs.iter().zip(image.iter().zip(&feature));
    let runs =
        runs.map(|(r, (i, f))| OneShotRunError { run: r.name.clone(), image_error: *i, feature_error: *f });
    Ok(OneShotAnswer {
        image_error: Accuracy::of(&image),
        feature_error: Accuracy::of(&feature),
        runs: runs.collect(),
        classes,
        played: Played { episodes, features },
    })
}
