//! The normalised softmax loss.

use super::cosine_softmax::Scale;
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
}

impl Default for NormalizedSoftmax {
    fn default() -> NormalizedSoftmax {
        NormalizedSoftmax { temperature: 0.05 }
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
        vec![Parameter::positive("temperature", self.temperature)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.cosine_softmax(Scale::Fixed(1.0 / self.temperature), &|cos| (cos, 1.0))
    }
}
