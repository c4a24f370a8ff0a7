//! The normalised softmax loss.

use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Cross-entropy over `cos / temperature` to a learned proxy per class (Zhai and Wu 2019, <https://arxiv.org/abs/1811.12649>).
///
/// The simplest loss with proxies, and hard to beat where every class has many images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NormalizedSoftmax {
    /// What cosines are divided by.
    pub temperature: f64,
    /// The part of each label that is spread evenly over all classes (Szegedy et al. 2016, <https://arxiv.org/abs/1512.00567>, section 7).
    pub smoothing: f64,
}

impl Default for NormalizedSoftmax {
    fn default() -> NormalizedSoftmax {
        NormalizedSoftmax { temperature: 0.05, smoothing: 0.0 }
    }
}

impl LossFunction for NormalizedSoftmax {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(1),
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::positive("temperature", self.temperature),
            Parameter::share("smoothing", self.smoothing),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.smoothed_softmax(1.0 / self.temperature, self.smoothing)
    }
}
