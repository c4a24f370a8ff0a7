//! Classes as Gaussians, whose covariances are shrunk.

use crate::images::Vectors;
use crate::projection::shrunk;
use nalgebra::{Cholesky, DMatrixView, DVector, Dyn};
use std::collections::BTreeMap;

/// Classes that share a covariance: a vector is whitened once for all of them.
#[derive(Clone, Debug)]
pub(super) struct Gaussians {
    covariance: Cholesky<f64, Dyn>,
    /// The mean of the classes' means, so that little is lost where all lie far from the origin.
    centre: DVector<f64>,
    /// The classes' means, whitened as a vector is.
    means: Vec<DVector<f64>>,
}

impl Gaussians {
    fn new(means: &[DVector<f64>], covariance: Cholesky<f64, Dyn>) -> Gaussians {
        let mut centre = DVector::zeros(means[0].len());
        means.iter().for_each(|m| centre += m / means.len() as f64);
        let mut classes = Gaussians { covariance, centre, means: Vec::new() };
        classes.means = means.iter().map(|m| classes.whitened(m)).collect();
        classes
    }

    fn whitened(&self, x: &DVector<f64>) -> DVector<f64> {
        let mut centred = x - &self.centre;
        self.covariance.l_dirty().solve_lower_triangular_mut(&mut centred);
        centred
    }

    /// To the nearest class.
    pub(super) fn distance(&self, x: &DVector<f64>) -> f64 {
        let x = self.whitened(x);
        self.means.iter().map(|m| (&x - m).norm()).fold(f64::INFINITY, f64::min)
    }
}

/// The classes by their covariances: with `own`, each has one of its own where it has two images.
pub(super) fn gaussians(vectors: Vectors<'_>, labels: &[u32], own: bool) -> Vec<Gaussians> {
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
    let (mut shared, mut pooled, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for of in classes.into_values() {
        let mean = mean(&of);
        let deviations = centred(&of, &mean);
        if own && of.len() > 1 {
            found.push(Gaussians::new(&[mean], shrunk_covariance(&deviations, d)));
        } else {
            pooled.extend_from_slice(&deviations);
            shared.push(mean);
        }
    }
    if !shared.is_empty() {
        found.push(Gaussians::new(&shared, shrunk_covariance(&pooled, d)));
    }
    found
}

fn shrunk_covariance(rows: &[f64], d: usize) -> Cholesky<f64, Dyn> {
    let n = rows.len() / d;
    let transposed = DMatrixView::from_slice(rows, d, n);
    let x = DMatrixView::from_slice_with_strides(rows, n, d, d, 1);
    let fourth: f64 = rows.chunks_exact(d).map(|r| r.iter().map(|v| v * v).sum::<f64>().powi(2)).sum();
    shrunk(transposed * x / n as f64, n, fourth / n as f64)
}
