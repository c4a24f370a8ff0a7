//! Principal components.

use super::covariance::{covariance, covariance_times, mean};
use crate::images::Vectors;
use alike_kernels::Tier;
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// The directions of largest variance (Pearson 1901; as `sklearn.decomposition.PCA`, whose signs differ).
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// `d` means.
    pub mean: Vec<f64>,
    /// One unit vector of `d` a component, the largest variance first; its largest entry is positive.
    pub components: Vec<Vec<f64>>,
    /// The variance along each component (divided by `n - 1`).
    pub variance: Vec<f64>,
    /// The variance in all directions.
    pub total_variance: f64,
}

impl Pca {
    /// The first `k` components of the vectors, or fewer where there are fewer dimensions.
    ///
    /// # Panics
    ///
    /// If there are no vectors.
    pub fn fit(vectors: Vectors<'_>, k: usize) -> Pca {
        Pca::fit_with_tier(Tier::found(), vectors, k)
    }

    /// The same with the given instructions.
    ///
    /// # Panics
    ///
    /// If there are no vectors.
    pub fn fit_with_tier(tier: Tier, vectors: Vectors<'_>, k: usize) -> Pca {
        assert!(!vectors.is_empty(), "PCA of nothing");
        let mean = mean(vectors);
        let k = k.min(vectors.d());
        let (total_variance, (values, columns)) = if vectors.d() > WIDE {
            without_covariance(tier, vectors, &mean, k)
        } else {
            let covariance = covariance(tier, vectors, &mean);
            (covariance.trace(), leading(&covariance, k))
        };
        let components = columns
            .into_iter()
            .map(|mut v| {
                let largest = v.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
                if largest < 0.0 {
                    v.iter_mut().for_each(|x| *x = -*x);
                }
                v
            })
            .collect();
        Pca { mean, components, variance: values, total_variance }
    }

    /// The share of the variance that each component explains.
    pub fn explained(&self) -> Vec<f64> {
        let total = if self.total_variance > 0.0 { self.total_variance } else { 1.0 };
        self.variance.iter().map(|v| v / total).collect()
    }

    /// The coordinates of every vector along every component.
    pub fn project(&self, vectors: Vectors<'_>) -> Vec<Vec<f64>> {
        (0..vectors.len())
            .into_par_iter()
            .map_init(
                || vec![0.0; vectors.d()],
                |row, i| {
                    vectors.read(i, row);
                    let along = |c: &Vec<f64>| {
                        row.iter().zip(&self.mean).zip(c).map(|((x, m), c)| (f64::from(*x) - m) * c).sum()
                    };
                    self.components.iter().map(along).collect()
                },
            )
            .collect()
    }
}

/// Of more dimensions the covariance would take more memory than the vectors, and longer to compute than its products.
const WIDE: usize = 2048;

/// What the subspace has more columns than are asked for: it converges at the ratio of eigenvalues that are far apart.
const SPARE: usize = 8;

/// The variance in all directions, and the `k` largest variances with their directions, of vectors whose covariance is never made. Directions
/// whose variances are nearly equal may not have converged; the last ones count then.
fn without_covariance(tier: Tier, vectors: Vectors<'_>, mean: &[f64], k: usize) -> (f64, Eigen) {
    let mut total = 0.0;
    let apply = |basis: &DMatrix<f64>| {
        let (image, trace) = covariance_times(tier, vectors, mean, basis);
        total = trace;
        image
    };
    let (found, _) = subspace(vectors.d(), apply, k, ROUGH);
    (total, found)
}

/// The `k` largest eigenvalues of a symmetric matrix with their vectors.
pub(crate) fn leading(matrix: &DMatrix<f64>, k: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let d = matrix.nrows();
    if d > 4 * (k + SPARE) {
        let (found, converged) = subspace(d, |basis| matrix * basis, k, EXACT);
        if converged {
            return found;
        }
    }
    let eigen = SymmetricEigen::new(matrix.clone());
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    order.truncate(k);
    (
        order.iter().map(|&i| eigen.eigenvalues[i]).collect(),
        order.iter().map(|&i| eigen.eigenvectors.column(i).iter().copied().collect()).collect(),
    )
}

/// How far a subspace is improved.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Products in a round.
    steps: usize,
    /// What is left of a product with a vector beside its own direction, as a share of the largest eigenvalue.
    residual: f64,
}

/// For a matrix that is there.
const EXACT: Effort = Effort { rounds: 60, steps: 4, residual: 1e-10 };
/// For one whose products have the errors of f32.
const ROUGH: Effort = Effort { rounds: 60, steps: 2, residual: 2e-5 };

/// Eigenvalues and their vectors.
type Eigen = (Vec<f64>, Vec<Vec<f64>>);

