//! Verification: are two images of the same class, by a threshold on their distance?

use crate::images::Vectors;
use crate::neighbours::squared_distance;
use rayon::prelude::*;
use serde::Serialize;

/// Images whose pairs are counted, at most: two million pairs say enough of an error rate.
const MOST: usize = 2000;

/// How well a threshold tells pairs of one class from pairs of two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The equal error rate: where as large a share of pairs of one class is rejected as is accepted of pairs of two.
    pub eer: f64,
    /// The distance at which that is so.
    pub threshold: f64,
    /// Pairs of one class.
    pub genuine: usize,
    /// Pairs of two classes.
    pub impostor: usize,
}

/// All pairs of the images, or of some of them, evenly spread, where they are many. Nothing if there are no pairs of one
/// kind.
pub fn verification(vectors: Vectors<'_>, labels: &[u32]) -> Option<Verification> {
    let n = labels.len();
    let chosen: Vec<usize> = (0..n.min(MOST)).map(|i| i * n / n.min(MOST)).collect();
    let d = vectors.d();
    let mut rows = vec![0.0f32; chosen.len() * d];
    rows.par_chunks_mut(d).zip(&chosen).for_each(|(row, &i)| vectors.read(i, row));
    let pairs: Vec<(f64, bool)> = (0..chosen.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            let (rows, chosen) = (&rows, &chosen);
            (i + 1..chosen.len()).map(move |j| {
                let (a, b) = (&rows[i * d..][..d], &rows[j * d..][..d]);
                (squared_distance(a, b).sqrt(), labels[chosen[i]] == labels[chosen[j]])
            })
        })
        .collect();
    equal_error_rate(pairs)
}

/// The equal error rate of distances, each with whether its pair is of one class. Between two thresholds the rates are taken
/// to go straight from one to the other, as a receiver operating characteristic is drawn.
pub fn equal_error_rate(mut pairs: Vec<(f64, bool)>) -> Option<Verification> {
    let genuine = pairs.iter().filter(|p| p.1).count();
    let impostor = pairs.len() - genuine;
    if genuine == 0 || impostor == 0 {
        return None;
    }
    pairs.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut accepted, mut wrongly) = (0usize, 0usize);
    let rates = |accepted: usize, wrongly: usize| {
        (1.0 - accepted as f64 / genuine as f64, wrongly as f64 / impostor as f64)
    };
    let (mut before, mut threshold) = (rates(0, 0), 0.0);
    for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
        tied.iter().for_each(|p| if p.1 { accepted += 1 } else { wrongly += 1 });
        let after = rates(accepted, wrongly);
        if after.0 <= after.1 {
            // Where the two straight lines cross.
            let (gap, left) = (before.0 - before.1, after.1 - after.0);
            let t = if gap + left > 0.0 { gap / (gap + left) } else { 0.0 };
            let eer = before.1 + t * (after.1 - before.1);
            return Some(Verification {
                eer,
                threshold: threshold + t * (tied[0].0 - threshold),
                genuine,
                impostor,
            });
        }
        (before, threshold) = (after, tied[0].0);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Features;

    fn eer(same: &[f64], other: &[f64]) -> f64 {
        let pairs = same.iter().map(|d| (*d, true)).chain(other.iter().map(|d| (*d, false)));
        equal_error_rate(pairs.collect()).unwrap().eer
    }

    #[test]
    fn rates_are_equal_where_they_cross() {
        assert_eq!(eer(&[1.0, 2.0], &[3.0, 4.0]), 0.0);
        assert_eq!(eer(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        // One of four rejected, one of four accepted.
        assert_eq!(eer(&[1.0, 2.0, 3.0, 6.0], &[4.0, 5.5, 7.0, 8.0]), 0.25);
        // All alike: a threshold can only take half of each.
        assert_eq!(eer(&[1.0, 1.0], &[1.0, 1.0, 1.0]), 0.5);
        assert_eq!(equal_error_rate(vec![(1.0, true)]), None);
    }

    #[test]
    fn every_pair_counts_once() {
        let f = Features::new(1, vec![0.0, 1.0, 5.0, 6.0, 20.0]);
        let v = verification(Vectors::Features(&f), &[0, 0, 1, 1, 2]).unwrap();
        assert_eq!((v.genuine, v.impostor, v.eer), (2, 8, 0.0));
        assert!((1.0..=4.0).contains(&v.threshold));
    }
}
