//! The large-margin softmax loss.

use super::cosine_softmax::Scale;
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Cross-entropy over inner products, the target's angle multiplied (Liu et al. 2016, <https://arxiv.org/abs/1612.02295>,
/// equations 4 to 7).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LargeMarginSoftmax {
    /// What the angle is multiplied by.
    pub margin: u32,
    /// What logits are multiplied by.
    pub scale: f64,
}

impl Default for LargeMarginSoftmax {
    fn default() -> LargeMarginSoftmax {
        LargeMarginSoftmax { margin: 4, scale: 1.0 }
    }
}

impl LossFunction for LargeMarginSoftmax {
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
        evaluation.cosine_softmax(Scale::Lengths { scale: self.scale, proxies: true }, &|cos| {
            target(self.margin, cos)
        })
    }
}

/// The largest factor of an angle.
pub(super) const MOST_MARGIN: u32 = 16;

/// `(-1)^k cos(m angle) - 2k` for the `k` that makes it fall all the way, and its derivative by the cosine.
pub(super) fn target(margin: u32, cos: f64) -> (f64, f64) {
    let m = f64::from(margin);
    let angle = cos.clamp(-1.0, 1.0).acos();
    let k = (angle * m / std::f64::consts::PI).floor();
    let sign = if k % 2.0 == 0.0 { 1.0 } else { -1.0 };
    // At the ends the quotient of sines tends to the margin.
    let ratio = if angle.sin() > 1e-6 { (m * angle).sin() / angle.sin() } else { m };
    (sign * (m * angle).cos() - 2.0 * k, sign * m * ratio)
}
