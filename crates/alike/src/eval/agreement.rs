//! How well clusters agree with classes.

use super::bootstrap::{self, Drawn};
use serde::Serialize;
use std::collections::BTreeMap;

/// Images beyond which an interval is too narrow to be worth its time.
const ENOUGH: usize = 100_000;

/// The field's measures of agreement, all 1 where clusters are the classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agreement {
    /// Normalised mutual information, by the mean of both entropies (`sklearn.metrics.normalized_mutual_info_score`); the same
    /// as the V-measure (Rosenberg and Hirschberg 2007).
    pub nmi: f64,
    /// Mutual information above that of chance (Vinh, Epps and Bailey 2010; `sklearn.metrics.adjusted_mutual_info_score`).
    pub ami: f64,
    /// The adjusted Rand index (Hubert and Arabie 1985).
    pub ari: f64,
    /// Whether clusters hold one class each.
    pub homogeneity: f64,
    /// Whether classes lie in one cluster each.
    pub completeness: f64,
    /// Their harmonic mean.
    pub v_measure: f64,
    /// The share of images whose class is the commonest of their cluster.
    pub purity: f64,
}

impl Agreement {
    /// Compares two labellings of the same images.
    ///
    /// # Panics
    ///
    /// If they differ in length.
    pub fn new(classes: &[u32], clusters: &[u32]) -> Agreement {
        assert_eq!(classes.len(), clusters.len(), "agreement: two labels for each image");
        let n = classes.len() as f64;
        let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        classes.iter().zip(clusters).for_each(|(a, b)| *cells.entry((*a, *b)).or_default() += 1);
        let sums = |of: fn(&(u32, u32)) -> u32| {
            let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
            cells.iter().for_each(|(pair, count)| *sums.entry(of(pair)).or_default() += count);
            sums
        };
        let (rows, columns) = (sums(|p| p.0), sums(|p| p.1));
        let entropy = |sums: &BTreeMap<u32, u64>| -> f64 {
            sums.values().map(|c| *c as f64 / n).map(|p| -p * p.ln()).sum()
        };
        let (h_classes, h_clusters) = (entropy(&rows), entropy(&columns));
        let information: f64 = cells
            .iter()
            .map(|((a, b), c)| {
                let c = *c as f64;
                c / n * (c * n / (rows[a] as f64 * columns[b] as f64)).ln()
            })
            .sum::<f64>()
            .max(0.0);
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let (homogeneity, completeness) = (ratio(information, h_classes), ratio(information, h_clusters));
        let both = homogeneity + completeness;
        let mean = (h_classes + h_clusters) / 2.0;
        let expected = expected_information(&rows, &columns, classes.len());
        let below = mean - expected;
        // Two labellings that both say nothing, or both tell all apart, agree.
        let trivial = rows.len() == columns.len() && (rows.len() <= 1 || rows.len() == classes.len());
        let ami = if trivial {
            1.0
        } else {
            (information - expected) / if below.abs() > f64::EPSILON { below } else { f64::EPSILON }
        };
        let mut best: BTreeMap<u32, u64> = BTreeMap::new();
        cells.iter().for_each(|((_, b), c)| {
            let most = best.entry(*b).or_default();
            *most = (*most).max(*c);
        });
        Agreement {
            nmi: ratio(information, mean),
            ami,
            ari: adjusted_rand(&cells, &rows, &columns, classes.len() as u64),
            homogeneity,
            completeness,
            // Labellings that say nothing of each other have neither.
            v_measure: if both > 0.0 { 2.0 * homogeneity * completeness / both } else { 0.0 },
            purity: best.values().sum::<u64>() as f64 / n.max(1.0),
        }
    }
}

impl Agreement {
    /// The agreement of images drawn with replacement, draw by draw, for [`bootstrap_interval`](super::bootstrap_interval); clusters stay as they are. Nothing for more than
    /// 100,000 images.
    pub fn bootstrap(classes: &[u32], clusters: &[u32], seed: u64) -> Vec<Agreement> {
        if classes.len() > ENOUGH {
            return Vec::new();
        }
        let found = bootstrap::draws(classes.len(), Drawn::Images, seed, |counts| {
            let drawn = |labels: &[u32]| -> Vec<u32> {
                let each = labels.iter().zip(counts);
                each.flat_map(|(l, n)| std::iter::repeat_n(*l, *n as usize)).collect()
            };
            Some(Agreement::new(&drawn(classes), &drawn(clusters)))
        });
        found.into_iter().flatten().collect()
    }
}

type Sums = BTreeMap<u32, u64>;

fn adjusted_rand(cells: &BTreeMap<(u32, u32), u64>, rows: &Sums, columns: &Sums, n: u64) -> f64 {
    let two = |c: &u64| (c * c.saturating_sub(1)) as f64 / 2.0;
    let together: f64 = cells.values().map(two).sum();
    let (a, b): (f64, f64) = (rows.values().map(two).sum(), columns.values().map(two).sum());
    let all = two(&n);
    let expected = if all > 0.0 { a * b / all } else { 0.0 };
    let most = (a + b) / 2.0;
    if most == expected { 1.0 } else { (together - expected) / (most - expected) }
}

