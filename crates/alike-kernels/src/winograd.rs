//! Convolutions of 3 x 3 with fewer multiplications: Winograd's F(2 x 2, 3 x 3).
//!
//! Two by two outputs take 16 multiplications a channel instead of 36 (Lavin and Gray 2016,
//! <https://arxiv.org/abs/1509.09308>, section 4.1), at the price of additions before and after. The same numbers in real
//! arithmetic; in f32 the error stays within a small multiple of the direct sum's, which the tests bound.

use crate::simd::Simd;
use crate::{LANE_GROUP, Tier, Windows};

/// Products that replace a tile's convolution.
const POSITIONS: usize = 16;

/// Tiles that are done together: their transforms stay in the second cache, and fill whole tiles of the product's rows.
const TILES: usize = 28;

const NO_BIAS: [f32; 4096] = [0.0; 4096];

/// Floats of transformed weights.
///
/// # Panics
///
/// If that is more than a number can hold.
pub const fn winograd_weights_len(channels: usize, out_channels: usize) -> usize {
    floats(POSITIONS, channels, out_channels)
}

/// Floats of working memory.
///
/// # Panics
///
/// If that is more than a number can hold.
pub const fn winograd_scratch_len(channels: usize, out_channels: usize) -> usize {
    let both = channels.checked_add(out_channels).expect("winograd: larger than memory");
    floats(POSITIONS, TILES, both)
}

const fn floats(taps: usize, channels: usize, out_channels: usize) -> usize {
    let one = channels.checked_mul(out_channels).expect("winograd: larger than memory");
    one.checked_mul(taps).expect("winograd: larger than memory")
}

impl Tier {
    /// Transforms weights `[tap][channel][out_channel]` of 3 x 3 taps into `[position][channel][out_channel]`, as
    /// [`Tier::winograd`] reads them.
    ///
    /// # Panics
    ///
    /// If lengths disagree, or output channels are not whole lane groups.
    pub fn winograd_weights(self, w: &[f32], channels: usize, out_channels: usize, into: &mut [f32]) {
        assert!(out_channels.is_multiple_of(LANE_GROUP), "winograd: output channels are whole lane groups");
        assert_eq!(w.len(), floats(9, channels, out_channels), "winograd: 3 x 3 taps");
        assert_eq!(into.len(), winograd_weights_len(channels, out_channels), "winograd: transformed weights");
        dispatch!(self, weights_kernel(w: &[f32], into: &mut [f32]));
    }

