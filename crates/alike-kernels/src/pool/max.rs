//! Max-pooling with the place of each maximum.

use super::PoolWindow;
use crate::simd::Simd;
use crate::{Plane, Tier};

impl Tier {
    /// The maximum of every window, and its place `ky * size + kx` in `argmax` (`h * w * stride` of them, dense), unless
    /// no winners are wanted. The first of equal maxima wins; a NaN wins over all, as in PyTorch.
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
        argmax: Option<&mut [u8]>,
    ) {
        window.check(xp, yp);
        assert!(xp.fits(x) && yp.fits(y), "pool: a buffer is too short");
        if let Some(argmax) = &argmax {
            assert!(argmax.len() >= yp.pixels() * yp.stride(), "pool: too few winners");
        }
        dispatch!(
            self,
            forward_kernel(
                x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane, argmax: Option<&mut [u8]>,
            )
        );
    }

    /// Writes the input's gradient: each output's gradient goes to the place of its maximum, all else is zero.
    ///
    /// # Panics
    ///
    /// If shapes disagree, a channel's place lies outside the window, or a buffer is too short.
    pub fn max_pool_backward(
        self,
        dy: &[f32],
        dyp: Plane,
        argmax: &[u8],
        window: PoolWindow,
        dx: &mut [f32],
        dxp: Plane,
    ) {
        window.check_backward(dy, dyp, argmax, dx, dxp);
        for r in 0..dxp.h() {
            dx[dxp.at(r, 0)..][..dxp.w() * dxp.stride()].fill(0.0);
        }
        scatter_all(self, dy, dyp, argmax, window, dx, dxp);
    }

    /// Adds the input's gradient; otherwise as [`Tier::max_pool_backward`].
    ///
    /// # Panics
    ///
    /// As [`Tier::max_pool_backward`].
    pub fn max_pool_backward_add(
        self,
        dy: &[f32],
        dyp: Plane,
        argmax: &[u8],
        window: PoolWindow,
        dx: &mut [f32],
        dxp: Plane,
    ) {
        window.check_backward(dy, dyp, argmax, dx, dxp);
        scatter_all(self, dy, dyp, argmax, window, dx, dxp);
    }
}

impl PoolWindow {
    /// All that the gradient of a max-pool asks of its arguments, before any of them is written.
    fn check_backward(&self, dy: &[f32], dyp: Plane, argmax: &[u8], dx: &[f32], dxp: Plane) {
        self.check(dxp, dyp);
        assert!(dxp.fits(dx) && dyp.fits(dy), "pool: a buffer is too short");
        assert!(argmax.len() >= dyp.pixels() * dyp.stride(), "pool: too few winners");
        assert!(self.holds(argmax, dyp), "pool: a place outside the window");
    }
}

