//! Group normalisation of one image, with or without a ReLU behind it (Wu and He 2018, <https://arxiv.org/abs/1803.08494>).

use crate::simd::Simd;
use crate::{LANE_GROUP, Plane, Tier};

/// What a group of channels was normalised by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct GroupStats {
    /// The mean over the group's channels and all pixels.
    pub mean: f32,
    /// `1 / sqrt(variance + eps)`, with the variance of the population.
    pub rstd: f32,
}

/// A layer's learned scale (gamma) and shift (beta), a channel each, and whether a ReLU follows.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Gamma.
    pub scale: &'a [f32],
    /// Beta.
    pub shift: &'a [f32],
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Gradients that the backward pass adds to.
#[derive(Debug)]
pub struct AffineGradient<'a> {
    /// Of gamma.
    pub scale: &'a mut [f32],
    /// Of beta.
    pub shift: &'a mut [f32],
}

impl Tier {
    /// Mean and reciprocal standard deviation of each of `stats.len()` groups of neighbouring channels.
    ///
    /// # Panics
    ///
    /// If the groups do not divide the channels or the buffer is too short.
    pub fn group_stats(self, x: &[f32], plane: Plane, eps: f32, stats: &mut [GroupStats]) {
        assert!(
            !stats.is_empty() && plane.c.is_multiple_of(stats.len()),
            "group norm: groups divide channels"
        );
        assert!(
            plane.in_lanes() || is_narrow(plane),
            "group norm: channels in whole lane groups, or up to four"
        );
        assert!(plane.fits(x), "group norm: input too short");
        dispatch!(self, stats_kernel(x: &[f32], plane: Plane, eps: f32, stats: &mut [GroupStats]));
    }

    /// `y = scale * (x - mean) * rstd + shift`, then the ReLU if asked.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    pub fn group_norm(
        self,
        x: &[f32],
        xp: Plane,
        stats: &[GroupStats],
        affine: Affine<'_>,
        y: &mut [f32],
        yp: Plane,
    ) {
        assert_eq!((xp.h, xp.w, xp.c, xp.stride), (yp.h, yp.w, yp.c, yp.stride), "group norm: shapes");
        assert!(xp.in_lanes() || is_narrow(xp), "group norm: channels in whole lane groups, or up to four");
        assert!(xp.fits(x) && yp.fits(y), "group norm: buffer too short");
        dispatch!(
            self,
            forward_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: Affine<'_>, y: &mut [f32], yp: Plane,
            )
        );
    }

    /// What scale and shift are multiplied by: two channels of `y` for each of `x`, the normalised value and 1, or two
    /// zeros where the ReLU lets nothing through. A layer's gradients by scale and shift are then those of a
    /// convolution's weights, which saves the gradient of the layer's output where nothing before it learns.
    ///
    /// # Panics
    ///
    /// If shapes disagree, a buffer is too short, or `x` has more than four channels.
    pub fn group_norm_parts(
        self,
        x: &[f32],
        xp: Plane,
        stats: &[GroupStats],
        affine: Affine<'_>,
        y: &mut [f32],
        yp: Plane,
    ) {
        assert_eq!(
            (xp.h, xp.w, 2 * xp.c, 2 * xp.stride),
            (yp.h, yp.w, yp.c, yp.stride),
            "norm parts: shapes"
        );
        assert!(xp.fits(x) && yp.fits(y), "norm parts: buffer too short");
        assert!(is_narrow(xp), "norm parts: a picture's few channels");
        dispatch!(
            self,
            parts_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: Affine<'_>, y: &mut [f32], yp: Plane,
            )
        );
    }

    /// Adds the gradients of scale and shift, and writes the input's gradient to `dx` where one is wanted. `means` is
    /// memory for a pair of numbers a group.
    ///
    /// # Panics
    ///
    /// If shapes disagree or a buffer is too short.
    #[expect(
        clippy::too_many_arguments,
        reason = "the backward pass sees all that the forward pass saw, and gradients"
    )]
    pub fn group_norm_backward(
        self,
        x: &[f32],
        xp: Plane,
        stats: &[GroupStats],
        affine: Affine<'_>,
        dy: &[f32],
        dyp: Plane,
        gradient: AffineGradient<'_>,
        means: &mut [[f32; 2]],
        dx: Option<(&mut [f32], Plane)>,
    ) {
        assert!(means.len() >= stats.len(), "group norm: a pair of numbers a group");
        assert_eq!((xp.h, xp.w, xp.c, xp.stride), (dyp.h, dyp.w, dyp.c, dyp.stride), "group norm: shapes");
        assert!(xp.fits(x) && dyp.fits(dy), "group norm: buffer too short");
        if let Some((dx, dxp)) = &dx {
            assert_eq!(
                (xp.h, xp.w, xp.c, xp.stride),
                (dxp.h, dxp.w, dxp.c, dxp.stride),
                "group norm: shapes"
            );
            assert!(dxp.fits(dx), "group norm: buffer too short");
        }
        dispatch!(
            self,
            backward_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: Affine<'_>, dy: &[f32], dyp: Plane,
                gradient: AffineGradient<'_>, means: &mut [[f32; 2]], dx: Option<(&mut [f32], Plane)>,
            )
        );
    }
}