    /// The convolution of 3 x 3 and stride 1 whose windows are `xw`, as [`Tier::matmul`] would do it, with weights from
    /// [`Tier::winograd_weights`] and [`winograd_scratch_len`] floats to work in.
    ///
    /// # Panics
    ///
    /// If the windows are not 3 x 3 pixels of whole lane groups at stride 1, shapes disagree, rows of `y` overlap, or a
    /// buffer is too short.
    #[expect(clippy::too_many_arguments, reason = "a product's operands and working memory")]
    pub fn winograd(
        self,
        x: &[f32],
        xw: Windows,
        weights: &[f32],
        bias: &[f32],
        y: &mut [f32],
        out: Windows,
        scratch: &mut [f32],
    ) {
        let (channels, out_channels) = (xw.inner_stride(), out.run_len());
        assert_eq!((xw.outer(), xw.inner()), (out.outer(), out.inner()), "winograd: outputs");
        assert!(xw.runs() == 3 && xw.run_len() == 3 * channels, "winograd: windows of 3 x 3 pixels");
        assert!(xw.outer_stride() == xw.run_stride(), "winograd: a stride of 1");
        assert!(channels.is_multiple_of(LANE_GROUP), "winograd: channels are whole lane groups");
        assert!(
            out_channels.is_multiple_of(LANE_GROUP) && out_channels <= NO_BIAS.len(),
            "winograd: output channels"
        );
        assert_eq!(out.runs(), 1, "winograd: outputs are single runs");
        assert!(bias.len() == out_channels, "winograd: a bias an output channel");
        assert_eq!(weights.len(), winograd_weights_len(channels, out_channels), "winograd: weights");
        assert!(out.is_disjoint(), "winograd: outputs overlap");
        assert!(xw.fits(x) && out.fits(y), "winograd: a buffer is too short");
        let needed = winograd_scratch_len(channels, out_channels);
        assert!(scratch.len() >= needed, "winograd: too little working memory");
        let (v, rest) = scratch.split_at_mut(POSITIONS * TILES * channels);
        let m = &mut rest[..POSITIONS * TILES * out_channels];
        let across = xw.inner().div_ceil(2);
        let all = xw.outer().div_ceil(2) * across;
        let mut first = 0;
        while first < all {
            // Spread evenly, so that the last block is not a sliver.
            let blocks = (all - first).div_ceil(TILES);
            let tiles = (all - first).div_ceil(blocks);
            let range = first..first + tiles;
            dispatch!(self, input_kernel(x: &[f32], xw: Windows, range: std::ops::Range<usize>, v: &mut [f32]));
            let rows = |width: usize| Windows::matrix(tiles, width, width);
            for p in 0..POSITIONS {
                let a = &v[p * TILES * channels..][..tiles * channels];
                let b = &weights[p * channels * out_channels..][..channels * out_channels];
                let c = &mut m[p * TILES * out_channels..][..tiles * out_channels];
                self.matmul(a, rows(channels), b, &NO_BIAS[..out_channels], c, rows(out_channels));
            }
            let (m, range) = (&*m, first..first + tiles);
            dispatch!(
                self,
                output_kernel(
                    m: &[f32], range: std::ops::Range<usize>, bias: &[f32], y: &mut [f32], out: Windows,
                )
            );
            first += tiles;
        }
    }
}

#[inline(always)]
unsafe fn weights_kernel<S: Simd>(w: &[f32], into: &mut [f32]) {
    let plane = w.len() / 9;
    let mut at = 0;
    while at < plane {
        // SAFETY: `winograd_weights` checked the lengths; planes are whole lane groups.
        unsafe {
            let half = S::splat(0.5);
            let g: [[S::V; 3]; 3] = std::array::from_fn(|y| {
                std::array::from_fn(|x| S::load(w.as_ptr().add((3 * y + x) * plane + at)))
            });
            let mid = |a, b, c| {
                let (outer, b) = (S::mul(half, S::add(a, c)), S::mul(half, b));
                (S::add(outer, b), S::sub(outer, b))
            };
            let mut t = [[S::splat(0.0); 3]; 4];
            for x in 0..3 {
                (t[1][x], t[2][x]) = mid(g[0][x], g[1][x], g[2][x]);
                (t[0][x], t[3][x]) = (g[0][x], g[2][x]);
            }
            for (y, [a, b, c]) in t.into_iter().enumerate() {
                let (plus, minus) = mid(a, b, c);
                for (x, u) in [a, plus, minus, c].into_iter().enumerate() {
                    S::store(into.as_mut_ptr().add((4 * y + x) * plane + at), u);
                }
            }
        }
        at += S::LANES;
    }
}

