//! Clusters: images that lie together, without looking at classes.

use super::Agreement;
use super::density::density_clusters;
use crate::images::{Features, Vectors};
use crate::meter::stage;
use crate::neighbours::{Exact, Exclude, nearest, squared_distance};
use crate::rng::{Purpose, RngExt, stream};
use rayon::prelude::*;

/// A cluster for every vector; nothing for one that belongs to none.
pub type Assignment = Vec<Option<u32>>;

/// Passes of k-means, at most.
const PASSES: usize = 100;

/// What k-means came to.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// `k` centres.
    pub centres: Features,
    /// By vector: the nearest centre.
    pub assignment: Vec<u32>,
    /// The sum of squared distances to it.
    pub inertia: f64,
}

/// Clusters by `k` means (Lloyd 1982), begun as k-means++ does (Arthur and Vassilvitskii 2007); the best of `attempts`.
///
/// # Panics
///
/// If `k` is zero or there are fewer vectors.
pub fn k_means(features: &Features, k: usize, attempts: usize, seed: u64) -> KMeans {
    assert!(k > 0 && k <= features.len(), "k-means: {k} clusters of {} vectors", features.len());
    let runs = (0..attempts.max(1)).map(|attempt| lloyd(features, k, seed, attempt as u64));
    runs.min_by(|a, b| a.inertia.total_cmp(&b.inertia)).expect("one attempt at least")
}

