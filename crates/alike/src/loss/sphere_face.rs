//! SphereFace.

use super::cosine_softmax::Scale;
use super::large_margin_softmax::{MOST_MARGIN, target};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// [`LargeMarginSoftmax`](super::LargeMarginSoftmax) with proxies of length 1 (Liu et al. 2017, <https://arxiv.org/abs/1704.08063>,
/// equation 7).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SphereFace {
    /// What the angle is multiplied by.
    pub margin: u32,
    /// What logits are multiplied by.
    pub scale: f64,
}

impl Default for SphereFace {
    fn default() -> SphereFace {
        SphereFace { margin: 4, scale: 1.0 }
    }
}

impl LossFunction for SphereFace {
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
            Parameter::whole("margin", self.margin, 1, MOST_MARGIN),
            Parameter::positive("scale", self.scale),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.cosine_softmax(Scale::Lengths { scale: self.scale, proxies: false }, &|cos| {
            target(self.margin, cos)
        })
    }
}
