//! The N-pairs loss.

use super::math::log_sum_exp;
use super::whole::{Whole, WholeLoss, WholeOut};
use serde::{Deserialize, Serialize};

/// One positive pair of each class, and cross-entropy of each anchor over all their positives (Sohn 2016,
/// <https://papers.nips.cc/paper/6200-improved-deep-metric-learning-with-multi-class-n-pair-loss-objective>, equation 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NPairs {}

impl WholeLoss for NPairs {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        all.each_row(|row| {
            if let Some(p) = row.positives.first().filter(|_| !pairs.iter().any(|(l, ..)| *l == row.label)) {
                pairs.push((row.label, row.anchor, *p as usize));
            }
        });
        for (label, a, own) in &pairs {
            let logit = |p: usize| -all.d(*a, p);
            let sum = log_sum_exp(pairs.iter().map(|(_, _, p)| logit(*p)), false);
            let weight = out.element(0, sum - logit(*own), *label, 1);
            for (other, _, p) in &pairs {
                let target = if other == label { 1.0 } else { 0.0 };
                out.slope(*a, *p, weight * (target - (logit(*p) - sum).exp()));
            }
        }
    }
}
