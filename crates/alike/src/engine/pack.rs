//! Parameters between PyTorch's layout, which everybody else sees, and the kernels'.

use super::plan::{OpKind, Plan};
use alike_kernels::padded;

/// A convolution's sizes: taps along a side, input channels and their stride, maps and their stride.
#[derive(Clone, Copy)]
struct Sizes {
    kernel: usize,
    c: usize,
    stride: usize,
    maps: usize,
    wide: usize,
}

impl Sizes {
    fn taps(self) -> usize {
        self.kernel * self.kernel
    }

    /// Calls `f(tap, channel, map, index in PyTorch's maps x channels x kernel x kernel)`.
    fn each(self, mut f: impl FnMut(usize, usize, usize, usize)) {
        for map in 0..self.maps {
            for channel in 0..self.c {
                for tap in 0..self.taps() {
                    f(tap, channel, map, (map * self.c + channel) * self.taps() + tap);
                }
            }
        }
    }
}

fn sizes(plan: &Plan, op: &super::plan::Op, kernel: usize) -> Sizes {
    let (x, y) = (plan.tensors[op.x].plane, plan.tensors[op.y].plane);
    Sizes { kernel, c: x.c, stride: x.stride, maps: y.c, wide: y.stride }
}

/// Weights become `[tap][channel][map]`, maps padded with zeros. For the input's gradient they are packed once more,
/// turned by 180 degrees: `[tap][map][channel]`, or `[channel][tap][map]` where channels are too few for vectors.
pub(super) fn pack(plan: &Plan, flat: &[f32], packed: &mut [f32]) {
    for op in &plan.ops {
        match &op.kind {
            OpKind::Norm { scale, shift, .. } => {
                packed[scale.packed_range()].copy_from_slice(&flat[scale.flat.clone()]);
                packed[shift.packed_range()].copy_from_slice(&flat[shift.flat.clone()]);
            }
            OpKind::Conv { kernel, weight, bias, flipped, .. } => {
                let s = sizes(plan, op, *kernel);
                packed[bias.packed..][..s.maps].copy_from_slice(&flat[bias.flat.clone()]);
                let values = &flat[weight.flat.clone()];
                let into = &mut packed[weight.packed_range()];
                s.each(|tap, channel, map, i| into[(tap * s.stride + channel) * s.wide + map] = values[i]);
                if plan.tensors[op.x].needs_gradient {
                    let lanes = plan.tensors[op.x].plane.in_lanes();
                    let columns = if lanes { s.stride } else { s.c };
                    let into = &mut packed[*flipped..][..s.taps() * s.wide * columns];
                    s.each(|tap, channel, map, i| {
                        let turned = s.taps() - 1 - tap;
                        let at = if lanes {
                            (turned * s.wide + map) * columns + channel
                        } else {
                            (channel * s.taps() + turned) * s.wide + map
                        };
                        into[at] = values[i];
                    });
                }
            }
            OpKind::Relu | OpKind::MaxPool { .. } | OpKind::Gap | OpKind::L2 => {}
        }
    }
    debug_assert!(packed.len() >= padded(plan.packed_len), "the buffer holds every parameter");
}

/// The way back, for gradients.
pub(super) fn unpack_gradient(plan: &Plan, packed: &[f32], flat: &mut [f32]) {
    for op in &plan.ops {
        match &op.kind {
            OpKind::Norm { scale, shift, .. } => {
                flat[scale.flat.clone()].copy_from_slice(&packed[scale.gradient_range()]);
                flat[shift.flat.clone()].copy_from_slice(&packed[shift.gradient_range()]);
            }
            OpKind::Conv { kernel, weight, bias, .. } => {
                let s = sizes(plan, op, *kernel);
                flat[bias.flat.clone()].copy_from_slice(&packed[bias.gradient..][..s.maps]);
                let values = &mut flat[weight.flat.clone()];
                let from = &packed[weight.gradient_range()];
                s.each(|tap, channel, map, i| values[i] = from[(tap * s.stride + channel) * s.wide + map]);
            }
            OpKind::Relu | OpKind::MaxPool { .. } | OpKind::Gap | OpKind::L2 => {}
        }
    }
}
