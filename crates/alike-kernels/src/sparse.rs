//! A convolution's gradients where few of its outputs have any: behind a max-pool, whose losers have none.
//!
//! Each output channel has a list of the pixels where its gradient is not zero. A pixel then costs a multiplication for every
//! weight of its window, and the windows of all other pixels cost nothing.

use crate::simd::Simd;
use crate::windows::MOST;
use crate::{LANE_GROUP, Tier};

/// A convolution as its sparse gradients see it.
///
/// Whoever holds one knows that there is a kernel for its window, and that the numbers of its entries and weights and the
/// reach of a window do not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseConv {
    kernel: usize,
    channels: usize,
    pitch: usize,
    out_channels: usize,
    pixels: usize,
}

impl SparseConv {
    /// Windows of `kernel x kernel` pixels (1, 3 or 5) of `channels` channels, in whole lane groups, over an input whose
    /// rows lie `pitch` floats apart; `out_channels` outputs, of which `pixels` each have a gradient.
    ///
    /// # Panics
    ///
    /// If there is no kernel for such windows, or weights, entries or a window would be larger than memory.
    pub fn new(
        kernel: usize,
        channels: usize,
        pitch: usize,
        out_channels: usize,
        pixels: usize,
    ) -> SparseConv {
        assert!(SparseConv::supports(kernel), "sparse gradients: no kernel of this size");
        assert!(channels.is_multiple_of(LANE_GROUP), "sparse gradients: channels are whole lane groups");
        let sizes = || {
            let window = kernel.checked_mul(kernel)?.checked_mul(channels)?;
            let reach = (kernel - 1).checked_mul(pitch)?.checked_add(kernel.checked_mul(channels)?)?;
            Some(window.checked_mul(out_channels)?.max(reach).max(out_channels.checked_mul(pixels)?))
        };
        assert!(sizes().is_some_and(|most| most <= MOST), "sparse gradients: larger than memory");
        SparseConv { kernel, channels, pitch, out_channels, pixels }
    }

    /// Whether there are kernels for windows of this size.
    pub fn supports(kernel: usize) -> bool {
        matches!(kernel, 1 | 3 | 5)
    }

    fn weights(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    fn check(&self, at: &[u32], dy: &[f32], weights: &[f32], image: &[f32]) {
        let entries = self.out_channels * self.pixels;
        assert!(
            at.len() == entries && dy.len() == entries,
            "sparse gradients: an entry an output channel and pixel"
        );
        assert!(weights.len() >= self.out_channels * self.weights(), "sparse gradients: too few weights");
        let reach = (self.kernel - 1) * self.pitch + self.kernel * self.channels;
        let farthest = at.iter().fold(0, |most, a| most.max(*a)) as usize;
        let end = farthest.saturating_add(reach);
        assert!(entries == 0 || end <= image.len(), "sparse gradients: the image is too short");
    }
}

impl Tier {
    /// Adds the gradient of the weights. `dy[out_channel][pixel]` is a gradient, and `at[out_channel][pixel]` where its window begins in
    /// `x`; weights are `[out_channel][ky][kx][channel]`.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn sparse_weights_add(self, conv: SparseConv, at: &[u32], dy: &[f32], x: &[f32], dw: &mut [f32]) {
        conv.check(at, dy, dw, x);
        if at.is_empty() {
            return;
        }
        dispatch!(
            self,
            weights_kernel(conv: SparseConv, at: &[u32], dy: &[f32], x: &[f32], dw: &mut [f32])
        );
    }

    /// Adds the gradient of the input to `dx`, which lies as the input does; otherwise as
    /// [`Tier::sparse_weights_add`]. What falls on the input's border is added there.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn sparse_input_add(self, conv: SparseConv, at: &[u32], dy: &[f32], w: &[f32], dx: &mut [f32]) {
        conv.check(at, dy, w, dx);
        if at.is_empty() {
            return;
        }
        dispatch!(
            self,
            input_kernel(conv: SparseConv, at: &[u32], dy: &[f32], w: &[f32], dx: &mut [f32])
        );
    }
}

/// Calls `$go::<S, KERNEL, VECTORS>` for every block of channels: as many accumulators as there are registers.
macro_rules! for_blocks {
    ($conv:expr, $go:ident($($arg:expr),*)) => {{
        let mut first = 0;
        while first < $conv.channels {
            // 3 x 3 taps of two vectors leave room in 32 registers, but not in 16.
            let two = $conv.kernel < 5 && S::LANES == 16 && $conv.channels - first >= 2 * S::LANES;
            match ($conv.kernel, two) {
                (1, false) => $go::<S, 1, 1>(first, $($arg),*),
                (1, true) => $go::<S, 1, 2>(first, $($arg),*),
                (3, false) => $go::<S, 3, 1>(first, $($arg),*),
                (3, true) => $go::<S, 3, 2>(first, $($arg),*),
                _ => $go::<S, 5, 1>(first, $($arg),*),
            }
            first += S::LANES * if two { 2 } else { 1 };
        }
    }};
}

#[inline(always)]
unsafe fn weights_kernel<S: Simd>(conv: SparseConv, at: &[u32], dy: &[f32], x: &[f32], dw: &mut [f32]) {
    // SAFETY: `SparseConv::check` holds for these arguments.
    unsafe { for_blocks!(conv, weights_block(conv, at, dy, x, dw)) }
}

