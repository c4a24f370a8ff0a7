//! Distances by matrix products: the gallery packed a block at a time, as a product reads it.
//!
//! Vectors that lie far from the origin would lose all that tells them apart in the squares of their lengths, so all are
//! shifted first, by a point near the gallery's middle ([`Frame`]); what a product can be off by is bounded ([`Bound`]).

use crate::images::{Pixels, Vectors};
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
/// Members that the common centre is found from, and into how many means they are gathered.
const CENTRED_BY: usize = 1024;
const MEANS: usize = 15;
/// Numbers of bytes whose products `f32` adds up exactly: `256 * 255^2 < 2^24`.
const BYTES: usize = 256;
/// Floats of a run, at least: the error grows with a run's length and the number of runs.
const RUN: usize = 16;
/// The unit roundoff of `f32`.
const UNIT: f64 = (f32::EPSILON / 2.0) as f64;
/// Whole numbers below this are exact in `f32`.
const EXACT: f64 = (1u32 << 24) as f64;

const _: () =
    assert!(padded(PANEL) == PANEL && GALLERY_BLOCK.is_multiple_of(PANEL), "blocks are whole panels");

/// What vectors are multiplied as: shifted by a common centre. A fine frame cuts products into runs that are summed by themselves,
/// and has pixels as whole numbers, whose products are exact.
pub(super) struct Frame {
    centre: Vec<f32>,
    fine: bool,
    /// Both sides are bytes, read as 0 to 255; the centre is whole.
    bytes: bool,
}

impl Frame {
    /// For a choice of candidates, which are measured anyway.
    pub(super) fn rough(gallery: Vectors<'_>) -> Frame {
        Frame::new(gallery, false, false)
    }

    /// For an order that is to be told without measuring.
    pub(super) fn fine(queries: Vectors<'_>, gallery: Vectors<'_>) -> Frame {
        Frame::new(gallery, true, bytes(queries).is_some() && bytes(gallery).is_some())
    }

