//! One image's gradient, back through the plan.

use super::forward::{L2_EPS, add, carry, copy, length, reached, strips};
use super::plan::{BackLayout, Conv, GradientLayout, Op, OpKind, Plan, PoolBackward, Tensor};
use super::workspace::{Memory, Run, Tape};
use alike_kernels::{
    AffineGradient, Plane, PoolWindow, Sliding, SparseConv, Tier, Windows, padded, winograd_scratch_len,
};

impl Plan {
    /// Adds the parameters' gradients to `sum`, given that of the embedding.
    pub(super) fn backward(
        &self,
        tier: Tier,
        packed: &[f32],
        tape: &mut Tape,
        run: &mut Run,
        embedding_gradient: &[f32],
        sum: &mut [f32],
    ) {
        // Most images of a late epoch lie beyond every margin, and a gradient of zero has nothing to add.
        if embedding_gradient.iter().all(|g| *g == 0.0) {
            return;
        }
        let Tape { floats, places, stats } = tape;
        let Run { scratch, flow, at, values, columns, tiles, means, .. } = run;
        let mut memory = Memory { floats, scratch };
        let last = &self.tensors[self.tensors.len() - 1];
        flow[last.flow_start + last.flow.offset()..][..embedding_gradient.len()]
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
                OpKind::Norm(norm) => {
                    // Slots are taken scale first, so one split reaches both.
                    let (low, high) = sum.split_at_mut(norm.shift.gradient);
                    let gradient = AffineGradient {
                        scale: &mut low[norm.scale.gradient_range()],
                        shift: &mut high[..norm.shift.gradient_len],
                    };
                    let (x, stats) = (memory.read(tx), &stats[norm.stats.clone()]);
                    let dx = wanted.then_some((dx, dxp));
                    let affine = norm.affine(packed);
                    tier.group_norm_backward(x, tx.plane, stats, affine, dy, dyp, gradient, means, dx);
                }
                OpKind::Relu => relu_backward(ty.plane, memory.read(ty), dyp, dy, dxp, dx),
                OpKind::Conv(conv) => {
                    let rows = dyp.as_rows();
                    tier.row_sum_add(dy, rows, &mut sum[conv.bias.gradient_range()]);
                    let input = self.conv_input(tier, packed, op, conv, &mut memory, stats);
                    let windows = input.plane.windows(conv.window);
                    let into = &mut sum[conv.weight.gradient_range()];
                    tier.transposed_matmul_add(memory.read(input), windows, dy, rows, into);
                    if wanted {
                        conv.input_gradient(tier, packed, (dy, dyp), (dx, dxp), columns, tiles);
                    }
                }
                OpKind::ConvPool { conv, window, places: range, strip, backward } => {
                    tier.row_sum_add(dy, dyp.as_rows(), &mut sum[conv.bias.gradient_range()]);
                    let places = &places[range.clone()];
                    if *backward == PoolBackward::Sparse {
                        let input = self.conv_input(tier, packed, op, conv, &mut memory, stats);
                        let list = winners(tx, dyp, dy, conv, *window, places, at, values);
                        let into = &mut sum[conv.weight.gradient_range()];
                        tier.sparse_weights_add(list.conv, list.at, list.values, memory.read(input), into);
                        if wanted {
                            dx.fill(0.0);
                            tier.sparse_input_add(
                                list.conv,
                                list.at,
                                list.values,
                                conv.weights_back(packed),
                                dx,
                            );
                            clear_border(dx, dxp);
                        }
                    } else {
                        let input = self.conv_input(tier, packed, op, conv, &mut memory, stats);
                        let (x, own) = memory.pair(input, strip);
                        let into = &mut sum[conv.weight.gradient_range()];
                        let (x, own) = ((x, input.plane), (own, strip.plane));
                        rows_backward(tier, conv, *window, places, x, (dy, dyp), own, into);
                    }
                }
                OpKind::ConvGap { conv, sums } => {
                    let rows = dyp.as_rows();
                    tier.row_sum_add(dy, rows, &mut sum[conv.bias.gradient_range()]);
                    let width = conv.window.taps() * tx.plane.stride();
                    let row = Windows::matrix(1, width, width);
                    let into = &mut sum[conv.weight.gradient_range()];
                    tier.transposed_matmul_add(memory.read(&self.tensors[*sums]), row, dy, rows, into);
                    if wanted {
                        let windows = dxp.windows(conv.window);
                        let column = &mut columns[..width];
                        column.fill(0.0);
                        tier.matmul_add(dy, rows, conv.weights_back(packed), column, row);
                        let scale = 1.0 / windows.rows() as f32;
                        column.iter_mut().for_each(|v| *v *= scale);
                        dx.fill(0.0);
                        tier.row_spread_add(column, dx, windows);
                        clear_border(dx, dxp);
                    }
                }
                OpKind::MaxPool { window, places: range } if wanted => {
                    tier.max_pool_backward(dy, dyp, &places[range.clone()], *window, dx, dxp);
                }
                OpKind::AvgPool { window } if wanted => {
                    tier.average_pool_backward(dy, dyp, *window, dx, dxp);
                }
                OpKind::Fork => add(dy, dyp, dx, dxp),
                OpKind::Add { skip } => {
                    copy(dy, dyp, dx, dxp);
                    // The unit's own part of this gradient is added when its fork is reached.
                    let skip = &self.tensors[*skip];
                    copy(dy, dyp, &mut before[skip.flow_range()], skip.flow);
                }
                OpKind::Gap if wanted => tier.average_backward(&dy[dyp.offset()..], dx, dxp),
                OpKind::L2 if wanted => {
                    let x = &memory.read(tx)[tx.plane.offset()..][..tx.plane.c()];
                    let dy = &dy[dyp.offset()..][..dyp.c()];
                    let norm = length(x);
                    let dot: f32 = x.iter().zip(dy).map(|(a, b)| a * b).sum();
                    // Below the floor the divisor is a constant.
                    let pull = if norm > L2_EPS { dot / (norm * norm) } else { 0.0 };
                    for ((out, v), g) in dx[dxp.offset()..].iter_mut().zip(x).zip(dy) {
                        *out = (g - v * pull) / norm.max(L2_EPS);
                    }
                }
                OpKind::MaxPool { .. } | OpKind::AvgPool { .. } | OpKind::Gap | OpKind::L2 => {}
            }
        }
    }

    /// What a convolution's weight gradient is summed over: its input, made again where it was not kept, or the parts of
    /// the normalisation before it.
    fn conv_input<'a>(
        &'a self,
        tier: Tier,
        packed: &[f32],
        op: &Op,
        conv: &'a Conv,
        memory: &mut Memory<'_>,
        stats: &[alike_kernels::GroupStats],
    ) -> &'a Tensor {
        let input = &self.tensors[op.x];
        let (norm, into) = match (&conv.gradient, conv.renorm) {
            (GradientLayout::Parts { norm, parts }, _) => (*norm, parts),
            (_, Some(norm)) => (norm, input),
            (_, None) => return input,
        };
        let before = &self.tensors[self.ops[norm].x];
        let OpKind::Norm(norm) = &self.ops[norm].kind else { unreachable!("the operation of a norm") };
        let (stats, affine) = (&stats[norm.stats.clone()], norm.affine(packed));
        let (x, y) = memory.pair(before, into);
        if norm.folded {
            tier.group_norm_parts(x, before.plane, stats, affine, y, into.plane);
        } else {
            tier.group_norm(x, before.plane, stats, affine, y, into.plane);
        }
        into
    }
}

