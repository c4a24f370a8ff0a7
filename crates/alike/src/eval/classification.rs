//! Classification by similarity: nearest class mean, and the vote of nearest neighbours.

use super::interval::mean_interval;
use crate::images::Vectors;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a rule answered for every query, against the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Classification {
    /// The share of right answers.
    pub accuracy: f64,
    /// Between what the share lies, 95 %, where that was asked for: see [`mean_interval`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The share of right answers among the queries of each class that has any, by the class's name.
    pub recall: BTreeMap<String, f64>,
    /// By query: the class that was answered.
    #[serde(skip)]
    pub predicted: Vec<u32>,
}

impl Classification {
    /// Compares answers with the truth.
    pub fn new(predicted: Vec<u32>, labels: &[u32], classes: &[String]) -> Classification {
        let mut counts = vec![(0usize, 0usize); classes.len()];
        for (p, l) in predicted.iter().zip(labels) {
            counts[*l as usize].0 += usize::from(p == l);
            counts[*l as usize].1 += 1;
        }
        let share = |(right, of): (usize, usize)| right as f64 / of.max(1) as f64;
        let all = counts.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let recall = classes
            .iter()
            .zip(&counts)
            .filter(|(_, c)| c.1 > 0)
            .map(|(name, c)| (name.clone(), share(*c)))
            .collect();
        Classification { accuracy: share(all), interval: None, recall, predicted }
    }

    /// The same with an interval: of other queries, or of other classes, where those are what another sample would have.
    pub fn with_interval(self, labels: &[u32], by_class: bool) -> Classification {
        let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (i, (p, l)) in self.predicted.iter().zip(labels).enumerate() {
            let (right, n) = groups.entry(if by_class { *l as usize } else { i }).or_default();
            *right += f64::from(u8::from(p == l));
            *n += 1.0;
        }
        let groups: Vec<(f64, f64)> = groups.into_values().collect();
        Classification { interval: Some(mean_interval(&groups)), ..self }
    }

    /// How often a query of each class (row) was given each class (column).
    pub fn confusion(&self, labels: &[u32], classes: usize) -> Vec<Vec<u32>> {
        let mut matrix = vec![vec![0; classes]; classes];
        for (p, l) in self.predicted.iter().zip(labels) {
            // What got no answer is given to no class.
            if let Some(cell) = matrix[*l as usize].get_mut(*p as usize) {
                *cell += 1;
            }
        }
        matrix
    }
}

/// The majority class among `labels`, nearest first; a tie goes to the tied class whose nearest member is nearest.
///
/// # Panics
///
/// If `labels` is empty.
pub fn vote(labels: &[u32]) -> u32 {
    let votes = |class: u32| labels.iter().filter(|l| **l == class).count();
    // The first of equal maxima: `max_by_key` would keep the last, so the order is reversed.
    *labels.iter().rev().max_by_key(|l| votes(**l)).expect("a vote needs neighbours")
}

/// The class with the heaviest votes among neighbours' classes and distances, nearest first, each vote weighing one over its
/// distance (Dudani 1976, "The distance-weighted k-nearest-neighbor rule"; scikit-learn's `weights="distance"`); a tie goes to
/// the tied class whose nearest member is nearest.
///
/// # Panics
///
/// If there are no neighbours.
pub fn weighted_vote(neighbours: &[(u32, f64)]) -> u32 {
    let weight =
        |class: u32| -> f64 { neighbours.iter().filter(|n| n.0 == class).map(|n| 1.0 / n.1.max(1e-9)).sum() };
    let heaviest = neighbours.iter().rev().max_by(|a, b| weight(a.0).total_cmp(&weight(b.0)));
    heaviest.expect("a vote needs neighbours").0
}

/// Each class's mean vector, scaled to length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMeans {
    /// Sums and counts.
    sums: Vec<(Vec<f64>, usize)>,
    /// To length 1; nothing for a class without images.
    means: Vec<Option<Vec<f64>>>,
}

impl ClassMeans {
    /// The means of a gallery's vectors, by label below `classes`.
    pub fn new(gallery: Vectors<'_>, labels: &[u32], classes: usize) -> ClassMeans {
        let mut sums = vec![(vec![0.0; gallery.d()], 0usize); classes];
        let mut row = vec![0.0; gallery.d()];
        for (i, l) in labels.iter().enumerate() {
            gallery.read(i, &mut row);
            let (sum, n) = &mut sums[*l as usize];
            sum.iter_mut().zip(&row).for_each(|(s, v)| *s += f64::from(*v));
            *n += 1;
        }
        let means = sums
            .iter()
            .map(|(sum, n)| {
                let mut mean = sum.clone();
                normalize(&mut mean);
                (*n > 0).then_some(mean)
            })
            .collect();
        ClassMeans { sums, means }
    }

    /// The mean of a class without some of its vectors, all equal; nothing if it has no others.
    fn without(&self, class: usize, times: usize, vector: &[f64]) -> Option<Vec<f64>> {
        let (sum, n) = &self.sums[class];
        let mut mean: Vec<f64> = sum.iter().zip(vector).map(|(s, v)| s - v * times as f64).collect();
        normalize(&mut mean);
        (*n > times).then_some(mean)
    }

