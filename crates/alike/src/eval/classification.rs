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
    /// By query: whether the gallery has a right answer for it, so that it counts. All do if nothing is said.
    #[serde(skip)]
    pub matched: Vec<bool>,
}

impl Classification {
    /// Compares answers with the truth.
    pub fn new(predicted: Vec<u32>, labels: &[u32], classes: &[String]) -> Classification {
        Classification::of_matched(predicted, Vec::new(), labels, classes)
    }

    /// The same of those queries that the gallery has a right answer for; see [`Classification::matched`].
    pub fn of_matched(
        predicted: Vec<u32>,
        matched: Vec<bool>,
        labels: &[u32],
        classes: &[String],
    ) -> Classification {
        let mut counts = vec![(0usize, 0usize); classes.len()];
        let counted = |i: &usize| matched.get(*i).copied().unwrap_or(true);
        for i in (0..predicted.len()).filter(counted) {
            let (p, l) = (&predicted[i], &labels[i]);
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
        Classification { accuracy: share(all), interval: None, recall, predicted, matched }
    }

    /// Whether query `i` counts.
    pub fn counts(&self, i: usize) -> bool {
        self.matched.get(i).copied().unwrap_or(true)
    }

    /// By query that counts: whether its answer is right.
    pub fn right(&self, labels: &[u32]) -> Vec<bool> {
        (0..self.predicted.len())
            .filter(|i| self.counts(*i))
            .map(|i| self.predicted[i] == labels[i])
            .collect()
    }

    /// The same with an interval: of other queries, or of other classes, where those are what another sample would have.
    pub fn with_interval(self, labels: &[u32], by_class: bool) -> Classification {
        let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (i, (p, l)) in self.predicted.iter().zip(labels).enumerate().filter(|(i, _)| self.counts(*i)) {
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
        for (_, (p, l)) in self.predicted.iter().zip(labels).enumerate().filter(|(i, _)| self.counts(*i)) {
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
#[derive(Clone, Debug)]
pub struct ClassMeans<'a> {
    gallery: Vectors<'a>,
    labels: &'a [u32],
    /// Sums and counts.
    sums: Vec<(Vec<f64>, usize)>,
    /// To length 1; nothing for a class without images.
    means: Vec<Option<Vec<f64>>>,
}

impl<'a> ClassMeans<'a> {
    /// The means of a gallery's vectors, by label below `classes`.
    pub fn new(gallery: Vectors<'a>, labels: &'a [u32], classes: usize) -> ClassMeans<'a> {
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
        ClassMeans { gallery, labels, sums, means }
    }

    /// The means of those classes that some members of the gallery are of, without these; nothing for a class that has no others.
    fn without(&self, members: &[usize]) -> BTreeMap<u32, Option<Vec<f64>>> {
        let mut left: BTreeMap<u32, (Vec<f64>, usize)> = BTreeMap::new();
        let mut row = vec![0.0; self.gallery.d()];
        for i in members {
            let label = self.labels[*i];
            let (sum, n) = left.entry(label).or_insert_with(|| self.sums[label as usize].clone());
            self.gallery.read(*i, &mut row);
            sum.iter_mut().zip(&row).for_each(|(s, v)| *s -= f64::from(*v));
            *n -= 1;
        }
        let mean = |(label, (mut sum, n)): (u32, (Vec<f64>, usize))| {
            normalize(&mut sum);
            (label, (n > 0).then_some(sum))
        };
        left.into_iter().map(mean).collect()
    }

    /// The class of the nearest mean for every query, which is scaled to length 1 first; `u32::MAX` where no class has a mean.
    /// `left_out` gives those members of the gallery that do not count for the query, itself say: they are left out of their means.
    pub fn classify<'b>(
        &self,
        queries: Vectors<'_>,
        left_out: impl Fn(usize) -> &'b [usize] + Sync,
    ) -> Vec<u32> {
        let first = |list: Vec<(u32, f64)>| list.first().map_or(u32::MAX, |(class, _)| *class);
        self.distances(queries, left_out).into_iter().map(first).collect()
    }

    /// For every query the classes with the distances of their means, nearest first; see [`ClassMeans::classify`].
    pub fn distances<'b>(
        &self,
        queries: Vectors<'_>,
        left_out: impl Fn(usize) -> &'b [usize] + Sync,
    ) -> Vec<Vec<(u32, f64)>> {
        (0..queries.len())
            .into_par_iter()
            .map_init(
                || (vec![0.0f32; queries.d()], vec![0.0f64; queries.d()]),
                |(row, wide), i| {
                    queries.read(i, row);
                    wide.iter_mut().zip(&*row).for_each(|(w, v)| *w = f64::from(*v));
                    let left = self.without(left_out(i));
                    normalize(wide);
                    let distance =
                        |mean: &Vec<f64>| mean.iter().zip(&*wide).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                    let by_class = self.means.iter().enumerate().filter_map(|(c, mean)| {
                        let mean = left.get(&(c as u32)).unwrap_or(mean);
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
        let each = [0, 1, 2];
        let own = |i: usize| std::slice::from_ref(&each[i]);
        assert_eq!(alone.classify(Vectors::Features(&gallery), own), [0, 0, 0]);
        // Twice in a class, and nothing else there: the class has no mean.
        let both = gallery.select(&[0, 0]);
        let twice = ClassMeans::new(Vectors::Features(&both), &[0, 0], 1);
        assert_eq!(twice.classify(Vectors::Features(&gallery.select(&[0])), |_| &[0, 1]), [u32::MAX]);
        // A mean without a group is that of the others, whatever the group's vectors are.
        let others = Features::new(2, vec![1.0, 0.0, 5.0, 5.0, 0.0, 1.0, 9.0, 9.0]);
        let means = ClassMeans::new(Vectors::Features(&others), &[0, 0, 1, 1], 2);
        let found = means.distances(Vectors::Features(&others.select(&[1])), |_| &[1, 3]);
        let plain = (0.5f64.sqrt() - 1.0).powi(2) + 0.5;
        assert!(found[0].iter().all(|(_, d)| (d * d - plain).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn recall_is_by_class_and_classes_without_queries_are_left_out() {
        let classes: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let c = Classification::new(vec![0, 1, 1, 2], &[0, 0, 1, 1], &classes);
        assert_eq!((c.accuracy, c.recall["a"], c.recall["b"], c.recall.len()), (0.5, 0.5, 0.5, 2));
        assert_eq!(c.confusion(&[0, 0, 1, 1], 3), [[1, 1, 0], [0, 1, 1], [0, 0, 0]]);
        // What has no match in the gallery counts neither as right nor as wrong.
        let matched = vec![true, false, true, true];
        let c = Classification::of_matched(vec![0, 1, 1, 2], matched, &[0, 0, 1, 1], &classes);
        assert_eq!((c.accuracy, c.recall["a"], c.recall["b"]), (2.0 / 3.0, 1.0, 0.5));
        assert_eq!(c.right(&[0, 0, 1, 1]), [true, true, false]);
    }
}
