//! The FastAP loss.

use super::row::{Row, RowLoss, RowOut, TupleUse};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, MOST_BINS, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// One minus average precision, over soft histograms of squared chords (Cakir et al. 2019,
/// <https://openaccess.thecvf.com/content_CVPR_2019/papers/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.pdf>, equation 9).
///
/// Optimises the ranking itself; wants large batches. Tuples weigh anchors and choose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FastAp {
    /// Bins from distance 0 to 4.
    pub num_bins: usize,
}

impl Default for FastAp {
    fn default() -> FastAp {
        FastAp { num_bins: 10 }
    }
}

impl LossFunction for FastAp {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::SquaredChord),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::count("num-bins", self.num_bins, MOST_BINS)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl FastAp {
    /// The two bins that share a distance, and the first one's part.
    fn bins(&self, d: f64) -> (usize, f64) {
        let at = (d / 4.0 * self.num_bins as f64).clamp(0.0, self.num_bins as f64);
        let low = (at.floor() as usize).min(self.num_bins.saturating_sub(1));
        (low, 1.0 - (at - low as f64))
    }
}

impl RowLoss for FastAp {
    fn tuples(&self) -> TupleUse {
        TupleUse::Weigh
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        if row.positives.is_empty() {
            return;
        }
        let edges = self.num_bins + 1;
        let histogram = |list: &[u32]| {
            let mut h = vec![0.0; edges];
            for j in list {
                let (low, part) = self.bins(row.d(*j));
                h[low] += part;
                h[low + 1] += 1.0 - part;
            }
            h
        };
        let (pos, neg) = (histogram(row.positives), histogram(row.negatives));
        let n = row.positives.len() as f64;
        // Running sums: positives up to a bin, and all.
        let (mut sums, mut own, mut others) = (Vec::with_capacity(edges), 0.0, 0.0);
        // What precision lacks of one, which is exactly nothing where no negative comes before a positive.
        let mut lack = 0.0;
        for (p, q) in pos.iter().zip(&neg) {
            own += p;
            others += q;
            let all = own + others;
            sums.push((own, all));
            if *p > 0.0 && all > 0.0 {
                lack += p * others / all;
            }
        }
        let weight = row.weight * out.element(0, row.weight * (lack / n)) / n;
        if weight == 0.0 {
            return;
        }
        // The gradient of the precision by a bin's positives and negatives, from the last bin to the first.
        let (mut by_pos, mut by_neg) = (vec![0.0; edges], vec![0.0; edges]);
        let (mut later_own, mut later_all) = (0.0, 0.0);
        for b in (0..edges).rev() {
            let (own, all) = sums[b];
            let counts = pos[b] > 0.0 && all > 0.0;
            if counts {
                later_own += pos[b] / all;
                later_all -= pos[b] * own / (all * all);
            }
            by_pos[b] = later_own + later_all + if counts { own / all } else { 0.0 };
            by_neg[b] = later_all;
        }
        let step = self.num_bins as f64 / 4.0;
        for (list, by) in [(row.positives, &by_pos), (row.negatives, &by_neg)] {
            for j in list {
                let (low, _) = self.bins(row.d(*j));
                out.add_gradient(*j, -weight * step * (by[low + 1] - by[low]));
            }
        }
    }
}
