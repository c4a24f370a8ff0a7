//! Max-pooling with the place of each maximum, and global average pooling.

use crate::simd::Simd;
use crate::{Plane, Tier};

/// A square pooling window and its step, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolWindow {
    /// Pixels along a side; at most 16, so that a place in the window fits a byte.
    pub size: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
}

impl PoolWindow {
    /// Windows along a side of `n` pixels.
    pub fn outputs(&self, n: usize) -> usize {
        if n < self.size { 0 } else { (n - self.size) / self.stride + 1 }
    }

    fn check(&self, from: Plane, to: Plane) {
        assert!(self.size <= 16 && self.stride > 0, "max-pool: window and stride");
        assert_eq!((to.h, to.w), (self.outputs(from.h), self.outputs(from.w)), "max-pool: sizes");
        assert_eq!((to.c, to.stride), (from.c, from.stride), "max-pool: channels");
    }
}

impl Tier {
    /// The maximum of every window, and its place `ky * size + kx` in `places` (`h * w * stride` of them, dense), unless
    /// no places are wanted. The first of equal maxima wins; a NaN wins over all, as in PyTorch.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn max_pool(
        self,
        x: &[f32],
        xp: Plane,
        window: PoolWindow,
        y: &mut [f32],
        yp: Plane,
        places: Option<&mut [u8]>,
    ) {
        window.check(xp, yp);
        assert!(xp.fits(x) && yp.fits(y), "max-pool: buffer too short");
        if let Some(places) = &places {
            assert!(places.len() >= yp.pixels() * yp.stride, "max-pool: too few places");
        }
        dispatch!(
            self,
            forward_kernel(
                x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane, places: Option<&mut [u8]>,
            )
        );
    }

    /// Writes the input's gradient: each output's gradient goes to the place of its maximum, all else is zero.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn max_pool_backward(
        self,
        dy: &[f32],
        dyp: Plane,
        places: &[u8],
        window: PoolWindow,
        dx: &mut [f32],
        dxp: Plane,
    ) {
        for r in 0..dxp.h {
            dx[dxp.at(r, 0)..][..dxp.w * dxp.stride].fill(0.0);
        }
        self.max_pool_backward_add(dy, dyp, places, window, dx, dxp);
    }

    /// Adds the input's gradient; otherwise as [`Tier::max_pool_backward`].
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn max_pool_backward_add(
        self,
        dy: &[f32],
        dyp: Plane,
        places: &[u8],
        window: PoolWindow,
        dx: &mut [f32],
        dxp: Plane,
    ) {
        window.check(dxp, dyp);
        assert!(dxp.fits(dx) && dyp.fits(dy), "max-pool: buffer too short");
        assert!(places.len() >= dyp.pixels() * dyp.stride, "max-pool: too few places");
        if dyp.in_lanes() {
            dispatch!(
                self,
                scatter_kernel(
                    dy: &[f32], dyp: Plane, places: &[u8], window: PoolWindow, dx: &mut [f32], dxp: Plane,
                )
            );
            return;
        }
        let per_row = dyp.w * dyp.stride;
        let offsets: [usize; 256] =
            std::array::from_fn(|k| (k / window.size) * dxp.pitch + (k % window.size) * dxp.stride);
        for oy in 0..dyp.h {
            for ox in 0..dyp.w {
                let from = &dy[dyp.at(oy, ox)..][..dyp.c];
                let at = &places[oy * per_row + ox * dyp.stride..][..dyp.c];
                let base = dxp.at(oy * window.stride, ox * window.stride);
                for (c, (g, place)) in from.iter().zip(at).enumerate() {
                    dx[base + offsets[usize::from(*place)] + c] += g;
                }
            }
        }
    }

    /// The mean of every window.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn average_pool(self, x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane) {
        window.check(xp, yp);
        assert!(xp.fits(x) && yp.fits(y), "average-pool: buffer too short");
        dispatch!(
            self,
            average_kernel(x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane)
        );
    }

    /// Writes the input's gradient of [`Tier::average_pool`].
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn average_pool_backward(
        self,
        dy: &[f32],
        dyp: Plane,
        window: PoolWindow,
        dx: &mut [f32],
        dxp: Plane,
    ) {
        window.check(dxp, dyp);
        assert!(dxp.fits(dx) && dyp.fits(dy), "average-pool: buffer too short");
        for r in 0..dxp.h {
            dx[dxp.at(r, 0)..][..dxp.w * dxp.stride].fill(0.0);
        }
        dispatch!(
            self,
            average_back_kernel(dy: &[f32], dyp: Plane, window: PoolWindow, dx: &mut [f32], dxp: Plane)
        );
    }

    /// The mean over all pixels, a channel each, into the first `c` of `y`.
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn average(self, x: &[f32], xp: Plane, y: &mut [f32]) {
        assert!(xp.fits(x) && y.len() >= xp.c, "average: buffer too short");
        y[..xp.c].fill(0.0);
        for r in 0..xp.h {
            for pixel in x[xp.at(r, 0)..][..xp.w * xp.stride].chunks_exact(xp.stride) {
                for (sum, v) in y[..xp.c].iter_mut().zip(pixel) {
                    *sum += v;
                }
            }
        }
        let scale = 1.0 / xp.pixels() as f32;
        y[..xp.c].iter_mut().for_each(|v| *v *= scale);
    }

    /// Writes the input's gradient of [`Tier::average`].
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn average_backward(self, dy: &[f32], dx: &mut [f32], dxp: Plane) {
        let scale = 1.0 / dxp.pixels() as f32;
        for r in 0..dxp.h {
            for pixel in dx[dxp.at(r, 0)..][..dxp.w * dxp.stride].chunks_exact_mut(dxp.stride) {
                for (v, g) in pixel.iter_mut().zip(&dy[..dxp.c]) {
                    *v = g * scale;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn forward_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    window: PoolWindow,
    y: &mut [f32],
    yp: Plane,
    mut places: Option<&mut [u8]>,
) {
    if yp.in_lanes() {
        let (x, y) = (x.as_ptr(), y.as_mut_ptr());
        // SAFETY: `max_pool` checked both planes, the window's reach, and the places.
        let nan = unsafe {
            match &mut places {
                Some(places) => sized::<S, true>(x, xp, window, y, yp, places.as_mut_ptr()),
                None => sized::<S, false>(x, xp, window, y, yp, std::ptr::null_mut()),
            }
        };
        if !nan {
            return;
        }
    }
    plain(x, xp, window, y, yp, places);
}

/// Loops of known length are worth three copies.
#[inline(always)]
unsafe fn sized<S: Simd, const PLACES: bool>(
    x: *const f32,
    xp: Plane,
    window: PoolWindow,
    y: *mut f32,
    yp: Plane,
    places: *mut u8,
) -> bool {
    // SAFETY: as for `lanes`.
    unsafe {
        match window.size {
            2 => lanes::<S, PLACES, 2>(x, xp, window, y, yp, places),
            3 => lanes::<S, PLACES, 3>(x, xp, window, y, yp, places),
            _ => lanes::<S, PLACES, 0>(x, xp, window, y, yp, places),
        }
    }
}

/// All maxima by vectors of channels; whether there may be a NaN among the values, for which this is not made. `K` is the
/// window's size, or 0 for any.
#[inline(always)]
unsafe fn lanes<S: Simd, const PLACES: bool, const K: usize>(
    x: *const f32,
    xp: Plane,
    window: PoolWindow,
    y: *mut f32,
    yp: Plane,
    places: *mut u8,
) -> bool {
    let size = if K > 0 { K } else { window.size };
    // Where comparisons make masks, a place is found faster after the maximum than along with it.
    let search = K > 0 && S::LANES == 16;
    // SAFETY: `forward_kernel`'s caller checked both planes, the window's reach, and the places.
    unsafe {
        // A NaN makes a sum of values one, and so do two infinities, which then only costs time.
        let mut sum = S::splat(0.0);
        let mut places = places;
        for oy in 0..yp.h {
            for ox in 0..yp.w {
                let from = x.add(xp.at(oy * window.stride, ox * window.stride));
                let to = y.add(yp.at(oy, ox));
                let mut first = 0;
                while first < yp.stride {
                    let mut best = S::load(from.add(first));
                    let mut place = S::no_places();
                    // A sum of its own, so that one window need not wait for the other.
                    let mut values = S::splat(0.0);
                    for ky in 0..size {
                        for kx in 0..size {
                            let v = S::load(from.add(ky * xp.pitch + kx * xp.stride + first));
                            values = S::add(values, v);
                            if PLACES && !search {
                                (best, place) = S::larger(best, place, v, (ky * size + kx) as u32);
                            } else {
                                best = S::max(v, best);
                            }
                        }
                    }
                    sum = S::add(sum, values);
                    if PLACES && search {
                        // The maximum first, then the first place that has it: comparisons need not wait for each other.
                        for k in (0..size * size).rev() {
                            let v = S::load(from.add(k / size * xp.pitch + k % size * xp.stride + first));
                            place = S::place_of(best, v, k as u32, place);
                        }
                    }
                    S::store(to.add(first), best);
                    if PLACES {
                        S::store_places(places, place);
                        places = places.add(S::LANES);
                    }
                    first += S::LANES;
                }
            }
        }
        S::has_nan(sum)
    }
}

/// The plain loops: narrow planes, and NaNs wherever they are.
#[inline(never)]
fn plain(x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane, mut places: Option<&mut [u8]>) {
    for oy in 0..yp.h {
        for ox in 0..yp.w {
            let (base, out) = (xp.at(oy * window.stride, ox * window.stride), yp.at(oy, ox));
            for c in 0..yp.c {
                let (value, place) = maximum(&x[base + c..], xp, window);
                y[out + c] = value;
                if let Some(places) = places.as_deref_mut() {
                    places[(oy * yp.w + ox) * yp.stride + c] = place;
                }
            }
        }
    }
}

/// One channel's maximum and its place: the plain definition.
fn maximum(x: &[f32], xp: Plane, window: PoolWindow) -> (f32, u8) {
    let (mut best, mut place) = (x[0], 0);
    for ky in 0..window.size {
        for kx in 0..window.size {
            let v = x[ky * xp.pitch + kx * xp.stride];
            if v > best || v.is_nan() {
                (best, place) = (v, (ky * window.size + kx) as u8);
            }
        }
    }
    (best, place)
}

/// Calls `$body` for every window and every pixel of it, with where the window's result and the pixel lie.
macro_rules! each_pixel {
    ($window:expr, $of:expr, $to:expr, |$out:ident, $pixel:ident| $body:block) => {
        for oy in 0..$to.h {
            for ox in 0..$to.w {
                let $out = $to.at(oy, ox);
                for ky in 0..$window.size {
                    for kx in 0..$window.size {
                        let $pixel = $of.at(oy * $window.stride + ky, ox * $window.stride + kx);
                        $body
                    }
                }
            }
        }
    };
}

#[inline(always)]
unsafe fn average_kernel<S: Simd>(x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane) {
    let scale = 1.0 / (window.size * window.size) as f32;
    for r in 0..yp.h {
        y[yp.at(r, 0)..][..yp.w * yp.stride].fill(0.0);
    }
    each_pixel!(window, xp, yp, |out, pixel| {
        for (to, v) in y[out..][..yp.stride].iter_mut().zip(&x[pixel..][..yp.stride]) {
            *to += v * scale;
        }
    });
}

#[inline(always)]
unsafe fn average_back_kernel<S: Simd>(
    dy: &[f32],
    dyp: Plane,
    window: PoolWindow,
    dx: &mut [f32],
    dxp: Plane,
) {
    let scale = 1.0 / (window.size * window.size) as f32;
    each_pixel!(window, dxp, dyp, |out, pixel| {
        for (to, v) in dx[pixel..][..dyp.stride].iter_mut().zip(&dy[out..][..dyp.stride]) {
            *to += v * scale;
        }
    });
}

/// A vector of gradients goes to every place of its windows, times one or times zero: cheaper than a scatter.
#[inline(always)]
unsafe fn scatter_kernel<S: Simd>(
    dy: &[f32],
    dyp: Plane,
    places: &[u8],
    window: PoolWindow,
    dx: &mut [f32],
    dxp: Plane,
) {
    let per_row = dyp.w * dyp.stride;
    for oy in 0..dyp.h {
        for ox in 0..dyp.w {
            let (from, base) = (dyp.at(oy, ox), dxp.at(oy * window.stride, ox * window.stride));
            // SAFETY: `max_pool_backward_add` checked both planes, the window's reach, and the places.
            unsafe {
                for first in (0..dyp.stride).step_by(S::LANES) {
                    let g = S::load(dy.as_ptr().add(from + first));
                    let at = S::load_places(places.as_ptr().add(oy * per_row + ox * dyp.stride + first));
                    let to = dx.as_mut_ptr().add(base + first);
                    match window.size {
                        2 => scatter::<S, 2>(to, dxp, 2, at, g),
                        3 => scatter::<S, 3>(to, dxp, 3, at, g),
                        size => scatter::<S, 0>(to, dxp, size, at, g),
                    }
                }
            }
        }
    }
}

/// `K` is the window's size, or 0 for any.
#[inline(always)]
unsafe fn scatter<S: Simd, const K: usize>(to: *mut f32, dxp: Plane, size: usize, at: S::I, g: S::V) {
    let size = if K > 0 { K } else { size };
    for ky in 0..size {
        for kx in 0..size {
            // SAFETY: the window lies in the buffer, by `scatter_kernel`.
            unsafe {
                let to = to.add(ky * dxp.pitch + kx * dxp.stride);
                let hit = S::at_place(at, (ky * size + kx) as u32, g);
                S::store(to, S::add(S::load(to), hit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(h: usize, w: usize, c: usize, size: usize, stride: usize) {
        let window = PoolWindow { size, stride };
        let xp = Plane::new(h, w, c, 1);
        let yp = Plane::new(window.outputs(h), window.outputs(w), c, 1);
        let mut x = vec![0.0; xp.buffer_len()];
        for i in 0..h * w * c {
            // Repeats on purpose: ties must go to the first.
            x[xp.at(i / c / w, i / c % w) + i % c] = ((i * 37) % 19) as f32 - 9.0;
        }
        let mut expected_dx = vec![0.0; xp.buffer_len()];
        let mut dy = vec![0.0; yp.buffer_len()];
        let mut expected = vec![0.0; yp.buffer_len()];
        for oy in 0..yp.h {
            for ox in 0..yp.w {
                for ch in 0..c {
                    let g = (oy * 3 + ox + ch) as f32;
                    dy[yp.at(oy, ox) + ch] = g;
                    let mut best = (f32::NEG_INFINITY, 0);
                    for ky in 0..size {
                        for kx in 0..size {
                            let at = xp.at(oy * stride + ky, ox * stride + kx) + ch;
                            if x[at] > best.0 {
                                best = (x[at], at);
                            }
                        }
                    }
                    expected[yp.at(oy, ox) + ch] = best.0;
                    expected_dx[best.1] += g;
                }
            }
        }
        let (mut mean, mut spread) = (vec![0.0; yp.buffer_len()], vec![0.0; xp.buffer_len()]);
        each_pixel!(window, xp, yp, |out, pixel| {
            for ch in 0..c {
                mean[out + ch] += x[pixel + ch] / (size * size) as f32;
                spread[pixel + ch] += dy[out + ch] / (size * size) as f32;
            }
        });
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        for tier in Tier::available() {
            let (mut y, mut dx) = (vec![0.0; yp.buffer_len()], vec![0.0; xp.buffer_len()]);
            tier.average_pool(&x, xp, window, &mut y, yp);
            tier.average_pool_backward(&dy, yp, window, &mut dx, xp);
            assert!(close(&y, &mean) && close(&dx, &spread), "{tier:?}");
            let mut y = vec![0.0; yp.buffer_len()];
            let mut places = vec![0; yp.pixels() * yp.stride];
            tier.max_pool(&x, xp, window, &mut y, yp, Some(&mut places));
            assert_eq!(y, expected, "{tier:?}");
            let mut alone = vec![0.0; yp.buffer_len()];
            tier.max_pool(&x, xp, window, &mut alone, yp, None);
            assert_eq!(alone, expected, "{tier:?}, without places");
            let mut dx = vec![0.0; xp.buffer_len()];
            tier.max_pool_backward(&dy, yp, &places, window, &mut dx, xp);
            assert_eq!(dx, expected_dx, "{tier:?}");
        }
    }

    #[test]
    fn max_pooling_equals_the_plain_loops_on_every_tier() {
        check(28, 28, 32, 3, 2);
        check(7, 10, 16, 3, 2);
        check(5, 4, 3, 2, 2);
        check(6, 9, 40, 4, 3);
        check(3, 3, 1, 3, 1);
    }

    #[test]
    fn a_nan_is_not_lost_in_a_maximum() {
        let window = PoolWindow { size: 2, stride: 1 };
        for c in [1, 32] {
            let (xp, yp) = (Plane::new(2, 4, c, 0), Plane::new(1, 3, c, 0));
            let mut x = vec![1.0; 8 * c];
            // In channel 0, wherever a window meets it; the other channels are as if it were not there.
            x[c] = f32::NAN;
            for tier in Tier::available() {
                let mut y = vec![0.0; 3 * c];
                let mut places = vec![9; 3 * c];
                tier.max_pool(&x, xp, window, &mut y, yp, Some(&mut places));
                assert!(y[0].is_nan() && y[c].is_nan() && y[2 * c] == 1.0, "{tier:?}");
                assert_eq!((places[0], places[c], places[2 * c]), (1, 0, 0), "{tier:?}");
                assert!(y.iter().filter(|v| v.is_nan()).count() == 2, "{tier:?}");
                tier.max_pool(&x, xp, window, &mut y, yp, None);
                assert!(y[0].is_nan() && y[c].is_nan() && y[2 * c] == 1.0, "{tier:?}");
            }
        }
    }

    #[test]
    fn the_average_and_its_gradient_are_those_of_the_definition() {
        let plane = Plane::new(3, 5, 20, 1);
        let mut x = vec![0.0; plane.buffer_len()];
        for i in 0..15 * 20 {
            x[plane.at(i / 20 / 5, i / 20 % 5) + i % 20] = (i / 20) as f32 + (i % 20) as f32;
        }
        let tier = Tier::available()[0];
        let mut y = vec![0.0; 20];
        tier.average(&x, plane, &mut y);
        for (c, v) in y.iter().enumerate() {
            assert!((v - (7.0 + c as f32)).abs() < 1e-5, "channel {c}: {v}");
        }
        let mut dx = vec![0.0; plane.buffer_len()];
        tier.average_backward(&[15.0; 20], &mut dx, plane);
        assert_eq!(dx.iter().sum::<f32>(), 15.0 * 20.0);
    }
}
