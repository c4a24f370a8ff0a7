//! The instance loss.

use super::math::{cross_entropy, log_sum_exp, sigmoid};
use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Every image a class of its own: cross-entropy over `gamma cos` of the whole batch, the anchor itself the target (Zheng et
/// al. 2020, <https://arxiv.org/abs/1711.05535>, equation 3).
///
/// Knows no labels: it only pushes apart. The reference takes a label's rank for the target's column, which depends on the
/// order of the batch; with labels in order both agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Instance {
    /// What cosines are multiplied by.
    pub gamma: f64,
}

impl Default for Instance {
    fn default() -> Instance {
        Instance { gamma: 64.0 }
    }
}

impl LossFunction for Instance {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
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
        vec![Parameter::positive("gamma", self.gamma)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for Instance {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let Some(itself) = row.itself else { return };
        let logit = |d: &f64| self.gamma * (1.0 - d);
        let own = logit(&row.distances[itself]);
        let apart = row.distances.iter().enumerate().filter(|(j, _)| *j != itself);
        let others = log_sum_exp(apart.map(|(_, d)| logit(d)), false);
        let value = cross_entropy(own, others);
        let all = own + value;
        let weight = self.gamma * out.element(0, value);
        if weight == 0.0 {
            return;
        }
        for (j, d) in row.distances.iter().enumerate() {
            let derivative = if j == itself { sigmoid(others - own) } else { -(logit(d) - all).exp() };
            out.add_gradient(j as u32, weight * derivative);
        }
    }
}
