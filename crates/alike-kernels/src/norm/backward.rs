//! The gradients of a normalisation.

use super::{Coefficients, GroupStats, ScaleShift, ScaleShiftGradient, blocks, coefficients};
use crate::simd::Simd;
use crate::{LANE_GROUP, Plane};

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "as the method that it serves")]
pub(super) unsafe fn backward_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: ScaleShift<'_>,
    dy: &[f32],
    dyp: Plane,
    gradient: ScaleShiftGradient<'_>,
    means: &mut [[f32; 2]],
    dx: Option<(&mut [f32], Plane)>,
) {
    let per_group = xp.c() / stats.len();
    let through = |v: f32, g: f32| if affine.relu && v <= 0.0 { 0.0 } else { g };
    // Sums over pixels, a channel each: of the gradient, and of the gradient times the normalised input.
    let mut sum_dy = [0.0f64; 2];
    let count = (xp.pixels() * per_group) as f64;
    for (first, channels) in blocks(xp) {
        let k = coefficients(first, channels, per_group, stats, affine);
        let mut s1 = [0.0f32; LANE_GROUP];
        let mut s2 = [0.0f32; LANE_GROUP];
        if xp.in_lanes() {
            // SAFETY: `group_norm_backward` checked that both planes fit their buffers.
            unsafe {
                let (x, dy) = (&x[xp.offset() + first..], &dy[dyp.offset() + first..]);
                gradient_sums::<S>(x, xp, dy, dyp, &k, affine.relu, &mut s1, &mut s2);
            }
        } else {
            for r in 0..xp.h() {
                for p in 0..xp.w() {
                    let (v, g) = (x[xp.at(r, p) + first], dy[dyp.at(r, p) + first]);
                    let g = through(v * k.a[0] + k.b[0], g);
                    s1[0] += g;
                    s2[0] += g * ((v - k.mean[0]) * k.rstd[0]);
                }
            }
        }
        for l in 0..channels {
            let channel = first + l;
            gradient.shift[channel] += s1[l];
            gradient.scale[channel] += s2[l];
            sum_dy[0] += f64::from(s1[l] * k.scale[l]);
            sum_dy[1] += f64::from(s2[l] * k.scale[l]);
            if (channel + 1).is_multiple_of(per_group) {
                means[channel / per_group] = [(sum_dy[0] / count) as f32, (sum_dy[1] / count) as f32];
                sum_dy = [0.0; 2];
            }
        }
    }
    let Some((dx, dxp)) = dx else { return };
    for (first, channels) in blocks(xp) {
        let k = coefficients(first, channels, per_group, stats, affine);
        let mut m1 = [0.0f32; LANE_GROUP];
        let mut m2 = [0.0f32; LANE_GROUP];
        for l in 0..channels {
            [m1[l], m2[l]] = means[(first + l) / per_group];
        }
        if xp.in_lanes() {
            // dx = rstd (scale g - m1 - normal m2), as a sum of two products.
            let by_g: [f32; LANE_GROUP] = std::array::from_fn(|l| k.rstd[l] * k.scale[l]);
            let by_normal: [f32; LANE_GROUP] = std::array::from_fn(|l| -k.rstd[l] * m2[l]);
            let fixed: [f32; LANE_GROUP] = std::array::from_fn(|l| -k.rstd[l] * m1[l]);
            for l in (0..LANE_GROUP).step_by(S::LANES) {
                // SAFETY: `group_norm_backward` checked that all planes fit their buffers.
                unsafe {
                    let lanes = |v: &[f32; LANE_GROUP]| S::load(v.as_ptr().add(l));
                    let (a, b, mean, rstd) = (lanes(&k.a), lanes(&k.b), lanes(&k.mean), lanes(&k.rstd));
                    let (by_g, by_normal, fixed) = (lanes(&by_g), lanes(&by_normal), lanes(&fixed));
                    for r in 0..xp.h() {
                        for p in 0..xp.w() {
                            let v = S::load(x.as_ptr().add(xp.at(r, p) + first + l));
                            let g = S::load(dy.as_ptr().add(dyp.at(r, p) + first + l));
                            let g = if affine.relu { S::where_open(S::fma(v, a, b), g) } else { g };
                            let normal = S::mul(S::sub(v, mean), rstd);
                            let out = S::fma(g, by_g, S::fma(normal, by_normal, fixed));
                            S::store(dx.as_mut_ptr().add(dxp.at(r, p) + first + l), out);
                        }
                    }
                }
            }
            continue;
        }
        for r in 0..xp.h() {
            for p in 0..xp.w() {
                let (v, g) = (x[xp.at(r, p) + first], dy[dyp.at(r, p) + first]);
                let g = through(v * k.a[0] + k.b[0], g);
                let normal = (v - k.mean[0]) * k.rstd[0];
                dx[dxp.at(r, p) + first] = k.rstd[0] * (k.scale[0] * g - m1[0] - normal * m2[0]);
            }
        }
    }
}

/// Sums over all pixels, lane by lane: of the gradient, and of the gradient times the normalised input.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a part of the kernel above")]
unsafe fn gradient_sums<S: Simd>(
    x: &[f32],
    xp: Plane,
    dy: &[f32],
    dyp: Plane,
    k: &Coefficients,
    relu: bool,
    s1: &mut [f32; LANE_GROUP],
    s2: &mut [f32; LANE_GROUP],
) {
    // SAFETY: a lane group of every pixel lies in both buffers, by the caller.
    unsafe {
        for l in (0..LANE_GROUP).step_by(S::LANES) {
            let (a, b) = (S::load(k.a.as_ptr().add(l)), S::load(k.b.as_ptr().add(l)));
            let (mean, rstd) = (S::load(k.mean.as_ptr().add(l)), S::load(k.rstd.as_ptr().add(l)));
            let (mut sum1, mut sum2) = (S::splat(0.0), S::splat(0.0));
            for r in 0..xp.h() {
                for p in 0..xp.w() {
                    let v = S::load(x.as_ptr().add(r * xp.pitch() + p * xp.stride() + l));
                    let g = S::load(dy.as_ptr().add(r * dyp.pitch() + p * dyp.stride() + l));
                    let g = if relu { S::where_open(S::fma(v, a, b), g) } else { g };
                    sum1 = S::add(sum1, g);
                    sum2 = S::fma(g, S::mul(S::sub(v, mean), rstd), sum2);
                }
            }
            S::store(s1.as_mut_ptr().add(l), sum1);
            S::store(s2.as_mut_ptr().add(l), sum2);
        }
    }
}
