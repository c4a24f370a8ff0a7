//! The circle loss.

use super::math::{log_sum_exp, sigmoid, softplus};
use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `softplus(lse_p(-gamma max(0, 1 + m - s) (s - 1 + m)) + lse_n(gamma max(0, s + m) (s - m)))` with `s = 1 - d` a cosine;
/// the factors in `max` are weights and have no gradient (Sun et al. 2020, <https://arxiv.org/abs/2002.10857>, equation 6).
///
/// Weighs each pair by how far it is from its optimum. Papers use m = 0.25, gamma = 256 for faces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Circle {
    /// How relaxed the boundary is.
    pub m: f64,
    /// The largest scale of a similarity.
    pub gamma: f64,
}

impl Default for Circle {
    fn default() -> Circle {
        Circle { m: 0.4, gamma: 80.0 }
    }
}

impl LossFunction for Circle {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::NonZero,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::finite("m", self.m), Parameter::positive("gamma", self.gamma)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for Circle {
    fn once(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let Circle { m, gamma } = *self;
        if row.positives.is_empty() || row.negatives.is_empty() {
            out.element(0, 0.0);
            return;
        }
        // Each logit's derivative by the distance, and the logit.
        let pull = |p: &u32| {
            let (s, derivative) = (1.0 - row.d(*p), gamma * (m + row.d(*p)).max(0.0));
            (derivative, -derivative * (s - 1.0 + m))
        };
        let push = |n: &u32| {
            let s = 1.0 - row.d(*n);
            let derivative = gamma * (s + m).max(0.0);
            (-derivative, derivative * (s - m))
        };
        let pulls = log_sum_exp(row.positives.iter().map(|p| pull(p).1), false);
        let pushes = log_sum_exp(row.negatives.iter().map(|n| push(n).1), false);
        let weight = out.element(0, softplus(pulls + pushes)) * sigmoid(pulls + pushes);
        if weight == 0.0 {
            return;
        }
        for p in row.positives {
            let (derivative, logit) = pull(p);
            out.add_gradient(*p, weight * derivative * (logit - pulls).exp());
        }
        for n in row.negatives {
            let (derivative, logit) = push(n);
            out.add_gradient(*n, weight * derivative * (logit - pushes).exp());
        }
    }
}
