//! How unlike an image is to a reference of normal ones.
//!
//! All scores are larger for what is more anomalous, and no method needs to see an anomaly.

use crate::images::{Features, Vectors};
use crate::neighbours::{Leave, Neighbour, nearest};
use crate::projection::shrunk;
use crate::text::{self, Choice};
use alike_kernels::Tier;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How images are scored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AnomalyMethod {
    /// The distance to the `k`-th nearest reference (Ramaswamy, Rastogi and Shim 2000; Sun et al. 2022,
    /// <https://arxiv.org/abs/2204.06507>).
    Knn {
        /// Which neighbour.
        k: usize,
    },
    /// The Mahalanobis distance to the nearest class, all classes sharing one covariance (Lee et al. 2018,
    /// <https://arxiv.org/abs/1807.03888>), which is shrunk as Ledoit and Wolf 2004 say.
    Mahalanobis,
    /// The same, each class having a covariance of its own.
    MahalanobisByClass,
    /// The local outlier factor of the `k` nearest (Breunig et al. 2000; as `sklearn.neighbors.LocalOutlierFactor`).
    Lof {
        /// Neighbours.
        k: usize,
    },
}

impl Choice for AnomalyMethod {
    const WHAT: &'static str = "anomaly method";

    fn all() -> Vec<AnomalyMethod> {
        vec![
            AnomalyMethod::Knn { k: 1 },
            AnomalyMethod::Mahalanobis,
            AnomalyMethod::MahalanobisByClass,
            AnomalyMethod::Lof { k: 20 },
        ]
    }
}

impl std::str::FromStr for AnomalyMethod {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<AnomalyMethod, text::ChoiceError> {
        text::parse(s)
    }
}

impl std::fmt::Display for AnomalyMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text::write(self))
    }
}

/// A reference does not suffice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnomalyError {
    /// Too few images for the method.
    #[error("{method} needs at least {needed} reference images, but there are {found}")]
    TooFew {
        /// The method.
        method: String,
        /// Images needed.
        needed: usize,
        /// Images there.
        found: usize,
    },
    /// A neighbourhood of none.
    #[error("{0} looks at no neighbours; give k=1 or more")]
    NoNeighbours(String),
}

/// A method that has learned what is normal.
#[derive(Clone, Debug)]
pub struct Detector<'a> {
    tier: Tier,
    method: AnomalyMethod,
    reference: Vectors<'a>,
    labels: &'a [u32],
    model: Model,
}

#[derive(Clone, Debug)]
enum Model {
    Neighbours,
    /// By reference: the distance to its `k`-th neighbour, and its local density.
    Densities(Vec<f64>, Vec<f64>),
    Gaussians(Vec<Gaussian>),
}

/// A class's mean, and the factor of a covariance.
#[derive(Clone, Debug)]
struct Gaussian {
    mean: DVector<f64>,
    covariance: std::sync::Arc<Cholesky<f64, Dyn>>,
}

/// Folds that a reference is scored by where it cannot be left out image by image.
const FOLDS: usize = 5;