impl Conv {
    fn weights_back<'a>(&self, packed: &'a [f32]) -> &'a [f32] {
        self.back.as_ref().map_or(&[], |back| &packed[back.start..])
    }

    /// The input's gradient: a convolution of the output's gradient with the turned weights, or every pixel's gradient
    /// times the weights, added to its window.
    fn input_gradient(
        &self,
        tier: Tier,
        packed: &[f32],
        (dy, dyp): (&[f32], Plane),
        (dx, dxp): (&mut [f32], Plane),
        columns: &mut [f32],
        tiles: &mut [f32],
    ) {
        const NO_BIAS: [f32; 4096] = [0.0; 4096];
        let Some(back) = &self.back else { return };
        let weights = &packed[back.start..];
        if back.layout == BackLayout::ByMap {
            let windows = dxp.windows(self.window);
            let width = padded(windows.columns());
            dx.fill(0.0);
            let columns = &mut columns[..dyp.w() * width];
            for row in 0..dyp.h() {
                columns.fill(0.0);
                let out = Windows::matrix(dyp.w(), width, width);
                tier.matmul_add(dy, dyp.rows(row, 1).as_rows(), weights, columns, out);
                tier.rows_add(columns, width, dx, windows.blocks(row, 1));
            }
            return clear_border(dx, dxp);
        }
        let side = self.window.h;
        let turned = Sliding { h: side, w: side, pad: side - 1 - self.window.pad, stride: 1 };
        let windows = dyp.windows(turned);
        let depth = windows.columns();
        if back.layout == BackLayout::Turned {
            let (weights, bias) = (&weights[..depth * dxp.stride()], &NO_BIAS[..dxp.stride()]);
            if let Some(at) = &back.winograd {
                let tiles = &mut tiles[..winograd_scratch_len(dyp.stride(), dxp.stride())];
                return tier.winograd(dy, windows, &packed[at.clone()], bias, dx, dxp.as_rows(), tiles);
            }
            tier.matmul(dy, windows, weights, bias, dx, dxp.as_rows());
        } else {
            // A picture's few channels: an inner product each. Their plane is dense where it has no border.
            assert_eq!(dxp.border(), 0, "the gradient of a narrow tensor has no border");
            for channel in 0..dxp.c() {
                tier.dots(
                    dy,
                    windows,
                    &weights[channel * depth..][..depth],
                    &mut dx[channel..],
                    dxp.stride(),
                );
            }
        }
    }
}

