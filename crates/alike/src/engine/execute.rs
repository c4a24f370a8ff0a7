//! One image through the plan, forward and backward.

use super::plan::{OpKind, Plan, Tensor};
use alike_kernels::{Affine, AffineGradient, AlignedBuffer, GroupStats, Plane, Tier, padded};

/// What an image keeps from its forward pass.
pub(super) struct Tape<'a> {
    pub(super) floats: &'a mut [f32],
    pub(super) places: &'a mut [u8],
    pub(super) stats: &'a mut [GroupStats],
}

/// A tape with memory of its own, for images that need no backward pass.
#[derive(Debug)]
pub(super) struct OwnTape {
    floats: AlignedBuffer,
    places: Vec<u8>,
    stats: Vec<GroupStats>,
}

impl OwnTape {
    pub(super) fn borrow(&mut self) -> Tape<'_> {
        Tape { floats: &mut self.floats, places: &mut self.places, stats: &mut self.stats }
    }
}

/// The memory of one thread. Borders are zero from the start, and nothing writes to them.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) run: Run,
    pub(super) tape: OwnTape,
}

/// What passes through a thread while an image does: activations that nobody needs later, and gradients.
#[derive(Debug)]
pub(super) struct Run {
    scratch: AlignedBuffer,
    flow: AlignedBuffer,
}

impl Workspace {
    pub(super) fn new(plan: &Plan) -> Workspace {
        let sizes = plan.tape_sizes();
        Workspace {
            run: Run {
                scratch: AlignedBuffer::new(plan.scratch_len),
                flow: AlignedBuffer::new(plan.flow_len),
            },
            tape: OwnTape {
                floats: AlignedBuffer::new(sizes.floats),
                places: vec![0; sizes.places],
                stats: vec![GroupStats::default(); sizes.stats],
            },
        }
    }
}

/// A norm of at least this divides an embedding, as in `torch.nn.functional.normalize`.
const L2_EPS: f32 = 1e-12;

impl Plan {
    pub(super) fn forward(
        &self,
        tier: Tier,
        packed: &[f32],
        image: &[u8],
        tape: Tape<'_>,
        run: &mut Run,
        embedding: &mut [f32],
    ) {
        let Tape { floats, places, stats } = tape;
        let scratch = &mut *run.scratch;
        read_image(image, &self.tensors[0], floats, scratch);
        for op in &self.ops {
            let (tx, ty) = (&self.tensors[op.x], &self.tensors[op.y]);
            let (xp, yp) = (tx.plane, ty.plane);
            let (x, y) = input_output(tx, ty, floats, scratch);
            match &op.kind {
                OpKind::Norm { eps, relu, stats: at, scale, shift, .. } => {
                    let stats = &mut stats[at.clone()];
                    tier.group_stats(x, xp, *eps, stats);
                    let affine = Affine {
                        scale: &packed[scale.packed_range()],
                        shift: &packed[shift.packed_range()],
                        relu: *relu,
                    };
                    tier.group_norm(x, xp, stats, affine, y, yp);
                }
                OpKind::Relu => {
                    // As PyTorch's: a NaN stays one.
                    rows(xp, x, yp, y, |v, out| *out = if v < 0.0 { 0.0 } else { v });
                }
                OpKind::Conv { kernel, pad, weight, bias, .. } => tier.matmul(
                    x,
                    xp.windows(*kernel, *pad),
                    &packed[weight.packed_range()],
                    &packed[bias.packed_range()],
                    y,
                    yp.as_rows(),
                ),
                OpKind::MaxPool { window, places: at } => {
                    tier.max_pool(x, xp, *window, y, yp, &mut places[at.clone()]);
                }
                OpKind::Gap => tier.average(x, xp, &mut y[yp.offset..]),
                OpKind::L2 => {
                    let x = &x[xp.offset..][..xp.c];
                    let norm = length(x).max(L2_EPS);
                    for (out, v) in y[yp.offset..].iter_mut().zip(x) {
                        *out = v / norm;
                    }
                }
            }
        }
        let last = &self.tensors[self.tensors.len() - 1];
        let data = if last.kept { &*floats } else { &*scratch };
        embedding.copy_from_slice(&data[last.start + last.plane.offset..][..embedding.len()]);
    }

