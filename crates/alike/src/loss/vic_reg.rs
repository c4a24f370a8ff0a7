//! VICReg.

use super::{Batch, Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Variance, invariance and covariance of two views of each image, without labels or negatives (Bardes et al. 2022,
/// <https://arxiv.org/abs/2105.04906>, equation 6). Cannot collapse: each coordinate must vary over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct VicReg {
    /// The weight of the difference between views.
    pub invariance_lambda: f64,
    /// The weight of too small deviations.
    pub variance_mu: f64,
    /// The weight of covariances.
    pub covariance_v: f64,
    /// Added to variances.
    pub eps: f64,
}

impl Default for VicReg {
    fn default() -> VicReg {
        VicReg { invariance_lambda: 25.0, variance_mu: 25.0, covariance_v: 1.0, eps: 1e-4 }
    }
}

impl LossFunction for VicReg {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: false,
            memory: false,
            views: true,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("invariance-lambda", self.invariance_lambda),
            Parameter::finite("variance-mu", self.variance_mu),
            Parameter::finite("covariance-v", self.covariance_v),
            Parameter::finite("eps", self.eps),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let Batch { embeddings, d, .. } = evaluation.batch;
        let gradient = &mut *evaluation.gradients.embeddings;
        let half = embeddings.len() / 2;
        let (a, b) = embeddings.split_at(half);
        let (da, db) = gradient.split_at_mut(half);
        let value = self.loss(a, b, d, evaluation.weight, [da, db]);
        LossReport { loss: evaluation.weight * value, active: 1.0, ..LossReport::default() }
    }
}

impl VicReg {
    /// The loss of views `a` and `b`, `n x d` each, and its gradients, added `weight` times.
    fn loss(&self, a: &[f32], b: &[f32], d: usize, weight: f64, into: [&mut [f32]; 2]) -> f64 {
        let n = a.len() / d;
        if n < 2 {
            return 0.0;
        }
        let count = n as f64;
        let [da, db] = into;
        let share = self.invariance_lambda / (count * d as f64);
        let mut value = 0.0;
        for ((x, y), (gx, gy)) in a.iter().zip(b).zip(da.iter_mut().zip(db.iter_mut())) {
            let difference = f64::from(*x) - f64::from(*y);
            value += share * difference * difference;
            let g = (2.0 * weight * share * difference) as f32;
            *gx += g;
            *gy -= g;
        }
        value + self.one(a, d, weight, da) + self.one(b, d, weight, db)
    }

    /// Variance and covariance of one view.
    fn one(&self, x: &[f32], d: usize, weight: f64, into: &mut [f32]) -> f64 {
        let n = (x.len() / d) as f64;
        let mean: Vec<f64> =
            (0..d).map(|k| x.iter().skip(k).step_by(d).map(|v| f64::from(*v)).sum::<f64>() / n).collect();
        let centred = nalgebra::DMatrix::from_fn(x.len() / d, d, |i, k| f64::from(x[i * d + k]) - mean[k]);
        let covariance = centred.tr_mul(&centred) / (n - 1.0);
        let mut value = 0.0;
        // The gradient by the covariance matrix, then by the centred vectors.
        let mut by_covariance = nalgebra::DMatrix::zeros(d, d);
        for j in 0..d {
            let deviation = (covariance[(j, j)] + self.eps).sqrt();
            let short = self.variance_mu / (2.0 * d as f64);
            if deviation < 1.0 {
                value += short * (1.0 - deviation);
                by_covariance[(j, j)] -= short / (2.0 * deviation);
            }
            for k in (0..d).filter(|k| *k != j) {
                value += self.covariance_v * covariance[(j, k)].powi(2) / d as f64;
                by_covariance[(j, k)] += 2.0 * self.covariance_v * covariance[(j, k)] / d as f64;
            }
        }
        let gradient = (&centred * (&by_covariance + by_covariance.transpose())) * (weight / (n - 1.0));
        // Centring has no part in it: the columns of the centred vectors, and so of this gradient, sum to zero.
        for (i, row) in into.chunks_exact_mut(d).enumerate() {
            row.iter_mut().enumerate().for_each(|(k, g)| *g += gradient[(i, k)] as f32);
        }
        value
    }
}
