//! Uniform manifold approximation and projection.
//!
//! McInnes, Healy and Melville 2018, <https://arxiv.org/abs/1802.03426>: a graph of neighbours whose edges say how likely two vectors are
//! of one piece, laid out so that a graph made the same way from the plane agrees with it. Written here because the plane
//! must be the same for the same seed, which the crates there are do not promise.

use crate::meter::stage;
use crate::neighbours::Neighbour;
use crate::rng::{Purpose, RngExt, stream};
use std::collections::BTreeMap;

/// The curve `1 / (1 + a d^2b)` that is nearest to: one up to a distance of 0.1, then falling as `exp(-d)`. The reference's
/// least-squares fit for `min_dist = 0.1` and `spread = 1`.
const A: f64 = 1.576_943_4;
const B: f64 = 0.895_060_7;
/// Pushes for each pull.
const NEGATIVE: usize = 5;
/// A step moves a point by no more than this.
const CLIP: f64 = 4.0;

/// Places every vector in the plane, given its nearest others and where it begins.
///
/// # Panics
///
/// If there is not a list and a beginning for each vector.
pub fn umap(neighbours: &[Vec<Neighbour>], begin: &[[f64; 2]], seed: u64) -> Vec<[f64; 2]> {
    let n = neighbours.len();
    assert_eq!(n, begin.len(), "UMAP: a beginning for each vector");
    let mut at = spread(begin, seed);
    let edges = graph(neighbours);
    let Some(most) = edges.iter().map(|e| e.2).reduce(f64::max).filter(|m| *m > 0.0) else { return at };
    let epochs: u32 = if n <= 10_000 { 500 } else { 200 };
    // Weak edges pull in few epochs.
    let edges: Vec<(usize, usize, f64)> =
        edges.into_iter().map(|(i, j, w)| (i, j, most / w)).filter(|e| e.2 <= f64::from(epochs)).collect();
    let mut next: Vec<f64> = edges.iter().map(|e| e.2).collect();
    let stage = stage("UMAP", epochs as usize);
    for epoch in 0..epochs {
        stage.advance(1);
        let rate = 1.0 - f64::from(epoch) / f64::from(epochs);
        let rng = &mut stream(seed, Purpose::Map, u64::from(epoch), 1);
        for (edge, next) in edges.iter().zip(&mut next) {
            if *next > f64::from(epoch) + 1.0 {
                continue;
            }
            *next += edge.2;
            let (i, j) = (edge.0, edge.1);
            let pull = pull(at[i], at[j]);
            for k in 0..2 {
                at[i][k] += rate * pull[k];
                at[j][k] -= rate * pull[k];
            }
            for _ in 0..NEGATIVE {
                let other = rng.random_range(0..n);
                if other != i {
                    let push = push(at[i], at[other]);
                    at[i][0] += rate * push[0];
                    at[i][1] += rate * push[1];
                }
            }
        }
    }
    at
}

fn along(a: [f64; 2], b: [f64; 2], factor: f64) -> [f64; 2] {
    [0, 1].map(|k| (factor * (a[k] - b[k])).clamp(-CLIP, CLIP))
}

fn square(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

fn pull(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    let d = square(a, b);
    if d == 0.0 {
        return [0.0; 2];
    }
    let power = d.powf(B);
    along(a, b, -2.0 * A * B * power / d / (1.0 + A * power))
}

fn push(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    let d = square(a, b);
    if d == 0.0 {
        // Two points on one spot part all the same.
        return [CLIP, CLIP];
    }
    along(a, b, 2.0 * B / ((0.001 + d) * (1.0 + A * d.powf(B))))
}

/// The beginning, as wide as ten along its longer side, with a little noise so that no two points coincide.
fn spread(begin: &[[f64; 2]], seed: u64) -> Vec<[f64; 2]> {
    let range = |k: usize| {
        let values = begin.iter().map(|p| p[k]).filter(|v| v.is_finite());
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    let wide = (x1 - x0).max(y1 - y0);
    let unit = if wide > 0.0 && wide.is_finite() { 10.0 / wide } else { 0.0 };
    let rng = &mut stream(seed, Purpose::Map, 0, 0);
    begin
        .iter()
        .map(|p| {
            let mut place = |v: f64, low: f64| {
                (if unit > 0.0 { (v - low) * unit } else { 0.0 }) + 0.01 * rng.random::<f64>()
            };
            [place(p[0], x0), place(p[1], y0)]
        })
        .collect()
}

/// Edges with their weights, each pair once.
fn graph(neighbours: &[Vec<Neighbour>]) -> Vec<(usize, usize, f64)> {
    let mut one_way: BTreeMap<(usize, usize), [f64; 2]> = BTreeMap::new();
    for (i, list) in neighbours.iter().enumerate() {
        let (nearest, scale) = scale(list);
        for n in list.iter().filter(|n| n.index != i) {
            let weight = if n.distance <= nearest { 1.0 } else { (-(n.distance - nearest) / scale).exp() };
            let side = usize::from(i > n.index);
            one_way.entry((i.min(n.index), i.max(n.index))).or_default()[side] = weight;
        }
    }
    // Either of the two makes an edge (the probabilistic sum).
    one_way.into_iter().map(|((i, j), [a, b])| (i, j, a + b - a * b)).collect()
}

/// The distance of the nearest other, and the scale by which the neighbours' weights add up to the logarithm of their number.
fn scale(list: &[Neighbour]) -> (f64, f64) {
    let nearest = list.iter().map(|n| n.distance).find(|d| *d > 0.0).unwrap_or(0.0);
    let wanted = (list.len() as f64).log2().max(f64::MIN_POSITIVE);
    let (mut low, mut high, mut scale) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..64 {
        let sum: f64 = list.iter().map(|n| (-(n.distance - nearest).max(0.0) / scale).exp()).sum();
        if (sum - wanted).abs() < 1e-5 {
            break;
        }
        if sum > wanted {
            high = scale;
        } else {
            low = scale;
        }
        scale = if f64::is_finite(high) { (low + high) / 2.0 } else { scale * 2.0 };
    }
    let mean = list.iter().map(|n| n.distance).sum::<f64>() / list.len().max(1) as f64;
    (nearest, scale.max(1e-3 * mean).max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Features, Vectors};
    use crate::neighbours::{Exact, Exclude, nearest};
    use crate::projection::heaps::{beside_their_own, heaps};
    use alike_kernels::Tier;

    #[test]
    fn heaps_stay_apart_and_the_same_seed_gives_the_same_map() {
        let (lists, begin) = heaps(10);
        let map = umap(&lists, &begin, 3);
        assert_eq!(map, umap(&lists, &begin, 3));
        assert_ne!(map, umap(&lists, &begin, 4));
        assert_eq!(beside_their_own(&map), 120);
    }

    #[test]
    fn degenerate_sets_have_finite_maps() {
        for features in
            [Features::new(2, vec![1.0; 20]), Features::new(1, vec![0.0, 5.0]), Features::new(1, vec![3.0])]
        {
            let v = Vectors::Features(&features);
            let lists =
                nearest(&Exact::with_tier(Tier::available()[0], v), v, 3, Exclude::Itself, |_, l| l.to_vec());
            let map = umap(&lists, &vec![[0.0; 2]; features.len()], 0);
            assert!(map.iter().flatten().all(|v| v.is_finite()));
        }
    }
}
