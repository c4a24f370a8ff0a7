//! How unlike an image is to a reference of normal ones.
//!
//! All scores are larger for what is more anomalous, and no method needs to see an anomaly.

mod gaussian;
mod method;

pub use method::{AnomalyError, AnomalyMethod};

use super::Reference;
use crate::identity::Shared;
use crate::images::Vectors;
use crate::neighbours::{Exact, Exclude, Neighbour, SureIndex, nearest};
use crate::sample;
use gaussian::{Gaussians, gaussians};
use nalgebra::DVector;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A method that has learned what is normal.
#[derive(Clone, Debug)]
pub struct Detector<'a> {
    method: AnomalyMethod,
    reference: Reference<'a>,
    near: &'a [Vec<Neighbour>],
    model: Model<'a>,
}

#[derive(Clone, Debug)]
enum Model<'a> {
    /// The distance to the `k`-th neighbour.
    Neighbours {
        index: Arc<Exact<'a>>,
        k: usize,
    },
    /// By reference: the distance to its `k`-th neighbour, its local density, and its own score.
    Densities {
        index: Arc<Exact<'a>>,
        k: usize,
        reach: Vec<f64>,
        density: Vec<f64>,
        scores: Vec<f64>,
    },
    Gaussians(Vec<Gaussians>),
}

/// Folds that a reference is scored by where it cannot be left out image by image.
const FOLDS: usize = 5;

impl<'a> Detector<'a> {
    /// Learns what is normal.
    ///
    /// # Errors
    ///
    /// If there are fewer references than the method needs, or it is to look at no neighbours.
    ///
    /// # Panics
    ///
    /// If there is not a label and an identity for each reference, or neither a group for each nor none at all.
    pub fn fit(reference: Reference<'a>, method: AnomalyMethod) -> Result<Detector<'a>, AnomalyError> {
        Detector::fit_near(reference, method, &[])
    }

    /// The same where `near` has the nearest others of each reference, nearest first, as from [`known_or_found`](super::known_or_found): they
    /// are not searched for again, unless too few of them count. It may be empty.
    ///
    /// # Errors
    ///
    /// As [`Detector::fit`].
    ///
    /// # Panics
    ///
    /// As [`Detector::fit`], or if `near` is neither empty nor as long as there are references.
    pub fn fit_near(
        reference: Reference<'a>,
        method: AnomalyMethod,
        near: &'a [Vec<Neighbour>],
    ) -> Result<Detector<'a>, AnomalyError> {
        assert!(
            [0, reference.len()].contains(&near.len()),
            "detector: neighbours of each reference or of none"
        );
        reference.check();
        let n = reference.len();
        let needed = method.needs();
        if needed == 0 || matches!(method, AnomalyMethod::Lof { k: 0 }) {
            return Err(AnomalyError::NoNeighbours(method.to_string()));
        }
        if n < needed {
            return Err(AnomalyError::TooFew { method: method.to_string(), needed, found: n });
        }
        let index = || Arc::new(Exact::new(reference.vectors));
        let model = match method {
            AnomalyMethod::Knn { k } => Model::Neighbours { index: index(), k },
            AnomalyMethod::Lof { k } => {
                let index = index();
                let lists = neighbours(&*index, reference, near, k);
                // Fewer than `k` where the others are of the image's group.
                let reach: Vec<f64> = lists.iter().map(|l| l.last().map_or(0.0, |n| n.distance)).collect();
                let densities: Vec<f64> = lists.iter().map(|l| density(l, &reach)).collect();
                let scores = lists.iter().map(|l| factor(l, &reach, &densities)).collect();
                Model::Densities { index, k, reach, density: densities, scores }
            }
            AnomalyMethod::Mahalanobis | AnomalyMethod::MahalanobisByClass => {
                let own = method == AnomalyMethod::MahalanobisByClass;
                Model::Gaussians(gaussians(reference.vectors, reference.labels, own))
            }
        };
        Ok(Detector { method, reference, near, model })
    }

    /// The score of every query. `own` says which of them are references, if any are, or of a group of references: these are scored as
    /// [`Detector::reference_scores`] has it, infinite where nothing is left to score them by.
    pub fn score(&self, queries: Vectors<'_>, own: Option<&Shared>) -> Vec<f64> {
        let mut scores = self.reference.leaving(own, |exclude| self.score_leaving(queries, exclude));
        if let (Some(own), Model::Gaussians(_)) = (own, &self.model) {
            // What may not count for a query is all in one fold.
            let folds = self.folds();
            let left_out = self.reference.left_out(Some(own), queries.len());
            let fold_of = |i: usize| left_out[i].first().map(|member| folds[*member]);
            let label_of = |i: usize| self.reference.labels.get(own.queries[i] as usize).copied();
            let asked: Vec<(usize, usize, Option<u32>)> =
                (0..queries.len()).filter_map(|i| Some((i, fold_of(i)?, label_of(i)))).collect();
            for (i, score) in self.by_folds(&folds, queries, &asked) {
                scores[i] = score.unwrap_or(f64::INFINITY);
            }
        }
        scores
    }

