//! Distances by matrix products: the gallery packed a block at a time, as a product reads it.
//!
//! Vectors that lie far from the origin would lose all that tells them apart in the squares of their lengths, so all are
//! shifted first, by a point near the gallery's middle ([`Frame`]); what a product can be off by is bounded ([`Bound`]).

use super::bound::EXACT;
use super::frame::Frame;
use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Tier, Windows, padded};
use rayon::prelude::*;

/// Bytes of a gallery that are kept packed, beside the gallery itself.
pub(super) const MOST_PACKED: usize = 256 << 20;
/// Gallery members that are packed at a time for a choice of neighbours.
pub(super) const GALLERY_BLOCK: usize = 1024;
/// Columns that a panel of the packed gallery is wide: two of the widest vectors.
pub(super) const PANEL: usize = 32;
/// Panels that a thread packs at least: what is less is packed by the thread that needs it.
const PANELS_EACH: usize = 64;
const _: () =
    assert!(padded(PANEL) == PANEL && GALLERY_BLOCK.is_multiple_of(PANEL), "blocks are whole panels");

/// A block of the gallery as the product reads it: panels of [`PANEL`] columns, each column a vector times -2.
pub(super) struct Packed {
    /// Floats of a column.
    depth: usize,
    /// Products of a run, where there is more than one or norms are added to it apart.
    run: Option<usize>,
    bytes: bool,
    /// The length of the longest member.
    farthest: f64,
    pub(super) count: usize,
    panels: AlignedBuffer,
    /// Squared norms; infinite for columns beyond the block's end, which then never come near.
    bias: AlignedBuffer,
}

impl Packed {
    /// Room for `most` members.
    pub(super) fn new(frame: &Frame, most: usize) -> Packed {
        let depth = frame.depth();
        let most = most.next_multiple_of(PANEL);
        let run = (frame.bytes || frame.run() < frame.centre.len()).then(|| frame.run());
        Packed {
            depth,
            run,
            bytes: frame.bytes,
            farthest: 0.0,
            count: 0,
            panels: AlignedBuffer::new(most * depth),
            bias: AlignedBuffer::new(most),
        }
    }

