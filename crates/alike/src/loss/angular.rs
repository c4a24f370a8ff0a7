//! The angular loss.

use super::math::log_sum_exp;
use super::reduce::pair_counts;
use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// For each positive pair `log(1 + sum_n exp(4 tan^2(alpha) (a + p) . n - 2 (1 + tan^2(alpha)) a . p))`, all of length 1 (Wang
/// et al. 2017, <https://arxiv.org/abs/1708.01682>, equation 8).
///
/// The reference scales anchors and positives to length 1 but not negatives, so that its loss grows with theirs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Angular {
    /// In degrees: the angle at the negative that is allowed.
    pub alpha: f64,
}

impl Default for Angular {
    fn default() -> Angular {
        Angular { alpha: 40.0 }
    }
}

impl LossFunction for Angular {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Pairs,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: true,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::positive("alpha", self.alpha)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.whole(self)
    }
}

impl WholeLoss for Angular {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let tan2 = self.alpha.to_radians().tan().powi(2);
        let (by_negative, by_pair) = (4.0 * tan2, 2.0 * (1.0 + tan2));
        let within = all.batch.references.is_none();
        let labels = all.batch.references.as_ref().map_or(all.batch.labels, |r| r.labels);
        let mut any = false;
        all.each_row(|row| any |= !row.negatives.is_empty());
        if !any {
            return;
        }
        all.each_row(|row| {
            let a = row.anchor;
            for (p, pairs) in row.positives.iter().map(|p| *p as usize).zip(pair_counts(row.positives)) {
                let own = by_pair * (1.0 - all.d(a, p));
                // A positive outside the batch has no row; its cosines to others are not at hand.
                let partner = if within { p } else { a };
                let logit = |n: usize| by_negative * ((1.0 - all.d(a, n)) + (1.0 - all.d(partner, n))) - own;
                let others = || (0..all.m).filter(|n| labels[*n] != row.label);
                let sum = log_sum_exp(others().map(logit), true);
                let weight = out.element(0, sum, row.label, pairs);
                if weight == 0.0 {
                    continue;
                }
                let mut total = 0.0;
                for n in others() {
                    let share = weight * (logit(n) - sum).exp();
                    out.add_gradient(a, n, -share * by_negative);
                    out.add_gradient(partner, n, -share * by_negative);
                    total += share;
                }
                out.add_gradient(a, p, total * by_pair);
            }
        });
    }
}
