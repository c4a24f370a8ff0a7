//! Classes as Gaussians, whose covariances are shrunk.

use crate::images::Vectors;
use crate::projection::shrunk;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A class's mean, and the factor of a covariance.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    mean: DVector<f64>,
    covariance: Arc<Cholesky<f64, Dyn>>,
}

impl Gaussian {
    pub(super) fn distance(&self, x: &DVector<f64>) -> f64 {
        let mut centred = x - &self.mean;
        self.covariance.l_dirty().solve_lower_triangular_mut(&mut centred);
        centred.norm()
    }
}

/// A Gaussian a class; with `own`, each has a covariance of its own where it has two images.
pub(super) fn gaussians(vectors: Vectors<'_>, labels: &[u32], own: bool) -> Vec<Gaussian> {
    let d = vectors.d();
    let rows = vectors.select(&(0..vectors.len()).collect::<Vec<_>>());
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    labels.iter().enumerate().for_each(|(i, l)| classes.entry(*l).or_default().push(i));
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
    for of in classes.into_values() {
        let mean = mean(&of);
        let deviations = centred(&of, &mean);
        if own && of.len() > 1 {
            all.push((mean, deviations));
        } else {
            pooled.extend_from_slice(&deviations);
            all.push((mean, Vec::new()));
        }
    }
    let shared = (!pooled.is_empty()).then(|| Arc::new(shrunk_covariance(&pooled, d)));
    let each = all.into_iter().map(|(mean, deviations)| {
        let covariance = match &shared {
            Some(shared) if deviations.is_empty() => shared.clone(),
            _ => Arc::new(shrunk_covariance(&deviations, d)),
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