impl<'a> Detector<'a> {
    /// Learns what is normal. `labels` are the references' classes; all zero where there are none.
    ///
    /// # Panics
    ///
    /// If there is not a label for each reference.
    pub fn fit(
        tier: Tier,
        reference: Vectors<'a>,
        labels: &'a [u32],
        method: AnomalyMethod,
    ) -> Result<Detector<'a>, AnomalyError> {
        assert_eq!(reference.len(), labels.len(), "detector: a label for each reference");
        let needed = match method {
            AnomalyMethod::Knn { k } => k,
            AnomalyMethod::Lof { k } => k + 1,
            AnomalyMethod::Mahalanobis | AnomalyMethod::MahalanobisByClass => 2,
        };
        if needed == 0 || matches!(method, AnomalyMethod::Lof { k: 0 }) {
            return Err(AnomalyError::NoNeighbours(method.to_string()));
        }
        if reference.len() < needed {
            return Err(AnomalyError::TooFew { method: method.to_string(), needed, found: reference.len() });
        }
        let model = match method {
            AnomalyMethod::Knn { .. } => Model::Neighbours,
            AnomalyMethod::Lof { k } => {
                let lists = nearest(tier, reference, reference, k, Leave::Itself, |_, l| l.to_vec());
                let reach: Vec<f64> = lists.iter().map(|l| l[k - 1].distance).collect();
                let density = lists.iter().map(|l| density(l, &reach)).collect();
                Model::Densities(reach, density)
            }
            AnomalyMethod::Mahalanobis | AnomalyMethod::MahalanobisByClass => {
                Model::Gaussians(gaussians(reference, labels, method == AnomalyMethod::MahalanobisByClass))
            }
        };
        Ok(Detector { tier, method, reference, labels, model })
    }

    /// The score of every query.
    pub fn score(&self, queries: Vectors<'_>) -> Vec<f64> {
        self.score_leaving(queries, Leave::None)
    }

    fn score_leaving(&self, queries: Vectors<'_>, leave: Leave<'_>) -> Vec<f64> {
        match (&self.model, self.method) {
            (Model::Densities(reach, densities), AnomalyMethod::Lof { k }) => {
                nearest(self.tier, queries, self.reference, k, leave, |_, list| {
                    let own = density(list, reach);
                    let around =
                        list.iter().map(|n| densities[n.index]).sum::<f64>() / list.len().max(1) as f64;
                    around / own
                })
            }
            (Model::Gaussians(classes), _) => (0..queries.len())
                .into_par_iter()
                .map(|i| {
                    let mut row = vec![0.0f32; queries.d()];
                    queries.read(i, &mut row);
                    let x = DVector::from_iterator(row.len(), row.iter().map(|v| f64::from(*v)));
                    classes.iter().map(|c| c.distance(&x)).fold(f64::INFINITY, f64::min)
                })
                .collect(),
            (_, method) => {
                let k = if let AnomalyMethod::Knn { k } = method { k } else { 1 };
                nearest(self.tier, queries, self.reference, k, leave, |_, list| {
                    list.last().map_or(f64::INFINITY, |n| n.distance)
                })
            }
        }
    }

    /// What the references themselves would score if they were new: each is left out of its own neighbourhood, or a fifth is
    /// scored by what the other four fifths taught.
    pub fn reference_scores(&self) -> Vec<f64> {
        let Model::Gaussians(_) = &self.model else {
            return self.score_leaving(self.reference, Leave::Itself);
        };
        let n = self.reference.len();
        let mut scores = vec![0.0; n];
        let rows = all_rows(self.reference);
        for fold in 0..FOLDS {
            let (out, kept): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| i % FOLDS == fold);
            let (out_rows, kept_rows) = (rows.select(&out), rows.select(&kept));
            let labels: Vec<u32> = kept.iter().map(|i| self.labels[*i]).collect();
            let Ok(other) = Detector::fit(self.tier, Vectors::Features(&kept_rows), &labels, self.method)
            else {
                return self.score(self.reference);
            };
            let found = other.score(Vectors::Features(&out_rows));
            out.iter().zip(found).for_each(|(i, s)| scores[*i] = s);
        }
        scores
    }
}

/// The score that a share `false_alarms` of normal images exceeds.
///
/// # Panics
///
/// If there are no scores.
pub fn alarm_threshold(mut normal: Vec<f64>, false_alarms: f64) -> f64 {
    assert!(!normal.is_empty(), "a threshold needs scores");
    normal.sort_by(f64::total_cmp);
    let above = (false_alarms * normal.len() as f64 + 1e-9) as usize;
    normal[normal.len() - 1 - above.min(normal.len() - 1)]
}

fn all_rows(vectors: Vectors<'_>) -> Features {
    let d = vectors.d();
    let mut data = vec![0.0; vectors.len() * d];
    data.par_chunks_mut(d).enumerate().for_each(|(i, row)| vectors.read(i, row));
    Features::new(d, data)
}

/// One over the mean reachability of the neighbours.
fn density(list: &[Neighbour], reach: &[f64]) -> f64 {
    let far: f64 = list.iter().map(|n| n.distance.max(reach[n.index])).sum();
    // As scikit-learn has it, so that duplicates have a large density rather than none.
    1.0 / (far / list.len().max(1) as f64 + 1e-10)
}

impl Gaussian {
    fn distance(&self, x: &DVector<f64>) -> f64 {
        let mut centred = x - &self.mean;
        self.covariance.l_dirty().solve_lower_triangular_mut(&mut centred);
        centred.norm()
    }
}

