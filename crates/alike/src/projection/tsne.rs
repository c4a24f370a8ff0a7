//! t-distributed stochastic neighbour embedding.
//!
//! Written here because the same vectors must have the same map at any number of threads, and because it must be known
//! whether the descent has arrived: crates take a number of steps and take them.

mod tree;

use crate::meter::stage;
use crate::neighbours::Neighbour;
use rayon::prelude::*;
use tree::Tree;

/// Neighbours that a map with perplexity 30 needs.
pub const TSNE_NEIGHBOURS: usize = 90;
const PERPLEXITY: f64 = 30.0;
/// How much stronger neighbours attract each other at first, and for how many steps.
const EXAGGERATION: f64 = 12.0;
const EXAGGERATED: usize = 250;
/// The least step size, whatever the number of vectors, as the reference has it.
const LEAST_RATE: f64 = 50.0;
/// After so many steps the divergence is looked at.
const LOOK: usize = 50;
/// The descent has arrived when the divergence falls by less than this share of it in [`PATIENCE`] steps.
const ARRIVED: f64 = 1e-3;
const PATIENCE: usize = 250;
/// Steps that are taken at most: so many in all for large sets, but no fewer than the first, and no more than the second.
const WORK: usize = 10_000_000;
const STEPS: [usize; 2] = [1000, 5000];

/// Places every vector in the plane, given its nearest others and where it begins: van der Maaten and Hinton 2008, far points put
/// together as van der Maaten 2014 does, with the step sizes of scikit-learn (Belkina et al. 2019,
/// <https://doi.org/10.1038/s41467-019-13055-y>), until the divergence no longer falls.
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
    let affinities = Affinities::new(neighbours, k, PERPLEXITY.min((k as f64 / 3.0).max(1.0)));
    descend(&affinities, start(begin))
}

/// As the reference does: a tiny copy of the principal components, so that the map is theirs at first.
fn start(begin: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let deviation = (begin.iter().map(|p| p[0] * p[0]).sum::<f64>() / begin.len() as f64).sqrt();
    let unit = if deviation > 0.0 && deviation.is_finite() { 1e-4 / deviation } else { 0.0 };
    begin
        .iter()
        .enumerate()
        .map(|(i, p)| {
            // No two points may coincide.
            let apart = [(i as f64 * 0.754_877_666).fract(), (i as f64 * 0.569_840_29).fract()];
            [0, 1].map(|k| {
                let at = p[k] * unit + 1e-6 * (apart[k] - 0.5);
                if at.is_finite() { at } else { 1e-6 * apart[k] }
            })
        })
        .collect()
}

/// How likely vectors are to be neighbours: symmetric, one in sum, zero for most.
struct Affinities {
    /// Where each vector's begin; one more at the end.
    rows: Vec<usize>,
    others: Vec<u32>,
    values: Vec<f64>,
}

impl Affinities {
    fn new(neighbours: &[Vec<Neighbour>], k: usize, perplexity: f64) -> Affinities {
        let n = neighbours.len();
        let one_way: Vec<Vec<f64>> =
            neighbours.par_iter().map(|list| likelihoods(&list[..k], perplexity)).collect();
        let mut both: Vec<Vec<(u32, f64)>> = vec![Vec::with_capacity(2 * k); n];
        for (i, (list, values)) in neighbours.iter().zip(&one_way).enumerate() {
            for (other, value) in list.iter().zip(values) {
                let half = value / (2.0 * n as f64);
                both[i].push((other.index as u32, half));
                both[other.index].push((i as u32, half));
            }
        }
        let (mut rows, mut others, mut values) = (vec![0], Vec::new(), Vec::new());
        for (i, mut list) in both.into_iter().enumerate() {
            list.sort_by_key(|(j, _)| *j);
            for pair in list.chunk_by(|a, b| a.0 == b.0).filter(|pair| pair[0].0 as usize != i) {
                others.push(pair[0].0);
                values.push(pair.iter().map(|(_, v)| v).sum());
            }
            rows.push(others.len());
        }
        Affinities { rows, others, values }
    }

