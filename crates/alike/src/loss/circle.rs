//! The circle loss.

use super::math::{log_sum_exp, sigmoid, softplus};
use super::row::{Row, RowLoss, RowOut};
use serde::{Deserialize, Serialize};

/// `softplus(lse_p(-gamma max(0, 1 + m - s) (s - 1 + m)) + lse_n(gamma max(0, s + m) (s - m)))` with `s = 1 - d` a cosine;
/// the factors in `max` are weights and have no slope (Sun et al. 2020, <https://arxiv.org/abs/2002.10857>, equation 6).
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
        // Each logit's slope by the distance, and the logit.
        let pull = |p: &u32| {
            let (s, slope) = (1.0 - row.d(*p), gamma * (m + row.d(*p)).max(0.0));
            (slope, -slope * (s - 1.0 + m))
        };
        let push = |n: &u32| {
            let s = 1.0 - row.d(*n);
            let slope = gamma * (s + m).max(0.0);
            (-slope, slope * (s - m))
        };
        let pulls = log_sum_exp(row.positives.iter().map(|p| pull(p).1), false);
        let pushes = log_sum_exp(row.negatives.iter().map(|n| push(n).1), false);
        let weight = out.element(0, softplus(pulls + pushes)) * sigmoid(pulls + pushes);
        if weight == 0.0 {
            return;
        }
        for p in row.positives {
            let (slope, logit) = pull(p);
            out.slope(*p, weight * slope * (logit - pulls).exp());
        }
        for n in row.negatives {
            let (slope, logit) = push(n);
            out.slope(*n, weight * slope * (logit - pushes).exp());
        }
    }
}
