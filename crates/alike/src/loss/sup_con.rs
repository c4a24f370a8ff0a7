//! The supervised contrastive loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
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

impl LossFunction for SupCon {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Cosine),
            reducer: Reducer::NonZero,
            elements: Elements::Anchors,
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
        let list: Vec<u32> = row.positives.iter().chain(row.negatives).copied().collect();
        if let [p] = row.positives {
            // Alone it may be nearly all of the sum.
            let (value, rest) = out.target_loss(0, 0, all - logit(p));
            let weight = out.element(0, value) / t;
            out.add_gradient_except(0, 0, &list, -weight);
            out.add_gradient(*p, weight * rest);
            return;
        }
        let value: f64 = row.positives.iter().map(|p| all - logit(p)).sum::<f64>() * share;
        let weight = out.element(0, value) / t;
        out.add_gradient_by_share(0, &list, -weight);
        row.positives.iter().for_each(|p| out.add_gradient(*p, weight * share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Batch, evaluate_row_loss};
    use crate::mining::Tuples;
    use alike_kernels::Tier;

    /// More rows than a block and more pairs than a part, beside the whole matrix in f64: what a batch of any size is
    /// streamed by gives the gradients of a small one.
    #[test]
    fn streamed_rows_give_the_gradients_of_the_whole_matrix() {
        let (n, d, t) = (700, 6, 0.1);
        let x: Vec<f32> =
            (0..n * d).map(|i| (i as f32 * 12.9898).sin() + 0.1 * (i as f32 * 0.37).cos()).collect();
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 350).collect();
        let batch = Batch { embeddings: &x, d, labels: &labels, references: None, tuples: &Tuples::All };
        let mut gradient = vec![0.0; x.len()];
        let (loss, tier) = (SupCon::default(), Tier::available()[0]);
        let report = evaluate_row_loss(
            &loss,
            Elements::Anchors,
            tier,
            Distance::Cosine,
            &Reducer::Mean,
            &batch,
            &mut gradient,
        );

        let row = |i: usize| -> Vec<f64> { x[i * d..][..d].iter().map(|v| f64::from(*v)).collect() };
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let units: Vec<Vec<f64>> =
            (0..n).map(|i| row(i).iter().map(|v| v / length(&row(i))).collect()).collect();
        let cos = |i: usize, j: usize| units[i].iter().zip(&units[j]).map(|(a, b)| a * b).sum::<f64>();
        let (mut value, mut by_unit) = (0.0, vec![vec![0.0; d]; n]);
        for i in 0..n {
            let others: Vec<usize> = (0..n).filter(|j| *j != i).collect();
            let all = others.iter().map(|j| (cos(i, *j) / t).exp()).sum::<f64>().ln();
            let p = (i + 350) % 700;
            value += (all - cos(i, p) / t) / n as f64;
            for j in others {
                let own = if j == p { 1.0 } else { 0.0 };
                let derivative = ((cos(i, j) / t - all).exp() - own) / t / n as f64;
                for k in 0..d {
                    by_unit[i][k] += derivative * units[j][k];
                    by_unit[j][k] += derivative * units[i][k];
                }
            }
        }
        assert!((report.loss - value).abs() < 1e-6 * value, "{} {value}", report.loss);
        let (mut off, mut norm) = (0.0, 0.0);
        for i in 0..n {
            let along: f64 = by_unit[i].iter().zip(&units[i]).map(|(g, u)| g * u).sum();
            for k in 0..d {
                let exact = (by_unit[i][k] - along * units[i][k]) / length(&row(i));
                off += (f64::from(gradient[i * d + k]) - exact).powi(2);
                norm += exact * exact;
            }
        }
        assert!((off / norm).sqrt() < 1e-5, "{}", (off / norm).sqrt());
    }
}