    fn of(&self, i: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.rows[i]..self.rows[i + 1];
        self.others[range.clone()].iter().map(|j| *j as usize).zip(self.values[range].iter().copied())
    }
}

/// Gaussian shares of a vector's neighbours whose entropy is that of `perplexity` equal ones.
fn likelihoods(list: &[Neighbour], perplexity: f64) -> Vec<f64> {
    let least = list.iter().map(|n| n.distance * n.distance).fold(f64::INFINITY, f64::min);
    let far: Vec<f64> = list.iter().map(|n| n.distance * n.distance - least).collect();
    let mean = far.iter().sum::<f64>() / far.len() as f64;
    // All are equally near, or not even numbers.
    if mean <= 0.0 || !mean.is_finite() {
        return vec![1.0 / far.len() as f64; far.len()];
    }
    let wanted = perplexity.ln();
    let (mut low, mut high, mut sharp) = (0.0, f64::INFINITY, 1.0 / mean);
    let mut shares = Vec::new();
    for _ in 0..200 {
        shares = far.iter().map(|d| (-sharp * d).exp()).collect();
        let total: f64 = shares.iter().sum();
        let entropy = total.ln() + sharp * far.iter().zip(&shares).map(|(d, p)| d * p).sum::<f64>() / total;
        shares.iter_mut().for_each(|p| *p /= total);
        if (entropy - wanted).abs() < 1e-7 {
            break;
        }
        if entropy > wanted {
            low = sharp;
        } else {
            high = sharp;
        }
        sharp = if high.is_finite() { (low + high) / 2.0 } else { sharp * 2.0 };
    }
    shares
}

/// The force on each point.
struct Forces {
    attract: [f64; 2],
    repel: [f64; 2],
    /// The point's part of the sum that repulsions are divided by.
    sum: f64,
}

fn forces(affinities: &Affinities, at: &[[f64; 2]]) -> (Vec<Forces>, f64) {
    let tree = Tree::new(at);
    let each: Vec<Forces> = (0..at.len())
        .into_par_iter()
        .map(|i| {
            let mut attract = [0.0; 2];
            for (j, p) in affinities.of(i) {
                let (x, y) = (at[i][0] - at[j][0], at[i][1] - at[j][1]);
                let near = p / (1.0 + x * x + y * y);
                attract[0] += near * x;
                attract[1] += near * y;
            }
            let (repel, sum) = tree.repulsion(i);
            Forces { attract, repel, sum }
        })
        .collect();
    // In order, whatever the number of threads.
    let sum = each.iter().map(|f| f.sum).sum();
    (each, sum)
}

/// The divergence (Kullback-Leibler) of the map from the affinities, given the sum that repulsions are divided by.
fn divergence(affinities: &Affinities, at: &[[f64; 2]], sum: f64) -> f64 {
    let each: Vec<f64> = (0..at.len())
        .into_par_iter()
        .map(|i| {
            let of = |(j, p): (usize, f64)| {
                let far = (at[i][0] - at[j][0]).powi(2) + (at[i][1] - at[j][1]).powi(2);
                if p > 0.0 { p * (p * sum * (1.0 + far)).ln() } else { 0.0 }
            };
            affinities.of(i).map(of).sum()
        })
        .collect();
    each.iter().sum()
}

