//! The weight gradient of a convolution behind a max-pool, over a picture of few channels.
//!
//! Only the winner of each pooling window has a gradient. What the window's convolutions read is a small patch of the
//! picture: it fits two vectors, and each output channel then picks its own winner's inputs out of them by one permutation.

#[cfg(target_arch = "x86_64")]
use crate::tier::Level;
use crate::{LANE_GROUP, Plane, PoolWindow, Tier, Windows};

impl Tier {
    /// Whether this tier has a fast form of [`Tier::pooled_weights_add`] for these shapes.
    pub fn picks_winners(self, xw: &Windows, window: PoolWindow) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.level() == Level::Avx512 {
            let size = window.size();
            let patch_row = (size - 1).saturating_mul(xw.inner_stride()).saturating_add(xw.run_len());
            return size * size <= 16 && size.saturating_mul(patch_row) <= 32;
        }
        let _ = (xw, window);
        false
    }

    /// Adds the gradient of the weights, `[column of xw][out_channel]`: `dy[pixel][out_channel]`, times the window of `x` whose output
    /// won. `xw` has a row for each of the convolution's outputs; `argmax` are those of [`Tier::max_pool`].
    ///
    /// # Panics
    ///
    /// If shapes disagree, a place is outside the window, or a buffer is too short.
    #[expect(clippy::too_many_arguments, reason = "two operations at once see what both see")]
    pub fn pooled_weights_add(
        self,
        x: &[f32],
        xw: Windows,
        window: PoolWindow,
        dy: &[f32],
        dyp: Plane,
        argmax: &[u8],
        dw: &mut [f32],
    ) {
        let wide = dyp.stride();
        assert!(wide.is_multiple_of(LANE_GROUP), "pooled weights: output channels are whole lane groups");
        let last =
            |outputs: usize| (outputs - 1).saturating_mul(window.stride()).saturating_add(window.size());
        assert!(last(dyp.h()) <= xw.outer() && last(dyp.w()) <= xw.inner(), "pooled weights: sizes");
        assert!(xw.fits(x) && dyp.fits(dy), "pooled weights: a buffer is too short");
        assert!(argmax.len() >= dyp.pixels() * wide, "pooled weights: too few winners");
        assert!(window.holds(argmax, dyp), "pooled weights: a place outside the window");
        assert!(dw.len() >= xw.columns().saturating_mul(wide), "pooled weights: too few weights");
        #[cfg(target_arch = "x86_64")]
        if self.picks_winners(&xw, window) {
            // SAFETY: this tier has the instructions, and the sizes were checked. A place only chooses a lane.
            return unsafe { avx512::kernel(x, xw, window, dy, dyp, argmax, dw) };
        }
        plain(x, xw, window, dy, dyp, argmax, dw);
    }
}

