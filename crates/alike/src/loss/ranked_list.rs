//! The ranked list loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Positives farther than `alpha - margin` and negatives nearer than `alpha`, each list weighted by `exp(T violation)`
/// (Wang et al. 2019, <https://arxiv.org/abs/1903.03238>, equations 4 to 8; margin, alpha and tn as in their section 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RankedList {
    /// Between positives and negatives.
    pub margin: f64,
    /// How far negatives should be at least.
    pub alpha: f64,
    /// The negatives' part of the loss.
    pub imbalance: f64,
    /// The weight of positives grows with their violation by this.
    pub tp: f64,
    /// The weight of negatives grows with their violation by this.
    pub tn: f64,
}

impl Default for RankedList {
    fn default() -> RankedList {
        RankedList { margin: 0.4, alpha: 1.2, imbalance: 0.5, tp: 0.0, tn: 10.0 }
    }
}

impl LossFunction for RankedList {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: false,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("margin", self.margin),
            Parameter::positive("alpha", self.alpha),
            Parameter::finite("imbalance", self.imbalance),
            Parameter::finite("tp", self.tp),
            Parameter::finite("tn", self.tn),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RankedList {
    /// A list's weighted mean violation, and the sum of weights. Both weights and their sum are divided by the largest one,
    /// `exp(T most)`, which may overflow; `most` is returned instead.
    fn list(violations: impl Iterator<Item = f64> + Clone, temperature: f64, m: usize) -> (f64, f64, f64) {
        let most = violations.clone().fold(0.0, f64::max);
        let weight = |v: f64| (temperature * (v - most)).exp();
        // Every reference adds this to the divisor, violated or not, as in the reference library.
        let total =
            violations.clone().map(weight).sum::<f64>() + 1e-5 * m as f64 * (-temperature * most).exp();
        let sum = violations.map(|v| weight(v) * v).sum::<f64>();
        (if sum == 0.0 { 0.0 } else { sum / total }, total, most)
    }
}

impl RowLoss for RankedList {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let RankedList { margin, alpha, imbalance, tp, tn } = *self;
        let m = row.distances.len();
        let far = |p: &u32| Some(row.d(*p) - (alpha - margin)).filter(|v| *v > 0.0);
        let near = |n: &u32| Some(alpha - row.d(*n)).filter(|v| *v > 0.0);
        let (pull, pulls, farthest) = RankedList::list(row.positives.iter().filter_map(far), tp, m);
        let (push, pushes, nearest) = RankedList::list(row.negatives.iter().filter_map(near), tn, m);
        let weight = out.element(0, (1.0 - imbalance) * pull + imbalance * push);
        if weight == 0.0 {
            return;
        }
        for (j, v) in row.positives.iter().filter_map(|p| Some((*p, far(p)?))) {
            let share = (tp * (v - farthest)).exp() * (1.0 + tp * (v - pull)) / pulls;
            out.add_gradient(j, weight * (1.0 - imbalance) * share);
        }
        for (j, v) in row.negatives.iter().filter_map(|n| Some((*n, near(n)?))) {
            let share = (tn * (v - nearest)).exp() * (1.0 + tn * (v - push)) / pushes;
            out.add_gradient(j, -weight * imbalance * share);
        }
    }
}