    /// The class of the nearest mean for every query, which is scaled to length 1 first; `u32::MAX` where no class has a mean.
    /// `own` gives the labels of those members of the gallery that are the query itself: it is left out of their means.
    pub fn classify<'a>(&self, queries: Vectors<'_>, own: impl Fn(usize) -> &'a [u32] + Sync) -> Vec<u32> {
        let first = |list: Vec<(u32, f64)>| list.first().map_or(u32::MAX, |(class, _)| *class);
        self.distances(queries, own).into_iter().map(first).collect()
    }

    /// For every query the classes with the distances of their means, nearest first; see [`ClassMeans::classify`].
    pub fn distances<'a>(
        &self,
        queries: Vectors<'_>,
        own: impl Fn(usize) -> &'a [u32] + Sync,
    ) -> Vec<Vec<(u32, f64)>> {
        (0..queries.len())
            .into_par_iter()
            .map_init(
                || (vec![0.0f32; queries.d()], vec![0.0f64; queries.d()]),
                |(row, wide), i| {
                    queries.read(i, row);
                    wide.iter_mut().zip(&*row).for_each(|(w, v)| *w = f64::from(*v));
                    let own = own(i);
                    let left: Vec<(usize, Option<Vec<f64>>)> = own
                        .iter()
                        .map(|l| {
                            let times = own.iter().filter(|o| *o == l).count();
                            (*l as usize, self.without(*l as usize, times, wide))
                        })
                        .collect();
                    normalize(wide);
                    let distance =
                        |mean: &Vec<f64>| mean.iter().zip(&*wide).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                    let by_class = self.means.iter().enumerate().filter_map(|(c, mean)| {
                        let mean = left.iter().find(|l| l.0 == c).map_or(mean, |l| &l.1);
                        Some((c as u32, distance(mean.as_ref()?).sqrt()))
                    });
                    let mut list: Vec<(u32, f64)> = by_class.collect();
                    list.sort_by(|a, b| a.1.total_cmp(&b.1));
                    list
                },
            )
            .collect()
    }
}

/// To length 1; the zero vector stays.
fn normalize(v: &mut [f64]) {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        v.iter_mut().for_each(|x| *x /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Features;

    #[test]
    fn the_majority_wins_and_a_tie_goes_to_the_nearest() {
        assert_eq!(vote(&[3]), 3);
        assert_eq!(vote(&[1, 2, 2]), 2);
        assert_eq!(vote(&[2, 1, 1, 2]), 2);
        assert_eq!(vote(&[5, 1, 2, 2, 1]), 1);
    }

    #[test]
    fn a_near_vote_weighs_more_than_two_far_ones() {
        assert_eq!(weighted_vote(&[(1, 0.1), (2, 1.0), (2, 1.0)]), 1);
        assert_eq!(weighted_vote(&[(1, 0.9), (2, 1.0), (2, 1.0)]), 2);
        assert_eq!(weighted_vote(&[(3, 0.0), (2, 0.0), (2, 0.5)]), 2);
        assert_eq!(weighted_vote(&[(3, 0.5), (2, 0.5)]), 3);
    }

    #[test]
    fn the_nearest_mean_is_by_direction() {
        let gallery = Features::new(2, vec![1.0, 0.0, 3.0, 0.0, 0.0, 2.0]);
        let means = ClassMeans::new(Vectors::Features(&gallery), &[0, 0, 2], 3);
        let queries = Features::new(2, vec![10.0, 1.0, 0.1, 0.2]);
        assert_eq!(means.classify(Vectors::Features(&queries), |_| &[]), [0, 2]);
        // A vector that is left out of its class's mean cannot vouch for itself.
        let alone = ClassMeans::new(Vectors::Features(&gallery), &[0, 0, 1], 2);
        assert_eq!(alone.classify(Vectors::Features(&gallery), |_| &[]), [0, 0, 1]);
        let labels = [0, 0, 1];
        let own = |i: usize| std::slice::from_ref(&labels[i]);
        assert_eq!(alone.classify(Vectors::Features(&gallery), own), [0, 0, 0]);
        // Twice in a class, and nothing else there: the class has no mean.
        let twice = ClassMeans::new(Vectors::Features(&gallery.select(&[0, 0])), &[0, 0], 1);
        assert_eq!(twice.classify(Vectors::Features(&gallery.select(&[0])), |_| &[0, 0]), [u32::MAX]);
    }

    #[test]
    fn recall_is_by_class_and_classes_without_queries_are_left_out() {
        let classes: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let c = Classification::new(vec![0, 1, 1, 2], &[0, 0, 1, 1], &classes);
        assert_eq!((c.accuracy, c.recall["a"], c.recall["b"], c.recall.len()), (0.5, 0.5, 0.5, 2));
        assert_eq!(c.confusion(&[0, 0, 1, 1], 3), [[1, 1, 0], [0, 1, 1], [0, 0, 0]]);
    }
}