/// The `k` largest eigenvalues of a symmetric `d x d` matrix that `apply` multiplies by, with their vectors, and whether they have converged:
/// orthogonal iteration with Rayleigh-Ritz steps (Golub and Van Loan, "Matrix Computations", 4th ed., section 8.2.4).
fn subspace(
    d: usize,
    mut apply: impl FnMut(&DMatrix<f64>) -> DMatrix<f64>,
    k: usize,
    effort: Effort,
) -> (Eigen, bool) {
    let width = (k + SPARE).min(d);
    // Any start that is not orthogonal to the answer will do; this one always is the same.
    let mut basis =
        DMatrix::from_fn(d, width, |i, j| (((i * 31 + j * 17 + i * j) % 101) as f64 - 50.0) / 50.0);
    let mut found = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        for _ in 0..effort.steps {
            basis = apply(&basis).qr().q();
        }
        let image = apply(&basis);
        let small = SymmetricEigen::new(basis.transpose() * &image);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| small.eigenvalues[*b].total_cmp(&small.eigenvalues[*a]));
        let largest = small.eigenvalues[order[0]].abs();
        found = (Vec::new(), Vec::new());
        let mut converged = true;
        for &i in order.iter().take(k) {
            let value = small.eigenvalues[i];
            let turn = small.eigenvectors.column(i);
            let vector = &basis * turn;
            let left = (&image * turn - &vector * value).norm();
            converged &= left <= effort.residual * largest;
            found.0.push(value);
            found.1.push(vector.iter().copied().collect());
        }
        if converged {
            return (found, true);
        }
    }
    (found, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Features;

    /// Points with known directions of variance: 9, 4 and a little, along turned axes.
    fn cloud(n: usize, d: usize) -> Features {
        let mut s = 1u64;
        let mut draw = || {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((s >> 33) as f64 / (1u64 << 31) as f64 - 0.5) * 12f64.sqrt()
        };
        let mut data = Vec::new();
        for _ in 0..n {
            let (a, b) = (3.0 * draw(), 2.0 * draw());
            for j in 0..d {
                let noise = 0.1 * draw();
                let (x, y) = ((j as f64).cos(), (j as f64 * 2.0).sin());
                data.push((a * x + b * y + noise + 5.0) as f32);
            }
        }
        Features::new(d, data)
    }

    #[track_caller]
    fn check(n: usize, d: usize) {
        let features = cloud(n, d);
        let vectors = Vectors::Features(&features);
        let x = DMatrix::from_fn(n, d, |i, j| f64::from(features.row(i)[j]));
        let mean = x.row_mean();
        let centred = DMatrix::from_fn(n, d, |i, j| x[(i, j)] - mean[j]);
        let plain = centred.transpose() * &centred / (n as f64 - 1.0);
        let eigen = SymmetricEigen::new(plain.clone());
        let mut values: Vec<f64> = eigen.eigenvalues.iter().copied().collect();
        values.sort_by(|a, b| b.total_cmp(a));
        for tier in Tier::available() {
            let pca = Pca::fit_with_tier(tier, vectors, 2);
            assert!((pca.total_variance - plain.trace()).abs() < 1e-4 * plain.trace());
            for c in 0..2 {
                assert!(
                    (pca.variance[c] - values[c]).abs() < 1e-4 * values[0],
                    "{tier:?}: {:?} {values:?}",
                    pca.variance
                );
                let v = DMatrix::from_column_slice(d, 1, &pca.components[c]);
                assert!((&plain * &v - &v * values[c]).norm() < 1e-3 * values[0], "{tier:?}");
            }
            let projected = pca.project(vectors);
            let spread = projected.iter().map(|p| p[0] * p[0]).sum::<f64>() / (n as f64 - 1.0);
            assert!((spread - values[0]).abs() < 1e-3 * values[0]);
        }
    }

    #[test]
    fn components_are_those_of_the_plain_covariance() {
        check(200, 5);
        check(300, 150);
        check(40, 64);
    }

    #[test]
    fn components_are_found_without_the_covariance_too() {
        // Far from the origin, too, where a rounded centre is off by a share of what vectors vary.
        for (n, d, offset) in [(300, 150, 0.0), (40, 64, 0.0), (70, 3, 0.0), (300, 150, 3e6)] {
            let data = cloud(n, d).into_data().into_iter().map(|v| v + offset).collect();
            let features = Features::new(d, data);
            let vectors = Vectors::Features(&features);
            for tier in Tier::available() {
                let pca = Pca::fit_with_tier(tier, vectors, 2);
                let (total, (values, components)) = without_covariance(tier, vectors, &pca.mean, 2);
                assert!((total / pca.total_variance - 1.0).abs() < 1e-5, "{tier:?}: {total} {pca:?}");
                for (c, (value, component)) in values.iter().zip(&components).enumerate() {
                    assert!(
                        (value / pca.variance[c] - 1.0).abs() < 1e-4,
                        "{tier:?}: {values:?} {:?}",
                        pca.variance
                    );
                    let cosine: f64 = component.iter().zip(&pca.components[c]).map(|(a, b)| a * b).sum();
                    assert!(cosine.abs() > 1.0 - 1e-6, "{tier:?}: {cosine}");
                }
            }
        }
        let equal = Features::new(3, vec![2.0; 12]);
        let (total, found) =
            without_covariance(Tier::available()[0], Vectors::Features(&equal), &[2.0; 3], 2);
        assert_eq!((total, found.0), (0.0, vec![0.0, 0.0]));
    }

    #[test]
    fn equal_vectors_have_no_variance() {
        let features = Features::new(3, vec![2.0; 12]);
        let pca = Pca::fit_with_tier(Tier::available()[0], Vectors::Features(&features), 2);
        assert_eq!(pca.explained(), [0.0, 0.0]);
    }
}