/// Channels are walked in blocks of up to [`LANE_GROUP`], a vector at a time where the plane is in lanes.
fn blocks(plane: Plane) -> impl Iterator<Item = (usize, usize)> {
    let width = if plane.in_lanes() { LANE_GROUP } else { 1 };
    (0..plane.c).step_by(width).map(move |first| (first, (plane.c - first).min(width)))
}

/// A narrow plane's channel counts, 1 to 4, all divide this: a row's floats then repeat their channels with this period,
/// and are walked as vectors.
const PERIOD: usize = 48;

/// Whether a row is one run of floats whose channels repeat with [`PERIOD`].
fn is_narrow(plane: Plane) -> bool {
    plane.stride == plane.c && PERIOD.is_multiple_of(plane.c)
}

#[inline(always)]
unsafe fn stats_kernel<S: Simd>(x: &[f32], plane: Plane, eps: f32, stats: &mut [GroupStats]) {
    let per_group = plane.c / stats.len();
    let count = (plane.pixels() * per_group) as f64;
    if is_narrow(plane) {
        return narrow_stats(x, plane, count, eps, stats);
    }
    // Two passes, so that a mean far from zero does not cancel the variance.
    for stage in 0..2 {
        for s in stats.iter_mut() {
            if stage == 0 { s.mean = 0.0 } else { s.rstd = 0.0 }
        }
        let mut group_sum = 0.0f64;
        for (first, channels) in blocks(plane) {
            let mut lanes = [0.0f32; LANE_GROUP];
            let means: [f32; LANE_GROUP] = std::array::from_fn(|l| {
                if stage == 0 || l >= channels { 0.0 } else { stats[(first + l) / per_group].mean }
            });
            // SAFETY: `group_stats` checked that the plane fits the buffer.
            unsafe { sums::<S>(&x[plane.offset + first..], plane, &means, stage == 1, &mut lanes) }
            for (l, sum) in lanes.iter().enumerate().take(channels) {
                group_sum += f64::from(*sum);
                if (first + l + 1).is_multiple_of(per_group) {
                    let s = &mut stats[(first + l) / per_group];
                    if stage == 0 {
                        s.mean = (group_sum / count) as f32;
                    } else {
                        s.rstd = (1.0 / (group_sum / count + f64::from(eps)).sqrt()) as f32;
                    }
                    group_sum = 0.0;
                }
            }
        }
    }
}

