//! Means and deviations of groups of channels.

use super::{GroupStats, PERIOD, blocks, is_narrow};
use crate::simd::Simd;
use crate::{LANE_GROUP, Plane};

#[inline(always)]
pub(super) unsafe fn stats_kernel<S: Simd>(x: &[f32], plane: Plane, eps: f32, stats: &mut [GroupStats]) {
    let per_group = plane.c() / stats.len();
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
            unsafe { sums::<S>(&x[plane.offset() + first..], plane, &means, stage == 1, &mut lanes) }
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
            for r in 0..plane.h() {
                let row = x.as_ptr().add(r * plane.pitch() + lane);
                let mut p = 0;
                while p + 1 < plane.w() {
                    let a = S::sub(S::load(row.add(p * plane.stride())), mean);
                    let b = S::sub(S::load(row.add((p + 1) * plane.stride())), mean);
                    even = if square { S::fma(a, a, even) } else { S::add(a, even) };
                    odd = if square { S::fma(b, b, odd) } else { S::add(b, odd) };
                    p += 2;
                }
                if p < plane.w() {
                    let a = S::sub(S::load(row.add(p * plane.stride())), mean);
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
        for channel in 0..plane.c() {
            let mean = stats[channel * groups / plane.c()].mean;
            means[channel..].iter_mut().step_by(plane.c()).for_each(|m| *m = mean);
        }
        let lanes = narrow_sums(x, plane, &means, square);
        let per_group = plane.c() / groups;
        for (g, s) in stats.iter_mut().enumerate() {
            let of = |channel: usize| {
                lanes[channel..].iter().step_by(plane.c()).map(|v| f64::from(*v)).sum::<f64>()
            };
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
    let row = plane.w() * plane.c();
    let (rows, len) = if plane.pitch() == row { (1, plane.h() * row) } else { (plane.h(), row) };
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
