//! The intra-pair variance loss.

use super::reduce::pair_counts;
use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `max(0, (1 - pos_eps) mean - s)^2` of positive pairs and `max(0, s - (1 + neg_eps) mean)^2` of negative ones, `s` a cosine
/// (Yu et al. 2019, <https://arxiv.org/abs/1911.12528>, equations 2 and 5).
///
/// A regulariser, to be added to another loss: it draws pairs of a kind together in similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntraPairVariance {
    /// Slack below the mean.
    pub pos_eps: f64,
    /// Slack above the mean.
    pub neg_eps: f64,
}

impl Default for IntraPairVariance {
    fn default() -> IntraPairVariance {
        IntraPairVariance { pos_eps: 0.01, neg_eps: 0.01 }
    }
}

impl LossFunction for IntraPairVariance {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Pairs,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: true,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::finite("pos-eps", self.pos_eps), Parameter::finite("neg-eps", self.neg_eps)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.whole(self)
    }
}

impl WholeLoss for IntraPairVariance {
    fn terms(&self) -> usize {
        2
    }

    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        all.each_row(|row| {
            for (pairs, list) in [(&mut positives, row.positives), (&mut negatives, row.negatives)] {
                let counts = list.iter().zip(pair_counts(list));
                pairs.extend(counts.map(|(j, count)| (row.anchor, *j as usize, row.label, count)));
            }
        });
        let cos = |i: usize, j: usize| 1.0 - all.d(i, j);
        for (term, pairs, sign, slack) in
            [(0, positives, -1.0, 1.0 - self.pos_eps), (1, negatives, 1.0, 1.0 + self.neg_eps)]
        {
            let n = pairs.len().max(1) as f64;
            let mean = pairs.iter().map(|(i, j, ..)| cos(*i, *j)).sum::<f64>() / n;
            // What every pair's violation asks of the mean, which all pairs share.
            let mut by_mean = 0.0;
            for (i, j, label, count) in &pairs {
                let value = (sign * (cos(*i, *j) - slack * mean)).max(0.0);
                let weight = 2.0 * value * sign * out.element(term, value * value, *label, *count);
                out.add_gradient(*i, *j, -weight);
                by_mean += weight * slack;
            }
            pairs.iter().for_each(|(i, j, ..)| out.add_gradient(*i, *j, by_mean / n));
        }
    }
}
