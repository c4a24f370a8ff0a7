//! The normalised temperature-scaled cross-entropy.

use super::math::{cross_entropy, sigmoid};
use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// For each positive pair `-log(exp(-d/t) / (exp(-d/t) + sum_n exp(-d_n/t)))` (Sohn 2016; van den Oord et al. 2018; Chen et
/// al. 2020, SimCLR, <https://arxiv.org/abs/2002.05709>, equation 1).
///
/// The usual choice for two views of an image without labels. Wants many negatives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NtXent {
    /// What distances are divided by.
    pub temperature: f64,
}

impl Default for NtXent {
    fn default() -> NtXent {
        NtXent { temperature: 0.07 }
    }
}

impl LossFunction for NtXent {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Pairs,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::positive("temperature", self.temperature)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for NtXent {
    fn needs_both(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let t = self.temperature;
        let logit = |j: &u32| -row.d(*j) / t;
        let others = out.log_sum_exp(1, row.negatives.iter().map(logit), false);
        // What all positives together ask of the negatives, whose shares differ by a common factor only.
        let mut push = 0.0;
        for p in row.positives {
            let own = logit(p);
            // The share of all negatives.
            let weight = out.element(0, cross_entropy(own, others)) * sigmoid(others - own);
            out.add_gradient(*p, weight / t);
            push += weight;
        }
        out.add_gradient_by_share(1, row.negatives, -push / t);
    }
}