/// Rows `[position][tile][channel]` of a block of tiles.
#[inline(always)]
unsafe fn input_kernel<S: Simd>(x: &[f32], xw: Windows, tiles: std::ops::Range<usize>, v: &mut [f32]) {
    let channels = xw.inner_stride();
    let across = xw.inner().div_ceil(2);
    let first = tiles.start;
    for tile in tiles {
        let (i, j) = (tile / across * 2, tile % across * 2);
        // The second row or column of outputs may not be there; then neither is its last input, which nothing else reads.
        let (rows, columns) = ((xw.outer() + 2 - i).min(4), (xw.inner() + 2 - j).min(4));
        let mut c = 0;
        while c < channels {
            // SAFETY: inputs inside the windows' extent lie in `x`; `v` has room for a whole block.
            unsafe {
                let from = x.as_ptr().add(xw.start(i, j) + c);
                let mut d = [[S::splat(0.0); 4]; 4];
                if rows == 4 && columns == 4 {
                    for (y, row) in d.iter_mut().enumerate() {
                        for (x, value) in row.iter_mut().enumerate() {
                            *value = S::load(from.add(y * xw.run_stride() + x * channels));
                        }
                    }
                } else {
                    for (y, row) in d.iter_mut().enumerate().take(rows) {
                        for (x, value) in row.iter_mut().enumerate().take(columns) {
                            *value = S::load(from.add(y * xw.run_stride() + x * channels));
                        }
                    }
                }
                let mut t = [[S::splat(0.0); 4]; 4];
                for x in 0..4 {
                    t[0][x] = S::sub(d[0][x], d[2][x]);
                    t[1][x] = S::add(d[1][x], d[2][x]);
                    t[2][x] = S::sub(d[2][x], d[1][x]);
                    t[3][x] = S::sub(d[1][x], d[3][x]);
                }
                let to = v.as_mut_ptr().add((tile - first) * channels + c);
                for (y, [a, b, c, d]) in t.into_iter().enumerate() {
                    let out = [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(b, d)];
                    for (x, value) in out.into_iter().enumerate() {
                        S::store(to.add((4 * y + x) * TILES * channels), value);
                    }
                }
            }
            c += S::LANES;
        }
    }
}