    /// By reference: the fold that it is scored in; a group, or a picture that is there twice, is in one.
    fn folds(&self) -> Vec<usize> {
        let Reference { labels, identities, .. } = self.reference;
        sample::folds(labels, self.reference.together().as_deref(), identities.keys(), FOLDS, 0)
    }

    /// Scores some queries, each by what the folds but one teach: a query's number, that fold, and its class where it is a reference,
    /// which the others must know.
    fn by_folds(
        &self,
        folds: &[usize],
        queries: Vectors<'_>,
        asked: &[(usize, usize, Option<u32>)],
    ) -> Vec<(usize, Option<f64>)> {
        let Reference { vectors, labels, identities, .. } = self.reference;
        let rows = vectors.select(&all(vectors.len()));
        let mut scores = Vec::with_capacity(asked.len());
        for fold in 0..FOLDS {
            let of_fold: Vec<&(usize, usize, Option<u32>)> = asked.iter().filter(|a| a.1 == fold).collect();
            if of_fold.is_empty() {
                continue;
            }
            let kept: Vec<usize> = (0..folds.len()).filter(|i| folds[*i] != fold).collect();
            let kept_rows = rows.select(&kept);
            let classes: Vec<u32> = kept.iter().map(|i| labels[*i]).collect();
            let kept_identities = identities.select(&kept);
            let others = Reference::new(Vectors::Features(&kept_rows), &classes, &kept_identities);
            let known: BTreeSet<u32> = classes.iter().copied().collect();
            let other = Detector::fit(others, self.method).ok();
            let is_known = |label: Option<u32>| label.is_none_or(|l| known.contains(&l));
            let (can, cannot): (Vec<usize>, Vec<usize>) = of_fold.iter().map(|a| (a.0, is_known(a.2))).fold(
                (Vec::new(), Vec::new()),
                |(mut can, mut cannot), (i, known)| {
                    if known && other.is_some() {
                        can.push(i);
                    } else {
                        cannot.push(i);
                    }
                    (can, cannot)
                },
            );
            scores.extend(cannot.into_iter().map(|i| (i, None)));
            if let Some(other) = other {
                let found = other.score_leaving(Vectors::Features(&queries.select(&can)), Exclude::None);
                scores.extend(can.into_iter().zip(found.into_iter().map(Some)));
            }
        }
        scores
    }

    fn score_leaving(&self, queries: Vectors<'_>, exclude: Exclude<'_>) -> Vec<f64> {
        match &self.model {
            Model::Densities { index, k, reach, density, .. } => {
                nearest(&**index, queries, *k, exclude, |_, list| factor(list, reach, density))
            }
            Model::Neighbours { index, k } => nearest(&**index, queries, *k, exclude, |_, list| {
                list.last().map_or(f64::INFINITY, |n| n.distance)
            }),
            Model::Gaussians(classes) => (0..queries.len())
                .into_par_iter()
                .map(|i| {
                    let mut row = vec![0.0f32; queries.d()];
                    queries.read(i, &mut row);
                    let x = DVector::from_iterator(row.len(), row.iter().map(|v| f64::from(*v)));
                    classes.iter().map(|c| c.distance(&x)).fold(f64::INFINITY, f64::min)
                })
                .collect(),
        }
    }

    /// What each reference would score if it were new: it is left out of its own neighbourhood, or a fifth of every class is scored by
    /// what the other four fifths taught. Nothing where no other image is left to score it by: of its class, or of another
    /// group.
    pub fn reference_scores(&self) -> Vec<Option<f64>> {
        let Reference { vectors, labels, .. } = self.reference;
        let finite = |score: f64| score.is_finite().then_some(score);
        match &self.model {
            Model::Densities { scores, .. } => return scores.iter().copied().map(finite).collect(),
            Model::Neighbours { index, k } => {
                let lists = neighbours(&**index, self.reference, self.near, *k);
                return lists.iter().map(|l| finite(l.last()?.distance)).collect();
            }
            Model::Gaussians(_) => {}
        }
        let folds = self.folds();
        let asked: Vec<(usize, usize, Option<u32>)> =
            (0..labels.len()).map(|i| (i, folds[i], Some(labels[i]))).collect();
        let mut scores = vec![None; labels.len()];
        self.by_folds(&folds, vectors, &asked).into_iter().for_each(|(i, s)| scores[i] = s);
        scores
    }
}