fn gaussians(vectors: Vectors<'_>, labels: &[u32], own: bool) -> Vec<Gaussian> {
    let d = vectors.d();
    let rows = all_rows(vectors);
    let mut classes: Vec<u32> = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let members = |class: u32| -> Vec<usize> { (0..labels.len()).filter(|i| labels[*i] == class).collect() };
    let mean = |of: &[usize]| -> DVector<f64> {
        let mut sum = DVector::zeros(d);
        of.iter().for_each(|i| sum.iter_mut().zip(rows.row(*i)).for_each(|(s, v)| *s += f64::from(*v)));
        sum / of.len() as f64
    };
    // A row an image, less its class's mean.
    let centred = |of: &[usize], mean: &DVector<f64>| -> Vec<f64> {
        of.iter().flat_map(|i| rows.row(*i).iter().zip(mean.iter()).map(|(v, m)| f64::from(*v) - m)).collect()
    };
    let mut pooled = Vec::new();
    let mut all: Vec<(DVector<f64>, Vec<f64>)> = Vec::new();
    for class in classes {
        let of = members(class);
        let mean = mean(&of);
        let deviations = centred(&of, &mean);
        if own && of.len() > 1 {
            all.push((mean, deviations));
        } else {
            pooled.extend_from_slice(&deviations);
            all.push((mean, Vec::new()));
        }
    }
    let shared = (!pooled.is_empty()).then(|| std::sync::Arc::new(shrunk_covariance(&pooled, d)));
    let each = all.into_iter().map(|(mean, deviations)| {
        let covariance = match &shared {
            Some(shared) if deviations.is_empty() => shared.clone(),
            _ => std::sync::Arc::new(shrunk_covariance(&deviations, d)),
        };
        Gaussian { mean, covariance }
    });
    each.collect()
}

fn shrunk_covariance(rows: &[f64], d: usize) -> Cholesky<f64, Dyn> {
    let n = rows.len() / d;
    let x = DMatrix::from_row_slice(n, d, rows);
    let fourth: f64 = rows.chunks_exact(d).map(|r| r.iter().map(|v| v * v).sum::<f64>().powi(2)).sum();
    shrunk(x.tr_mul(&x) / n as f64, n, fourth / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier() -> Tier {
        Tier::available()[0]
    }

    /// A long cloud along the first axis.
    fn cloud() -> Features {
        let value = |i: usize| (i as f64 * 0.754_877_666).fract() - 0.5;
        Features::new(
            2,
            (0..200).flat_map(|i| [(10.0 * value(i)) as f32, (value(i * 7 + 1)) as f32]).collect(),
        )
    }

    #[test]
    fn every_method_finds_what_lies_apart() {
        let reference = cloud();
        let labels = vec![0; 200];
        for method in AnomalyMethod::all() {
            let d = Detector::fit(tier(), Vectors::Features(&reference), &labels, method).unwrap();
            // Off the cloud by little where it is thin, and on it.
            let scores = d.score(Vectors::Features(&Features::new(2, vec![0.0, 3.0, 3.0, 0.0])));
            assert!(scores[0] > 2.0 * scores[1], "{method}: {scores:?}");
            let own = d.reference_scores();
            let threshold = alarm_threshold(own.clone(), 0.05);
            assert_eq!(own.iter().filter(|s| **s > threshold).count(), 10, "{method}");
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
        let score = |method| {
            let d = Detector::fit(tier(), Vectors::Features(&reference), &labels, method).unwrap();
            d.score(Vectors::Features(&Features::new(1, vec![1.0, 21.0])))
        };
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
            let fit = Detector::fit(tier(), Vectors::Features(&same), &labels, method);
            match method {
                AnomalyMethod::Lof { .. } => assert!(fit.is_err(), "ten images have no twenty neighbours"),
                _ => {
                    let scores = fit
                        .unwrap()
                        .score(Vectors::Features(&Features::new(3, vec![1.0, 1.0, 1.0, 2.0, 1.0, 1.0])));
                    assert!(scores[0] < 1e-6 && scores[1] > scores[0], "{method}: {scores:?}");
                }
            }
        }
        let none = "knn:k=0".parse().unwrap();
        assert!(Detector::fit(tier(), Vectors::Features(&same), &labels, none).is_err());
        let one = Features::new(3, vec![1.0; 3]);
        let refused = Detector::fit(tier(), Vectors::Features(&one), &[0], AnomalyMethod::Mahalanobis);
        assert!(refused.unwrap_err().to_string().contains("at least 2"));
    }
}
