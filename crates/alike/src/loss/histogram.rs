//! The histogram loss.

use super::whole::{Whole, WholeLoss, WholeOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, MOST_BINS, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// The probability that a random negative pair is more similar than a random positive one, over soft histograms of cosines
/// (Ustinova and Lempitsky 2016, <https://arxiv.org/abs/1611.00822>, equation 4).
///
/// Nearly no values to choose. Pairs of anchors that have both kinds count, each once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Histogram {
    /// Bins from cosine -1 to 1.
    pub num_bins: usize,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { num_bins: 100 }
    }
}

impl LossFunction for Histogram {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
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
        vec![Parameter::count("num-bins", self.num_bins, MOST_BINS)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.whole(self)
    }
}

impl Histogram {
    /// The bin below a cosine, and how much of it lies in the bin above.
    fn bin(&self, cos: f64) -> (usize, f64) {
        let at = ((cos + 1.0) / 2.0 * self.num_bins as f64).clamp(0.0, self.num_bins as f64);
        let low = (at.floor() as usize).min(self.num_bins.saturating_sub(1));
        (low, at - low as f64)
    }
}

impl WholeLoss for Histogram {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        all.each_row(|row| {
            row.each_triplet(|p, n| {
                for (list, j) in [(&mut positives, p as usize), (&mut negatives, n as usize)] {
                    list.push((row.anchor.min(j), row.anchor.max(j)));
                }
            });
            // Repeats come anchor by anchor; as many pairs as there are triplets would be too many to keep.
            for list in [&mut positives, &mut negatives] {
                list.sort_unstable();
                list.dedup();
            }
        });
        if positives.is_empty() {
            return;
        }
        let density = |pairs: &[(usize, usize)]| {
            let mut h = vec![0.0; self.num_bins + 1];
            for (i, j) in pairs {
                let (low, part) = self.bin(1.0 - all.d(*i, *j));
                h[low] += (1.0 - part) / pairs.len() as f64;
                h[low + 1] += part / pairs.len() as f64;
            }
            h
        };
        let (pos, neg) = (density(&positives), density(&negatives));
        let sums: Vec<f64> = pos
            .iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .collect();
        let value = neg.iter().zip(&sums).map(|(n, s)| n * s).sum();
        let weight = out.element(0, value, 0, 1) * self.num_bins as f64 / 2.0;
        // A positive in a bin adds to every running sum from there on: what it meets are the negatives above.
        let mut above = vec![0.0; neg.len() + 1];
        for b in (0..neg.len()).rev() {
            above[b] = above[b + 1] + neg[b];
        }
        for (pairs, by) in [(&positives, &above), (&negatives, &sums)] {
            for (i, j) in pairs {
                let (low, _) = self.bin(1.0 - all.d(*i, *j));
                out.add_gradient(*i, *j, -weight * (by[low + 1] - by[low]) / pairs.len() as f64);
            }
        }
    }
}
