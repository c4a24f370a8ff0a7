//! Whether one rule is better than another on the same queries, or was lucky.

use super::bootstrap::percentiles;
use crate::rng::{Purpose, RngExt, stream};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// A difference that chance makes less often than this is called real.
const REAL: f64 = 0.01;

/// McNemar's exact test of two rules' answers to the same queries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Queries that only the first rule answered rightly.
    pub only_first: u64,
    /// Queries that only the second rule answered rightly.
    pub only_second: u64,
    /// The probability of a split at least this uneven if both were equally good (two-sided).
    pub p_value: f64,
}

impl Paired {
    /// Whether chance is an unlikely explanation of the difference: `p < 0.01`.
    pub fn is_real(&self) -> bool {
        self.p_value < REAL
    }

    /// The test's outcome in words.
    pub fn verdict(&self) -> String {
        let words = if self.is_real() { "real" } else { "may be chance" };
        let p = match self.p_value {
            p if p < 1e-4 => "< 0.0001".to_owned(),
            p if p < 0.1 => format!("= {p:.4}"),
            p => format!("= {p:.2}"),
        };
        format!("{words} (McNemar p {p})")
    }
}

/// Compares two rules by which of their answers were right (McNemar 1947, "Note on the sampling error of the difference
/// between correlated proportions", with the exact binomial probability).
pub fn compare(first: impl Iterator<Item = bool>, second: impl Iterator<Item = bool>) -> Paired {
    let (mut only_first, mut only_second) = (0, 0);
    for pair in first.zip(second) {
        match pair {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    Paired { only_first, only_second, p_value: two_sided(only_first, only_second) }
}

/// The mean difference of a measure of the same queries, and whether it could be chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The second less the first.
    pub mean: f64,
    /// Between what 95 % of bootstrap means lie.
    pub interval: [f64; 2],
    /// How often a difference at least this large comes about when the two sides of each group are exchanged at random (two-sided).
    pub p_value: f64,
    /// What was drawn and exchanged as one: queries, or classes.
    pub groups: usize,
}

impl Difference {
    /// Whether chance is an unlikely explanation of the difference: `p < 0.01`.
    pub fn is_real(&self) -> bool {
        self.p_value < REAL
    }
}

/// Draws of the two tests.
const DRAWS: usize = 2000;

/// Compares two values a query. Queries of a group are not independent of each other and are drawn, and exchanged, together: whole classes
/// where classes were never trained on (a paired permutation test; Efron and Tibshirani 1993, chapter 15).
///
/// # Panics
///
/// If lengths differ.
pub fn difference(first: &[f64], second: &[f64], groups: &[u32], seed: u64) -> Difference {
    assert!(
        first.len() == second.len() && first.len() == groups.len(),
        "difference: two values and a group a query"
    );
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for ((a, b), g) in first.iter().zip(second).zip(groups) {
        let sum = sums.entry(*g).or_default();
        sum.0 += b - a;
        sum.1 += 1.0;
    }
    let sums: Vec<(f64, f64)> = sums.into_values().collect();
    let n = first.len().max(1) as f64;
    let mean = sums.iter().map(|s| s.0).sum::<f64>() / n;
    let drawn: Vec<(f64, f64)> = (0..DRAWS as u64)
        .into_par_iter()
        .map(|draw| {
            let rng = &mut stream(seed, Purpose::Bootstrap, draw, 2);
            let (mut sum, mut count, mut exchanged) = (0.0, 0.0, 0.0);
            for own in &sums {
                let other = sums[rng.random_range(0..sums.len())];
                sum += other.0;
                count += other.1;
                exchanged += if rng.random::<bool>() { own.0 } else { -own.0 };
            }
            (sum / f64::max(count, 1.0), exchanged / n)
        })
        .collect();
    // The difference that was found is one of those that could have been.
    let as_large = drawn.iter().filter(|d| d.1.abs() >= mean.abs() - 1e-15).count() + 1;
    Difference {
        mean,
        interval: percentiles(drawn.iter().map(|d| d.0).collect()),
        p_value: as_large as f64 / (DRAWS + 1) as f64,
        groups: sums.len(),
    }
}

/// `min(1, 2 P(X <= min(a, b)))` for `X` binomial with `a + b` fair draws.
fn two_sided(a: u64, b: u64) -> f64 {
    let n = a + b;
    // log2 of C(n, i), built up term by term, keeps thousands of draws in range.
    let mut log_choose = 0.0f64;
    let mut sum = 0.0;
    for i in 0..=a.min(b) {
        sum += (log_choose - n as f64).exp2();
        log_choose += ((n - i) as f64 / (i + 1) as f64).log2();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_real_where_it_is_more_than_its_spread() {
        let noise = |i: usize| (i as f64 * 0.618_034).fract() - 0.5;
        let first: Vec<f64> = (0..200).map(noise).collect();
        let each: Vec<u32> = (0..200).collect();
        let better: Vec<f64> = (0..200).map(|i| first[i] + 0.2 + noise(i * 7 + 3)).collect();
        let d = difference(&first, &better, &each, 1);
        assert!((d.mean - 0.2).abs() < 0.05 && d.interval[0] > 0.1 && d.p_value < 0.001, "{d:?}");
        // The standard error of the mean is 0.0204: 95 % of means lie within twice as much.
        assert!((d.interval[1] - d.interval[0] - 0.08).abs() < 0.012, "{d:?}");
        let same = difference(&first, &first, &each, 1);
        assert_eq!((same.mean, same.p_value), (0.0, 1.0));
        // The same differences in four groups say much less.
        let four: Vec<u32> = (0..200).map(|i| i % 4).collect();
        assert!(difference(&first, &better, &four, 1).p_value > 0.05);
    }

    /// `scipy.stats.binomtest(min, n, 0.5).pvalue`.
    #[test]
    fn p_values_are_scipys() {
        for (a, b, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021484375),
            (40, 60, 0.05688793364098082),
            (900, 1100, 8.45708953550381e-6),
        ] {
            let ours = two_sided(a, b);
            assert!((ours - p).abs() <= 2e-3 * p, "{a} {b}: {ours} {p}");
        }
    }
}
