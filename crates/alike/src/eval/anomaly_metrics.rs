//! How well a score tells anomalies from what is normal.

use super::bootstrap::{self, Drawn};
use crate::sample;
use serde::Serialize;

/// The quality of scores, larger for what is more anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Detection {
    /// The area under the receiver operating characteristic: how often an anomaly scores above a normal image, a tie counting
    /// half.
    pub auroc: f64,
    /// Average precision with anomalies as positives (`sklearn.metrics.average_precision_score`).
    pub aupr: f64,
    /// The share of normal images that is flagged where 95 % of anomalies are.
    pub fpr_at_95_tpr: f64,
    /// Normal images.
    pub normal: usize,
    /// Anomalies.
    pub anomalies: usize,
}

impl Detection {
    /// The quality of scores, each with whether it is an anomaly's. Nothing if there are none of one kind. What is no number counts
    /// as most anomalous.
    pub fn new(scores: &[f64], anomaly: &[bool]) -> Option<Detection> {
        Detection::of(&most_anomalous_first(scores, anomaly), |_| 1)
    }

    /// How many images of one kind alone would make an area vary as much at most: a half of their harmonic mean, for each image of
    /// either kind adds a share that is between 0 and 1 (DeLong, DeLong and Clarke-Pearson 1988).
    pub fn units(&self) -> f64 {
        let (n, m) = (self.normal as f64, self.anomalies as f64);
        n * m / (n + m)
    }

    /// The quality of scores of images drawn with replacement, draw by draw, for [`bootstrap_interval`](super::bootstrap_interval); nothing where no image of one
    /// kind was drawn. The images of the same `keys` are drawn in the same way whatever their scores and order, so draws can be averaged
    /// over methods and classes.
    pub fn bootstrap(scores: &[f64], anomaly: &[bool], keys: &[u64], seed: u64) -> Vec<Option<Detection>> {
        let sorted = most_anomalous_first(scores, anomaly);
        let mut place = vec![0; scores.len()];
        sample::some(keys, keys.len(), seed).into_iter().enumerate().for_each(|(at, i)| place[i] = at);
        bootstrap::draws(scores.len(), Drawn::Images, seed, |counts| {
            Detection::of(&sorted, |i| counts[place[i]] as usize)
        })
    }

    /// `sorted` scores with what they are of and which they were, each `times` over.
    fn of(sorted: &[(f64, bool, usize)], times: impl Fn(usize) -> usize) -> Option<Detection> {
        let count = |list: &[(f64, bool, usize)], kind: bool| -> usize {
            list.iter().filter(|x| x.1 == kind).map(|x| times(x.2)).sum()
        };
        let (normal, anomalies) = (count(sorted, false), count(sorted, true));
        if anomalies == 0 || normal == 0 {
            return None;
        }
        let (mut found, mut wrong) = (0usize, 0usize);
        let (mut auroc, mut aupr, mut at_95) = (0.0, 0.0, None);
        for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
            let (fewer, more) = (count(tied, false), count(tied, true));
            auroc += fewer as f64 * (found as f64 + more as f64 / 2.0);
            found += more;
            wrong += fewer;
            if more > 0 {
                aupr += more as f64 * found as f64 / (found + wrong) as f64;
            }
            if at_95.is_none() && found as f64 >= 0.95 * anomalies as f64 {
                at_95 = Some(wrong as f64 / normal as f64);
            }
        }
        Some(Detection {
            auroc: auroc / (anomalies as f64 * normal as f64),
            aupr: aupr / anomalies as f64,
            fpr_at_95_tpr: at_95.unwrap_or(1.0),
            normal,
            anomalies,
        })
    }
}

