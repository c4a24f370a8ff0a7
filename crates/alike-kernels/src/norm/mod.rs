//! Group normalisation of one image, with or without a ReLU behind it (Wu and He 2018, <https://arxiv.org/abs/1803.08494>).

mod backward;
mod forward;
mod stats;
#[cfg(test)]
mod tests;

use crate::{LANE_GROUP, Plane, Tier};
use backward::backward_kernel;
use forward::{forward_kernel, parts_kernel};
use stats::stats_kernel;

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
pub struct ScaleShift<'a> {
    /// Gamma.
    pub scale: &'a [f32],
    /// Beta.
    pub shift: &'a [f32],
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Gradients that the backward pass adds to.
#[derive(Debug)]
pub struct ScaleShiftGradient<'a> {
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
        check_groups(plane, stats);
        assert!(
            plane.in_lanes() || is_narrow(plane),
            "group norm: channels in whole lane groups, or up to four"
        );
        assert!(plane.fits(x), "group norm: a buffer is too short");
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
        affine: ScaleShift<'_>,
        y: &mut [f32],
        yp: Plane,
    ) {
        assert_eq!(xp.shape(), yp.shape(), "group norm: shapes");
        check_groups(xp, stats);
        affine.check(xp);
        assert!(xp.in_lanes() || is_narrow(xp), "group norm: channels in whole lane groups, or up to four");
        assert!(xp.fits(x) && yp.fits(y), "group norm: a buffer is too short");
        dispatch!(
            self,
            forward_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: ScaleShift<'_>, y: &mut [f32], yp: Plane,
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
        affine: ScaleShift<'_>,
        y: &mut [f32],
        yp: Plane,
    ) {
        assert_eq!((xp.h(), xp.w(), 2 * xp.c(), 2 * xp.stride()), yp.shape(), "norm parts: shapes");
        assert!(is_narrow(xp) && xp.c() <= 4, "norm parts: a picture's few channels");
        check_groups(xp, stats);
        affine.check(xp);
        assert!(xp.fits(x) && yp.fits(y), "norm parts: a buffer is too short");
        dispatch!(
            self,
            parts_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: ScaleShift<'_>, y: &mut [f32], yp: Plane,
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
        affine: ScaleShift<'_>,
        dy: &[f32],
        dyp: Plane,
        gradient: ScaleShiftGradient<'_>,
        means: &mut [[f32; 2]],
        dx: Option<(&mut [f32], Plane)>,
    ) {
        assert!(means.len() >= stats.len(), "group norm: a pair of numbers a group");
        assert_eq!(xp.shape(), dyp.shape(), "group norm: shapes");
        check_groups(xp, stats);
        affine.check(xp);
        let channels = gradient.scale.len().min(gradient.shift.len());
        assert!(channels >= xp.c(), "group norm: a gradient of scale and of shift a channel");
        assert!(xp.fits(x) && dyp.fits(dy), "group norm: a buffer is too short");
        if let Some((dx, dxp)) = &dx {
            assert_eq!(xp.shape(), dxp.shape(), "group norm: shapes");
            assert!(dxp.fits(dx), "group norm: a buffer is too short");
        }
        dispatch!(
            self,
            backward_kernel(
                x: &[f32], xp: Plane, stats: &[GroupStats], affine: ScaleShift<'_>, dy: &[f32], dyp: Plane,
                gradient: ScaleShiftGradient<'_>, means: &mut [[f32; 2]], dx: Option<(&mut [f32], Plane)>,
            )
        );
    }
}

/// That groups are of equally many channels, all in one.
fn check_groups(plane: Plane, stats: &[GroupStats]) {
    assert!(!stats.is_empty() && plane.c().is_multiple_of(stats.len()), "group norm: groups divide channels");
}

impl ScaleShift<'_> {
    fn check(&self, plane: Plane) {
        let channels = self.scale.len().min(self.shift.len());
        assert!(channels >= plane.c(), "group norm: a scale and a shift a channel");
    }
}

/// Channels are walked in blocks of up to [`LANE_GROUP`], a vector at a time where the plane is in lanes.
fn blocks(plane: Plane) -> impl Iterator<Item = (usize, usize)> {
    let width = if plane.in_lanes() { LANE_GROUP } else { 1 };
    (0..plane.c()).step_by(width).map(move |first| (first, (plane.c() - first).min(width)))
}

/// A narrow plane's channel counts, 1 to 4, all divide this: a row's floats then repeat their channels with this period,
/// and are walked as vectors.
const PERIOD: usize = 48;

/// Whether a row is one run of floats whose channels repeat with [`PERIOD`].
fn is_narrow(plane: Plane) -> bool {
    plane.stride() == plane.c() && PERIOD.is_multiple_of(plane.c())
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
    affine: ScaleShift<'_>,
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
