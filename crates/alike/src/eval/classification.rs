//! Classification by similarity: nearest class mean, and the vote of nearest neighbours.

use super::interval::mean_interval;
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use alike_kernels::Tier;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a rule answered for every query, against the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    /// How often a query of a class was given a class, by both: the cells of the confusion matrix that are not zero.
    pub fn confusion(&self, labels: &[u32]) -> BTreeMap<(u32, u32), u32> {
        let mut cells = BTreeMap::new();
        for (_, (p, l)) in self.predicted.iter().zip(labels).enumerate().filter(|(i, _)| self.counts(*i)) {
            // What got no answer is given to no class.
            if *p != u32::MAX {
                *cells.entry((*l, *p)).or_default() += 1;
            }
        }
        cells
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
    tier: Tier,
    gallery: Vectors<'a>,
    labels: &'a [u32],
    /// Sums and counts.
    sums: Vec<(Vec<f64>, usize)>,
    /// Classes that have images, and their means to length 1.
    classes: Vec<u32>,
    means: Vec<Vec<f64>>,
    /// The same in single precision, by which the nearest are found before they are measured.
    single: Features,
}

/// Queries that are scaled at a time.
const SCALED: usize = 16_384;
/// Means that are measured, at least: more than rounding can exchange.
const MEASURED: usize = 8;

impl<'a> ClassMeans<'a> {
    /// The means of a gallery's vectors, by label below `classes`.
    pub fn new(gallery: Vectors<'a>, labels: &'a [u32], classes: usize) -> ClassMeans<'a> {
        ClassMeans::with_tier(Tier::found(), gallery, labels, classes)
    }

    /// The same, compared by the given instructions.
    pub(crate) fn with_tier(
        tier: Tier,
        gallery: Vectors<'a>,
        labels: &'a [u32],
        classes: usize,
    ) -> ClassMeans<'a> {
        let mut sums = vec![(vec![0.0; gallery.d()], 0usize); classes];
        let mut row = vec![0.0; gallery.d()];
        for (i, l) in labels.iter().enumerate() {
            gallery.read(i, &mut row);
            let (sum, n) = &mut sums[*l as usize];
            sum.iter_mut().zip(&row).for_each(|(s, v)| *s += f64::from(*v));
            *n += 1;
        }
        let classes: Vec<u32> = (0..classes as u32).filter(|c| sums[*c as usize].1 > 0).collect();
        let means: Vec<Vec<f64>> = classes.iter().map(|c| unit(sums[*c as usize].0.clone())).collect();
        let single = Features::new(gallery.d(), means.iter().flatten().map(|v| *v as f32).collect());
        ClassMeans { tier, gallery, labels, sums, classes, means, single }
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
        left.into_iter().map(|(label, (sum, n))| (label, (n > 0).then(|| unit(sum)))).collect()
    }

    /// The class of the nearest mean for every query, which is scaled to length 1 first; `u32::MAX` where no class has a mean.
    /// `left_out` gives those members of the gallery that do not count for the query, itself say: they are left out of their means.
    pub fn classify<'b>(
        &self,
        queries: Vectors<'_>,
        left_out: impl Fn(usize) -> &'b [usize] + Sync,
    ) -> Vec<u32> {
        let first = |list: Vec<(u32, f64)>| list.first().map_or(u32::MAX, |(class, _)| *class);
        self.distances(queries, 1, left_out).into_iter().map(first).collect()
    }

    /// For every query the `k` classes with the nearest means and their distances, nearest first; see [`ClassMeans::classify`].
    pub fn distances<'b>(
        &self,
        queries: Vectors<'_>,
        k: usize,
        left_out: impl Fn(usize) -> &'b [usize] + Sync,
    ) -> Vec<Vec<(u32, f64)>> {
        // Means that change for a query are measured by themselves, and those of the others are to be enough.
        let changed = |i: usize| left_out(i).iter().map(|m| self.labels[*m]).collect::<BTreeSet<u32>>().len();
        let most = (0..queries.len()).into_par_iter().map(changed).max().unwrap_or(0);
        let deep = (k.max(MEASURED) + most).min(self.classes.len());
        let mut found = Vec::with_capacity(queries.len());
        let index = Exact::with_tier(self.tier, Vectors::Features(&self.single));
        for begin in (0..queries.len()).step_by(SCALED) {
            let scaled = |i| unit(wide(&queries.row(i)));
            let units: Vec<Vec<f64>> =
                (begin..queries.len().min(begin + SCALED)).into_par_iter().map(scaled).collect();
            let single = units.iter().flatten().map(|v| *v as f32).collect();
            let single = Features::new(queries.d(), single);
            let asking = Vectors::Features(&single);
            let read = |i: usize, near: &[Neighbour]| {
                let far = |mean: &[f64]| {
                    mean.iter().zip(&units[i]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
                };
                let left = self.without(left_out(begin + i));
                let others = near.iter().map(|n| (self.classes[n.index], &self.means[n.index]));
                let whole = others.filter(|(c, _)| !left.contains_key(c)).map(|(c, mean)| (c, far(mean)));
                let rest = left.iter().filter_map(|(c, mean)| Some((*c, far(mean.as_ref()?))));
                let mut list: Vec<(u32, f64)> = whole.chain(rest).collect();
                list.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
                list.truncate(k);
                list
            };
            found.extend(nearest(&index, asking, deep, Exclude::None, read));
        }
        found
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|v| f64::from(*v)).collect()
}

