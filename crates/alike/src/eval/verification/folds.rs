//! Accuracy by folds, as faces are judged.

use super::{Pair, Pairs, between};
use crate::sample;
use serde::Serialize;

/// Pairs of each kind that are dealt to folds, at most.
const FOLDED: usize = 3000;
/// Folds, as in Labeled Faces in the Wild.
const FOLDS: usize = 10;

/// The accuracy of the best threshold, found on nine folds and judged on the tenth, ten times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Folded {
    /// The mean.
    pub accuracy: f64,
    /// The standard error of the mean over folds.
    pub standard_error: f64,
    /// Pairs, half of them of one class where they were drawn.
    pub pairs: usize,
}

impl Pairs {
    /// Accuracy by folds. With `balanced`, as many pairs of one class as of two are drawn first, and dealt evenly; otherwise all
    /// are taken, in the order in which they were given, cut into ten runs.
    pub fn folded(&self, balanced: bool, seed: u64) -> Folded {
        let mut folds: Vec<Vec<(f64, bool)>> = vec![Vec::new(); FOLDS];
        if balanced {
            let each = self.genuine.min(self.impostor).min(FOLDED);
            for genuine in [true, false] {
                let kind: Vec<&Pair> = self.sorted.iter().filter(|p| p.genuine == genuine).collect();
                let keys: Vec<u64> = kind.iter().map(|p| p.key).collect();
                let drawn = sample::some(&keys, each, seed).into_iter();
                drawn.enumerate().for_each(|(i, p)| folds[i % FOLDS].push((kind[p].distance, genuine)));
            }
        } else {
            let mut all: Vec<&Pair> = self.sorted.iter().collect();
            all.sort_by_key(|p| p.of[0]);
            let n = all.len();
            all.iter().enumerate().for_each(|(i, p)| folds[i * FOLDS / n].push((p.distance, p.genuine)));
        }
        let pairs = folds.iter().map(Vec::len).sum();
        let accuracies: Vec<f64> = (0..FOLDS)
            .filter(|fold| !folds[*fold].is_empty())
            .map(|fold| {
                let others =
                    folds.iter().enumerate().filter(|(i, _)| *i != fold).flat_map(|(_, f)| f.iter().copied());
                let threshold = best_threshold(others.collect());
                let right = folds[fold].iter().filter(|(d, genuine)| (*d <= threshold) == *genuine).count();
                right as f64 / folds[fold].len() as f64
            })
            .collect();
        let n = accuracies.len().max(1) as f64;
        let accuracy = accuracies.iter().sum::<f64>() / n;
        let variance = accuracies.iter().map(|a| (a - accuracy).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Folded { accuracy, standard_error: (variance / n).sqrt(), pairs }
    }
}

/// The threshold by which most pairs are told rightly: half way to the next distance, so that it does not hang on one pair.
fn best_threshold(mut pairs: Vec<(f64, bool)>) -> f64 {
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Accepting none: all pairs of two classes are right.
    let (mut right, mut threshold) = (0isize, f64::NEG_INFINITY);
    let mut best = 0isize;
    let mut at = 0;
    for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
        right += tied.iter().map(|p| if p.1 { 1 } else { -1 }).sum::<isize>();
        at += tied.len();
        if right > best {
            best = right;
            threshold = between(tied[0].0, pairs.get(at).map(|p| p.0));
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::pairs;
    use super::*;

    #[test]
    fn folds_judge_by_a_threshold_that_others_found() {
        let same: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        let other: Vec<f64> = (0..150).map(|i| 2.0 + f64::from(i) / 100.0).collect();
        let f = pairs(&same, &other).folded(true, 0);
        assert_eq!((f.accuracy, f.standard_error, f.pairs), (1.0, 0.0, 200));
        // Beyond a half pairs of two classes are denser: of the others the root of a half is accepted.
        let near: Vec<f64> = same.iter().map(|u| u * u).collect();
        let far: Vec<f64> = same.iter().map(|u| 0.5 + u).collect();
        let f = pairs(&near, &far).folded(true, 0);
        assert!((f.accuracy - (1.0 + 0.5f64.sqrt()) / 2.0).abs() < 0.03, "{f:?}");
        assert_eq!(best_threshold(vec![(1.0, true), (2.0, false), (3.0, true), (3.0, true)]), 3.0);
        assert_eq!(best_threshold(vec![(1.0, true), (3.0, true), (5.0, false)]), 4.0);
        assert_eq!(best_threshold(vec![(1.0, false)]), f64::NEG_INFINITY);
    }
}
