//! Neighbourhood components analysis, over a batch or over proxies.

use super::math::{cross_entropy, log_sum_exp, sigmoid};
use super::row::{Row, RowLoss, RowOut, TupleUse};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `-log` of the share of an anchor's class in a softmax over `-scale d` of all others (Goldberger et al. 2004,
/// <https://www.cs.toronto.edu/~hinton/absps/nca.pdf>, equation 6, as a negative log-likelihood).
///
/// The probability of nearest-neighbour classification itself; tuples weigh anchors and choose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nca {
    /// What distances are multiplied by.
    pub softmax_scale: f64,
}

impl Default for Nca {
    fn default() -> Nca {
        Nca { softmax_scale: 1.0 }
    }
}

impl LossFunction for Nca {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::SquaredChord),
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
        vec![Parameter::positive("softmax-scale", self.softmax_scale)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for Nca {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let scale = self.softmax_scale;
        let logit = |j: &u32| -scale * row.d(*j);
        let own = log_sum_exp(row.positives.iter().map(logit), false);
        let others = log_sum_exp(row.negatives.iter().map(logit), false);
        let value = cross_entropy(own, others);
        if value > 700.0 || row.positives.is_empty() {
            // A share of zero has no logarithm.
            return;
        }
        let weight = row.weight * out.element(0, row.weight * value);
        if weight == 0.0 {
            return;
        }
        for p in row.positives {
            out.add_gradient(*p, weight * scale * (logit(p) - own).exp() * sigmoid(others - own));
        }
        let all = own + value;
        row.negatives.iter().for_each(|n| out.add_gradient(*n, -weight * scale * (logit(n) - all).exp()));
    }

    fn tuples(&self) -> TupleUse {
        TupleUse::WeighApart
    }
}
