//! t-distributed stochastic neighbour embedding.

use crate::neighbours::Neighbour;

/// Neighbours that a map with perplexity 30 needs.
pub const TSNE_NEIGHBOURS: usize = 90;
const PERPLEXITY: f32 = 30.0;
/// How coarsely far points are put together.
const THETA: f32 = 0.5;

/// Places every vector in the plane, given its nearest others and where it begins: van der Maaten and Hinton 2008, far points put
/// together as van der Maaten 2014 does (`bhtsne`).
///
/// # Panics
///
/// If there is not a beginning for each vector.
pub fn tsne(neighbours: &[Vec<Neighbour>], begin: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let n = neighbours.len();
    assert_eq!(n, begin.len(), "t-SNE: a beginning for each vector");
    let k = neighbours.iter().map(Vec::len).min().unwrap_or(0);
    // Too few to have a neighbourhood of any size.
    if k < 3 {
        return begin.to_vec();
    }
    let lists: Vec<Vec<bhtsne::Neighbor<f32>>> = neighbours
        .iter()
        .map(|list| {
            let one = |n: &Neighbour| bhtsne::Neighbor { index: n.index, distance: n.distance as f32 };
            list[..k].iter().map(one).collect()
        })
        .collect();
    // As the reference does: a tiny copy of the principal components, so that the map is theirs at first.
    let deviation = (begin.iter().map(|p| p[0] * p[0]).sum::<f64>() / n as f64).sqrt();
    let unit = if deviation > 0.0 && deviation.is_finite() { 1e-4 / deviation } else { 0.0 };
    let first: Vec<f32> = begin
        .iter()
        .enumerate()
        .flat_map(|(i, p)| {
            // No two points may coincide.
            let apart = [(i as f64 * 0.754_877_666).fract(), (i as f64 * 0.569_840_29).fract()];
            [0, 1].map(|k| (p[k] * unit + 1e-6 * (apart[k] - 0.5)) as f32)
        })
        .collect();
    let points: Vec<usize> = (0..n).collect();
    let run = || {
        let mut map = bhtsne::tSNE::<f32, usize, 2>::new(&points);
        map.perplexity(PERPLEXITY.min((k as f32 / 3.0).max(1.0)))
            .learning_rate((n as f32 / 12.0).max(50.0))
            .epochs(750)
            .initial_embedding(first)
            .barnes_hut_with_neighbors(THETA, &lists);
        map.embedding()
    };
    // Sums over several threads are rounded as chance has it, and a map would never come out the same twice.
    let flat = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(alone) => alone.install(run),
        Err(_) => run(),
    };
    flat.chunks_exact(2).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::heaps::{beside_their_own, heaps};

    #[test]
    fn heaps_stay_apart_and_a_map_comes_out_the_same_twice() {
        let (lists, begin) = heaps(30);
        let map = tsne(&lists, &begin);
        assert_eq!(map, tsne(&lists, &begin));
        assert_eq!(beside_their_own(&map), 120);
    }

    #[test]
    fn a_few_points_stay_where_they_begin() {
        let lists = vec![Vec::new(); 2];
        assert_eq!(tsne(&lists, &[[0.0, 1.0], [2.0, 3.0]]), [[0.0, 1.0], [2.0, 3.0]]);
    }
}