/// Sums over all pixels, lane by lane, of the distances from the means, or of their squares.
#[inline(always)]
unsafe fn sums<S: Simd>(
    x: &[f32],
    plane: Plane,
    means: &[f32; LANE_GROUP],
    square: bool,
    lanes: &mut [f32; LANE_GROUP],
) {
    // SAFETY: a lane group of every pixel lies in `x`, by `group_stats`.
    unsafe {
        for lane in (0..LANE_GROUP).step_by(S::LANES) {
            let mean = S::load(means.as_ptr().add(lane));
            // Pixels take turns with two sums, so that additions need not wait for each other.
            let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
            for r in 0..plane.h {
                let row = x.as_ptr().add(r * plane.pitch + lane);
                let mut p = 0;
                while p + 1 < plane.w {
                    let a = S::sub(S::load(row.add(p * plane.stride)), mean);
                    let b = S::sub(S::load(row.add((p + 1) * plane.stride)), mean);
                    even = if square { S::fma(a, a, even) } else { S::add(a, even) };
                    odd = if square { S::fma(b, b, odd) } else { S::add(b, odd) };
                    p += 2;
                }
                if p < plane.w {
                    let a = S::sub(S::load(row.add(p * plane.stride)), mean);
                    even = if square { S::fma(a, a, even) } else { S::add(a, even) };
                }
            }
            S::store(lanes.as_mut_ptr().add(lane), S::add(even, odd));
        }
    }
}

/// Two passes again, over whole rows.
#[inline(always)]
fn narrow_stats(x: &[f32], plane: Plane, count: f64, eps: f32, stats: &mut [GroupStats]) {
    stats.fill(GroupStats::default());
    let groups = stats.len();
    for square in [false, true] {
        let mut means = [0.0; PERIOD];
        for channel in 0..plane.c {
            let mean = stats[channel * groups / plane.c].mean;
            means[channel..].iter_mut().step_by(plane.c).for_each(|m| *m = mean);
        }
        let lanes = narrow_sums(x, plane, &means, square);
        let per_group = plane.c / groups;
        for (g, s) in stats.iter_mut().enumerate() {
            let of =
                |channel: usize| lanes[channel..].iter().step_by(plane.c).map(|v| f64::from(*v)).sum::<f64>();
            let mean = (g * per_group..(g + 1) * per_group).map(of).sum::<f64>() / count;
            if square {
                s.rstd = (1.0 / (mean + f64::from(eps)).sqrt()) as f32;
            } else {
                s.mean = mean as f32;
            }
        }
    }
}

/// Sums over all rows, lane by lane, of the distances from the means, or of their squares.
#[inline(always)]
fn narrow_sums(x: &[f32], plane: Plane, means: &[f32; PERIOD], square: bool) -> [f32; PERIOD] {
    let mut lanes = [0.0f32; PERIOD];
    // Without a border all rows are one.
    let row = plane.w * plane.c;
    let (rows, len) = if plane.pitch == row { (1, plane.h * row) } else { (plane.h, row) };
    for y in 0..rows {
        let (whole, rest) = x[plane.at(y, 0)..][..len].as_chunks::<PERIOD>();
        for chunk in whole {
            for l in 0..PERIOD {
                let d = chunk[l] - means[l];
                lanes[l] += if square { d * d } else { d };
            }
        }
        for (l, v) in rest.iter().enumerate() {
            let d = v - means[l];
            lanes[l] += if square { d * d } else { d };
        }
    }
    lanes
}

/// A narrow plane's coefficients, repeated with its channels.
struct Narrow {
    a: [f32; PERIOD],
    b: [f32; PERIOD],
    mean: [f32; PERIOD],
    rstd: [f32; PERIOD],
}

