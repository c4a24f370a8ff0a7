//! Whether one rule is better than another on the same queries, or was lucky.

use super::interval::t;
use crate::rng::{Purpose, RngExt, stream};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// A difference that chance makes less often than this is called real.
const REAL: f64 = 0.01;

/// McNemar's exact test of two rules' answers to the same queries; or its counterpart for queries that are not independent of each
/// other, see [`compare_groups`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Paired {
    /// Queries that only the first rule answered rightly.
    pub only_first: u64,
    /// Queries that only the second rule answered rightly.
    pub only_second: u64,
    /// The probability of a split at least this uneven if both were equally good (two-sided).
    pub p_value: f64,
    /// The classes whose answers were taken as one, where they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
}

impl Paired {
    /// Whether chance is an unlikely explanation of the difference: `p < 0.01`.
    pub fn is_real(&self) -> bool {
        self.p_value < REAL
    }

    /// The test's outcome in words.
    pub fn verdict(&self) -> String {
        let words = if self.is_real() { "significant" } else { "not significant" };
        let p = match self.p_value {
            p if p < 1e-4 => "< 0.0001".to_owned(),
            p if p < 0.1 => format!("= {p:.4}"),
            p => format!("= {p:.2}"),
        };
        match self.classes {
            None => format!("{words} (McNemar, p {p})"),
            Some(n) => format!("{words} (by {n} classes, p {p})"),
        }
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
    Paired { only_first, only_second, p_value: two_sided(only_first, only_second), classes: None }
}

/// Compares two rules on queries of classes that are what another sample would have others of: the answers of a class are not
/// independent of each other. Were both rules equally good, either would be the better one on a class as often as the other; the
/// test is over all ways of exchanging the two within whole classes, exactly (a sign test of sums; Fisher 1935, chapter 3). With a class for
/// each query it is McNemar's.
///
/// # Panics
///
/// If lengths differ.
pub fn compare_groups(first: &[bool], second: &[bool], groups: &[u32]) -> Paired {
    assert!(
        first.len() == second.len() && first.len() == groups.len(),
        "compare: two answers and a group a query"
    );
    let mut nets: BTreeMap<u32, i64> = BTreeMap::new();
    let (mut only_first, mut only_second) = (0, 0);
    for ((a, b), g) in first.iter().zip(second).zip(groups) {
        let net = nets.entry(*g).or_default();
        match (a, b) {
            (true, false) => (only_first, *net) = (only_first + 1, *net + 1),
            (false, true) => (only_second, *net) = (only_second + 1, *net - 1),
            _ => {}
        }
    }
    let p_value = exchanged(&nets.values().copied().collect::<Vec<_>>());
    Paired { only_first, only_second, p_value, classes: Some(nets.len()) }
}

/// How often the sum of the numbers is at least as far from zero as it is when each has either sign as often as the other.
fn exchanged(nets: &[i64]) -> f64 {
    let sizes: Vec<usize> = nets.iter().filter(|n| **n != 0).map(|n| n.unsigned_abs() as usize).collect();
    let most: usize = sizes.iter().sum();
    let found = nets.iter().sum::<i64>().unsigned_abs() as usize;
    // How often the numbers that are kept sum to each whole number: the sum of all is twice that less `most`.
    let mut often = vec![0.0f64; most + 1];
    often[0] = 1.0;
    let mut so_far = 0;
    for size in sizes {
        so_far += size;
        for kept in (0..=so_far).rev() {
            let with = if kept >= size { often[kept - size] } else { 0.0 };
            often[kept] = (often[kept] + with) / 2.0;
        }
    }
    let far = |kept: &usize| (2 * kept).abs_diff(most) >= found;
    (0..=most).filter(far).map(|kept| often[kept]).sum::<f64>().min(1.0)
}

/// The mean difference of a measure of the same queries, and whether it could be chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// The second less the first.
    pub mean: f64,
    /// Between what the difference lies, 95 %: never one point, for one more group might have differed either way.
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

/// Draws of the test.
const DRAWS: usize = 2000;

/// Compares two values a query. Queries of a group are not independent of each other and are exchanged together: whole classes
/// where classes were never trained on (a paired permutation test; Efron and Tibshirani 1993, chapter 15). The interval has one more
/// group that differs in favour of the first, and one in favour of the second (Bonett and Price 2012, "Adjusted Wald confidence interval
/// for a difference of binomial proportions based on paired data", for groups).
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
    let drawn: Vec<f64> = (0..DRAWS as u64)
        .into_par_iter()
        .map(|draw| {
            let rng = &mut stream(seed, Purpose::Bootstrap, draw, 2);
            let exchanged = sums.iter().map(|own| if rng.random::<bool>() { own.0 } else { -own.0 });
            exchanged.sum::<f64>() / n
        })
        .collect();
    // The difference that was found is one of those that could have been.
    let as_large = drawn.iter().filter(|d| d.abs() >= mean.abs() - 1e-15).count() + 1;
    Difference {
        mean,
        interval: interval(&sums, mean),
        p_value: as_large as f64 / (DRAWS + 1) as f64,
        groups: sums.len(),
    }
}

