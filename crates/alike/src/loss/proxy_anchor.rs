//! The proxy anchor loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Each class has a learned proxy, whose references are the images of the batch. The sum over proxies of
/// `log(1 + sum_p exp(alpha (margin - s)))`, divided by the number of classes present, plus that of
/// `log(1 + sum_n exp(alpha (s + margin)))`, divided by the number of all classes (Kim et al. 2020, <https://arxiv.org/abs/2003.13911>,
/// equation 4), `s` a cosine.
///
/// Converges fast: every image meets every class at every step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProxyAnchor {
    /// A difference of cosines.
    pub margin: f64,
    /// How sharply hard images are preferred.
    pub alpha: f64,
}

impl Default for ProxyAnchor {
    fn default() -> ProxyAnchor {
        ProxyAnchor { margin: 0.1, alpha: 32.0 }
    }
}

impl LossFunction for ProxyAnchor {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Divisor,
            elements: Elements::Anchors,
            proxies: Some(1),
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::finite("margin", self.margin), Parameter::positive("alpha", self.alpha)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let batch = evaluation.batch;
        let weights = batch.tuples.weights(batch.len(), false);
        let present: std::collections::HashSet<u32> = batch.labels.iter().copied().collect();
        let classes = [present.len(), evaluation.classes()];
        evaluation.proxies_over_batch(&Weighted { loss: *self, weights: &weights, classes })
    }
}

/// The loss with how much each image of the batch counts.
#[derive(Debug)]
pub(super) struct Weighted<'a> {
    pub(super) loss: ProxyAnchor,
    pub(super) weights: &'a [f64],
    /// Classes that the batch has images of, and all classes.
    pub(super) classes: [usize; 2],
}

impl RowLoss for Weighted<'_> {
    fn terms(&self) -> usize {
        2
    }

    fn names_divisor(&self) -> bool {
        true
    }

    fn divisors(&self) -> Option<[f64; 2]> {
        Some(self.classes.map(|n| n as f64))
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let ProxyAnchor { margin, alpha } = self.loss;
        let less = |j: &u32| self.weights[*j as usize] - 1.0;
        let pull = |p: &u32| alpha * (row.d(*p) - 1.0 + margin) + less(p);
        let push = |n: &u32| alpha * (1.0 - row.d(*n) + margin) + less(n);
        let pulls = out.log_sum_exp(0, row.positives.iter().map(pull), true);
        let pushes = out.log_sum_exp(1, row.negatives.iter().map(push), true);
        out.divide_by(0, if row.positives.is_empty() { 0.0 } else { 1.0 });
        out.divide_by(1, 1.0);
        let weight = alpha * out.element(0, pulls);
        out.add_gradient_by_share(0, row.positives, weight);
        let weight = alpha * out.element(1, pushes);
        out.add_gradient_by_share(1, row.negatives, -weight);
    }
}