/// Adds each output's gradient at its place; the arguments are those that [`PoolWindow::check_backward`] lets through.
fn scatter_all(
    tier: Tier,
    dy: &[f32],
    dyp: Plane,
    argmax: &[u8],
    window: PoolWindow,
    dx: &mut [f32],
    dxp: Plane,
) {
    if dyp.in_lanes() {
        dispatch!(
            tier,
            scatter_kernel(
                dy: &[f32], dyp: Plane, argmax: &[u8], window: PoolWindow, dx: &mut [f32], dxp: Plane,
            )
        );
        return;
    }
    let per_row = dyp.w() * dyp.stride();
    let mut offsets = [0; 256];
    for (k, offset) in offsets.iter_mut().enumerate().take(window.size * window.size) {
        *offset = (k / window.size) * dxp.pitch() + (k % window.size) * dxp.stride();
    }
    for oy in 0..dyp.h() {
        for ox in 0..dyp.w() {
            let from = &dy[dyp.at(oy, ox)..][..dyp.c()];
            let at = &argmax[oy * per_row + ox * dyp.stride()..][..dyp.c()];
            let base = dxp.at(oy * window.stride, ox * window.stride);
            for (c, (g, place)) in from.iter().zip(at).enumerate() {
                dx[base + offsets[usize::from(*place)] + c] += g;
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
    mut argmax: Option<&mut [u8]>,
) {
    if yp.in_lanes() {
        let (x, y) = (x.as_ptr(), y.as_mut_ptr());
        // SAFETY: `max_pool` checked both planes, the window's reach, and the winners.
        let nan = unsafe {
            match &mut argmax {
                Some(argmax) => sized::<S, true>(x, xp, window, y, yp, argmax.as_mut_ptr()),
                None => sized::<S, false>(x, xp, window, y, yp, std::ptr::null_mut()),
            }
        };
        if !nan {
            return;
        }
    }
    plain(x, xp, window, y, yp, argmax);
}

/// Loops of known length are worth three copies.
#[inline(always)]
unsafe fn sized<S: Simd, const PLACES: bool>(
    x: *const f32,
    xp: Plane,
    window: PoolWindow,
    y: *mut f32,
    yp: Plane,
    argmax: *mut u8,
) -> bool {
    // SAFETY: as for `lanes`.
    unsafe {
        match window.size {
            2 => lanes::<S, PLACES, 2>(x, xp, window, y, yp, argmax),
            3 => lanes::<S, PLACES, 3>(x, xp, window, y, yp, argmax),
            _ => lanes::<S, PLACES, 0>(x, xp, window, y, yp, argmax),
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
    argmax: *mut u8,
) -> bool {
    let size = if K > 0 { K } else { window.size };
    // Where comparisons make masks, a place is found faster after the maximum than along with it.
    let search = K > 0 && S::LANES == 16;
    // SAFETY: `forward_kernel`'s caller checked both planes, the window's reach, and the winners.
    unsafe {
        // A NaN makes a sum of values one, and so do two infinities, which then only costs time.
        let mut sum = S::splat(0.0);
        let mut argmax = argmax;
        for oy in 0..yp.h() {
            for ox in 0..yp.w() {
                let from = x.add(xp.at(oy * window.stride, ox * window.stride));
                let to = y.add(yp.at(oy, ox));
                let mut first = 0;
                while first < yp.stride() {
                    let mut best = S::load(from.add(first));
                    let mut place = S::no_places();
                    // A sum of its own, so that one window need not wait for the other.
                    let mut values = S::splat(0.0);
                    for ky in 0..size {
                        for kx in 0..size {
                            let v = S::load(from.add(ky * xp.pitch() + kx * xp.stride() + first));
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
                            let v = S::load(from.add(k / size * xp.pitch() + k % size * xp.stride() + first));
                            place = S::place_of(best, v, k as u32, place);
                        }
                    }
                    S::store(to.add(first), best);
                    if PLACES {
                        S::store_argmax(argmax, place);
                        argmax = argmax.add(S::LANES);
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
fn plain(x: &[f32], xp: Plane, window: PoolWindow, y: &mut [f32], yp: Plane, mut argmax: Option<&mut [u8]>) {
    for oy in 0..yp.h() {
        for ox in 0..yp.w() {
            let (base, out) = (xp.at(oy * window.stride, ox * window.stride), yp.at(oy, ox));
            for c in 0..yp.c() {
                let (value, place) = maximum(&x[base + c..], xp, window);
                y[out + c] = value;
                if let Some(argmax) = argmax.as_deref_mut() {
                    argmax[(oy * yp.w() + ox) * yp.stride() + c] = place;
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
            let v = x[ky * xp.pitch() + kx * xp.stride()];
            if v > best || v.is_nan() {
                (best, place) = (v, (ky * window.size + kx) as u8);
            }
        }
    }
    (best, place)
}

/// A vector of gradients goes to every place of its windows, times one or times zero: cheaper than a scatter.
#[inline(always)]
unsafe fn scatter_kernel<S: Simd>(
    dy: &[f32],
    dyp: Plane,
    argmax: &[u8],
    window: PoolWindow,
    dx: &mut [f32],
    dxp: Plane,
) {
    let per_row = dyp.w() * dyp.stride();
    for oy in 0..dyp.h() {
        for ox in 0..dyp.w() {
            let (from, base) = (dyp.at(oy, ox), dxp.at(oy * window.stride, ox * window.stride));
            // SAFETY: `PoolWindow::check_backward` looked at both planes, the window's reach, and the winners.
            unsafe {
                for first in (0..dyp.stride()).step_by(S::LANES) {
                    let g = S::load(dy.as_ptr().add(from + first));
                    let at = S::load_places(argmax.as_ptr().add(oy * per_row + ox * dyp.stride() + first));
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
                let to = to.add(ky * dxp.pitch() + kx * dxp.stride());
                let hit = S::at_place(at, (ky * size + kx) as u32, g);
                S::store(to, S::add(S::load(to), hit));
            }
        }
    }
}