/// The mutual information of two random labellings with these sizes: the sum over cells of the hypergeometric mean.
fn expected_information(rows: &Sums, columns: &Sums, n: usize) -> f64 {
    let mut log = vec![0.0f64; n + 1];
    (1..=n).for_each(|i| log[i] = log[i - 1] + (i as f64).ln());
    // Sizes that repeat have the same terms.
    let counted = |sums: &Sums| {
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        sums.values().for_each(|c| *sizes.entry(*c).or_default() += 1);
        sizes
    };
    let mut sum = 0.0;
    for (a, times_a) in counted(rows) {
        for (b, times_b) in counted(columns) {
            let (a, b) = (a as usize, b as usize);
            let fixed = log[a] + log[b] + log[n - a] + log[n - b] - log[n];
            for c in (a + b).saturating_sub(n).max(1)..=a.min(b) {
                let probability = (fixed - log[c] - log[a - c] - log[b - c] - log[n + c - a - b]).exp();
                let gain = c as f64 / n as f64 * (n as f64 * c as f64 / (a as f64 * b as f64)).ln();
                sum += (times_a * times_b) as f64 * gain * probability;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_partition_agrees_by_any_name() {
        let a = Agreement::new(&[0, 0, 1, 1, 2], &[7, 7, 3, 3, 1]);
        for v in [a.nmi, a.ami, a.ari, a.homogeneity, a.completeness, a.v_measure, a.purity] {
            assert!((v - 1.0).abs() < 1e-12, "{a:?}");
        }
        // All in one cluster: no class is split, nothing is told.
        let one = Agreement::new(&[0, 0, 1, 1], &[0, 0, 0, 0]);
        assert_eq!(
            (one.nmi, one.ari, one.completeness, one.homogeneity, one.purity),
            (0.0, 0.0, 1.0, 0.0, 0.5)
        );
        assert_eq!(one.ami, 0.0);
        // Each cluster holds half of each class: scikit-learn's values.
        let apart = Agreement::new(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        assert_eq!((apart.nmi, apart.homogeneity, apart.completeness, apart.v_measure), (0.0, 0.0, 0.0, 0.0));
        assert!((apart.ami + 0.5).abs() < 1e-12 && (apart.ari + 0.5).abs() < 1e-12, "{apart:?}");
        let trivial = Agreement::new(&[0, 0], &[1, 1]);
        assert_eq!((trivial.nmi, trivial.ami, trivial.ari), (1.0, 1.0, 1.0));
    }

    #[test]
    fn an_interval_is_as_wide_as_the_shares_spread() {
        // Three quarters of 400 images are of their cluster's class: purity has a standard error of 0.0217.
        let clusters: Vec<u32> = (0..400).map(|i| i % 2).collect();
        let classes: Vec<u32> = (0..400).map(|i| if i % 8 < 6 { i % 2 } else { 1 - i % 2 }).collect();
        let draws = Agreement::bootstrap(&classes, &clusters, 1);
        let [low, high] = super::super::percentiles(draws.iter().map(|a| a.purity).collect());
        assert!(low < 0.75 && 0.75 < high && (high - low - 4.0 * 0.0217).abs() < 0.02, "{low} {high}");
        assert!(Agreement::bootstrap(&vec![0; ENOUGH + 1], &vec![0; ENOUGH + 1], 1).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pairs_and_entropies_are_those_of_naive_loops(labels in proptest::collection::vec((0u32..5, 0u32..4), 2..50)) {
            let (a, b): (Vec<u32>, Vec<u32>) = labels.iter().copied().unzip();
            let found = Agreement::new(&a, &b);
            let n = a.len();
            let (mut both, mut first, mut second, mut all) = (0.0, 0.0, 0.0, 0.0);
            for i in 0..n {
                for j in i + 1..n {
                    let (x, y) = (a[i] == a[j], b[i] == b[j]);
                    both += f64::from(u8::from(x && y));
                    first += f64::from(u8::from(x));
                    second += f64::from(u8::from(y));
                    all += 1.0;
                }
            }
            let expected = first * second / all;
            let most: f64 = (first + second) / 2.0;
            if (most - expected).abs() > 1e-9 {
                prop_assert!((found.ari - (both - expected) / (most - expected)).abs() < 1e-9);
            }
            let share = |test: &dyn Fn(usize) -> bool| (0..n).filter(|i| test(*i)).count() as f64 / n as f64;
            let mut information = 0.0;
            for i in 0..n {
                let joint = share(&|k| a[k] == a[i] && b[k] == b[i]);
                information += (joint / (share(&|k| a[k] == a[i]) * share(&|k| b[k] == b[i]))).ln() / n as f64;
            }
            let entropy = |l: &[u32]| -> f64 { (0..n).map(|i| -share(&|k| l[k] == l[i]).ln() / n as f64).sum() };
            let mean = (entropy(&a) + entropy(&b)) / 2.0;
            if mean > 1e-9 {
                prop_assert!((found.nmi - information.max(0.0) / mean).abs() < 1e-9);
                prop_assert!((found.v_measure - found.nmi).abs() < 1e-9);
            }
        }
    }
}