fn lloyd(features: &Features, k: usize, seed: u64, attempt: u64) -> KMeans {
    let (n, d) = (features.len(), features.d());
    let mut centres = spread(features, k, seed, attempt);
    let mut assignment: Vec<u32> = Vec::new();
    let mut inertia = f64::INFINITY;
    let stage = stage("k-means", PASSES);
    for _ in 0..PASSES {
        stage.advance(1);
        let found = nearest(
            &Exact::new(Vectors::Features(&centres)),
            Vectors::Features(features),
            1,
            Exclude::None,
            |_, l| (l[0].index as u32, l[0].distance),
        );
        let now: Vec<u32> = found.iter().map(|f| f.0).collect();
        inertia = found.iter().map(|f| f.1 * f.1).sum();
        let settled = now == assignment;
        assignment = now;
        if settled {
            break;
        }
        let mut sums = vec![0.0f64; k * d];
        let mut counts = vec![0usize; k];
        for (row, c) in features.rows().zip(&assignment) {
            counts[*c as usize] += 1;
            sums[*c as usize * d..][..d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        let mut data = vec![0.0f32; k * d];
        let mut farthest: Vec<usize> = Vec::new();
        for c in 0..k {
            if counts[c] == 0 {
                // An empty cluster begins anew where a vector lies farthest from its own.
                let next = (0..n)
                    .filter(|i| !farthest.contains(i))
                    .max_by(|a, b| found[*a].1.total_cmp(&found[*b].1));
                let Some(next) = next else { continue };
                farthest.push(next);
                data[c * d..][..d].copy_from_slice(features.row(next));
                continue;
            }
            for j in 0..d {
                data[c * d + j] = (sums[c * d + j] / counts[c] as f64) as f32;
            }
        }
        centres = Features::new(d, data);
    }
    KMeans { centres, assignment, inertia }
}

/// Vectors to begin with, each drawn with a probability that grows with its squared distance from those before.
fn spread(features: &Features, k: usize, seed: u64, attempt: u64) -> Features {
    let rng = &mut stream(seed, Purpose::Clusters, attempt, 0);
    let n = features.len();
    let mut chosen = vec![rng.random_range(0..n)];
    let mut far = vec![f64::INFINITY; n];
    while chosen.len() < k {
        let last = features.row(chosen[chosen.len() - 1]);
        far.par_iter_mut().enumerate().for_each(|(i, f)| *f = f.min(squared_distance(features.row(i), last)));
        let total: f64 = far.iter().sum();
        let mut left = rng.random::<f64>() * total;
        // Where all lie on one spot, any will do.
        let mut next = rng.random_range(0..n);
        if total > 0.0 {
            for (i, f) in far.iter().enumerate().filter(|(_, f)| **f > 0.0) {
                next = i;
                left -= f;
                if left <= 0.0 {
                    break;
                }
            }
        }
        chosen.push(next);
    }
    features.select(&chosen)
}

/// Clusters by density: what hangs together at some density for long, whatever its shape; sparse vectors belong to none (HDBSCAN*,
/// Campello, Moulavi and Sander 2013). A cluster has at least `least` members.
///
/// # Errors
///
/// In words: if there are too few vectors, or one is not finite.
pub fn by_density(features: &Features, least: usize) -> Result<Assignment, String> {
    if features.len() < 2 * least.max(2) {
        return Err(format!("{} images are too few for clusters of {least}", features.len()));
    }
    if features.data().iter().any(|v| !v.is_finite()) {
        return Err("an embedding holds what is no finite number".into());
    }
    Ok(density_clusters(features, least.max(2), least.clamp(2, 10)))
}

/// How clusters agree with classes; vectors that belong to none are one cluster more, as scikit-learn would count them.
pub fn agreement(classes: &[u32], assignment: &[Option<u32>]) -> Agreement {
    Agreement::new(classes, &named(assignment))
}

/// The same for images drawn with replacement: see [`Agreement::bootstrap`].
pub fn agreement_bootstrap(classes: &[u32], assignment: &[Option<u32>], seed: u64) -> Vec<Agreement> {
    Agreement::bootstrap(classes, &named(assignment), seed)
}

/// What belongs to no cluster is a cluster of its own.
fn named(assignment: &[Option<u32>]) -> Vec<u32> {
    assignment.iter().map(|c| c.map_or(0, |c| c + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three heaps of thirty.
    fn heaps() -> (Features, Vec<u32>) {
        let value = |i: usize| ((i as f64 * 0.618_034).fract() - 0.5) as f32;
        let at = [[0.0, 0.0], [8.0, 0.0], [0.0, 9.0]];
        let data =
            (0..90).flat_map(|i| [at[i / 30][0] + value(i), at[i / 30][1] + value(i * 5 + 2)]).collect();
        (Features::new(2, data), (0..90).map(|i| i / 30).collect())
    }

    #[test]
    fn heaps_are_found_by_both() {
        let (features, labels) = heaps();
        let k = k_means(&features, 3, 4, 0);
        let found: Assignment = k.assignment.iter().map(|c| Some(*c)).collect();
        assert_eq!(agreement(&labels, &found).ari, 1.0);
        assert_eq!(agreement(&labels, &by_density(&features, 5).unwrap()).ari, 1.0);
        assert!(by_density(&features, 60).is_err());
    }

    #[test]
    fn the_centres_are_means_and_every_vector_is_with_the_nearest() {
        let (features, _) = heaps();
        let k = k_means(&features, 4, 1, 3);
        let mut inertia = 0.0;
        for (i, row) in features.rows().enumerate() {
            let far: Vec<f64> = k.centres.rows().map(|c| squared_distance(row, c)).collect();
            let own = far[k.assignment[i] as usize];
            assert!(far.iter().all(|f| own <= *f));
            inertia += own;
        }
        assert!((inertia - k.inertia).abs() < 1e-9);
        // More clusters than different vectors.
        let same = Features::new(1, vec![1.0; 6]);
        assert_eq!(k_means(&same, 4, 2, 0).inertia, 0.0);
    }

    /// Heaps around 1e30 and 1e10 beside one around the origin.
    #[test]
    fn lengths_of_all_magnitudes_are_clustered() {
        let (heaps, _) = heaps();
        let d = heaps.d();
        let far = |heap: usize| [0.0f32, 1e10, 1e30][heap];
        let data = (0..90).flat_map(|i| heaps.row(i / 3).iter().map(move |v| far(i % 3) + v)).collect();
        let features = Features::new(d, data);
        let labels: Vec<u32> = (0..90).map(|i| i % 3).collect();
        let k = k_means(&features, 3, 4, 0);
        let found: Assignment = k.assignment.iter().map(|c| Some(*c)).collect();
        // Whole squares of 1e30 tell nothing of what is 1e10 away.
        assert!(k.inertia.is_finite() && agreement(&labels, &found).ari > 0.5, "{k:?}");
        let dense = by_density(&features, 5).unwrap();
        assert_eq!(agreement(&labels, &dense).ari, 1.0);
    }
}