/// The interval of a mean difference of groups, each a sum and a count.
fn interval(groups: &[(f64, f64)], mean: f64) -> [f64; 2] {
    let k = groups.len() as f64;
    let n: f64 = groups.iter().map(|g| g.1).sum::<f64>().max(1.0);
    // What each adds to the mean, and how far that is from its share of it; both on the scale of one group's difference.
    let parts = groups.iter().map(|g| (g.0 * k / n, (g.0 - mean * g.1) * k / n));
    let (squares, off) = parts.clone().fold((0.0, 0.0), |a, (d, o)| (a.0 + d * d, a.1 + o * o));
    let differing = parts.filter(|(d, _)| *d != 0.0).count() as f64;
    // Two groups more, one either way, that differ as much as those that do.
    let scale = if differing > 0.0 { squares / differing } else { 1.0 };
    let (k, middle) = (k + 2.0, mean * k / (k + 2.0));
    let variance = (off + 2.0 * (scale + middle * middle)) / (k - 1.0).max(1.0) / k;
    let half = t(k - 1.0) * variance.sqrt();
    [(middle - half).max(-1.0).min(mean), (middle + half).min(1.0).max(mean)]
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

    #[test]
    fn whole_classes_are_exchanged_exactly() {
        // A class for each query: McNemar's test.
        for (a, b) in [(0u32, 0u32), (5, 5), (1, 9), (12, 20), (40, 60)] {
            let n = (a + b + 7) as usize;
            let first: Vec<bool> = (0..n).map(|i| i < a as usize).collect();
            let second: Vec<bool> = (0..n).map(|i| i >= a as usize && i < (a + b) as usize).collect();
            let each: Vec<u32> = (0..n as u32).collect();
            let (ours, plain) = (
                compare_groups(&first, &second, &each),
                compare(first.iter().copied(), second.iter().copied()),
            );
            assert!((ours.p_value - plain.p_value).abs() < 1e-9, "{a} {b}: {ours:?} {plain:?}");
            assert_eq!((ours.only_first, ours.only_second), (plain.only_first, plain.only_second));
        }
        // Every way of exchanging, one by one.
        let nets = [5i64, -3, 0, 4, 4, -1, 2, 7];
        let found: i64 = nets.iter().sum();
        let as_far = (0..1 << nets.len())
            .filter(|signs| {
                let signed = nets.iter().enumerate().map(|(i, n)| if signs >> i & 1 == 1 { -n } else { *n });
                signed.sum::<i64>().abs() >= found.abs()
            })
            .count();
        assert!((exchanged(&nets) - as_far as f64 / f64::from(1 << nets.len())).abs() < 1e-12);
        // All of a class's queries are one: four classes cannot tell, however many queries they have.
        let four: Vec<u32> = (0..400).map(|i| i % 4).collect();
        let p = compare_groups(&[false; 400], &[true; 400], &four);
        assert_eq!((p.only_second, p.p_value, p.classes), (400, 0.125, Some(4)));
        assert!(!p.is_real() && p.verdict().contains("by 4 classes, p = 0.12"), "{}", p.verdict());
        assert!(compare([false; 400].into_iter(), [true; 400].into_iter()).is_real());
    }

    #[test]
    fn two_rules_that_never_differ_may_yet_differ_elsewhere() {
        let each: Vec<u32> = (0..100).collect();
        let none = difference(&[1.0; 100], &[1.0; 100], &each, 1);
        // Bonett and Price: 1.96 sqrt(2 / 102 / 102), here with Student's 1.98.
        assert!((none.interval[1] - 1.984 * (2.0f64 / 102.0 / 102.0).sqrt()).abs() < 2e-4, "{none:?}");
        assert_eq!((none.mean, none.p_value, none.interval[0]), (0.0, 1.0, -none.interval[1]));
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