    /// Packs the members of the gallery that `member` numbers from 0 to `count`.
    pub(super) fn fill(
        &mut self,
        frame: &Frame,
        gallery: Vectors<'_>,
        (count, member): (usize, impl Fn(usize) -> usize + Sync),
        squares: &[f64],
    ) {
        self.count = count;
        self.farthest = (0..count).map(|i| squares[member(i)]).fold(0.0, f64::max).sqrt();
        let (depth, width, d) = (self.depth, self.width(), gallery.d());
        self.panels[..width * depth]
            .par_chunks_exact_mut(PANEL * depth)
            .zip(self.bias[..width].par_chunks_exact_mut(PANEL))
            .enumerate()
            .with_min_len(PANELS_EACH)
            .for_each(|(panel, (columns, bias))| {
                let mut row = vec![0.0; depth];
                for (column, bias) in bias.iter_mut().enumerate() {
                    let i = panel * PANEL + column;
                    *bias = f32::INFINITY;
                    if i < count {
                        frame.read(gallery, member(i), &mut row[..d]);
                        *bias = squares[member(i)] as f32;
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
        self.count.next_multiple_of(PANEL)
    }

    /// `|g|^2 - 2 q·g` of `m` queries of [`Frame::depth`] floats, of which none is longer than `longest`, with each member of the gallery
    /// that is packed: for a query a row of `out`, which are [`Packed::width`] floats long.
    pub(super) fn products(&self, tier: Tier, queries: &[f32], (m, longest): (usize, f64), out: &mut [f32]) {
        let (d, width) = (self.depth, self.width());
        assert_eq!(out.len(), m * width, "products: room for a row of each query");
        // Even numbers are exact below `2^25`, and so are all their sums here.
        let whole = self.bytes && 2.0 * longest * self.farthest < 2.0 * EXACT;
        let none = [0.0; PANEL];
        let mut sums = ByRuns { part: AlignedBuffer::new(0), sums: Vec::new() };
        for panel in 0..width / PANEL {
            let columns = &self.panels[panel * PANEL * d..][..PANEL * d];
            let bias = &self.bias[panel * PANEL..][..PANEL];
            let to = Windows::matrix(m, PANEL, width).shifted(panel * PANEL);
            match self.run {
                None => tier.matmul(queries, Windows::matrix(m, d, d), columns, bias, out, to),
                Some(_) if whole => tier.matmul(queries, Windows::matrix(m, d, d), columns, &none, out, to),
                Some(run) if self.bytes => {
                    let sums = sums.of(tier, queries, (m, d, run), columns);
                    for (out, sums) in out.chunks_exact_mut(width).zip(sums.chunks_exact(PANEL)) {
                        let out = out[panel * PANEL..][..PANEL].iter_mut();
                        out.zip(sums.iter().zip(bias))
                            .for_each(|(out, (sum, bias))| *out = (sum + f64::from(*bias)) as f32);
                    }
                    continue;
                }
                Some(run) => {
                    let rows = Windows::new(0, [1, m, d / run], [0, d, run], run);
                    tier.matmul_by_runs(queries, rows, columns, out, to);
                }
            }
            if self.run.is_some() {
                // Norms come last: beside them runs are short, and numbers may be odd.
                for out in out.chunks_exact_mut(width) {
                    let out = out[panel * PANEL..][..PANEL].iter_mut();
                    out.zip(bias).for_each(|(out, bias)| *out += bias);
                }
            }
        }
    }
}

/// Sums of runs in doubles: of bytes, where sums of several runs may be too large to be exact in `f32`.
struct ByRuns {
    part: AlignedBuffer,
    sums: Vec<f64>,
}

impl ByRuns {
    /// The products of `m` queries of `d` floats with a panel.
    fn of(
        &mut self,
        tier: Tier,
        queries: &[f32],
        (m, d, run): (usize, usize, usize),
        columns: &[f32],
    ) -> &[f64] {
        if self.sums.len() != m * PANEL {
            self.part = AlignedBuffer::new(m * PANEL);
        }
        self.sums.clear();
        self.sums.resize(m * PANEL, 0.0);
        for from in (0..d).step_by(run) {
            let to = d.min(from + run);
            let rows = Windows::matrix(m, to - from, d).shifted(from);
            let columns = &columns[from * PANEL..to * PANEL];
            let part = Windows::matrix(m, PANEL, PANEL);
            tier.matmul(queries, rows, columns, &[0.0; PANEL], &mut self.part, part);
            tier.add_scaled(&self.part, 1.0, &mut self.sums);
        }
        &self.sums
    }
}

/// The squared Euclidean distance of two vectors, in doubles; the bits of [`Tier::square_distance`], which is faster where vectors are
/// long and many.
///
/// # Panics
///
/// If their lengths differ.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    Tier::PORTABLE.square_distance(a, b)
}

/// Whole numbers as if by chance.
#[cfg(test)]
pub(super) fn noise(seed: u32, i: usize) -> u32 {
    let mut x = (i as u32).wrapping_mul(0x9e37_79b9) ^ seed;
    x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
    x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
    x ^ x >> 16
}

/// Vectors around an offset; with `copies`, some that are there twice or more.
#[cfg(test)]
pub(super) fn cloud(
    seed: u32,
    n: usize,
    d: usize,
    offset: f32,
    spread: f32,
    copies: bool,
) -> crate::images::Features {
    let of = |i: usize| if copies && i % 5 > 2 { i / 7 } else { i };
    let value = |i: usize, k: usize| noise(seed, of(i) * d + k) as f32 / u32::MAX as f32 * 2.0 - 1.0;
    let data = (0..n * d).map(|i| offset + spread * value(i / d, i % d)).collect();
    crate::images::Features::new(d, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Images, Shape, with_pixels};
    use proptest::prelude::*;

    /// Every product of a set with itself, beside the truth; returns the largest error by the bound.
    fn worst(tier: Tier, v: Vectors<'_>, frame: &Frame) -> f64 {
        let (n, d) = (v.len(), v.d());
        let squares = frame.square_norms(v);
        let bound = frame.bound(v, &squares);
        let mut packed = Packed::new(frame, n);
        packed.fill(frame, v, (n, |i| i), &squares);
        let depth = frame.depth();
        let mut rows = AlignedBuffer::new(n * depth);
        (0..n).for_each(|i| frame.read(v, i, &mut rows[i * depth..][..d]));
        let width = packed.width();
        let mut products = vec![0.0; n * width];
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        packed.products(tier, &rows, (n, longest), &mut products);
        let mut worst = 0.0f64;
        for i in 0..n {
            for j in 0..n {
                let far = frame.scale() * squared_distance(&v.row(i), &v.row(j));
                let error = (f64::from(products[i * packed.width() + j]) - (far - squares[i])).abs();
                let half = |slack: f32| f64::from(slack) / 2.0;
                worst = worst.max(error / half(bound.slack(squares[i].sqrt(), frame.reading(v, i))));
                worst =
                    worst.max(error / half(bound.slack_within(squares[i].sqrt(), frame.reading(v, i), far)));
            }
        }
        worst
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_are_within_their_bound(
            seed: u32,
            d in prop::sample::select(vec![1usize, 8, 64, 256, 300, 784]),
            offset in prop::sample::select(vec![0f32, 1.0, 100.0, 1e4, 1e6]),
            spread in prop::sample::select(vec![1e-3f32, 0.1, 1.0, 1e3]),
            longest in prop::sample::select(vec![1f32, 30.0]),
        ) {
            let mut data = cloud(seed, 40, d, offset, spread, true).into_data();
            data[..d].iter_mut().for_each(|v| *v *= longest);
            let features = crate::images::Features::new(d, data);
            let v = Vectors::Features(&features);
            for (tier, frame) in Tier::available().into_iter().flat_map(|t| [(t, Frame::rough(v)), (t, Frame::fine(v, v))]) {
                let worst = worst(tier, v, &frame);
                prop_assert!(worst <= 1.0, "{:?}: {} of the bound", tier, worst);
            }
        }

        #[test]
        fn products_of_pixels_are_within_their_bound(
            seed: u32, side in prop::sample::select(vec![1usize, 12, 28, 70]), levels in 2u32..=256,
        ) {
            let shape = Shape { h: side, w: side, c: 1 };
            let of = |i: usize| (noise(seed, i) % levels * 255 / (levels - 1)) as u8;
            let images = Images::new(shape, (0..40 * side * side).map(of).collect());
            with_pixels([&images], |[v]| {
                for (tier, frame) in Tier::available().into_iter().flat_map(|t| [(t, Frame::rough(v)), (t, Frame::fine(v, v))]) {
                    let worst = worst(tier, v, &frame);
                    prop_assert!(worst <= 1.0, "{:?}: {} of the bound", tier, worst);
                }
                Ok(())
            }).unwrap()?;
        }
    }

    /// A common offset must not make more candidates, which would all be measured.
    #[test]
    fn the_bound_does_not_grow_with_an_offset() {
        let slack = |offset: f32| {
            let features = cloud(5, 500, 64, offset, 1.0, false);
            let v = Vectors::Features(&features);
            let frame = Frame::rough(v);
            let squares = frame.square_norms(v);
            frame.bound(v, &squares).slack(squares[0].sqrt(), 0.0)
        };
        let (near, far) = (slack(0.0), slack(1e4));
        assert!(far < 1.2 * near, "{near} {far}");
    }
}
