//! What is normalised, and what scale and shift are multiplied by.

use super::{GroupStats, PERIOD, ScaleShift, blocks, coefficients, is_narrow};
use crate::simd::Simd;
use crate::{LANE_GROUP, Plane};

/// A narrow plane's coefficients, repeated with its channels.
struct Narrow {
    a: [f32; PERIOD],
    b: [f32; PERIOD],
    mean: [f32; PERIOD],
    rstd: [f32; PERIOD],
}

#[inline(always)]
fn narrow(c: usize, stats: &[GroupStats], affine: ScaleShift<'_>) -> Narrow {
    let zero = [0.0; PERIOD];
    let mut k = Narrow { a: zero, b: zero, mean: zero, rstd: zero };
    for channel in 0..c {
        let one = coefficients(channel, 1, c / stats.len(), stats, affine);
        for l in (channel..PERIOD).step_by(c) {
            (k.a[l], k.b[l], k.mean[l], k.rstd[l]) = (one.a[0], one.b[0], one.mean[0], one.rstd[0]);
        }
    }
    k
}

/// The ReLU as PyTorch's: a NaN stays one.
#[inline(always)]
fn rectify(v: f32) -> f32 {
    if v < 0.0 { 0.0 } else { v }
}

#[inline(always)]
pub(super) unsafe fn forward_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: ScaleShift<'_>,
    y: &mut [f32],
    yp: Plane,
) {
    let per_group = xp.c() / stats.len();
    if is_narrow(xp) {
        let k = narrow(xp.c(), stats, affine);
        for r in 0..xp.h() {
            let xr = x[xp.at(r, 0)..][..xp.w() * xp.c()].chunks(PERIOD);
            let yr = y[yp.at(r, 0)..][..xp.w() * xp.c()].chunks_mut(PERIOD);
            for (xs, ys) in xr.zip(yr) {
                for (((x, y), a), b) in xs.iter().zip(ys).zip(&k.a).zip(&k.b) {
                    let v = x * a + b;
                    *y = if affine.relu { rectify(v) } else { v };
                }
            }
        }
        return;
    }
    for (first, channels) in blocks(xp) {
        let k = coefficients(first, channels, per_group, stats, affine);
        for r in 0..xp.h() {
            for p in 0..xp.w() {
                let (from, to) = (xp.at(r, p) + first, yp.at(r, p) + first);
                // SAFETY: `group_norm` checked that both planes fit their buffers.
                unsafe {
                    for l in (0..LANE_GROUP).step_by(S::LANES) {
                        let (a, b) = (S::load(k.a.as_ptr().add(l)), S::load(k.b.as_ptr().add(l)));
                        let v = S::fma(S::load(x.as_ptr().add(from + l)), a, b);
                        let v = if affine.relu { S::max(S::splat(0.0), v) } else { v };
                        S::store(y.as_mut_ptr().add(to + l), v);
                    }
                }
            }
        }
    }
}

#[inline(always)]
pub(super) unsafe fn parts_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: ScaleShift<'_>,
    y: &mut [f32],
    yp: Plane,
) {
    let k = narrow(xp.c(), stats, affine);
    for r in 0..xp.h() {
        let xr = x[xp.at(r, 0)..][..xp.w() * xp.c()].chunks(PERIOD);
        let yr = y[yp.at(r, 0)..][..2 * xp.w() * xp.c()].chunks_mut(2 * PERIOD);
        for (xs, ys) in xr.zip(yr) {
            for (l, (v, out)) in xs.iter().zip(ys.as_chunks_mut::<2>().0).enumerate() {
                let shut = affine.relu && v * k.a[l] + k.b[l] <= 0.0;
                *out = if shut { [0.0; 2] } else { [(v - k.mean[l]) * k.rstd[l], 1.0] };
            }
        }
    }
}
