//! Parameters between PyTorch's layout, which everybody else sees, and the kernels'.

use super::plan::{BackLayout, Conv, GradientLayout, OpKind, Plan};
use alike_kernels::{Tier, padded};

/// A convolution's sizes: taps, input channels and their stride, maps and their stride.
#[derive(Clone, Copy)]
struct Sizes {
    taps: usize,
    c: usize,
    stride: usize,
    maps: usize,
    wide: usize,
}

impl Sizes {
    fn of(plan: &Plan, op: &super::plan::Op, conv: &Conv) -> Sizes {
        let (x, y) = (plan.tensors[op.x].plane, plan.tensors[op.y].plane);
        Sizes { taps: conv.window.taps(), c: x.c(), stride: x.stride(), maps: y.c(), wide: y.stride() }
    }

    /// Calls `f(tap, channel, map, index in PyTorch's maps x channels x kernel x kernel)`.
    fn each(self, mut f: impl FnMut(usize, usize, usize, usize)) {
        for map in 0..self.maps {
            for channel in 0..self.c {
                for tap in 0..self.taps {
                    f(tap, channel, map, (map * self.c + channel) * self.taps + tap);
                }
            }
        }
    }

    /// Where a weight lies for the forward pass: `[tap][channel][map]`.
    fn forward(self, tap: usize, channel: usize, map: usize) -> usize {
        (tap * self.stride + channel) * self.wide + map
    }

    fn by_map(self, tap: usize, channel: usize, map: usize) -> usize {
        map * padded(self.taps * self.stride) + tap * self.stride + channel
    }
}

/// Copies parameters to where the kernels read them; padding stays zero.
pub(super) fn pack(plan: &Plan, tier: Tier, flat: &[f32], packed: &mut [f32]) {
    for op in &plan.ops {
        if let OpKind::Norm(norm) = &op.kind {
            packed[norm.scale.packed_range()].copy_from_slice(&flat[norm.scale.flat.clone()]);
            packed[norm.shift.packed_range()].copy_from_slice(&flat[norm.shift.flat.clone()]);
        }
        let Some(conv) = op.kind.conv() else { continue };
        let s = Sizes::of(plan, op, conv);
        packed[conv.bias.packed..][..s.maps].copy_from_slice(&flat[conv.bias.flat.clone()]);
        let values = &flat[conv.weight.flat.clone()];
        let into = &mut packed[conv.weight.packed_range()];
        s.each(|tap, channel, map, i| into[s.forward(tap, channel, map)] = values[i]);
        let size = s.taps * s.stride * s.wide;
        if let Some(at) = &conv.winograd {
            // Transformed weights lie behind those that they come from.
            let (weights, into) = packed.split_at_mut(at.start);
            let weights = &weights[conv.weight.packed_range()];
            tier.winograd_weights(weights, s.stride, s.wide, &mut into[..at.len()]);
        }
        let Some(back) = &conv.back else { continue };
        let into = &mut packed[back.start..];
        s.each(|tap, channel, map, i| {
            let turned = s.taps - 1 - tap;
            let at = match back.layout {
                BackLayout::Turned => (turned * s.wide + map) * s.stride + channel,
                BackLayout::TurnedByChannel => (channel * s.taps + turned) * s.wide + map,
                BackLayout::ByMap => s.by_map(tap, channel, map),
            };
            into[at] = values[i];
        });
        if let Some(at) = &back.winograd {
            let (weights, into) = packed.split_at_mut(at.start);
            let weights = &weights[back.start..][..size];
            tier.winograd_weights(weights, s.wide, s.stride, &mut into[..at.len()]);
        }
    }
}

/// The way back, for gradients. `packed` holds the parameters that they belong to.
pub(super) fn unpack_gradient(plan: &Plan, packed: &[f32], sum: &[f32], flat: &mut [f32]) {
    for op in &plan.ops {
        if let OpKind::Norm(norm) = &op.kind
            && !norm.folded
        {
            flat[norm.scale.flat.clone()].copy_from_slice(&sum[norm.scale.gradient_range()]);
            flat[norm.shift.flat.clone()].copy_from_slice(&sum[norm.shift.gradient_range()]);
        }
        let Some(conv) = op.kind.conv() else { continue };
        let s = Sizes::of(plan, op, conv);
        flat[conv.bias.flat.clone()].copy_from_slice(&sum[conv.bias.gradient..][..s.maps]);
        let from = &sum[conv.weight.gradient_range()];
        let start = conv.weight.flat.start;
        match &conv.gradient {
            GradientLayout::AsWeights => {
                s.each(|tap, channel, map, i| flat[start + i] = from[s.forward(tap, channel, map)]);
            }
            GradientLayout::ByMap => {
                s.each(|tap, channel, map, i| flat[start + i] = from[s.by_map(tap, channel, map)]);
            }
            GradientLayout::Parts { norm, .. } => {
                let OpKind::Norm(norm) = &plan.ops[*norm].kind else { unreachable!("parts are a norm's") };
                let weights = &packed[conv.weight.packed_range()];
                let (scale, shift) = (&packed[norm.scale.packed_range()], &packed[norm.shift.packed_range()]);
                let (mut by_scale, mut by_shift) = (vec![0.0f64; s.c], vec![0.0f64; s.c]);
                s.each(|tap, channel, map, i| {
                    let part = |p: usize| from[(tap * 2 * s.c + 2 * channel + p) * s.wide + map];
                    let weight = f64::from(weights[s.forward(tap, channel, map)]);
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
    }
}
