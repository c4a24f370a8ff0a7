//! The threshold-consistent margin loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Positive pairs less similar than `margin-plus` and negative pairs more similar than `margin-minus`, each kind's mean
/// violation (Zhang et al. 2023, <https://arxiv.org/abs/2307.04047>, equation 6). Similarities are cosines.
///
/// A regulariser, to be added to another loss, that makes one threshold serve every class. The reference ignores
/// references outside the batch; here they count as everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThresholdConsistentMargin {
    /// The positives' weight.
    pub lambda_plus: f64,
    /// The negatives' weight.
    pub lambda_minus: f64,
    /// A cosine.
    pub margin_plus: f64,
    /// A cosine.
    pub margin_minus: f64,
}

impl Default for ThresholdConsistentMargin {
    fn default() -> ThresholdConsistentMargin {
        ThresholdConsistentMargin { lambda_plus: 1.0, lambda_minus: 1.0, margin_plus: 0.9, margin_minus: 0.5 }
    }
}

impl LossFunction for ThresholdConsistentMargin {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
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
            Parameter::finite("lambda-plus", self.lambda_plus),
            Parameter::finite("lambda-minus", self.lambda_minus),
            Parameter::finite("margin-plus", self.margin_plus),
            Parameter::finite("margin-minus", self.margin_minus),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for ThresholdConsistentMargin {
    fn terms(&self) -> usize {
        2
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        for p in row.positives {
            let value = self.margin_plus - (1.0 - row.d(*p));
            if value >= 0.0 {
                let weight = out.element(0, self.lambda_plus * value);
                out.add_gradient(*p, weight * self.lambda_plus);
            }
        }
        for n in row.negatives {
            let value = (1.0 - row.d(*n)) - self.margin_minus;
            if value >= 0.0 {
                let weight = out.element(1, self.lambda_minus * value);
                out.add_gradient(*n, -weight * self.lambda_minus);
            }
        }
    }
}
