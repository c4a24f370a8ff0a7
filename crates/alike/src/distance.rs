//! How far apart two embeddings are. Smaller is nearer, always.

use serde::{Deserialize, Serialize};

/// The distance that a loss sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// `|a - b + 1e-6|`, the constant added to every coordinate as PyTorch's `TripletMarginLoss` does.
    #[default]
    Euclidean,
    /// `|a - b|^2`.
    SquaredEuclidean,
    /// `1 - cos(a, b)`; a zero vector is at distance 1 from all.
    Cosine,
}

/// PyTorch's `pairwise_distance` adds this to every coordinate's difference.
const EUCLIDEAN_EPS: f32 = 1e-6;
/// A cosine is taken over norms of at least this, as in PyTorch's `cosine_similarity`.
const COSINE_EPS: f64 = 1e-8;

impl Distance {
    /// The distance of two vectors of equal length.
    pub fn between(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            Distance::Euclidean => square_sum(a, b, EUCLIDEAN_EPS).sqrt(),
            Distance::SquaredEuclidean => square_sum(a, b, 0.0),
            Distance::Cosine => 1.0 - cosine(a, b).0,
        }
    }

    /// Adds `weight` times the distance's gradient to `da` and `db`.
    pub fn add_gradient(self, a: &[f32], b: &[f32], weight: f64, da: &mut [f32], db: &mut [f32]) {
        match self {
            Distance::Euclidean | Distance::SquaredEuclidean => {
                let (eps, factor) = if self == Distance::Euclidean {
                    // At distance zero the gradient is taken as zero, a valid subgradient.
                    let d = square_sum(a, b, EUCLIDEAN_EPS).sqrt();
                    (EUCLIDEAN_EPS, if d > 0.0 { weight / d } else { 0.0 })
                } else {
                    (0.0, 2.0 * weight)
                };
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    let g = (f64::from(x - y + eps) * factor) as f32;
                    *dx += g;
                    *dy -= g;
                }
            }
            Distance::Cosine => {
                let (cos, na, nb) = cosine(a, b);
                let scale = 1.0 / (na.max(COSINE_EPS) * nb.max(COSINE_EPS));
                // Below the floor a norm is a constant, and its part of the gradient vanishes.
                let pull = |n: f64| if n > COSINE_EPS { cos / (n * n) } else { 0.0 };
                for ((x, y), (dx, dy)) in a.iter().zip(b).zip(da.iter_mut().zip(db)) {
                    let (x, y) = (f64::from(*x), f64::from(*y));
                    *dx -= (weight * (y * scale - x * pull(na))) as f32;
                    *dy -= (weight * (x * scale - y * pull(nb))) as f32;
                }
            }
        }
    }
}

fn square_sum(a: &[f32], b: &[f32], eps: f32) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(x - y + eps).powi(2)).sum()
}

/// The cosine, and both norms.
fn cosine(a: &[f32], b: &[f32]) -> (f64, f64, f64) {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let (na, nb) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    (dot(a, b) / (na.max(COSINE_EPS) * nb.max(COSINE_EPS)), na, nb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_finite_differences() {
        let a: Vec<f32> = (0..7).map(|i| (i as f32 * 1.7).sin()).collect();
        let b: Vec<f32> = (0..7).map(|i| (i as f32 * 0.9).cos()).collect();
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
            let (mut da, mut db) = (vec![0.0; 7], vec![0.0; 7]);
            distance.add_gradient(&a, &b, 1.5, &mut da, &mut db);
            for i in 0..7 {
                let e = 1.0 / 512.0;
                let moved = |side: usize, e: f32| {
                    let (mut a, mut b) = (a.clone(), b.clone());
                    if side == 0 {
                        a[i] += e;
                    } else {
                        b[i] += e;
                    }
                    1.5 * distance.between(&a, &b)
                };
                for (side, analytic) in [(0, da[i]), (1, db[i])] {
                    let numeric = (moved(side, e) - moved(side, -e)) / f64::from(2.0 * e);
                    assert!(
                        (numeric - f64::from(analytic)).abs() < 2e-4,
                        "{distance:?}: {numeric} {analytic}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_zero_vector_has_finite_distances_and_gradients() {
        let (a, b) = ([0.0f32; 3], [0.0, 1.0, 0.0]);
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
            for other in [a, b] {
                let (mut da, mut db) = ([0.0; 3], [0.0; 3]);
                distance.add_gradient(&a, &other, 1.0, &mut da, &mut db);
                assert!(distance.between(&a, &other).is_finite());
                assert!(da.iter().chain(&db).all(|v| v.is_finite()), "{distance:?}");
            }
        }
    }
}
