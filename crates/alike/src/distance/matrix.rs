//! Distances between many vectors, and their gradients, by matrix products.
//!
//! Distances that are functions of an inner product take three products: the distances, and the gradients of either
//! side. Pairs that lie too close for f32 products are done again one by one, and so is every pair of the distances that
//! are no function of an inner product.

use super::{COSINE_EPS, Distance};
use alike_kernels::{AlignedBuffer, Tier, Windows, padded};
use std::ops::Range;

/// Below this share of the sum of both squares a squared distance is computed again from differences.
const CLOSE: f64 = 0.02;
/// Below this one its gradient is.
const VERY_CLOSE: f64 = 1e-4;

/// Vectors made ready: directions where only these matter.
#[derive(Debug)]
pub(crate) struct Side {
    tier: Tier,
    d: usize,
    pitch: usize,
    n: usize,
    rows: AlignedBuffer,
    squares: Vec<f64>,
    /// The lengths that were divided by; empty where none were.
    lengths: Vec<f64>,
}

impl Side {
    pub(crate) fn new(tier: Tier, distance: Distance, vectors: &[f32], d: usize) -> Side {
        let (n, pitch) = (vectors.len() / d, padded(d));
        let mut rows = AlignedBuffer::new(n * pitch);
        let mut lengths = Vec::new();
        for (x, row) in vectors.chunks_exact(d).zip(rows.chunks_exact_mut(pitch)) {
            if distance.of_directions() {
                let length = tier.dot_wide(x, x).sqrt().max(COSINE_EPS);
                row.iter_mut().zip(x).for_each(|(to, x)| *to = (f64::from(*x) / length) as f32);
                lengths.push(length);
            } else {
                row[..d].copy_from_slice(x);
            }
        }
        let squares = rows.chunks_exact(pitch).take(n).map(|row| tier.dot_wide(row, row)).collect();
        Side { tier, d, pitch, n, rows, squares, lengths }
    }

    /// `d x n`, as products read them.
    fn columns(&self) -> AlignedBuffer {
        const TOGETHER: usize = 16;
        let wide = padded(self.n);
        let mut columns = AlignedBuffer::new(self.d * wide);
        for first in (0..self.n).step_by(TOGETHER) {
            let count = TOGETHER.min(self.n - first);
            for k in 0..self.d {
                let to = &mut columns[k * wide + first..][..count];
                to.iter_mut().enumerate().for_each(|(i, to)| *to = self.rows[(first + i) * self.pitch + k]);
            }
        }
        columns
    }

    pub(crate) fn len(&self) -> usize {
        self.n
    }

    /// Floats of a gradient of all vectors, as [`Matrix::backward`] adds to it.
    pub(crate) fn gradient_len(&self) -> usize {
        self.n * self.pitch
    }

    /// The lengths of the vectors; empty where these are not of directions.
    pub(crate) fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// Adds `scale` times the gradient of the vectors, given the derivative by each one's length.
    pub(crate) fn add_length_gradient(&self, derivatives: &[f64], scale: f64, into: &mut [f32]) {
        for (i, (to, derivative)) in into.chunks_exact_mut(self.d).zip(derivatives).enumerate() {
            to.iter_mut()
                .zip(self.row(i))
                .for_each(|(to, u)| *to += (scale * derivative * f64::from(*u)) as f32);
        }
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.rows[i * self.pitch..][..self.d]
    }

    fn padded_row(&self, i: usize) -> &[f32] {
        &self.rows[i * self.pitch..][..self.pitch]
    }

    /// Adds `scale` times the gradient of the vectors, given that of the rows.
    pub(crate) fn add_gradient(&self, rows: &[f32], scale: f64, into: &mut [f32]) {
        for (i, (to, g)) in into.chunks_exact_mut(self.d).zip(rows.chunks_exact(self.pitch)).enumerate() {
            let Some(length) = self.lengths.get(i) else {
                to.iter_mut().zip(g).for_each(|(to, g)| *to += (scale * f64::from(*g)) as f32);
                continue;
            };
            // A direction moves only across itself; below the floor the divisor is a constant.
            let u = self.row(i);
            let along = self.tier.dot_wide(u, &g[..self.d]);
            let along = if *length > COSINE_EPS { along } else { 0.0 };
            for ((to, g), u) in to.iter_mut().zip(g).zip(u) {
                *to += (scale * (f64::from(*g) - along * f64::from(*u)) / length) as f32;
            }
        }
    }
}

