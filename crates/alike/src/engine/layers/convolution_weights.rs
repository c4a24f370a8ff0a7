//! A convolution's weights between PyTorch's layout, which everybody else sees, and the kernels'.

use super::PackedGradient;
use super::convolution::Convolution;
use super::norm::Norm;
use crate::engine::plan::Tensor;
use alike_kernels::{Plane, Sliding, Tier, padded};
use std::ops::Range;

/// Weights for the gradient of a convolution's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackWeights {
    pub(super) start: usize,
    pub(super) layout: BackLayout,
    /// As [`Convolution::winograd`], for turned weights.
    pub(super) winograd: Option<Range<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackLayout {
    /// Turned by 180 degrees, `[tap][out channel][channel]`: a convolution of the output's gradient.
    Turned,
    /// Turned, `[channel][tap][out channel]`, where channels are too few for vectors.
    TurnedByChannel,
    /// `[out channel][tap][channel]`, whole lane groups a row: an output's gradient is added to its window.
    ByOutChannel,
}

impl BackLayout {
    pub(super) fn choose(by_out_channel: bool, window: Sliding, input: Plane) -> BackLayout {
        // A gradient that slides back needs a stride of one, and a window that reaches into the image everywhere.
        let slides = window.stride == 1 && window.pad < window.h.min(window.w) && window.h == window.w;
        match (by_out_channel || !slides, input.in_lanes()) {
            (true, _) => BackLayout::ByOutChannel,
            (false, true) => BackLayout::Turned,
            (false, false) => BackLayout::TurnedByChannel,
        }
    }

    /// Floats of the weights in this layout.
    pub(super) fn size(self, taps: usize, input: Plane, out_stride: usize) -> usize {
        match self {
            BackLayout::Turned => taps * out_stride * input.stride(),
            BackLayout::TurnedByChannel => taps * out_stride * input.c(),
            BackLayout::ByOutChannel => out_stride * padded(taps * input.stride()),
        }
    }
}

/// How a convolution's weight gradient is summed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GradientLayout {
    /// `[tap][channel][out channel]`, as the forward pass reads weights.
    AsWeights,
    /// `[out channel][tap][channel]`.
    ByOutChannel,
    /// `[tap][channel, two parts][out channel]`: by the two parts of the normalisation before it (see
    /// [`alike_kernels::Tier::group_norm_parts`]).
    Parts {
        /// The normalisation's step.
        norm: usize,
        /// Where a thread keeps an image's parts.
        parts: Tensor,
    },
}

/// A convolution's sizes: taps, channels and their stride, output channels and their stride.
#[derive(Clone, Copy)]
struct Sizes {
    taps: usize,
    c: usize,
    stride: usize,
    out_channels: usize,
    out_stride: usize,
}

impl Sizes {
    /// Calls `f(tap, channel, out channel, index in PyTorch's out channels x channels x kernel x kernel)`.
    fn each(self, mut f: impl FnMut(usize, usize, usize, usize)) {
        for out in 0..self.out_channels {
            for channel in 0..self.c {
                for tap in 0..self.taps {
                    f(tap, channel, out, (out * self.c + channel) * self.taps + tap);
                }
            }
        }
    }

    /// Where a weight lies for the forward pass: `[tap][channel][out channel]`.
    fn forward(self, tap: usize, channel: usize, out: usize) -> usize {
        (tap * self.stride + channel) * self.out_stride + out
    }

    fn by_out_channel(self, tap: usize, channel: usize, out: usize) -> usize {
        out * padded(self.taps * self.stride) + tap * self.stride + channel
    }
}

impl Convolution {
    fn sizes(&self, (x, y): (Plane, Plane)) -> Sizes {
        Sizes {
            taps: self.window.taps(),
            c: x.c(),
            stride: x.stride(),
            out_channels: y.c(),
            out_stride: y.stride(),
        }
    }

    /// Copies weights and bias to where the kernels read them, transformed and turned where a step needs them so.
    pub(super) fn pack_weights(&self, planes: (Plane, Plane), tier: Tier, flat: &[f32], packed: &mut [f32]) {
        let s = self.sizes(planes);
        packed[self.bias.packed..][..s.out_channels].copy_from_slice(&flat[self.bias.flat.clone()]);
        let values = &flat[self.weight.flat.clone()];
        let into = &mut packed[self.weight.packed_range()];
        s.each(|tap, channel, out, i| into[s.forward(tap, channel, out)] = values[i]);
        if let Some(at) = &self.winograd {
            // Transformed weights lie behind those that they come from.
            let (weights, into) = packed.split_at_mut(at.start);
            let weights = &weights[self.weight.packed_range()];
            tier.winograd_weights(weights, s.stride, s.out_stride, &mut into[..at.len()]);
        }
        let Some(back) = &self.back else { return };
        let into = &mut packed[back.start..];
        s.each(|tap, channel, out, i| {
            let turned = s.taps - 1 - tap;
            let at = match back.layout {
                BackLayout::Turned => (turned * s.out_stride + out) * s.stride + channel,
                BackLayout::TurnedByChannel => (channel * s.taps + turned) * s.out_stride + out,
                BackLayout::ByOutChannel => s.by_out_channel(tap, channel, out),
            };
            into[at] = values[i];
        });
        if let Some(at) = &back.winograd {
            let (weights, into) = packed.split_at_mut(at.start);
            let weights = &weights[back.start..][..s.taps * s.stride * s.out_stride];
            tier.winograd_weights(weights, s.out_stride, s.stride, &mut into[..at.len()]);
        }
    }

    /// Copies the gradients of weights and bias back; those of a folded normalisation come with them.
    pub(super) fn unpack_weight_gradient(
        &self,
        planes: (Plane, Plane),
        sums: &PackedGradient<'_>,
        flat: &mut [f32],
    ) {
        let s = self.sizes(planes);
        let start = self.weight.flat.start;
        let from = &sums.sum[self.weight.gradient_range()];
        flat[self.bias.flat.clone()].copy_from_slice(&sums.sum[self.bias.gradient..][..s.out_channels]);
        match &self.gradient {
            GradientLayout::AsWeights => {
                s.each(|tap, channel, out, i| flat[start + i] = from[s.forward(tap, channel, out)]);
            }
            GradientLayout::ByOutChannel => {
                s.each(|tap, channel, out, i| flat[start + i] = from[s.by_out_channel(tap, channel, out)]);
            }
            GradientLayout::Parts { norm, .. } => {
                self.unpack_parts(s, Norm::of(sums.plan, *norm), sums.packed, from, flat);
            }
        }
    }

    fn unpack_parts(&self, s: Sizes, norm: &Norm, packed: &[f32], from: &[f32], flat: &mut [f32]) {
        let start = self.weight.flat.start;
        let weights = &packed[self.weight.packed_range()];
        let (scale, shift) = (&packed[norm.scale.packed_range()], &packed[norm.shift.packed_range()]);
        let (mut by_scale, mut by_shift) = (vec![0.0f64; s.c], vec![0.0f64; s.c]);
        s.each(|tap, channel, out, i| {
            let part = |p: usize| from[(tap * 2 * s.c + 2 * channel + p) * s.out_stride + out];
            let weight = f64::from(weights[s.forward(tap, channel, out)]);
            flat[start + i] = scale[channel] * part(0) + shift[channel] * part(1);
            by_scale[channel] += weight * f64::from(part(0));
            by_shift[channel] += weight * f64::from(part(1));
        });
        for channel in 0..s.c {
            flat[norm.scale.flat.start + channel] = by_scale[channel] as f32;
            flat[norm.shift.flat.start + channel] = by_shift[channel] as f32;
        }
    }
}
