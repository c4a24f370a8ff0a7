//! The mean of every window, and of all pixels.

use super::PoolWindow;
use crate::simd::Simd;
use crate::{Plane, Tier};

impl Tier {
    /// The mean of every window.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn average_pool(self, x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane) {
        window.check(xp, yp);
        assert!(xp.fits(x) && yp.fits(y), "pool: a buffer is too short");
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
        assert!(dxp.fits(dx) && dyp.fits(dy), "pool: a buffer is too short");
        for r in 0..dxp.h() {
            dx[dxp.at(r, 0)..][..dxp.w() * dxp.stride()].fill(0.0);
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
        assert!(xp.fits(x) && y.len() >= xp.c(), "average: a buffer is too short");
        y[..xp.c()].fill(0.0);
        for r in 0..xp.h() {
            for pixel in x[xp.at(r, 0)..][..xp.w() * xp.stride()].chunks_exact(xp.stride()) {
                for (sum, v) in y[..xp.c()].iter_mut().zip(pixel) {
                    *sum += v;
                }
            }
        }
        let scale = 1.0 / xp.pixels() as f32;
        y[..xp.c()].iter_mut().for_each(|v| *v *= scale);
    }

    /// Writes the input's gradient of [`Tier::average`].
    ///
    /// # Panics
    ///
    /// If a buffer is too short.
    pub fn average_backward(self, dy: &[f32], dx: &mut [f32], dxp: Plane) {
        assert!(dxp.fits(dx) && dy.len() >= dxp.c(), "average: a buffer is too short");
        let scale = 1.0 / dxp.pixels() as f32;
        for r in 0..dxp.h() {
            for pixel in dx[dxp.at(r, 0)..][..dxp.w() * dxp.stride()].chunks_exact_mut(dxp.stride()) {
                for (v, g) in pixel.iter_mut().zip(&dy[..dxp.c()]) {
                    *v = g * scale;
                }
            }
        }
    }
}

/// Calls `$body` for every window and every pixel of it, with where the window's result and the pixel lie.
macro_rules! each_pixel {
    ($window:expr, $of:expr, $to:expr, |$out:ident, $pixel:ident| $body:block) => {
        for oy in 0..$to.h() {
            for ox in 0..$to.w() {
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

#[cfg(test)]
pub(super) use each_pixel;

#[inline(always)]
unsafe fn average_kernel<S: Simd>(x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane) {
    let scale = 1.0 / (window.size * window.size) as f32;
    for r in 0..yp.h() {
        y[yp.at(r, 0)..][..yp.w() * yp.stride()].fill(0.0);
    }
    each_pixel!(window, xp, yp, |out, pixel| {
        for (to, v) in y[out..][..yp.stride()].iter_mut().zip(&x[pixel..][..yp.stride()]) {
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
        for (to, v) in dx[pixel..][..dyp.stride()].iter_mut().zip(&dy[out..][..dyp.stride()]) {
            *to += v * scale;
        }
    });
}