#[inline(always)]
fn narrow(c: usize, stats: &[GroupStats], affine: Affine<'_>) -> Narrow {
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

/// A block's normalisation as `x * a + b`, and its affine part; lanes beyond the channels are zero.
struct Coefficients {
    a: [f32; LANE_GROUP],
    b: [f32; LANE_GROUP],
    mean: [f32; LANE_GROUP],
    rstd: [f32; LANE_GROUP],
    scale: [f32; LANE_GROUP],
}

#[inline(always)]
fn coefficients(
    first: usize,
    channels: usize,
    per_group: usize,
    stats: &[GroupStats],
    affine: Affine<'_>,
) -> Coefficients {
    let zero = [0.0; LANE_GROUP];
    let mut k = Coefficients { a: zero, b: zero, mean: zero, rstd: zero, scale: zero };
    for l in 0..channels {
        let s = stats[(first + l) / per_group];
        let (scale, shift) = (affine.scale[first + l], affine.shift[first + l]);
        k.mean[l] = s.mean;
        k.rstd[l] = s.rstd;
        k.scale[l] = scale;
        k.a[l] = scale * s.rstd;
        k.b[l] = shift - s.mean * k.a[l];
    }
    k
}

/// The ReLU as PyTorch's: a NaN stays one.
#[inline(always)]
fn rectify(v: f32) -> f32 {
    if v < 0.0 { 0.0 } else { v }
}

#[inline(always)]
unsafe fn forward_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: Affine<'_>,
    y: &mut [f32],
    yp: Plane,
) {
    let per_group = xp.c / stats.len();
    if is_narrow(xp) {
        let k = narrow(xp.c, stats, affine);
        for r in 0..xp.h {
            let xr = x[xp.at(r, 0)..][..xp.w * xp.c].chunks(PERIOD);
            let yr = y[yp.at(r, 0)..][..xp.w * xp.c].chunks_mut(PERIOD);
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
        for r in 0..xp.h {
            for p in 0..xp.w {
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
unsafe fn parts_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: Affine<'_>,
    y: &mut [f32],
    yp: Plane,
) {
    let k = narrow(xp.c, stats, affine);
    for r in 0..xp.h {
        let xr = x[xp.at(r, 0)..][..xp.w * xp.c].chunks(PERIOD);
        let yr = y[yp.at(r, 0)..][..2 * xp.w * xp.c].chunks_mut(2 * PERIOD);
        for (xs, ys) in xr.zip(yr) {
            for (l, (v, out)) in xs.iter().zip(ys.as_chunks_mut::<2>().0).enumerate() {
                let shut = affine.relu && v * k.a[l] + k.b[l] <= 0.0;
                *out = if shut { [0.0; 2] } else { [(v - k.mean[l]) * k.rstd[l], 1.0] };
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "as the method that it serves")]
unsafe fn backward_kernel<S: Simd>(
    x: &[f32],
    xp: Plane,
    stats: &[GroupStats],
    affine: Affine<'_>,
    dy: &[f32],
    dyp: Plane,
    gradient: AffineGradient<'_>,
    means: &mut [[f32; 2]],
    dx: Option<(&mut [f32], Plane)>,
) {
    let per_group = xp.c / stats.len();
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
                let (x, dy) = (&x[xp.offset + first..], &dy[dyp.offset + first..]);
                gradient_sums::<S>(x, xp, dy, dyp, &k, affine.relu, &mut s1, &mut s2);
            }
        } else {
            for r in 0..xp.h {
                for p in 0..xp.w {
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
                    for r in 0..xp.h {
                        for p in 0..xp.w {
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
        for r in 0..xp.h {
            for p in 0..xp.w {
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
            for r in 0..xp.h {
                for p in 0..xp.w {
                    let v = S::load(x.as_ptr().add(r * xp.pitch + p * xp.stride + l));
                    let g = S::load(dy.as_ptr().add(r * dyp.pitch + p * dyp.stride + l));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    /// An image of odd size in a buffer with a border, filled from a flat `h * w * c` list.
    fn placed(plane: Plane, flat: &[f32]) -> Vec<f32> {
        let mut data = vec![0.0; plane.buffer_len()];
        for y in 0..plane.h {
            for x in 0..plane.w {
                let from = (y * plane.w + x) * plane.c;
                data[plane.at(y, x)..][..plane.c].copy_from_slice(&flat[from..from + plane.c]);
            }
        }
        data
    }

    fn flat(plane: Plane, data: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for y in 0..plane.h {
            for x in 0..plane.w {
                out.extend_from_slice(&data[plane.at(y, x)..][..plane.c]);
            }
        }
        out
    }

    /// The definition in f64: group norm, then the ReLU.
    fn plain(x: &[f64], c: usize, groups: usize, scale: &[f64], shift: &[f64], relu: bool) -> Vec<f64> {
        let per = c / groups;
        let mut y = vec![0.0; x.len()];
        for g in 0..groups {
            let members: Vec<usize> = (0..x.len()).filter(|i| i % c / per == g).collect();
            let n = members.len() as f64;
            let mean = members.iter().map(|&i| x[i]).sum::<f64>() / n;
            let var = members.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / n;
            for i in members {
                let v = (x[i] - mean) / (var + 1e-5).sqrt() * scale[i % c] + shift[i % c];
                y[i] = if relu { v.max(0.0) } else { v };
            }
        }
        y
    }

    #[track_caller]
    fn close(fast: &[f32], plain: &[f64], what: &str) {
        let norm = plain.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-3);
        let error = fast.iter().zip(plain).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
        assert!(error / norm < 1e-4, "{what}: relative error {}", error / norm);
    }

    #[track_caller]
    fn check(h: usize, w: usize, c: usize, groups: usize, relu: bool) {
        let (xp, yp) = (Plane::new(h, w, c, 0), Plane::new(h, w, c, 2));
        let n = h * w * c;
        // Far from zero on purpose: a one-pass variance would cancel here.
        let x: Vec<f32> = wave(n, 0.7).iter().map(|v| v + 10.0).collect();
        // Off zero: where both are zero, the ReLU sits on its kink.
        let (scale, shift) = (wave(c + 1, 1.3)[1..].to_vec(), wave(c + 1, 2.1)[1..].to_vec());
        // Not centred on zero, so that no sum over pixels cancels down to its own rounding error.
        let dy: Vec<f32> = wave(n, 0.37).iter().map(|v| v + 0.4).collect();
        let affine = Affine { scale: &scale, shift: &shift, relu };
        let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|v| f64::from(*v)).collect() };
        let (x64, scale64, shift64) = (wide(&x), wide(&scale), wide(&shift));
        let loss = |x: &[f64], scale: &[f64], shift: &[f64]| -> f64 {
            plain(x, c, groups, scale, shift, relu).iter().zip(&dy).map(|(a, b)| a * f64::from(*b)).sum()
        };
        let numeric_x: Vec<f64> = (0..n)
            .map(|i| {
                let at = |e: f64| {
                    let mut x = x64.clone();
                    x[i] += e;
                    loss(&x, &scale64, &shift64)
                };
                (at(1e-4) - at(-1e-4)) / 2e-4
            })
            .collect();
        for tier in Tier::available() {
            let what = format!("{tier:?} {h}x{w}x{c} in {groups}, relu {relu}");
            let xs = placed(xp, &x);
            let mut stats = vec![GroupStats::default(); groups];
            tier.group_stats(&xs, xp, 1e-5, &mut stats);
            let mut y = vec![0.0; yp.buffer_len()];
            tier.group_norm(&xs, xp, &stats, affine, &mut y, yp);
            close(&flat(yp, &y), &plain(&x64, c, groups, &scale64, &shift64, relu), &what);
            assert!(y.iter().filter(|v| **v != 0.0).count() <= n, "{what}: the border stays zero");

            let (mut gs, mut gb) = (vec![0.0; c], vec![0.0; c]);
            let mut dx = vec![0.0; xp.buffer_len()];
            let gradient = AffineGradient { scale: &mut gs, shift: &mut gb };
            let dys = placed(yp, &dy);
            tier.group_norm_backward(
                &xs,
                xp,
                &stats,
                affine,
                &dys,
                yp,
                gradient,
                &mut vec![[0.0; 2]; groups],
                Some((&mut dx, xp)),
            );
            close(&flat(xp, &dx), &numeric_x, &format!("{what}: dx"));
            let numeric = |which: usize| -> Vec<f64> {
                (0..c)
                    .map(|i| {
                        let at = |e: f64| {
                            let (mut s, mut b) = (scale64.clone(), shift64.clone());
                            if which == 0 {
                                s[i] += e;
                            } else {
                                b[i] += e;
                            }
                            loss(&x64, &s, &b)
                        };
                        (at(1e-4) - at(-1e-4)) / 2e-4
                    })
                    .collect()
            };
            close(&gs, &numeric(0), &format!("{what}: scale"));
            close(&gb, &numeric(1), &format!("{what}: shift"));
        }
    }

    #[test]
    fn group_norm_agrees_with_the_definition_and_with_finite_differences() {
        check(5, 7, 1, 1, false);
        check(5, 7, 1, 1, true);
        check(3, 4, 3, 3, false);
        check(2, 3, 32, 1, true);
        check(3, 2, 24, 4, false);
        check(3, 5, 48, 8, true);
        check(1, 1, 16, 2, false);
    }
}
