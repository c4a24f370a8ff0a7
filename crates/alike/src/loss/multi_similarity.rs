//! The multi-similarity loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `1/alpha log(1 + sum_p exp(alpha (d - base))) + 1/beta log(1 + sum_n exp(beta (base - d)))` (Wang et al. 2019,
/// <https://arxiv.org/abs/1904.06627>, equation 15; their lambda is a similarity, `1 - base`).
///
/// A strong first choice for labelled images: every hard pair of an anchor counts, the hardest most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MultiSimilarity {
    /// How sharply far positives are preferred.
    pub alpha: f64,
    /// How sharply near negatives are preferred.
    pub beta: f64,
    /// The distance that separates near from far.
    pub base: f64,
}

impl Default for MultiSimilarity {
    fn default() -> MultiSimilarity {
        MultiSimilarity { alpha: 2.0, beta: 50.0, base: 0.5 }
    }
}

impl LossFunction for MultiSimilarity {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::positive("alpha", self.alpha),
            Parameter::positive("beta", self.beta),
            Parameter::finite("base", self.base),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for MultiSimilarity {
    fn once(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let MultiSimilarity { alpha, beta, base } = *self;
        let pull = |p: &u32| alpha * (row.d(*p) - base);
        let push = |n: &u32| beta * (base - row.d(*n));
        let pulls = out.log_sum_exp(0, row.positives.iter().map(pull), true);
        let pushes = out.log_sum_exp(1, row.negatives.iter().map(push), true);
        let weight = out.element(0, pulls / alpha + pushes / beta);
        out.add_gradient_by_share(0, row.positives, weight);
        out.add_gradient_by_share(1, row.negatives, -weight);
    }
}