/// What a distance is made of.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `offset - u . v`.
    Product { offset: f64 },
    /// `|u - v|^2`, or its root.
    Difference { root: bool },
    /// Neither.
    Other,
}

/// The distances of all anchors to all references, a block of anchors at a time.
pub(crate) struct Matrix<'a> {
    tier: Tier,
    distance: Distance,
    form: Form,
    anchors: &'a Side,
    references: &'a Side,
    columns: AlignedBuffer,
}

/// Memory for a block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    products: Vec<f32>,
    totals: Vec<f64>,
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(tier: Tier, distance: Distance, anchors: &'a Side, references: &'a Side) -> Matrix<'a> {
        let form = match distance {
            Distance::Cosine => Form::Product { offset: 1.0 },
            Distance::Dot => Form::Product { offset: 0.0 },
            Distance::Euclidean | Distance::Chord => Form::Difference { root: true },
            Distance::SquaredEuclidean | Distance::SquaredChord => Form::Difference { root: false },
            Distance::Snr | Distance::Lp(_) => Form::Other,
        };
        let columns = if form == Form::Other { AlignedBuffer::new(0) } else { references.columns() };
        Matrix { tier, distance, form, anchors, references, columns }
    }

    /// Rows `rows` of the matrix, dense.
    pub(crate) fn distances(&self, rows: Range<usize>, block: &mut Block, out: &mut [f64]) {
        let (a, r) = (self.anchors, self.references);
        let m = r.n;
        if self.form == Form::Other {
            for (i, out) in rows.zip(out.chunks_exact_mut(m)) {
                for (j, out) in out.iter_mut().enumerate() {
                    *out = self.distance.between(a.row(i), r.row(j));
                }
            }
            return;
        }
        let wide = padded(m);
        let products = &mut block.products;
        products.clear();
        products.resize(rows.len() * wide, 0.0);
        let left = Windows::matrix(rows.len(), a.d, a.pitch);
        let to = Windows::matrix(rows.len(), wide, wide);
        self.tier.matmul_add(&a.rows[rows.start * a.pitch..], left, &self.columns, products, to);
        for ((i, out), products) in rows.zip(out.chunks_exact_mut(m)).zip(products.chunks_exact(wide)) {
            match self.form {
                Form::Product { offset } => {
                    self.tier.widen(&products[..m], -1.0, offset, out);
                    if self.distance.of_directions() && self.tier.any_below(out, CLOSE) {
                        for (j, d) in out.iter_mut().enumerate().filter(|(_, d)| **d < CLOSE) {
                            // Summed as the squares are, so that equal directions are at distance zero.
                            let dot = self.tier.dot_wide(a.padded_row(i), r.padded_row(j));
                            *d = offset - dot / (a.squares[i] * r.squares[j]).sqrt();
                        }
                    }
                }
                Form::Difference { root } => {
                    for (j, (out, p)) in out.iter_mut().zip(products).enumerate() {
                        let sum = a.squares[i] + r.squares[j];
                        let mut q = sum - 2.0 * f64::from(*p);
                        if q < CLOSE * sum {
                            q = difference(a.row(i), r.row(j));
                        }
                        *out = if root { q.sqrt() } else { q };
                    }
                }
                Form::Other => {}
            }
        }
    }

    /// Adds the gradients of the rows of both sides, given each distance of `rows` and the derivative by it.
    pub(crate) fn backward(
        &self,
        rows: Range<usize>,
        distances: &[f64],
        derivatives: &[f64],
        block: &mut Block,
        anchors: &mut [f32],
        references: Option<&mut [f32]>,
    ) {
        let mut none = Vec::new();
        let wants_references = references.is_some();
        let references = references.unwrap_or(&mut none);
        if self.form == Form::Other {
            return self.backward_by_pairs(rows, derivatives, anchors, references);
        }
        let (a, r) = (self.anchors, self.references);
        let m = r.n;
        // Every pair's factor of the other side's vector; what is its own side's factor is summed in `totals`.
        let wide = padded(m);
        let Block { products: factors, totals } = block;
        factors.clear();
        factors.resize(rows.len() * wide, 0.0);
        totals.clear();
        totals.resize(m, 0.0);
        let count = rows.len();
        for (((i, factors), (distances, derivatives)), da) in rows
            .clone()
            .zip(factors.chunks_exact_mut(wide))
            .zip(distances.chunks_exact(m).zip(derivatives.chunks_exact(m)))
            .zip(anchors.chunks_exact_mut(a.pitch))
        {
            let row = Row { i, distances, derivatives };
            match self.form {
                Form::Product { .. } => self.factors_of_products(row, &mut factors[..m], da, references),
                Form::Difference { root } => {
                    self.factors_of_differences(root, row, (factors, totals), da, references);
                }
                Form::Other => {}
            }
        }
        let left = Windows::matrix(count, m, wide);
        let right = Windows::matrix(count, a.pitch, a.pitch);
        self.tier.matmul_add(factors, left, &r.rows, anchors, right);
        if wants_references {
            let own = &a.rows[rows.start * a.pitch..];
            self.tier.transposed_matmul_add(factors, left, own, right, references);
            if matches!(self.form, Form::Difference { .. }) {
                let both = references.chunks_exact_mut(r.pitch).zip(r.rows.chunks_exact(r.pitch));
                for ((to, row), total) in both.zip(totals).filter(|(_, total)| **total != 0.0) {
                    to.iter_mut().zip(row).for_each(|(g, x)| *g += (*total * f64::from(*x)) as f32);
                }
            }
        }
    }

    /// [`Matrix::backward`] of distances that are not made from products. `references` is empty where their gradients are not wanted,
    /// here and below.
    fn backward_by_pairs(
        &self,
        rows: Range<usize>,
        derivatives: &[f64],
        anchors: &mut [f32],
        references: &mut [f32],
    ) {
        let (a, r) = (self.anchors, self.references);
        let mut unused = vec![0.0; a.d];
        for ((i, derivatives), da) in
            rows.zip(derivatives.chunks_exact(r.n)).zip(anchors.chunks_exact_mut(a.pitch))
        {
            for (j, derivative) in
                derivatives.iter().enumerate().filter(|(_, derivative)| **derivative != 0.0)
            {
                let dr = if references.is_empty() {
                    &mut unused[..]
                } else {
                    &mut references[j * r.pitch..][..r.d]
                };
                self.distance.add_gradient(a.row(i), r.row(j), *derivative, &mut da[..a.d], dr);
            }
        }
    }

    /// The factors of a row, where a distance is a product with an offset.
    fn factors_of_products(&self, row: Row<'_>, factors: &mut [f32], da: &mut [f32], references: &mut [f32]) {
        let Row { i, distances, derivatives } = row;
        self.tier.narrow(derivatives, -1.0, 0.0, factors);
        if self.distance.of_directions() && self.tier.any_below(distances, VERY_CLOSE) {
            let close = |j: &usize| distances[*j] < VERY_CLOSE && derivatives[*j] != 0.0;
            for j in (0..distances.len()).filter(close) {
                // What lies along a direction moves nothing, so a difference does as well as the other side.
                factors[j] = 0.0;
                self.add_difference([i, j], derivatives[j], da, references);
            }
        }
    }

    /// The factors of a row, where a distance is the length of a difference, or its square.
    fn factors_of_differences(
        &self,
        root: bool,
        row: Row<'_>,
        (factors, totals): (&mut [f32], &mut [f64]),
        da: &mut [f32],
        references: &mut [f32],
    ) {
        let (a, r) = (self.anchors, self.references);
        let Row { i, distances, derivatives } = row;
        let mut total = 0.0;
        for (j, (d, derivative)) in distances.iter().zip(derivatives).enumerate() {
            if *derivative == 0.0 {
                continue;
            }
            let q = if root { d * d } else { *d };
            let factor = match root {
                // At distance zero the gradient is taken as zero, a valid subgradient.
                true if *d == 0.0 => 0.0,
                true => derivative / d,
                false => 2.0 * derivative,
            };
            if q < VERY_CLOSE * (a.squares[i] + r.squares[j]) {
                self.add_difference([i, j], factor, da, references);
                continue;
            }
            factors[j] = -factor as f32;
            total += factor;
            totals[j] += factor;
        }
        let own = &a.rows[i * a.pitch..][..a.pitch];
        da.iter_mut().zip(own).for_each(|(g, x)| *g += (total * f64::from(*x)) as f32);
    }

    /// Adds `factor` times the difference of a pair to both sides' gradients: products of f32 do not tell such a pair apart.
    fn add_difference(&self, [i, j]: [usize; 2], factor: f64, da: &mut [f32], references: &mut [f32]) {
        let (a, r) = (self.anchors, self.references);
        let pairs = a.rows[i * a.pitch..][..a.pitch].iter().zip(&r.rows[j * r.pitch..][..r.pitch]);
        for (k, (x, y)) in pairs.enumerate() {
            let g = (factor * (f64::from(*x) - f64::from(*y))) as f32;
            da[k] += g;
            if !references.is_empty() {
                references[j * r.pitch + k] -= g;
            }
        }
    }
}

