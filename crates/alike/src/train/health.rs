//! The health of a run: whether embeddings still differ.
//!
//! A collapse is when all images come to the same place, or to a line: the loss then stands at its margin, and no
//! gradient leads away. The effective rank tells: the exponential of the entropy of the covariance's eigenvalues (Roy and
//! Vetterli 2007), from 1 (a line) to the width (a ball).

use super::EpochReport;
use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

/// What a sample of embeddings looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingHealth {
    /// The mean length.
    pub norm: f64,
    /// The standard deviation over the sample, the root of the mean over coordinates.
    pub deviation: f64,
    /// The effective rank.
    pub rank: f64,
}

impl EmbeddingHealth {
    /// Looks at `n x d` embeddings.
    pub fn of(embeddings: &[f32], d: usize) -> EmbeddingHealth {
        let n = embeddings.len() / d;
        if n < 2 {
            return EmbeddingHealth::default();
        }
        let rows = || embeddings.chunks_exact(d);
        let norm = rows().map(|x| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()).sum::<f64>()
            / n as f64;
        let mean: Vec<f64> =
            (0..d).map(|k| rows().map(|x| f64::from(x[k])).sum::<f64>() / n as f64).collect();
        let centred = DMatrix::from_fn(n, d, |i, k| f64::from(embeddings[i * d + k]) - mean[k]);
        // The smaller of the two products has the same eigenvalues but for zeros: a batch may be narrower than its embeddings.
        let product = if n < d { &centred * centred.transpose() } else { centred.tr_mul(&centred) };
        let covariance = product / (n as f64 - 1.0);
        let trace = covariance.trace();
        // Not a number, or no variance at all: nothing differs in a way that could be measured.
        if !trace.is_finite() || trace <= 0.0 {
            return EmbeddingHealth { norm, deviation: 0.0, rank: 0.0 };
        }
        let values = SymmetricEigen::new(covariance).eigenvalues;
        let entropy: f64 = values.iter().map(|v| v / trace).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
        EmbeddingHealth { norm, deviation: (trace / d as f64).sqrt(), rank: entropy.exp() }
    }
}

/// What is wrong with a run after an epoch, and what to change; nothing where all is well. `margin` is where a collapsed
/// loss would stand, for losses that have such a place.
pub fn verdict(report: &EpochReport, width: usize, margin: Option<f64>) -> Option<String> {
    let health = report.health;
    let still = health.deviation <= 1e-3 * health.norm.max(1e-9);
    let flat = width > 2 && health.rank < 1.5;
    let stuck = margin.is_some_and(|m| (report.loss - m).abs() <= 0.02 * m.abs() && report.active > 0.98);
    let what = match (still, flat, stuck) {
        (true, ..) => "all images have nearly the same embedding".to_owned(),
        (_, true, _) => format!("embeddings lie on a line (effective rank {:.2} of {width})", health.rank),
        (.., true) => format!("the loss stands at its margin ({:.3})", report.loss),
        _ => return None,
    };
    Some(format!(
        "this run has collapsed: {what}. Lower --learning-rate, or give --warmup; use easier tuples (--miner semi-hard or \
         multi-similarity instead of batch-hard), or a loss that cannot collapse (--loss multi-similarity)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, RngExt, stream};

    #[test]
    fn the_rank_is_that_of_the_cloud() {
        let d = 8;
        let mut rng = stream(0, Purpose::Figure, 0, 0);
        let ball: Vec<f32> = (0..4000 * d).map(|_| rng.random()).collect();
        assert!(EmbeddingHealth::of(&ball, d).rank > 7.8);
        let line: Vec<f32> =
            (0..100).flat_map(|i| (0..d).map(move |k| i as f32 * (k as f32 + 1.0))).collect();
        assert!((EmbeddingHealth::of(&line, d).rank - 1.0).abs() < 1e-6);
        // Fewer images than numbers: as many directions as there can be, all alike.
        let few: Vec<f32> = (0..5).flat_map(|i| (0..d).map(move |k| f32::from(u8::from(i == k)))).collect();
        assert!((EmbeddingHealth::of(&few, d).rank - 4.0).abs() < 1e-6);
        let point = vec![3.0; 100 * d];
        assert_eq!(EmbeddingHealth::of(&point, d).deviation, 0.0);
        assert_eq!(EmbeddingHealth::of(&[], d), EmbeddingHealth::default());
    }
}