/// A vector scaled to length 1; the zero vector stays.
fn unit(mut v: Vec<f64>) -> Vec<f64> {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        v.iter_mut().for_each(|x| *x /= norm);
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let found = means.distances(Vectors::Features(&others.select(&[1])), 9, |_| &[1, 3]);
        let plain = (0.5f64.sqrt() - 1.0).powi(2) + 0.5;
        assert!(found[0].iter().all(|(_, d)| (d * d - plain).abs() < 1e-12), "{found:?}");
    }

    /// Against plain loops, with members left out, more classes than are measured, and classes without images.
    #[test]
    fn the_nearest_means_are_those_of_plain_loops() {
        let (n, d, classes) = (700usize, 6usize, 90u32);
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5;
        let gallery = Features::new(d, (0..n * d).map(value).collect());
        let labels: Vec<u32> = (0..n as u32).map(|i| i * i % classes).collect();
        let queries = gallery.select(&(0..200).collect::<Vec<_>>());
        let left: Vec<Vec<usize>> = (0..200).map(|i| (i..n).step_by(97).collect()).collect();
        for tier in Tier::available() {
            let means = ClassMeans::with_tier(tier, Vectors::Features(&gallery), &labels, classes as usize);
            let found = means.distances(Vectors::Features(&queries), 20, |i| &left[i]);
            for (i, list) in found.iter().enumerate() {
                let mut plain: Vec<(u32, f64)> = (0..classes)
                    .filter_map(|c| {
                        let of = (0..n).filter(|m| labels[*m] == c && !left[i].contains(m));
                        let rows: Vec<Vec<f64>> = of.map(|m| wide(gallery.row(m))).collect();
                        let sum = (0..d).map(|k| rows.iter().map(|r| r[k]).sum()).collect();
                        let (mean, query) = (unit(sum), unit(wide(queries.row(i))));
                        let far = mean.iter().zip(&query).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
                        (!rows.is_empty()).then_some((c, far))
                    })
                    .collect();
                plain.sort_by(|a, b| a.1.total_cmp(&b.1));
                assert_eq!(list.len(), 20);
                for (a, b) in list.iter().zip(&plain) {
                    assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-9, "{tier:?}, {i}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn recall_is_by_class_and_classes_without_queries_are_left_out() {
        let classes: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let c = Classification::new(vec![0, 1, 1, 2], &[0, 0, 1, 1], &classes);
        assert_eq!((c.accuracy, c.recall["a"], c.recall["b"], c.recall.len()), (0.5, 0.5, 0.5, 2));
        let cells: Vec<((u32, u32), u32)> = c.confusion(&[0, 0, 1, 1]).into_iter().collect();
        assert_eq!(cells, [((0, 0), 1), ((0, 1), 1), ((1, 1), 1), ((1, 2), 1)]);
        // What has no match in the gallery counts neither as right nor as wrong.
        let matched = vec![true, false, true, true];
        let c = Classification::of_matched(vec![0, 1, 1, 2], matched, &[0, 0, 1, 1], &classes);
        assert_eq!((c.accuracy, c.recall["a"], c.recall["b"]), (2.0 / 3.0, 1.0, 0.5));
        assert_eq!(c.right(&[0, 0, 1, 1]), [true, true, false]);
    }
}