fn plain(x: &[f32], xw: Windows, window: PoolWindow, dy: &[f32], dyp: Plane, argmax: &[u8], dw: &mut [f32]) {
    let wide = dyp.stride();
    for oy in 0..dyp.h() {
        for ox in 0..dyp.w() {
            let argmax = &argmax[(oy * dyp.w() + ox) * wide..][..dyp.c()];
            for (out_channel, (g, place)) in dy[dyp.at(oy, ox)..].iter().zip(argmax).enumerate() {
                let (py, px) = (usize::from(*place) / window.size(), usize::from(*place) % window.size());
                let winner = xw.row(x, oy * window.stride() + py, ox * window.stride() + px);
                for (column, v) in winner.enumerate() {
                    dw[column * wide + out_channel] += g * v;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use crate::{Plane, PoolWindow, Windows};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512vl")]
    pub(super) fn kernel(
        x: &[f32],
        xw: Windows,
        window: PoolWindow,
        dy: &[f32],
        dyp: Plane,
        argmax: &[u8],
        dw: &mut [f32],
    ) {
        let call = Call { x, xw, window, dy, dyp, argmax };
        for run in 0..xw.runs() {
            let mut first = 0;
            while first < xw.run_len() {
                let mut out_channel = 0;
                while out_channel < dyp.stride() {
                    let two = dyp.stride() - out_channel >= 32;
                    // SAFETY: `pooled_weights_add` checked all sizes.
                    unsafe {
                        match (xw.run_len() - first, two) {
                            (1, true) => call.block::<1, 2>(run, first, out_channel, dw),
                            (2, true) => call.block::<2, 2>(run, first, out_channel, dw),
                            (3..=5, true) => call.block::<3, 2>(run, first, out_channel, dw),
                            (_, true) => call.block::<6, 2>(run, first, out_channel, dw),
                            (1, false) => call.block::<1, 1>(run, first, out_channel, dw),
                            (2, false) => call.block::<2, 1>(run, first, out_channel, dw),
                            (3..=5, false) => call.block::<3, 1>(run, first, out_channel, dw),
                            (_, false) => call.block::<6, 1>(run, first, out_channel, dw),
                        }
                    }
                    out_channel += if two { 32 } else { 16 };
                }
                first += match xw.run_len() - first {
                    n @ 1..=2 => n,
                    3..=5 => 3,
                    _ => 6,
                };
            }
        }
    }

    struct Call<'a> {
        x: &'a [f32],
        xw: Windows,
        window: PoolWindow,
        dy: &'a [f32],
        dyp: Plane,
        argmax: &'a [u8],
    }

    impl Call<'_> {
        /// Columns `first..first + J` of one run, `V` vectors of output channels.
        ///
        /// # Safety
        ///
        /// Every pixel's patch lies in `x`, its output channels in `dy` and `argmax`, and the columns in `dw`.
        #[target_feature(enable = "avx512f,avx512vl")]
        unsafe fn block<const J: usize, const V: usize>(
            &self,
            run: usize,
            first: usize,
            out_channel: usize,
            dw: &mut [f32],
        ) {
            let (xw, window, dyp) = (&self.xw, self.window, self.dyp);
            let (size, wide) = (window.size(), dyp.stride());
            let row_len = (size - 1) * xw.inner_stride() + xw.run_len();
            // Where each place's input begins in the patch.
            let mut begins = [0i32; 16];
            for (k, begin) in begins.iter_mut().enumerate().take(size * size) {
                *begin = (k / size * row_len + k % size * xw.inner_stride() + first) as i32;
            }
            // Which lanes of the two vectors a row of the patch fills.
            let mut masks = [(0u16, 0u16); 4];
            for (row, mask) in masks.iter_mut().enumerate().take(size) {
                let bits = ((1u64 << row_len) - 1) << (row * row_len);
                *mask = (bits as u16, (bits >> 16) as u16);
            }
            // SAFETY: the caller vouches for addresses; masked lanes are not touched.
            unsafe {
                let begins = _mm512_loadu_si512(begins.as_ptr().cast());
                let one = _mm512_set1_epi32(1);
                let mut acc = [[_mm512_setzero_ps(); V]; J];
                for oy in 0..dyp.h() {
                    for ox in 0..dyp.w() {
                        let start =
                            xw.start(oy * window.stride(), ox * window.stride()) + run * xw.run_stride();
                        let mut low = _mm512_setzero_ps();
                        let mut high = _mm512_setzero_ps();
                        for (row, (first, second)) in masks.iter().enumerate().take(size) {
                            let from = self
                                .x
                                .as_ptr()
                                .wrapping_add(start + row * xw.outer_stride())
                                .wrapping_sub(row * row_len);
                            low = _mm512_mask_loadu_ps(low, *first, from);
                            high = _mm512_mask_loadu_ps(high, *second, from.wrapping_add(16));
                        }
                        for v in 0..V {
                            let at = (oy * dyp.w() + ox) * wide + out_channel + 16 * v;
                            let argmax =
                                _mm512_cvtepu8_epi32(_mm_loadu_si128(self.argmax.as_ptr().add(at).cast()));
                            let g =
                                _mm512_loadu_ps(self.dy.as_ptr().add(dyp.at(oy, ox) + out_channel + 16 * v));
                            let mut index = _mm512_permutexvar_epi32(argmax, begins);
                            for sums in &mut acc {
                                let picked = _mm512_permutex2var_ps(low, index, high);
                                sums[v] = _mm512_fmadd_ps(g, picked, sums[v]);
                                index = _mm512_add_epi32(index, one);
                            }
                        }
                    }
                }
                for (j, sums) in acc.iter().enumerate() {
                    for (v, sum) in sums.iter().enumerate() {
                        let to = dw
                            .as_mut_ptr()
                            .add((run * xw.run_len() + first + j) * wide + out_channel + 16 * v);
                        _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), *sum));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sliding;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn picked_winners_give_the_plain_sums_on_every_tier(
            h in 7usize..12, w in 7usize..12, c in 1usize..3, groups in 1usize..4, kernel in 1usize..4,
            size in 2usize..4, step in 1usize..3, seed in 0usize..99,
        ) {
            let xp = Plane::new(h, w, c, kernel / 2);
            let xw = xp.windows(Sliding { h: kernel, w: kernel, pad: kernel / 2, stride: 1 });
            let window = PoolWindow::new(size, step);
            let dyp = Plane::new(window.outputs(xw.outer()), window.outputs(xw.inner()), groups * LANE_GROUP, 0);
            let x: Vec<f32> = (0..xp.buffer_len()).map(|i| ((i * 7 + seed) % 11) as f32 - 5.0).collect();
            let dy: Vec<f32> = (0..dyp.buffer_len()).map(|i| ((i * 5 + seed) % 7) as f32 - 3.0).collect();
            let argmax: Vec<u8> =
                (0..dyp.buffer_len()).map(|i| ((i * 13 + i / 7 + seed) % (size * size)) as u8).collect();
            let mut expected = vec![1.0; xw.columns() * dyp.stride()];
            plain(&x, xw, window, &dy, dyp, &argmax, &mut expected);
            for tier in Tier::available() {
                // Small whole numbers: every order of summation gives the same floats.
                let mut dw = vec![1.0; xw.columns() * dyp.stride()];
                tier.pooled_weights_add(&x, xw, window, &dy, dyp, &argmax, &mut dw);
                prop_assert_eq!(&dw, &expected, "{:?}", tier);
            }
        }
    }
}
