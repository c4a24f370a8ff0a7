//! Distances by matrix products: the gallery packed a block at a time, as a product reads it.

use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Tier, Windows, padded};
use rayon::prelude::*;

/// Gallery members that are packed at a time.
pub(super) const GALLERY_BLOCK: usize = 1024;
/// Columns that a panel of the packed gallery is wide: two of the widest vectors.
pub(super) const PANEL: usize = 32;

const _: () =
    assert!(padded(PANEL) == PANEL && GALLERY_BLOCK.is_multiple_of(PANEL), "blocks are whole panels");

/// The squared length of every vector.
pub(super) fn square_norms(vectors: Vectors<'_>) -> Vec<f64> {
    let mut norms = vec![0.0; vectors.len()];
    norms.par_chunks_mut(256).enumerate().for_each(|(chunk, norms)| {
        let mut row = vec![0.0; vectors.d()];
        for (i, norm) in norms.iter_mut().enumerate() {
            vectors.read(chunk * 256 + i, &mut row);
            *norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        }
    });
    norms
}

/// A block of the gallery as the product reads it: panels of [`PANEL`] columns, each column a vector times -2.
pub(super) struct Packed {
    d: usize,
    pub(super) start: usize,
    pub(super) count: usize,
    panels: AlignedBuffer,
    /// Squared norms; infinite for columns beyond the gallery's end, which then never come near.
    bias: AlignedBuffer,
}

impl Packed {
    pub(super) fn new(d: usize) -> Packed {
        let panels = AlignedBuffer::new(GALLERY_BLOCK * d);
        Packed { d, start: 0, count: 0, panels, bias: AlignedBuffer::new(GALLERY_BLOCK) }
    }

    pub(super) fn fill(&mut self, gallery: Vectors<'_>, start: usize, count: usize, squares: &[f64]) {
        (self.start, self.count) = (start, count);
        let d = self.d;
        self.panels
            .par_chunks_exact_mut(PANEL * d)
            .zip(self.bias.par_chunks_exact_mut(PANEL))
            .enumerate()
            .for_each(|(panel, (columns, bias))| {
                let mut row = vec![0.0; d];
                for (column, bias) in bias.iter_mut().enumerate() {
                    let i = panel * PANEL + column;
                    *bias = f32::INFINITY;
                    if i < count {
                        gallery.read(start + i, &mut row);
                        *bias = squares[start + i] as f32;
                    } else {
                        row.fill(0.0);
                    }
                    for (to, v) in columns[column..].iter_mut().step_by(PANEL).zip(&row) {
                        *to = -2.0 * v;
                    }
                }
            });
    }

    /// Columns of [`Packed::products`].
    pub(super) fn width(&self) -> usize {
        self.count.div_ceil(PANEL) * PANEL
    }

    /// `|g|^2 - 2 q·g` of `m` queries, row-major, with each member of the gallery that is packed.
    pub(super) fn products(&self, tier: Tier, queries: &[f32], m: usize) -> AlignedBuffer {
        let (d, width) = (self.d, self.width());
        let mut products = AlignedBuffer::new(m * width);
        for panel in 0..width / PANEL {
            let out = Windows { offset: panel * PANEL, ..Windows::matrix(m, PANEL, width) };
            tier.matmul(
                queries,
                Windows::matrix(m, d, d),
                &self.panels[panel * PANEL * d..][..PANEL * d],
                &self.bias[panel * PANEL..][..PANEL],
                &mut products,
                out,
            );
        }
        products
    }
}

/// Twice the largest error that the product can make for a query of this squared length, in a gallery whose longest
/// vector has squared length `farthest`.
pub(super) fn slack(d: usize, square: f64, farthest: f64) -> f32 {
    // d products and additions, each off by at most half a unit in the last place, over sums that Cauchy-Schwarz bounds by
    // |q|^2 + |g|^2; and as much again for the bias.
    let error = (d as f64 + 8.0) * f64::from(f32::EPSILON) * (square + farthest);
    (2.0 * error) as f32
}

/// The squared Euclidean distance of two vectors: in eight sums, so that no addition waits for the one before it.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)).powi(2);
    let mut sums = [0.0; 8];
    let (wholes_a, wholes_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = wholes_a.remainder().iter().zip(wholes_b.remainder()).map(|(a, b)| square(*a, *b)).sum();
    for (a, b) in wholes_a.zip(wholes_b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(*a, *b);
        }
    }
    sums.iter().sum::<f64>() + rest
}
