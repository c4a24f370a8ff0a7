//! The instance loss.

use super::math::log_sum_exp;
use super::row::{Row, RowLoss, RowOut};
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

impl RowLoss for Instance {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let Some(itself) = row.itself else { return };
        let logit = |d: &f64| self.gamma * (1.0 - d);
        let all = log_sum_exp(row.distances.iter().map(logit), false);
        let weight = self.gamma * out.element(0, all - logit(&row.distances[itself]));
        if weight == 0.0 {
            return;
        }
        for (j, d) in row.distances.iter().enumerate() {
            let target = if j == itself { 1.0 } else { 0.0 };
            out.slope(j as u32, weight * (target - (logit(d) - all).exp()));
        }
    }
}