    fn new(gallery: Vectors<'_>, fine: bool, bytes: bool) -> Frame {
        let mut frame = Frame { centre: vec![0.0; gallery.d()], fine, bytes };
        let step = gallery.len().div_ceil(CENTRED_BY).max(1);
        let d = gallery.d();
        let (mut sums, mut row) = (vec![0.0; MEANS * d], vec![0.0; d]);
        let mut counts = [0.0; MEANS];
        for (number, i) in (0..gallery.len()).step_by(step).enumerate() {
            frame.read(gallery, i, &mut row);
            let group = number % MEANS;
            counts[group] += 1.0;
            sums[group * d..][..d].iter_mut().zip(&row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        // The median of several means: a few members that are far from all others do not move it.
        for (k, centre) in frame.centre.iter_mut().enumerate() {
            let mut means = [0.0; MEANS];
            let mut n = 0;
            for group in (0..MEANS).filter(|g| counts[*g] > 0.0) {
                means[n] = sums[group * d + k] / counts[group];
                n += 1;
            }
            means[..n].sort_unstable_by(f64::total_cmp);
            let middle = means[n / 2] as f32;
            // Any centre is right; one that is no number would make no number of all.
            *centre = match middle {
                m if !m.is_finite() => 0.0,
                m if bytes => m.round(),
                m => m,
            };
        }
        frame
    }

    /// Vector `i` less the centre.
    pub(super) fn read(&self, vectors: Vectors<'_>, i: usize, row: &mut [f32]) {
        match bytes(vectors).filter(|_| self.bytes) {
            Some(pixels) => {
                pixels.read(i, |from| row.iter_mut().zip(from).for_each(|(to, v)| *to = f32::from(*v)));
            }
            None => vectors.read(i, row),
        }
        row.iter_mut().zip(&self.centre).for_each(|(v, c)| *v -= c);
    }

    /// The squared length of every vector less the centre.
    pub(super) fn square_norms(&self, vectors: Vectors<'_>) -> Vec<f64> {
        let mut norms = vec![0.0; vectors.len()];
        norms.par_chunks_mut(256).enumerate().for_each(|(chunk, norms)| {
            let mut row = vec![0.0; vectors.d()];
            for (i, norm) in norms.iter_mut().enumerate() {
                self.read(vectors, chunk * 256 + i, &mut row);
                *norm = square(&row);
            }
        });
        norms
    }

    /// What a squared distance of vectors as they are is multiplied by to be one of this frame.
    pub(super) fn scale(&self) -> f64 {
        // As pixels are made floats.
        if self.bytes { f64::from(1f32 / 255.0).powi(-2) } else { 1.0 }
    }

    /// The length of what reading vector `i` is off by, in this frame: bytes are made floats, which are rounded.
    pub(super) fn reading(&self, vectors: Vectors<'_>, i: usize) -> f64 {
        let Some(pixels) = bytes(vectors).filter(|_| self.bytes) else { return 0.0 };
        pixels.read(i, |from| from.iter().map(|v| READING[*v as usize]).sum::<f64>().sqrt())
    }

    /// The bound on what products of this frame are off by, in a gallery whose squared lengths are these.
    pub(super) fn bound(&self, gallery: Vectors<'_>, squares: &[f64]) -> Bound {
        // Members that are too long for f32, or no numbers, have products that are no finite numbers.
        let farthest = squares.iter().copied().filter(|s| (*s as f32).is_finite()).fold(0.0, f64::max);
        let reading = if self.bytes {
            (0..gallery.len()).into_par_iter().map(|i| self.reading(gallery, i)).reduce(|| 0.0, f64::max)
        } else {
            0.0
        };
        let run = self.run();
        Bound { d: self.centre.len(), run, bytes: self.bytes, reading, farthest: farthest.sqrt() }
    }

    /// Products of a run.
    fn run(&self) -> usize {
        match (self.fine, self.bytes) {
            (false, _) => self.centre.len(),
            (true, false) => RUN.max(self.centre.len().isqrt()),
            (true, true) => BYTES,
        }
    }

    /// Floats that a vector takes as it is multiplied: whole runs of features, the rest of the last one zeros.
    pub(super) fn depth(&self) -> usize {
        let d = self.centre.len();
        if self.fine && !self.bytes && self.run() < d { d.next_multiple_of(self.run()) } else { d }
    }
}

/// By byte: the square of what it is off by as a float, `fl(i * fl(1 / 255))`, in units of `fl(1 / 255)`.
const READING: [f64; 256] = {
    let mut squares = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        let unit = 1f32 / 255.0;
        let off = (i as f32 * unit) as f64 / unit as f64 - i as f64;
        squares[i] = off * off;
        i += 1;
    }
    squares
};

/// Pixels that are bytes.
fn bytes(vectors: Vectors<'_>) -> Option<Pixels<'_>> {
    match vectors {
        Vectors::Pixels(pixels) if !pixels.are_floats() => Some(pixels),
        _ => None,
    }
}

/// The squared length.
pub(super) fn square(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}

/// How far the products of a frame can be from the truth.
///
/// Let `a` and `b` be a query and a member less the centre, `q` and `g` the same as `f32` has them, with lengths `Q` and `G`,
/// and `u = 2^-24`. A product is meant to be `|a - b|^2 - Q^2`; it differs from that by no more than the sum of:
///
///  - **Shifting.** Every difference is rounded once, so `|q - a| <= u Q (1 + u)`, and as much for `g`: squared distances
///    differ by no more than `2.1 u (Q + G)^2`.
///  - **Multiplying.** A run of `t` products and additions is off by no more than `1.1 (t + 2) u` times the sum of all absolute terms
///    (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1, for `t u` below 0.09), which Cauchy and Schwarz
///    bound by `2 Q G`, and by `G^2` more where the run begins with `|g|^2` rounded. Adding up `r` runs makes that `1.1 (t + r + 2) u`
///    (section 4.2), or, in doubles, nothing more. Where `|g|^2` comes last it is rounded, and so is the end: `u (2 G^2 + 2 Q G)`.
///  - **Underflow.** What is too small for `f32` is off by `2^-149` an operation.
///
/// Pixels are whole numbers there: shifting and runs are exact, and so is the end below `2^24`. Their distances are meant between
/// pixels as they are read; with lengths `R` and `S` of what reading them is off by, the length of a difference is off by `R + S`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    d: usize,
    run: usize,
    bytes: bool,
    /// The largest length of what reading a member is off by.
    reading: f64,
    /// The length of the farthest member.
    farthest: f64,
}

impl Bound {
    /// Twice the largest error of a product with any member of the gallery, for a query of length `query` whose reading is off by
    /// `read`; infinite where it cannot be told.
    pub(super) fn slack(&self, query: f64, read: f64) -> f32 {
        self.at(query, read, self.farthest, query + self.farthest)
    }

    /// The same with members at a squared distance of no more than `far`, in this frame.
    pub(super) fn slack_within(&self, query: f64, read: f64, far: f64) -> f32 {
        let far = far.max(0.0).sqrt() * (1.0 + 1e-6);
        let member = self.farthest.min(query + far);
        self.at(query, read, member, far.min(query + member))
    }

    fn at(&self, q: f64, read: f64, g: f64, far: f64) -> f32 {
        let (norm, products) = (g * g, 2.0 * q * g);
        let error = if self.bytes {
            let most = (far * far).max(q * q);
            let rounded = |v: f64| if v < EXACT { 0.0 } else { 1.1 * UNIT * v };
            let last = rounded(most) + rounded(norm);
            let reading = 1.01 * (read + self.reading);
            last + 2.0 * far * reading + reading * reading
        } else {
            let runs = if self.run < self.d { self.d.div_ceil(self.run) } else { 0 };
            let terms = 1.1 * ((self.run.min(self.d) + runs) as f64 + 2.0);
            let multiplied = if runs > 0 {
                (terms + 1.1) * products + 2.2 * norm
            } else {
                (terms + 1.1) * (products + norm)
            };
            let shifting = 2.1 * (q + g) * (q + g);
            UNIT * (multiplied + shifting) + (self.d as f64 + 8.0) * 2f64.powi(-149)
        };
        let slack = (2.0 * error * (1.0 + 1e-6)) as f32;
        if slack.is_nan() { f32::INFINITY } else { slack }
    }
}

/// `value + slack`, rounded up.
pub(super) fn above(value: f32, slack: f32) -> f32 {
    let sum = (f64::from(value) + f64::from(slack)) as f32;
    // What is no number bounds nothing.
    if sum.is_nan() { f32::INFINITY } else { sum.next_up() }
}

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