/// An anchor's number, its distances to all references, and the derivatives by them.
#[derive(Clone, Copy)]
struct Row<'a> {
    i: usize,
    distances: &'a [f64],
    derivatives: &'a [f64],
}

fn difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against one pair at a time, duplicates and near ones included.
    #[test]
    fn products_give_the_distances_and_gradients_of_single_pairs() {
        let (n, m, d) = (7, 19, 11);
        let noise = |n: usize, k: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * k).sin()).collect() };
        let a = noise(n * d, 0.7);
        let mut r = noise(m * d, 1.3);
        r[..d].copy_from_slice(&a[..d]);
        r[d..2 * d].copy_from_slice(&a[d..2 * d]);
        r[d] += 1e-3;
        let derivatives: Vec<f64> =
            (0..n * m).map(|i| if i % 3 == 0 { 0.0 } else { (i as f64).cos() }).collect();
        for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(3.0)]) {
            for tier in Tier::available() {
                let (left, right) = (Side::new(tier, distance, &a, d), Side::new(tier, distance, &r, d));
                let matrix = Matrix::new(tier, distance, &left, &right);
                let (mut block, mut distances) = (Block::default(), vec![0.0; n * m]);
                matrix.distances(0..n, &mut block, &mut distances);
                let (mut da, mut dr) = (vec![0.0; left.gradient_len()], vec![0.0; right.gradient_len()]);
                let mut expected = (vec![0.0; n * d], vec![0.0; m * d]);
                for i in 0..n {
                    for j in 0..m {
                        let (x, y) = (&a[i * d..][..d], &r[j * d..][..d]);
                        let at = i * m + j;
                        let one = distance.between(x, y);
                        assert!((distances[at] - one).abs() < 5e-6, "{distance}: {} {one}", distances[at]);
                        // Exact duplicates have no gradient of a root; the plain form adds 1e-6 to differences.
                        if !(x == y && distance == Distance::Euclidean) {
                            let (ex, ey) = (&mut expected.0[i * d..][..d], &mut expected.1[j * d..][..d]);
                            distance.add_gradient(x, y, derivatives[at], ex, ey);
                        }
                    }
                }
                matrix.backward(0..n, &distances, &derivatives, &mut block, &mut da, Some(&mut dr));
                let mut found = (vec![0.0; n * d], vec![0.0; m * d]);
                left.add_gradient(&da, 1.0, &mut found.0);
                right.add_gradient(&dr, 1.0, &mut found.1);
                for (a, b) in found.0.iter().chain(&found.1).zip(expected.0.iter().chain(&expected.1)) {
                    assert!((a - b).abs() < 2e-3 * b.abs().max(1.0), "{distance}, {tier:?}: {a} {b}");
                }
            }
        }
    }

    /// In doubles and by definition, with directions of vectors that have one.
    fn plain(distance: Distance, a: &[f32], b: &[f32]) -> f64 {
        let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let direction = |v: &[f64]| v.iter().map(|x| x / length(v).max(COSINE_EPS)).collect::<Vec<f64>>();
        let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        let (a, b) = (wide(a), wide(b));
        let (u, v) = (direction(&a), direction(&b));
        let variance = |x: Vec<f64>| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0)
        };
        match distance {
            Distance::Euclidean => square(&a, &b).sqrt(),
            Distance::SquaredEuclidean => square(&a, &b),
            Distance::Chord => square(&u, &v).sqrt(),
            Distance::SquaredChord => square(&u, &v),
            Distance::Cosine if length(&a) == 0.0 || length(&b) == 0.0 => 1.0,
            Distance::Cosine => square(&u, &v) / 2.0,
            Distance::Dot => -a.iter().zip(&b).map(|(x, y)| x * y).sum::<f64>(),
            Distance::Snr => variance(u.iter().zip(&v).map(|(x, y)| x - y).collect()) / variance(u).max(1e-8),
            Distance::Lp(p) => {
                a.iter().zip(&b).map(|(x, y)| (x - y).abs().powf(p)).sum::<f64>().powf(1.0 / p)
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]
        /// One pair, the matrix and the definition, for equal, opposite, zero, near, long and short vectors and offsets.
        #[test]
        fn pairs_and_matrices_agree_at_all_lengths(
            seed: u32,
            d in proptest::sample::select(vec![2usize, 8, 64, 300]),
            scale in proptest::sample::select(vec![1e-4f32, 1.0, 1e4, 1e12]),
            offset in proptest::sample::select(vec![0f32, 1.0, 100.0]),
        ) {
            let n = 10;
            let noise = |i: usize| {
                let x = (i as u32).wrapping_mul(0x9e37_79b9).wrapping_add(seed);
                ((x ^ x >> 15).wrapping_mul(0x85eb_ca6b) >> 8) as f32 / (1u32 << 23) as f32 - 1.0
            };
            let mut x: Vec<f32> = (0..n * d).map(|i| scale * (offset + noise(i))).collect();
            let (first, rest) = x.split_at_mut(d);
            rest[..d].copy_from_slice(first);
            rest[d..2 * d].iter_mut().zip(&*first).for_each(|(to, v)| *to = -v);
            rest[2 * d..3 * d].fill(0.0);
            rest[3 * d..4 * d].iter_mut().zip(&*first).for_each(|(to, v)| *to = v * 3.0);
            rest[4 * d..5 * d].iter_mut().zip(&*first).for_each(|(to, v)| *to = v * 1.001);
            // A signal that is all but constant is a difference of nearly equal numbers by its definition.
            let told = |d: &Distance| offset == 0.0 || *d != Distance::Snr;
            for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(3.0)]).filter(told) {
                for tier in Tier::available() {
                    let side = Side::new(tier, distance, &x, d);
                    let matrix = Matrix::new(tier, distance, &side, &side);
                    let (mut block, mut distances) = (Block::default(), vec![0.0; n * n]);
                    matrix.distances(0..n, &mut block, &mut distances);
                    for i in 0..n {
                        for j in 0..n {
                            let (a, b) = (&x[i * d..][..d], &x[j * d..][..d]);
                            let (one, of_matrix) = (distance.between(a, b), distances[i * n + j]);
                            let exact = plain(distance, a, b);
                            let size = f64::from(scale) * f64::from(1.0 + offset) * (d as f64).sqrt();
                            // What f32 makes of the numbers that each is made from.
                            let (within, floor) = match distance {
                                Distance::Dot => (1e-6, 1e-6 * size * size),
                                Distance::Euclidean => (1e-4, 1.1e-6 * (d as f64).sqrt() + 1e-7 * size),
                                Distance::SquaredEuclidean => (1e-4, 1e-12 * size * size),
                                Distance::Snr => (1e-3, 1e-5),
                                Distance::Lp(_) => (1e-9, 0.0),
                                _ => (1e-4, 2e-6),
                            };
                            let near = |v: f64| (v - exact).abs() <= within * exact.abs() + floor;
                            proptest::prop_assert!(
                                near(of_matrix), "{} {:?} {},{}: {} for {}", distance, tier, i, j, of_matrix, exact
                            );
                            // A single pair is in doubles, but for PyTorch's constant and, as PyTorch has it, differences.
                            let floor = match distance {
                                Distance::Euclidean | Distance::Snr => floor,
                                _ => 1e-13 * size * size,
                            } + 1e-6 * exact.abs();
                            proptest::prop_assert!(
                                (one - exact).abs() <= floor.max(1e-12), "{} {},{}: {} for {}", distance, i, j, one, exact
                            );
                            let zero = a.iter().all(|v| *v == 0.0);
                            if a == b && !zero && ![Distance::Dot, Distance::Euclidean].contains(&distance) {
                                proptest::prop_assert_eq!((one, of_matrix), (0.0, 0.0), "{}", distance);
                            }
                        }
                    }
                }
            }
        }
    }
}