fn all(n: usize) -> Vec<usize> {
    (0..n).collect()
}

/// The `k` nearest others of each reference that count for it: from those that are known, and by a search where those are too few.
fn neighbours(
    index: &SureIndex<'_>,
    reference: Reference<'_>,
    near: &[Vec<Neighbour>],
    k: usize,
) -> Vec<Vec<Neighbour>> {
    let n = reference.len();
    let own = reference.own(&all(n));
    let known = |exclude: Exclude<'_>| -> Vec<Vec<Neighbour>> {
        let of = |(i, list): (usize, &Vec<Neighbour>)| {
            list.iter().filter(|other| !exclude.covers(i, other.index)).take(k).copied().collect()
        };
        near.iter().enumerate().map(of).collect()
    };
    let mut lists = reference.leaving(Some(&own), known);
    lists.resize(n, Vec::new());
    let searched: Vec<usize> = (0..n).filter(|i| lists[*i].len() < k).collect();
    let rows = if searched.len() == n { None } else { Some(reference.vectors.select(&searched)) };
    let asking = rows.as_ref().map_or(reference.vectors, Vectors::Features);
    let found = reference.leaving(Some(&reference.own(&searched)), |exclude| {
        nearest(index, asking, k, exclude, |_, list| list.to_vec())
    });
    searched.into_iter().zip(found).for_each(|(i, list)| lists[i] = list);
    lists
}

/// The local outlier factor of what has these neighbours; infinite where it has none.
fn factor(list: &[Neighbour], reach: &[f64], densities: &[f64]) -> f64 {
    if list.is_empty() {
        return f64::INFINITY;
    }
    list.iter().map(|n| densities[n.index]).sum::<f64>() / list.len() as f64 / density(list, reach)
}

/// One over the mean reachability of the neighbours.
fn density(list: &[Neighbour], reach: &[f64]) -> f64 {
    let far: f64 = list.iter().map(|n| n.distance.max(reach[n.index])).sum();
    // As scikit-learn has it, so that duplicates have a large density rather than none.
    1.0 / (far / list.len().max(1) as f64 + 1e-10)
}

#[cfg(test)]
mod tests {
    use super::super::alarm_threshold;
    use super::*;
    use crate::identity::Identities;
    use crate::images::Features;
    use crate::text::Choice;

    /// A long cloud along the first axis.
    fn cloud() -> Features {
        let value = |i: usize| (i as f64 * 0.754_877_666).fract() - 0.5;
        Features::new(
            2,
            (0..200).flat_map(|i| [(10.0 * value(i)) as f32, (value(i * 7 + 1)) as f32]).collect(),
        )
    }

    fn fit(features: &Features, labels: &[u32], method: AnomalyMethod) -> Result<Vec<f64>, AnomalyError> {
        let identities = Identities::numbered(labels.len());
        let vectors = Vectors::Features(features);
        let d = Detector::fit(Reference::new(vectors, labels, &identities), method)?;
        Ok(d.reference_scores().into_iter().flatten().collect())
    }

    fn score(features: &Features, labels: &[u32], method: AnomalyMethod, queries: Vec<f32>) -> Vec<f64> {
        let identities = Identities::numbered(labels.len());
        let vectors = Vectors::Features(features);
        let d = Detector::fit(Reference::new(vectors, labels, &identities), method);
        d.unwrap().score(Vectors::Features(&Features::new(features.d(), queries)), None)
    }

    #[test]
    fn every_method_finds_what_lies_apart() {
        let reference = cloud();
        let labels = vec![0; 200];
        for method in AnomalyMethod::all() {
            // Off the cloud by little where it is thin, and on it.
            let scores = score(&reference, &labels, method, vec![0.0, 3.0, 3.0, 0.0]);
            assert!(scores[0] > 2.0 * scores[1], "{method}: {scores:?}");
            let own = fit(&reference, &labels, method).unwrap();
            let threshold = alarm_threshold(own.clone(), 0.05).threshold;
            // 191 of 201 ranks are within; two images that are each other's nearest have one score.
            assert!((7..=9).contains(&own.iter().filter(|s| **s > threshold).count()), "{method}");
            assert!(scores[0] > threshold, "{method}");
        }
    }

    #[test]
    fn a_covariance_of_its_own_knows_a_narrow_class() {
        // A wide class at 0, a narrow one at 20; 21 is odd for the narrow one alone.
        let mut data: Vec<f32> = (0..50).map(|i| (i as f32 - 24.5) / 10.0).collect();
        data.extend((0..50).map(|i| 20.0 + (i as f32 - 24.5) / 1000.0));
        let reference = Features::new(1, data);
        let labels: Vec<u32> = (0..100).map(|i| i / 50).collect();
        let score = |method| score(&reference, &labels, method, vec![1.0, 21.0]);
        let shared = score(AnomalyMethod::Mahalanobis);
        assert!((shared[0] - shared[1]).abs() < 1e-6);
        let own = score(AnomalyMethod::MahalanobisByClass);
        assert!(own[0] < 1.0 && own[1] > 10.0, "{own:?}");
    }