/// Scores, whether they are an anomaly's, and which they were.
fn most_anomalous_first(scores: &[f64], anomaly: &[bool]) -> Vec<(f64, bool, usize)> {
    let number = |s: f64| if s.is_nan() { f64::INFINITY } else { s };
    let mut all: Vec<(f64, bool, usize)> =
        scores.iter().zip(anomaly).enumerate().map(|(i, (s, a))| (number(*s), *a, i)).collect();
    all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, RngExt, stream};
    use proptest::prelude::*;

    #[test]
    fn perfect_and_useless_scores_are_told() {
        let d = Detection::new(&[1.0, 2.0, 3.0, 4.0], &[false, false, true, true]).unwrap();
        assert_eq!((d.auroc, d.aupr, d.fpr_at_95_tpr), (1.0, 1.0, 0.0));
        let d = Detection::new(&[1.0; 4], &[false, true, true, false]).unwrap();
        assert_eq!((d.auroc, d.aupr, d.fpr_at_95_tpr), (0.5, 0.5, 1.0));
        let d = Detection::new(&[f64::NAN, 1.0], &[true, false]).unwrap();
        assert_eq!(d.auroc, 1.0);
        assert_eq!(Detection::new(&[1.0], &[true]), None);
    }

    #[test]
    fn an_interval_holds_the_area_and_is_as_wide_as_its_spread() {
        // Two normal clouds one deviation apart: the area is 0.760, its standard error with 200 of each 0.0238 (Hanley and McNeil 1982).
        let mut rng = stream(1, Purpose::Bootstrap, 0, 0);
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let anomaly: Vec<bool> = (0..400).map(|i| i % 2 == 1).collect();
        let scores: Vec<f64> = (0..400).map(|i| normal() + f64::from(i % 2)).collect();
        let area = Detection::new(&scores, &anomaly).unwrap().auroc;
        let keys: Vec<u64> = (0..400).map(crate::rng::mix).collect();
        let draws = Detection::bootstrap(&scores, &anomaly, &keys, 1);
        let drawn: Vec<f64> = draws.iter().flatten().map(|d| d.auroc).collect();
        let [low, high] = super::super::bootstrap_interval(area, &drawn, 100.0);
        assert!(low < area && area < high, "{low} {area} {high}");
        assert!((high - low - 4.0 * 0.0238).abs() < 0.025, "{low} {high}");
        // The same images are drawn whatever they score.
        let other = Detection::bootstrap(&vec![0.0; 400], &anomaly, &keys, 1);
        assert!(draws.iter().zip(&other).all(|(a, b)| a.unwrap().normal == b.unwrap().normal));
        // And in whatever order they stand.
        let turned = |i: usize| 399 - i;
        let moved = Detection::bootstrap(
            &(0..400).map(|i| scores[turned(i)]).collect::<Vec<_>>(),
            &(0..400).map(|i| anomaly[turned(i)]).collect::<Vec<_>>(),
            &(0..400).map(|i| keys[turned(i)]).collect::<Vec<_>>(),
            1,
        );
        assert_eq!(draws, moved);
    }

    proptest! {
        /// Few whole numbers, so that there are ties.
        #[test]
        fn areas_are_those_of_naive_loops(scores in proptest::collection::vec((0u32..8, any::<bool>()), 2..60)) {
            let values: Vec<f64> = scores.iter().map(|s| f64::from(s.0)).collect();
            let anomaly: Vec<bool> = scores.iter().map(|s| s.1).collect();
            let of = |kind: bool| -> Vec<f64> {
                scores.iter().filter(|s| s.1 == kind).map(|s| f64::from(s.0)).collect()
            };
            let (bad, good) = (of(true), of(false));
            let found = Detection::new(&values, &anomaly);
            prop_assert_eq!(found.is_some(), !bad.is_empty() && !good.is_empty());
            if let Some(d) = found {
                let mut wins = 0.0;
                for a in &bad {
                    for n in &good {
                        wins += if a > n { 1.0 } else if a == n { 0.5 } else { 0.0 };
                    }
                }
                prop_assert!((d.auroc - wins / (bad.len() * good.len()) as f64).abs() < 1e-12);
                let at = |list: &[f64], t: f64| list.iter().filter(|v| **v >= t).count() as f64;
                let precision: f64 = bad.iter().map(|t| at(&bad, *t) / (at(&bad, *t) + at(&good, *t))).sum();
                prop_assert!((d.aupr - precision / bad.len() as f64).abs() < 1e-12);
                let enough = (0..8).map(f64::from).filter(|t| at(&bad, *t) >= 0.95 * bad.len() as f64);
                let least = enough.map(|t| at(&good, t) / good.len() as f64).fold(1.0, f64::min);
                prop_assert_eq!(d.fpr_at_95_tpr, least);
            }
        }
    }
}
