//! Distances by matrix products: the gallery packed a block at a time, as a product reads it.
//!
//! Vectors that lie far from the origin would lose all that tells them apart in the squares of their lengths, so all are
//! shifted first, by a point near the gallery's middle ([`Frame`]); what a product can be off by is bounded ([`Bound`]).

use crate::images::{Images, Vectors};
use alike_kernels::{AlignedBuffer, Tier, Windows, padded};
use rayon::prelude::*;

/// Gallery members that are packed at a time.
pub(super) const GALLERY_BLOCK: usize = 1024;
/// Columns that a panel of the packed gallery is wide: two of the widest vectors.
pub(super) const PANEL: usize = 32;
/// Members that the common centre is found from, and into how many means they are gathered.
const CENTRED_BY: usize = 1024;
const MEANS: usize = 15;
/// Numbers of bytes whose products `f32` adds up exactly: `256 * 255^2 < 2^24`.
const BYTES: usize = 256;
/// Floats up to this many are multiplied in one run; longer ones in runs of [`RUN`], for the error grows with a run's length.
const LONG: usize = 256;
const RUN: usize = 64;
/// The unit roundoff of `f32`.
const UNIT: f64 = (f32::EPSILON / 2.0) as f64;
/// Whole numbers below this are exact in `f32`.
const EXACT: f64 = (1u32 << 24) as f64;

const _: () =
    assert!(padded(PANEL) == PANEL && GALLERY_BLOCK.is_multiple_of(PANEL), "blocks are whole panels");

/// What vectors are multiplied as: shifted by a common centre; pixels as whole numbers, whose products are exact for longer.
pub(super) struct Frame {
    centre: Vec<f32>,
    /// Both sides are bytes: pixels are read as 0 to 255 and the centre is whole.
    bytes: bool,
    /// The centre's length.
    length: f64,
}

impl Frame {
    pub(super) fn new(queries: Vectors<'_>, gallery: Vectors<'_>) -> Frame {
        let bytes = bytes(queries).is_some() && bytes(gallery).is_some();
        let mut frame = Frame { centre: vec![0.0; gallery.d()], bytes, length: 0.0 };
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
        frame.length = length(&frame.centre);
        frame
    }

