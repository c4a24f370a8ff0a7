//! The supervised contrastive loss.

use super::row::{Row, RowLoss, RowOut};
use serde::{Deserialize, Serialize};

/// `-1/|P| sum_p log(exp(-d_p/t) / sum_j exp(-d_j/t))`, `j` over all positives and negatives (Khosla et al. 2020,
/// <https://arxiv.org/abs/2004.11362>, equation 2).
///
/// Like NT-Xent with any number of positives, which compete with each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SupCon {
    /// What distances are divided by.
    pub temperature: f64,
}

impl Default for SupCon {
    fn default() -> SupCon {
        SupCon { temperature: 0.1 }
    }
}

impl RowLoss for SupCon {
    fn once(&self) -> bool {
        true
    }

    fn needs_both(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let t = self.temperature;
        if row.positives.is_empty() {
            out.element(0, 0.0);
            return;
        }
        let logit = |j: &u32| -row.d(*j) / t;
        let all = out.log_sum_exp(0, row.positives.iter().chain(row.negatives).map(logit), false);
        let share = 1.0 / row.positives.len() as f64;
        let value: f64 = row.positives.iter().map(|p| all - logit(p)).sum::<f64>() * share;
        let weight = out.element(0, value) / t;
        let list: Vec<u32> = row.positives.iter().chain(row.negatives).copied().collect();
        out.slopes_by_share(0, &list, -weight);
        row.positives.iter().for_each(|p| out.slope(*p, weight * share));
    }
}
