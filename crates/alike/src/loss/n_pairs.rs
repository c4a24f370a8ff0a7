//! The N-pairs loss.

use super::math::{cross_entropy, log_sum_exp, sigmoid};
use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// One positive pair of each class, and cross-entropy of each anchor over all their positives (Sohn 2016,
/// <https://papers.nips.cc/paper/6200-improved-deep-metric-learning-with-multi-class-n-pair-loss-objective>, equation 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NPairs {}

impl LossFunction for NPairs {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: true,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.whole(self)
    }
}

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
            let others =
                log_sum_exp(pairs.iter().filter(|(l, ..)| l != label).map(|(_, _, p)| logit(*p)), false);
            let value = cross_entropy(logit(*own), others);
            let weight = out.element(0, value, *label, 1);
            let sum = logit(*own) + value;
            for (other, _, p) in &pairs {
                let derivative =
                    if other == label { sigmoid(others - logit(*p)) } else { -(logit(*p) - sum).exp() };
                out.add_gradient(*a, *p, weight * derivative);
            }
        }
    }
}