    /// Vector `i` less the centre.
    pub(super) fn read(&self, vectors: Vectors<'_>, i: usize, row: &mut [f32]) {
        match bytes(vectors).filter(|_| self.bytes) {
            Some(images) => {
                let mut scratch = Vec::new();
                let from = images.image(i, &mut scratch);
                row.iter_mut().zip(from).for_each(|(to, v)| *to = f32::from(*v));
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

    /// The bound on what products of this frame are off by, in a gallery whose squared lengths are these.
    pub(super) fn bound(&self, squares: &[f64]) -> Bound {
        // Members that are too long for f32, or no numbers, have products that are no finite numbers.
        let farthest = squares.iter().copied().filter(|s| (*s as f32).is_finite()).fold(0.0, f64::max);
        Bound { d: self.centre.len(), bytes: self.bytes, centre: self.length, farthest: farthest.sqrt() }
    }
}

/// Images whose numbers are bytes.
fn bytes(vectors: Vectors<'_>) -> Option<&Images> {
    match vectors {
        Vectors::Pixels(images) if !images.are_floats() => Some(images),
        _ => None,
    }
}

/// The squared length.
pub(super) fn square(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}

fn length(row: &[f32]) -> f64 {
    square(row).sqrt()
}

/// Into how many runs a product is cut.
fn runs(d: usize, bytes: bool) -> usize {
    match bytes {
        true => d.div_ceil(BYTES),
        false if d <= LONG => 1,
        false => d.div_ceil(RUN),
    }
}

/// How far the products of a frame can be from the truth.
///
/// Let `a` and `b` be a query and a member less the centre, `q` and `g` the same as `f32` has them, with lengths `Q` and `G`,
/// and `u = 2^-24`. A product is meant to be `|a - b|^2 - Q^2`; it differs from that by no more than the sum of:
///
///  - **Shifting.** Every difference is rounded once, so `|q - a| <= u Q (1 + u)`, and as much for `g`: squared distances
///    differ by no more than `2.1 u (Q + G)^2`.
///  - **Multiplying.** A run of `t` products and additions, begun with `|g|^2` rounded, is off by no more than `1.1 (t + 2) u`
///    times the sum of all absolute terms (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1, for `t u` below
///    0.09), which Cauchy and Schwarz bound by `G^2 + 2 Q G`. Where there are `r` runs, `r + 2` further additions are.
///  - **Underflow.** What is too small for `f32` is off by `2^-149` an operation.
///
/// Pixels are whole numbers there: shifting and runs are exact, and so are sums below `2^24`. Their distances are meant between
/// pixels as they are read, each `i / 255` rounded, `u i / 255` off: the difference of two vectors is off by `u (|i| + |j|)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    d: usize,
    bytes: bool,
    /// The centre's length, and that of the farthest member.
    centre: f64,
    farthest: f64,
}

impl Bound {
    /// Twice the largest error of a product for a query of length `query`, with any member of the gallery; infinite where it
    /// cannot be told.
    pub(super) fn slack(&self, query: f64) -> f32 {
        self.at(query, self.farthest, query + self.farthest)
    }

    /// The same with members at a squared distance of no more than `far`, in this frame.
    pub(super) fn slack_within(&self, query: f64, far: f64) -> f32 {
        let far = far.max(0.0).sqrt() * (1.0 + 1e-6);
        let member = self.farthest.min(query + far);
        self.at(query, member, far.min(query + member))
    }

    fn at(&self, q: f64, g: f64, far: f64) -> f32 {
        let runs = runs(self.d, self.bytes);
        let size = g * g + 2.0 * q * g;
        let error = if self.bytes {
            // Sums of runs are even, then comes the norm.
            let exact = |most: f64| most < EXACT;
            let adding = if exact(2.0 * q * g) { 0.0 } else { runs as f64 * UNIT * 2.0 * q * g };
            let norm = if exact(g * g) { 0.0 } else { UNIT * g * g };
            let most = (far * far).max(q * q);
            let last = if exact(most) { 0.0 } else { UNIT * most };
            let reading = 1.01 * UNIT * (q + g + 2.0 * self.centre);
            1.1 * (adding + norm + last) + 2.0 * far * reading + reading * reading
        } else {
            let terms = if runs == 1 { self.d } else { RUN + runs };
            let shifting = 2.1 * (q + g) * (q + g);
            let small = (self.d as f64 + 8.0) * 2f64.powi(-149);
            UNIT * (1.1 * (terms as f64 + 4.0) * size + shifting) + small
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
    d: usize,
    runs: usize,
    /// Whether a product begins with zeros and norms are added to it.
    apart: bool,
    pub(super) start: usize,
    pub(super) count: usize,
    panels: AlignedBuffer,
    /// Squared norms; infinite for columns beyond the gallery's end, which then never come near.
    bias: AlignedBuffer,
}

impl Packed {
    pub(super) fn new(frame: &Frame) -> Packed {
        let d = frame.centre.len();
        let panels = AlignedBuffer::new(GALLERY_BLOCK * d);
        let runs = runs(d, frame.bytes);
        let apart = frame.bytes || runs > 1;
        Packed { d, runs, apart, start: 0, count: 0, panels, bias: AlignedBuffer::new(GALLERY_BLOCK) }
    }

    pub(super) fn fill(
        &mut self,
        frame: &Frame,
        gallery: Vectors<'_>,
        start: usize,
        count: usize,
        squares: &[f64],
    ) {
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
                        frame.read(gallery, start + i, &mut row);
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
        let mut part = AlignedBuffer::new(if self.apart { m * PANEL } else { 0 });
        let none = [0.0; PANEL];
        for panel in 0..width / PANEL {
            let columns = &self.panels[panel * PANEL * d..][..PANEL * d];
            let bias = &self.bias[panel * PANEL..][..PANEL];
            if !self.apart {
                let out = Windows { offset: panel * PANEL, ..Windows::matrix(m, PANEL, width) };
                tier.matmul(queries, Windows::matrix(m, d, d), columns, bias, &mut products, out);
                continue;
            }
            for run in 0..self.runs {
                let (from, to) = (d * run / self.runs, d * (run + 1) / self.runs);
                let rows = Windows { offset: from, ..Windows::matrix(m, to - from, d) };
                let columns = &columns[from * PANEL..to * PANEL];
                tier.matmul(queries, rows, columns, &none, &mut part, Windows::matrix(m, PANEL, PANEL));
                let last = run + 1 == self.runs;
                for (out, part) in products.chunks_exact_mut(width).zip(part.chunks_exact(PANEL)) {
                    let out = &mut out[panel * PANEL..][..PANEL];
                    out.iter_mut().zip(part).for_each(|(out, v)| *out += v);
                    // Norms come last: until then all numbers are even, and exact for twice as long.
                    if last {
                        out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
                    }
                }
            }
        }
        products
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
    use crate::images::Shape;
    use proptest::prelude::*;

    /// Every product of a set with itself, beside the truth; returns the largest error by the bound.
    fn worst(tier: Tier, v: Vectors<'_>) -> f64 {
        let (n, d) = (v.len(), v.d());
        let frame = Frame::new(v, v);
        let squares = frame.square_norms(v);
        let bound = frame.bound(&squares);
        let mut packed = Packed::new(&frame);
        packed.fill(&frame, v, 0, n, &squares);
        let mut rows = AlignedBuffer::new(n * d);
        (0..n).for_each(|i| frame.read(v, i, &mut rows[i * d..][..d]));
        let products = packed.products(tier, &rows, n);
        let mut worst = 0.0f64;
        for i in 0..n {
            for j in 0..n {
                let far = frame.scale() * squared_distance(&v.row(i), &v.row(j));
                let error = (f64::from(products[i * packed.width() + j]) - (far - squares[i])).abs();
                let half = |slack: f32| f64::from(slack) / 2.0;
                worst = worst.max(error / half(bound.slack(squares[i].sqrt())));
                worst = worst.max(error / half(bound.slack_within(squares[i].sqrt(), far)));
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
            for tier in Tier::available() {
                let worst = worst(tier, Vectors::Features(&features));
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
            for tier in Tier::available() {
                let worst = worst(tier, Vectors::Pixels(&images));
                prop_assert!(worst <= 1.0, "{:?}: {} of the bound", tier, worst);
            }
        }
    }

    /// A common offset must not make more candidates, which would all be measured.
    #[test]
    fn the_bound_does_not_grow_with_an_offset() {
        let slack = |offset: f32| {
            let features = cloud(5, 500, 64, offset, 1.0, false);
            let v = Vectors::Features(&features);
            let frame = Frame::new(v, v);
            let squares = frame.square_norms(v);
            frame.bound(&squares).slack(squares[0].sqrt())
        };
        let (near, far) = (slack(0.0), slack(1e4));
        assert!(far < 1.2 * near, "{near} {far}");
    }
}