#[inline(always)]
unsafe fn output_kernel<S: Simd>(
    m: &[f32],
    tiles: std::ops::Range<usize>,
    bias: &[f32],
    y: &mut [f32],
    out: Windows,
) {
    let out_channels = out.run_len();
    let across = out.inner().div_ceil(2);
    let first = tiles.start;
    for tile in tiles {
        let (i, j) = (tile / across * 2, tile % across * 2);
        let (rows, columns) = ((out.outer() - i).min(2), (out.inner() - j).min(2));
        let mut c = 0;
        while c < out_channels {
            // SAFETY: `m` holds a whole block; outputs inside the windows' extent lie in `y`.
            unsafe {
                let from = m.as_ptr().add((tile - first) * out_channels + c);
                let bias = S::load(bias.as_ptr().add(c));
                let columns_done: [[S::V; 2]; 4] = std::array::from_fn(|x| {
                    let d: [S::V; 4] =
                        std::array::from_fn(|y| S::load(from.add((4 * y + x) * TILES * out_channels)));
                    [S::add(S::add(d[0], d[1]), d[2]), S::sub(S::sub(d[1], d[2]), d[3])]
                });
                for row in 0..rows {
                    let [p, q, r, s] = columns_done.map(|both| both[row]);
                    let to = y.as_mut_ptr().add(out.start(i + row, j) + c);
                    S::store(to, S::add(S::add(S::add(p, q), r), bias));
                    if columns == 2 {
                        S::store(to.add(out.inner_stride()), S::add(S::sub(S::sub(q, r), s), bias));
                    }
                }
            }
            c += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plane, Sliding};
    use proptest::prelude::*;

    const SLIDE: Sliding = Sliding { h: 3, w: 3, pad: 1, stride: 1 };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn fewer_products_give_the_products_sums_on_every_tier(
            h in 1usize..15, w in 1usize..15, from in 1usize..4, to in 1usize..4, skip in 0usize..3,
        ) {
            let (channels, out_channels) = (from * LANE_GROUP, to * LANE_GROUP);
            let (xp, yp) = (Plane::new(h, w, channels, 1), Plane::new(h, w, out_channels, 0));
            let noise = |n: usize, k: u32| -> Vec<f32> {
                (0..n as u32).map(|i| ((i * k + 12345).wrapping_mul(2654435761) >> 8) as f32 / 8388608.0 - 1.0).collect()
            };
            // The border is zero, as in use, so that rows above and below are told apart.
            let mut x = vec![0.0; xp.buffer_len()];
            for r in 0..h {
                let len = w * channels;
                x[xp.at(r, 0)..][..len].copy_from_slice(&noise(len, 7 + r as u32));
            }
            let (weights, bias) = (noise(9 * channels * out_channels, 3), noise(out_channels, 5));
            // Some rows only, as strips ask for.
            let skip = skip.min(h - 1);
            let cut = |w: Windows| w.blocks(skip, w.outer() - skip);
            let (xw, out) = (cut(xp.windows(SLIDE)), cut(yp.as_rows()));
            for tier in Tier::available() {
                let mut direct = vec![9.0; yp.buffer_len()];
                tier.matmul(&x, xw, &weights, &bias, &mut direct, out);
                let mut transformed = vec![0.0; winograd_weights_len(channels, out_channels)];
                tier.winograd_weights(&weights, channels, out_channels, &mut transformed);
                let mut fast = vec![9.0; yp.buffer_len()];
                let mut scratch = vec![f32::NAN; winograd_scratch_len(channels, out_channels)];
                tier.winograd(&x, xw, &transformed, &bias, &mut fast, out, &mut scratch);
                // Against the length of a sum's terms: values are around one, and there are 9 x channels of them.
                let scale = ((9 * channels) as f32).sqrt();
                for (a, b) in fast.iter().zip(&direct) {
                    prop_assert!((a - b).abs() < 4e-6 * scale, "{tier:?}: {a} {b}");
                }
            }
        }
    }

    /// The error, stated: 64 channels, values from -1 to 1, beside sums in f64.
    #[test]
    fn the_error_is_a_small_multiple_of_the_direct_sums() {
        let (side, channels, out_channels) = (16, 64, 64);
        let (xp, yp) = (Plane::new(side, side, channels, 1), Plane::new(side, side, out_channels, 0));
        let noise = |n: usize, k: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * k).sin()).collect() };
        let mut x = vec![0.0; xp.buffer_len()];
        for r in 0..side {
            let len = side * channels;
            x[xp.at(r, 0)..][..len].copy_from_slice(&noise(len, 0.7 + r as f32 / 100.0));
        }
        let (weights, bias) = (noise(9 * channels * out_channels, 0.37), vec![0.0; out_channels]);
        let (xw, out) = (xp.windows(SLIDE), yp.as_rows());
        let mut exact = vec![0.0f64; yp.buffer_len()];
        for i in 0..side {
            for j in 0..side {
                let y = &mut exact[yp.at(i, j)..][..out_channels];
                for (k, v) in xw.row(&x, i, j).enumerate() {
                    for (y, w) in y.iter_mut().zip(&weights[k * out_channels..]) {
                        *y += f64::from(v) * f64::from(*w);
                    }
                }
            }
        }
        let error = |y: &[f32]| -> f64 {
            let norm: f64 = exact.iter().map(|v| v * v).sum();
            let off: f64 = exact.iter().zip(y).map(|(e, y)| (e - f64::from(*y)).powi(2)).sum();
            (off / norm).sqrt()
        };
        for tier in Tier::available() {
            let mut y = vec![0.0; yp.buffer_len()];
            tier.matmul(&x, xw, &weights, &bias, &mut y, out);
            let direct = error(&y);
            let mut transformed = vec![0.0; winograd_weights_len(channels, out_channels)];
            tier.winograd_weights(&weights, channels, out_channels, &mut transformed);
            let mut scratch = vec![0.0; winograd_scratch_len(channels, out_channels)];
            tier.winograd(&x, xw, &transformed, &bias, &mut y, out, &mut scratch);
            let fast = error(&y);
            eprintln!("{tier:?}: direct {direct:.1e}, winograd {fast:.1e}");
            assert!(fast < 1e-6, "{tier:?}: {fast}");
        }
    }
}