/// Gradient descent with momentum and a gain for each coordinate (Jacobs 1988), as the reference has it.
fn descend(affinities: &Affinities, mut at: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let n = at.len();
    let rate = (n as f64 / EXAGGERATION / 4.0).max(LEAST_RATE);
    let most = (WORK / n.max(1)).clamp(STEPS[0], STEPS[1]);
    let (mut speed, mut gain) = (vec![[0.0; 2]; n], vec![[1.0; 2]; n]);
    let mut seen: Vec<f64> = Vec::new();
    let stage = stage("t-SNE", most);
    for step in 0..most {
        stage.advance(1);
        let (exaggeration, momentum) = if step < EXAGGERATED { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let (each, sum) = forces(affinities, &at);
        if step > EXAGGERATED && step.is_multiple_of(LOOK) {
            let now = divergence(affinities, &at, sum);
            let before = seen.len().checked_sub(PATIENCE / LOOK).map(|i| seen[i]);
            // What is no number never will be one.
            if before.is_some_and(|before| before - now < ARRIVED * now.abs()) || now.is_nan() {
                break;
            }
            seen.push(now);
        }
        at.par_iter_mut().zip(&mut speed).zip(&mut gain).zip(&each).for_each(
            |(((at, speed), gain), force)| {
                for k in 0..2 {
                    let gradient = 4.0 * (exaggeration * force.attract[k] - force.repel[k] / sum);
                    gain[k] = if speed[k] * gradient < 0.0 { gain[k] + 0.2 } else { gain[k] * 0.8 };
                    gain[k] = f64::max(gain[k], 0.01);
                    speed[k] = momentum * speed[k] - rate * gain[k] * gradient;
                    at[k] += speed[k];
                }
            },
        );
        // Momentum starts anew with the true affinities, as the reference's second phase does.
        if step + 1 == EXAGGERATED {
            speed.fill([0.0; 2]);
            gain.fill([1.0; 2]);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::heaps::{beside_their_own, heaps};

    #[test]
    fn heaps_stay_apart_and_a_map_has_the_same_bits_at_any_number_of_threads() {
        let (lists, begin) = heaps(30);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tsne(&lists, &begin))
        };
        let map = with(1);
        assert_eq!(map, with(3));
        assert_eq!(beside_their_own(&map), 120);
    }

    #[test]
    fn a_few_points_stay_where_they_begin() {
        let lists = vec![Vec::new(); 2];
        assert_eq!(tsne(&lists, &[[0.0, 1.0], [2.0, 3.0]]), [[0.0, 1.0], [2.0, 3.0]]);
    }

    #[test]
    fn degenerate_sets_have_finite_maps() {
        // All on one spot, and one that is no number.
        for (odd, n) in [(0.0, 12usize), (f64::NAN, 12), (f64::INFINITY, 12), (1e300, 40)] {
            let list = |i: usize| {
                let others = (0..n).filter(|j| *j != i);
                others
                    .map(|j| Neighbour { index: j, distance: if i * j == 0 { odd } else { 0.0 } })
                    .collect::<Vec<_>>()
            };
            let lists: Vec<_> = (0..n).map(list).collect();
            let map = tsne(&lists, &vec![[odd; 2]; n]);
            assert!(map.iter().flatten().all(|v| v.is_finite()), "{odd}: {map:?}");
        }
    }

    /// The gradient against differences of the divergence itself.
    #[test]
    fn forces_are_the_slope_of_the_divergence() {
        let (lists, begin) = heaps(20);
        let affinities = Affinities::new(&lists, 20, 6.0);
        assert!((affinities.values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let mut at: Vec<[f64; 2]> =
            begin.iter().enumerate().map(|(i, p)| [p[0] * 0.1, (i as f64 * 0.7).sin()]).collect();
        let value = |at: &[[f64; 2]]| {
            let mut sum = 0.0;
            for i in 0..at.len() {
                for j in (0..at.len()).filter(|j| *j != i) {
                    sum += 1.0 / (1.0 + (at[i][0] - at[j][0]).powi(2) + (at[i][1] - at[j][1]).powi(2));
                }
            }
            divergence(&affinities, at, sum)
        };
        let (each, sum) = forces(&affinities, &at);
        let scale = each.iter().map(|f| (f.attract[0] - f.repel[0] / sum).abs()).fold(0.0, f64::max);
        for i in (0..at.len()).step_by(11) {
            for k in 0..2 {
                let old = at[i][k];
                at[i][k] = old + 1e-5;
                let up = value(&at);
                at[i][k] = old - 1e-5;
                let numeric = (up - value(&at)) / 2e-5;
                at[i][k] = old;
                let gradient = 4.0 * (each[i].attract[k] - each[i].repel[k] / sum);
                // Far points are put together.
                assert!((numeric - gradient).abs() < 0.2 * scale, "{i}: {numeric} {gradient}");
            }
        }
    }
}