    #[test]
    fn degenerate_references_are_scored_or_refused() {
        let same = Features::new(3, vec![1.0; 30]);
        let labels = vec![0; 10];
        for method in AnomalyMethod::all() {
            let fit = fit(&same, &labels, method);
            match method {
                AnomalyMethod::Lof { .. } => assert!(fit.is_err(), "ten images have no twenty neighbours"),
                _ => {
                    let scores = score(&same, &labels, method, vec![1.0, 1.0, 1.0, 2.0, 1.0, 1.0]);
                    assert!(scores[0] < 1e-6 && scores[1] > scores[0], "{method}: {scores:?}");
                }
            }
        }
        let none = "knn:k=0".parse().unwrap();
        assert!(fit(&same, &labels, none).is_err());
        let one = Features::new(3, vec![1.0; 3]);
        let refused = fit(&one, &[0], AnomalyMethod::Mahalanobis);
        assert!(refused.unwrap_err().to_string().contains("at least 2"));
    }

    #[test]
    fn classes_in_turn_are_calibrated_like_classes_in_any_order() {
        // Five classes at corners, in turn: folds of every fifth image would each leave a class out.
        let value = |i: u64| (crate::rng::mix(i) >> 40) as f32 / (1u64 << 24) as f32;
        let n = 500u32;
        let labels: Vec<u32> = (0..n).map(|i| i % 5).collect();
        let data =
            (0..n).flat_map(|i| [10.0 * (i % 5) as f32 + value(u64::from(i)), value(u64::from(i) + 9_999)]);
        let reference = Features::new(2, data.collect());
        for method in [AnomalyMethod::Mahalanobis, AnomalyMethod::MahalanobisByClass] {
            let own = fit(&reference, &labels, method).unwrap();
            assert_eq!(own.len(), 500);
            // No image is farther from its class than a square's corner from its middle: sqrt(6) deviations.
            assert!(own.iter().all(|s| *s < 2.8), "{method}: {:?}", own.iter().copied().fold(0.0, f64::max));
        }
    }

    #[test]
    fn references_are_not_scored_against_themselves_or_their_group() {
        let reference = Features::new(1, vec![0.0, 0.1, 5.0, 5.3, 9.0, 9.6]);
        let names = ["a", "b", "c", "d", "e", "f"];
        let identities = Identities::new(names.iter().map(|n| (crate::identity::key(n, ""), *n)));
        let groups = [0, 0, 1, 1, 2, 2];
        let labels = [0; 6];
        let scores = |groups: &[u32]| {
            let vectors = Vectors::Features(&reference);
            let of = Reference { vectors, labels: &labels, identities: &identities, groups };
            let d = Detector::fit(of, AnomalyMethod::Knn { k: 1 }).unwrap();
            let asked = identities.select(&[3, 0]);
            let queries = reference.select(&[3, 0]);
            let own = Identities::shared(&asked, &identities);
            (d.reference_scores(), d.score(Vectors::Features(&queries), own.as_ref()))
        };
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let (own, asked) = scores(&[]);
        assert!(near(&own.into_iter().flatten().collect::<Vec<_>>(), &[0.1, 0.1, 0.3, 0.3, 0.6, 0.6]));
        assert!(near(&asked, &[0.3, 0.1]), "{asked:?}");
        let (own, asked) = scores(&groups);
        // An image that is no reference leaves out a group all the same, if it is of one.
        for method in [AnomalyMethod::Knn { k: 1 }, AnomalyMethod::Mahalanobis] {
            let vectors = Vectors::Features(&reference);
            let of = Reference { vectors, labels: &labels, identities: &identities, groups: &groups };
            let d = Detector::fit(of, method).unwrap();
            let new = Features::new(1, vec![9.1, 9.1]);
            let asking = Shared::none(2, 6).of_groups(vec![2, crate::identity::NO_GROUP]);
            let found = d.score(Vectors::Features(&new), Some(&asking));
            assert!(found[0] > 2.0 * found[1], "{method}: {found:?}");
            assert_eq!(found[1], d.score(Vectors::Features(&new), None)[1], "{method}");
        }
        assert!(near(&own.into_iter().flatten().collect::<Vec<_>>(), &[5.0, 4.9, 4.0, 3.7, 3.7, 4.3]));
        assert!(near(&asked, &[3.7, 5.0]), "{asked:?}");
    }
}
