//! The lifted structure loss.

use super::math::log_sum_exp;
use super::reduce::pair_counts;
use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// For each positive pair `max(0, d - pos_margin + lse(neg_margin - d_n))^2 / 2`, over the negatives of both its images (Song
/// et al. 2016, <https://arxiv.org/abs/1511.06452>, equation 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LiftedStructure {
    /// Added for negatives.
    pub neg_margin: f64,
    /// Taken off for positives.
    pub pos_margin: f64,
}

impl Default for LiftedStructure {
    fn default() -> LiftedStructure {
        LiftedStructure { neg_margin: 1.0, pos_margin: 0.0 }
    }
}

impl LossFunction for LiftedStructure {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
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
        vec![
            Parameter::finite("neg-margin", self.neg_margin),
            Parameter::finite("pos-margin", self.pos_margin),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.whole(self)
    }
}

impl WholeLoss for LiftedStructure {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let negatives = all.negatives();
        if negatives.iter().all(Vec::is_empty) {
            return;
        }
        all.each_row(|row| {
            let a = row.anchor;
            for (p, pairs) in row.positives.iter().map(|p| *p as usize).zip(pair_counts(row.positives)) {
                // References outside the batch are no anchors and have no negatives of their own.
                let partner = (all.batch.references.is_none() && p != a).then_some(p);
                let both = || {
                    [Some(a), partner]
                        .into_iter()
                        .flatten()
                        .flat_map(|i| negatives[i].iter().map(move |n| (i, *n as usize)))
                };
                let push = |(i, n): (usize, usize)| self.neg_margin - all.d(i, n);
                let pushes = log_sum_exp(both().map(push), false);
                let value = (pushes + all.d(a, p) - self.pos_margin).max(0.0);
                let weight = value * out.element(0, value * value / 2.0, row.label, pairs);
                if weight == 0.0 {
                    continue;
                }
                out.add_gradient(a, p, weight);
                for pair in both() {
                    out.add_gradient(pair.0, pair.1, -weight * (push(pair) - pushes).exp());
                }
            }
        });
    }
}