#[inline(always)]
unsafe fn input_kernel<S: Simd>(conv: SparseConv, at: &[u32], dy: &[f32], w: &[f32], dx: &mut [f32]) {
    // SAFETY: `SparseConv::check` holds for these arguments.
    unsafe { for_blocks!(conv, input_block(conv, at, dy, w, dx)) }
}

#[inline(always)]
unsafe fn weights_block<S: Simd, const K: usize, const V: usize>(
    first: usize,
    conv: SparseConv,
    at: &[u32],
    dy: &[f32],
    x: &[f32],
    dw: &mut [f32],
) {
    // SAFETY: every window that begins at an entry of `at` lies in `x`, and the weights in `dw`, by `check`.
    unsafe {
        for out_channel in 0..conv.out_channels {
            let to = dw.as_mut_ptr().add(out_channel * conv.weights() + first);
            let mut acc = [[[S::splat(0.0); V]; K]; K];
            for entry in out_channel * conv.pixels..(out_channel + 1) * conv.pixels {
                let from = x.as_ptr().add(*at.get_unchecked(entry) as usize + first);
                let g = S::splat(*dy.get_unchecked(entry));
                for (ky, row) in acc.iter_mut().enumerate() {
                    for (kx, tap) in row.iter_mut().enumerate() {
                        for (v, sum) in tap.iter_mut().enumerate() {
                            let p = from.add(ky * conv.pitch + kx * conv.channels + v * S::LANES);
                            *sum = S::fma(g, S::load(p), *sum);
                        }
                    }
                }
            }
            for (tap, sums) in acc.as_flattened().iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let p = to.add(tap * conv.channels + v * S::LANES);
                    S::store(p, S::fma(S::splat(1.0), *sum, S::load(p)));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn input_block<S: Simd, const K: usize, const V: usize>(
    first: usize,
    conv: SparseConv,
    at: &[u32],
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
) {
    // SAFETY: every window that begins at an entry of `at` lies in `dx`, and the weights in `w`, by `check`.
    unsafe {
        for out_channel in 0..conv.out_channels {
            let from = w.as_ptr().add(out_channel * conv.weights() + first);
            let mut weights = [[[S::splat(0.0); V]; K]; K];
            for (tap, values) in weights.as_flattened_mut().iter_mut().enumerate() {
                for (v, value) in values.iter_mut().enumerate() {
                    *value = S::load(from.add(tap * conv.channels + v * S::LANES));
                }
            }
            for entry in out_channel * conv.pixels..(out_channel + 1) * conv.pixels {
                let to = dx.as_mut_ptr().add(*at.get_unchecked(entry) as usize + first);
                let g = S::splat(*dy.get_unchecked(entry));
                for (ky, row) in weights.iter().enumerate() {
                    for (kx, tap) in row.iter().enumerate() {
                        for (v, weight) in tap.iter().enumerate() {
                            let p = to.add(ky * conv.pitch + kx * conv.channels + v * S::LANES);
                            S::store(p, S::fma(g, *weight, S::load(p)));
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + seed * 3 + i * i) % 9) as f32 - 4.0).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn sparse_gradients_equal_the_plain_ones_on_every_tier(
            kernel in prop::sample::select(vec![1usize, 3, 5]), groups in 1usize..4, out_channels in 1usize..5,
            pixels in 0usize..7, h in 5usize..9, w in 5usize..8, seed in 0usize..99,
        ) {
            let channels = groups * LANE_GROUP;
            let pitch = w * channels;
            let conv = SparseConv::new(kernel, channels, pitch, out_channels, pixels);
            let at: Vec<u32> = (0..out_channels * pixels)
                .map(|i| {
                    let (y, x) = ((i * 5 + seed) % (h + 1 - kernel), (i * 3 + seed) % (w + 1 - kernel));
                    (y * pitch + x * channels) as u32
                })
                .collect();
            let (dy, x, weights) =
                (whole(at.len(), 1), whole(h * pitch, seed), whole(out_channels * conv.weights(), seed + 1));
            let (mut dw, mut dx) = (weights.clone(), x.clone());
            for (entry, begin) in at.iter().enumerate() {
                for tap in 0..kernel * kernel {
                    for c in 0..channels {
                        let pixel = *begin as usize + tap / kernel * pitch + tap % kernel * channels + c;
                        let weight = entry / pixels * conv.weights() + tap * channels + c;
                        dw[weight] += dy[entry] * x[pixel];
                        dx[pixel] += dy[entry] * weights[weight];
                    }
                }
            }
            for tier in Tier::available() {
                // Small whole numbers: every order of summation gives the same floats.
                let mut fast = weights.clone();
                tier.sparse_weights_add(conv, &at, &dy, &x, &mut fast);
                prop_assert_eq!(&fast, &dw, "{:?}", tier);
                let mut fast = x.clone();
                tier.sparse_input_add(conv, &at, &dy, &weights, &mut fast);
                prop_assert_eq!(&fast, &dx, "{:?}", tier);
            }
        }
    }

    #[test]
    #[should_panic(expected = "the image is too short")]
    fn a_window_beyond_the_image_is_refused() {
        let conv = SparseConv::new(3, 16, 48, 1, 1);
        Tier::available()[0].sparse_weights_add(conv, &[1], &[1.0], &[0.0; 144], &mut [0.0; 144]);
    }
}
