//! Maps against scikit-learn's.

use crate::mnist::mnist;
use alike::images::{Features, Vectors, with_pixels};
use alike::neighbours::{Exact, Exclude, nearest};
use alike::projection::{Pca, TSNE_NEIGHBOURS, tsne};
use alike_kernels::Tier;

/// By `python fixtures/tsne.py`: so many training images of MNIST, and the divergence of scikit-learn's map of them, over all
/// pairs.
const DIVERGENCES: [(usize, f64); 2] = [(700, 0.694), (2000, 1.025)];

/// The divergence over all pairs, without neighbours or squares: perplexity 30.
fn divergence(x: &Features, map: &[[f64; 2]]) -> f64 {
    let n = x.len();
    let far = |i: usize, j: usize| -> f64 {
        x.row(i).iter().zip(x.row(j)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    };
    let mut p = vec![0.0; n * n];
    for i in 0..n {
        let distances: Vec<f64> = (0..n).map(|j| if j == i { f64::INFINITY } else { far(i, j) }).collect();
        let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let (mut low, mut high) = (0.0f64, 100.0f64);
        for _ in 0..60 {
            let sharp = (low + high) / 2.0;
            let row = &mut p[i * n..][..n];
            row.iter_mut().zip(&distances).for_each(|(p, d)| *p = (-sharp * (d - least)).exp());
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= total);
            let entropy: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            if entropy > 30f64.ln() { low = sharp } else { high = sharp }
        }
    }
    let near =
        |i: usize, j: usize| 1.0 / (1.0 + (map[i][0] - map[j][0]).powi(2) + (map[i][1] - map[j][1]).powi(2));
    let pairs = || (0..n).flat_map(|i| (0..n).filter(move |j| *j != i).map(move |j| (i, j)));
    let total: f64 = pairs().map(|(i, j)| near(i, j)).sum();
    pairs()
        .map(|(i, j)| {
            let p = (p[i * n + j] + p[j * n + i]) / (2.0 * n as f64);
            if p > 0.0 { p * (p * total / near(i, j)).ln() } else { 0.0 }
        })
        .sum()
}

#[test]
fn tsne_arrives_where_scikit_learn_does() {
    let Some(data) = mnist("tsne_arrives_where_scikit_learn_does") else { return };
    let tier = Tier::from_env().unwrap();
    for (n, reference) in DIVERGENCES {
        let pixels = |[v]: [Vectors<'_>; 1]| (0..n).flat_map(|i| v.row(i)).collect();
        let rows = with_pixels([&data.train.images], pixels).unwrap();
        let features = Features::new(784, rows);
        let v = Vectors::Features(&features);
        let plane: Vec<[f64; 2]> =
            Pca::fit_with_tier(tier, v, 2).project(v).iter().map(|p| [p[0], p[1]]).collect();
        let lists =
            nearest(&Exact::with_tier(tier, v), v, TSNE_NEIGHBOURS, Exclude::Itself, |_, l| l.to_vec());
        let found = divergence(&features, &tsne(&lists, &plane));
        assert!(found < 1.03 * reference, "{n} images: {found}, scikit-learn {reference}");
    }
}