    pub(super) fn backward(
        &self,
        tier: Tier,
        packed: &[f32],
        tape: Tape<'_>,
        run: &mut Run,
        embedding_gradient: &[f32],
        sum: &mut [f32],
    ) {
        let Tape { floats, places, stats } = tape;
        let flow = &mut *run.flow;
        let last = &self.tensors[self.tensors.len() - 1];
        flow[last.flow_start + last.flow.offset..][..embedding_gradient.len()]
            .copy_from_slice(embedding_gradient);
        for op in self.ops.iter().rev() {
            let (tx, ty) = (&self.tensors[op.x], &self.tensors[op.y]);
            if !ty.needs_gradient {
                break;
            }
            let (before, after) = flow.split_at_mut(ty.flow_start);
            let dy = &after[..ty.flow.buffer_len()];
            let (dxp, dyp) = (tx.flow, ty.flow);
            let wanted = tx.needs_gradient;
            let dx = &mut before[tx.flow_range()];
            match &op.kind {
                OpKind::Norm { relu, stats: at, scale, shift, .. } => {
                    let affine = Affine {
                        scale: &packed[scale.packed_range()],
                        shift: &packed[shift.packed_range()],
                        relu: *relu,
                    };
                    // Slots are taken scale first, so one split reaches both.
                    let (low, high) = sum.split_at_mut(shift.gradient);
                    let gradient = AffineGradient {
                        scale: &mut low[scale.gradient_range()],
                        shift: &mut high[..shift.packed_len],
                    };
                    let dx = wanted.then_some((dx, dxp));
                    let x = &floats[tx.range()];
                    tier.group_norm_backward(x, tx.plane, &stats[at.clone()], affine, dy, dyp, gradient, dx);
                }
                OpKind::Relu => {
                    let y = &floats[ty.range()];
                    relu_backward(ty.plane, y, dyp, dy, dxp, dx);
                }
                OpKind::Conv { kernel, pad, weight, bias, flipped } => {
                    let x = &floats[tx.range()];
                    let rows = dyp.as_rows();
                    tier.row_sum_add(dy, rows, &mut sum[bias.gradient_range()]);
                    let windows = tx.plane.windows(*kernel, *pad);
                    tier.transposed_matmul_add(x, windows, dy, rows, &mut sum[weight.gradient_range()]);
                    if wanted {
                        let windows = dyp.windows(*kernel, kernel - 1 - pad);
                        convolve_back(tier, dy, windows, packed, *flipped, dx, dxp);
                    }
                }
                OpKind::MaxPool { window, places: at } if wanted => {
                    tier.max_pool_backward(dy, dyp, &places[at.clone()], *window, dx, dxp);
                }
                OpKind::Gap if wanted => tier.average_backward(&dy[dyp.offset..], dx, dxp),
                OpKind::L2 if wanted => {
                    let x = &floats[tx.range()][tx.plane.offset..][..tx.plane.c];
                    let dy = &dy[dyp.offset..][..dyp.c];
                    let norm = length(x);
                    let dot: f32 = x.iter().zip(dy).map(|(a, b)| a * b).sum();
                    // Below the floor the divisor is a constant.
                    let pull = if norm > L2_EPS { dot / (norm * norm) } else { 0.0 };
                    for ((out, v), g) in dx[dxp.offset..].iter_mut().zip(x).zip(dy) {
                        *out = (g - v * pull) / norm.max(L2_EPS);
                    }
                }
                OpKind::MaxPool { .. } | OpKind::Gap | OpKind::L2 => {}
            }
        }
    }
}

/// The input's gradient of a convolution: a convolution of the output's gradient with the turned weights.
fn convolve_back(
    tier: Tier,
    dy: &[f32],
    windows: alike_kernels::Windows,
    packed: &[f32],
    flipped: usize,
    dx: &mut [f32],
    dxp: Plane,
) {
    let depth = windows.columns();
    if dxp.in_lanes() {
        const NO_BIAS: [f32; 4096] = [0.0; 4096];
        let weights = &packed[flipped..][..depth * dxp.stride];
        tier.matmul(dy, windows, weights, &NO_BIAS[..dxp.stride], dx, dxp.as_rows());
    } else {
        // A picture's few channels: an inner product each. Their plane is dense where it has no border.
        assert_eq!(dxp.border, 0, "the gradient of a narrow tensor has no border");
        for channel in 0..dxp.c {
            let weights = &packed[flipped + channel * depth..][..depth];
            tier.dots(dy, windows, weights, &mut dx[channel..], dxp.stride);
        }
    }
}

/// Bytes become numbers from 0 to 1.
fn read_image(image: &[u8], tensor: &Tensor, floats: &mut [f32], scratch: &mut [f32]) {
    let p = tensor.plane;
    let buffer = if tensor.kept { &mut floats[tensor.range()] } else { &mut scratch[tensor.range()] };
    for (y, row) in image.chunks_exact(p.w * p.c).enumerate() {
        if p.stride == p.c {
            for (to, from) in buffer[p.at(y, 0)..].iter_mut().zip(row) {
                *to = f32::from(*from) * (1.0 / 255.0);
            }
        } else {
            for (x, pixel) in row.chunks_exact(p.c).enumerate() {
                for (to, from) in buffer[p.at(y, x)..].iter_mut().zip(pixel) {
                    *to = f32::from(*from) * (1.0 / 255.0);
                }
            }
        }
    }
}

/// The buffers of an operation's input and output, whichever of the two memories each lies in.
fn input_output<'a>(
    x: &Tensor,
    y: &Tensor,
    floats: &'a mut [f32],
    scratch: &'a mut [f32],
) -> (&'a [f32], &'a mut [f32]) {
    match (x.kept, y.kept) {
        (true, false) => (&floats[x.range()], &mut scratch[y.range()]),
        (false, true) => (&scratch[x.range()], &mut floats[y.range()]),
        (both, _) => {
            let memory = if both { floats } else { scratch };
            let (before, after) = memory.split_at_mut(y.start);
            (&before[x.range()], &mut after[..y.plane.buffer_len()])
        }
    }
}

fn rows(xp: Plane, x: &[f32], yp: Plane, y: &mut [f32], f: impl Fn(f32, &mut f32)) {
    for r in 0..xp.h {
        let from = &x[xp.at(r, 0)..][..xp.w * xp.stride];
        for (v, out) in from.iter().zip(&mut y[yp.at(r, 0)..]) {
            f(*v, out);
        }
    }
}

fn relu_backward(yp: Plane, y: &[f32], dyp: Plane, dy: &[f32], dxp: Plane, dx: &mut [f32]) {
    for r in 0..yp.h {
        let y = &y[yp.at(r, 0)..][..yp.w * yp.stride];
        for ((v, g), out) in y.iter().zip(&dy[dyp.at(r, 0)..]).zip(&mut dx[dxp.at(r, 0)..]) {
            *out = if *v <= 0.0 { 0.0 } else { *g };
        }
    }
}

fn length(v: &[f32]) -> f32 {
    v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32
}

const _: () = assert!(padded(4096) == 4096, "the widest layer is whole lane groups");
