//! ArcFace.

use super::cosine_softmax::Scale;
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Cross-entropy over `scale cos`, the target's angle widened by a margin (Deng et al. 2019, <https://arxiv.org/abs/1801.07698>,
/// equation 3). The usual choice for faces: many classes of few images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArcFace {
    /// In degrees.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
}

impl Default for ArcFace {
    fn default() -> ArcFace {
        ArcFace { margin: 28.6, scale: 64.0 }
    }
}

impl LossFunction for ArcFace {
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
        evaluation.cosine_softmax(Scale::Fixed(self.scale), &|cos| self.target(cos))
    }
}

impl ArcFace {
    /// The target's cosine with the margin, and its derivative.
    pub(super) fn target(&self, cos: f64) -> (f64, f64) {
        let margin = self.margin.to_radians();
        let angle = cos.clamp(-1.0, 1.0).acos();
        if angle > std::f64::consts::PI - margin {
            // Beyond half a turn the cosine would rise again.
            return (cos - margin * margin.sin(), 1.0);
        }
        ((angle + margin).cos(), (angle + margin).sin() / angle.sin().max(1e-6))
    }
}
