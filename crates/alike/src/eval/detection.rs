//! How well a score tells anomalies from what is normal.

use serde::Serialize;

/// The quality of scores, larger for what is more anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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
        let mut all: Vec<(f64, bool)> = scores
            .iter()
            .zip(anomaly)
            .map(|(s, a)| (if s.is_nan() { f64::INFINITY } else { *s }, *a))
            .collect();
        let anomalies = all.iter().filter(|x| x.1).count();
        let normal = all.len() - anomalies;
        if anomalies == 0 || normal == 0 {
            return None;
        }
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut found, mut wrong) = (0usize, 0usize);
        let (mut auroc, mut aupr, mut at_95) = (0.0, 0.0, None);
        for tied in all.chunk_by(|a, b| a.0 == b.0) {
            let more = tied.iter().filter(|x| x.1).count();
            let fewer = tied.len() - more;
            auroc += fewer as f64 * (found as f64 + more as f64 / 2.0);
            found += more;
            wrong += fewer;
            aupr += more as f64 * found as f64 / (found + wrong) as f64;
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

#[cfg(test)]
mod tests {
    use super::*;
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
