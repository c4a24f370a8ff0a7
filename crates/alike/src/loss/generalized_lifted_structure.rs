//! The generalised lifted structure loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `max(0, lse_p(d - pos_margin) + lse_n(neg_margin - d))` (Hermans, Beyer and Leibe 2017,
/// <https://arxiv.org/abs/1703.07737>, equation 9).
///
/// A smooth form of the batch-hard triplet loss, over all pairs of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneralizedLiftedStructure {
    /// Added for negatives.
    pub neg_margin: f64,
    /// Taken off for positives.
    pub pos_margin: f64,
}

impl Default for GeneralizedLiftedStructure {
    fn default() -> GeneralizedLiftedStructure {
        GeneralizedLiftedStructure { neg_margin: 1.0, pos_margin: 0.0 }
    }
}

impl LossFunction for GeneralizedLiftedStructure {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
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
            Parameter::finite("neg-margin", self.neg_margin),
            Parameter::finite("pos-margin", self.pos_margin),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for GeneralizedLiftedStructure {
    fn once(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let pull = |p: &u32| row.d(*p) - self.pos_margin;
        let push = |n: &u32| self.neg_margin - row.d(*n);
        // A side without pairs says nothing.
        let sum = |side: f64| if side == f64::NEG_INFINITY { 0.0 } else { side };
        let pulls = sum(out.log_sum_exp(0, row.positives.iter().map(pull), false));
        let pushes = sum(out.log_sum_exp(1, row.negatives.iter().map(push), false));
        let value = pulls + pushes;
        let weight = out.element(0, value.max(0.0));
        if value > 0.0 {
            out.add_gradient_by_share(0, row.positives, weight);
            out.add_gradient_by_share(1, row.negatives, -weight);
        }
    }
}
