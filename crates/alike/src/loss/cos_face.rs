//! CosFace.

use super::cosine_softmax::Scale;
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Cross-entropy over `scale cos`, the target's cosine lowered by a margin (Wang et al. 2018, <https://arxiv.org/abs/1801.09414>,
/// equation 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CosFace {
    /// A difference of cosines.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
}

impl Default for CosFace {
    fn default() -> CosFace {
        CosFace { margin: 0.35, scale: 64.0 }
    }
}

impl LossFunction for CosFace {
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
        vec![Parameter::finite("margin", self.margin), Parameter::positive("scale", self.scale)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.cosine_softmax(Scale::Fixed(self.scale), &|cos| (cos - self.margin, 1.0))
    }
}