/// The winners of all windows: where the windows of the convolution's input begin, and the gradients.
struct Winners<'a> {
    conv: SparseConv,
    at: &'a [u32],
    values: &'a [f32],
}

#[expect(clippy::too_many_arguments, reason = "two operations at once see what both see")]
fn winners<'a>(
    tx: &Tensor,
    dyp: Plane,
    dy: &[f32],
    conv: &Conv,
    window: PoolWindow,
    places: &[u8],
    at: &'a mut [u32],
    values: &'a mut [f32],
) -> Winners<'a> {
    let xp = tx.plane;
    let (maps, pixels) = (dyp.c(), dyp.pixels());
    let corner = xp.offset() - conv.window.pad * (xp.pitch() + xp.stride());
    // From one output of the convolution to the next, in its input.
    let (down, right) = (conv.window.stride * xp.pitch(), conv.window.stride * xp.stride());
    let mut steps = [0u32; 256];
    for (k, step) in steps.iter_mut().enumerate().take(window.size() * window.size()) {
        *step = (k / window.size() * down + k % window.size() * right) as u32;
    }
    for y in 0..dyp.h() {
        for x in 0..dyp.w() {
            let pixel = y * dyp.w() + x;
            let base = (corner + y * window.stride() * down + x * window.stride() * right) as u32;
            let g = &dy[dyp.at(y, x)..][..maps];
            let places = &places[pixel * dyp.stride()..][..maps];
            for (map, (g, place)) in g.iter().zip(places).enumerate() {
                at[map * pixels + pixel] = base + steps[usize::from(*place)];
                values[map * pixels + pixel] = *g;
            }
        }
    }
    let conv = SparseConv::new(conv.window.h, xp.stride(), xp.pitch(), maps, pixels);
    Winners { conv, at: &at[..maps * pixels], values: &values[..maps * pixels] }
}

/// The weight gradient of a pooled convolution: by picking winners where the machine is good at that, else by strips. A
/// strip is done once no later window reaches it.
#[expect(clippy::too_many_arguments, reason = "two operations at once see what both see")]
fn rows_backward(
    tier: Tier,
    conv: &Conv,
    window: PoolWindow,
    places: &[u8],
    (x, xp): (&[f32], Plane),
    (dy, dyp): (&[f32], Plane),
    (own, strip): (&mut [f32], Plane),
    into: &mut [f32],
) {
    let windows = xp.windows(conv.window);
    if tier.picks_winners(&windows, window) {
        return tier.pooled_weights_add(x, windows, window, dy, dyp, places, into);
    }
    let per_row = dyp.w() * dyp.stride();
    for s in strips(strip, window, dyp.h()) {
        carry(own, strip, s.kept);
        own[strip.at(s.kept, 0)..strip.at(s.rows, 0)].fill(0.0);
        let places = &places[s.row * per_row..][..s.n * per_row];
        let rows = strip.rows(0, s.rows);
        tier.max_pool_backward_add(dy, dyp.rows(s.row, s.n), places, window, own, rows);
        let done = s.rows - s.keeps;
        let from = reached(windows, strip, s.row * window.stride(), done);
        tier.transposed_matmul_add(x, from, own, strip.rows(0, done).as_rows(), into);
    }
}

/// Zeroes what was added to the border: a convolution before it reads zeros there.
fn clear_border(dx: &mut [f32], p: Plane) {
    if p.border() == 0 {
        return;
    }
    let side = p.border() * p.stride();
    dx[..p.border() * p.pitch()].fill(0.0);
    for row in 0..p.h() {
        let begin = (p.border() + row) * p.pitch();
        dx[begin..begin + side].fill(0.0);
        dx[begin + p.pitch() - side..begin + p.pitch()].fill(0.0);
    }
    dx[(p.border() + p.h()) * p.pitch()..p.buffer_len()].fill(0.0);
}

fn relu_backward(yp: Plane, y: &[f32], dyp: Plane, dy: &[f32], dxp: Plane, dx: &mut [f32]) {
    for r in 0..yp.h() {
        let y = &y[yp.at(r, 0)..][..yp.w() * yp.stride()];
        for ((v, g), out) in y.iter().zip(&dy[dyp.at(r, 0)..]).zip(&mut dx[dxp.at(r, 0)..]) {
            *out = if *v <= 0.0 { 0.0 } else { *g };
        }
    }
}

const _: () = assert!(padded(4096) == 4096, "the widest layer is whole lane groups");
