//! A convolution and the max-pooling behind it in one step: strips of the convolution's rows are pooled while they lie in cache, and
//! never all are in memory.

use super::convolution::{Convolution, clear_border};
use super::{PackedGradient, Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::images::Shape;
use crate::model::LayerInfo;
use alike_kernels::{Plane, PoolWindow, Sliding, SparseConv, Tier, Windows, padded};
use std::ops::Range;

/// What a strip of the convolution's rows may take: half of a usual first-level cache.
const STRIP_BYTES: usize = 24 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct PooledConvolution {
    convolution: Convolution,
    window: PoolWindow,
    /// Where an image's tape says which value of each window was the largest.
    argmax: Range<usize>,
    /// Rows of the convolution that are in memory at a time.
    strip: Tensor,
    backward: PoolBackward,
}

/// How the backward pass of a pooled convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolBackward {
    /// By the largest value of each window alone.
    Sparse,
    /// By strips of the convolution's rows.
    Rows,
}

/// How a convolution of `input` and the max-pooling `next` are done in one step, if they are.
pub(super) fn choose(
    builder: &Builder,
    input: &Tensor,
    info: &LayerInfo,
    next: &LayerInfo,
    window: Sliding,
) -> Option<PoolBackward> {
    if !builder.rewrites.conv_pool {
        return None;
    }
    let (all, maxima) = (info.output.h * info.output.w, next.output.h * next.output.w);
    // A maximum costs about twice as much as a pixel of the dense gradient.
    let sparse = input.plane.in_lanes() && SparseConv::supports(window.h) && 2 * maxima <= all;
    match (sparse, input.needs_gradient) {
        (true, _) => Some(PoolBackward::Sparse),
        (false, false) => Some(PoolBackward::Rows),
        (false, true) => None,
    }
}

/// `shape` is that of the pooled output.
pub(super) fn plan(
    builder: &mut Builder,
    shape: Shape,
    convolution: Convolution,
    window: PoolWindow,
    backward: PoolBackward,
) {
    let x = builder.last();
    builder.tensors[x].kept |= convolution.keeps_input();
    let out_stride = padded(shape.c);
    let y = builder.output(shape, out_stride, true);
    let argmax = builder.take_argmax(y);
    let reached = (shape.w - 1) * window.stride() + window.size();
    // As many pooled rows at a time as stay in the first cache; gaps between windows would be computed in vain.
    let bytes = |n: usize| 4 * (window.size() + (n - 1) * window.stride()) * reached * out_stride;
    let most = if window.stride() > window.size() { 1 } else { shape.h };
    let rows = (1..=most).rev().find(|&n| bytes(n) <= STRIP_BYTES).unwrap_or(1);
    let height = window.size() + (rows - 1) * window.stride();
    let mut strip = Tensor::new(Shape { h: height, w: reached, c: shape.c }, 0, false);
    strip.plane = strip.plane.with_stride(out_stride);
    if backward == PoolBackward::Sparse {
        builder.gradient_border(x, convolution.window.pad);
        builder.need_sparse(shape.h * shape.w * shape.c);
    }
    let step = PooledConvolution { convolution, window, argmax, strip, backward };
    builder.push(x, y, Step::PooledConvolution(step));
}

/// Some rows of the convolution, and the pooled rows that they give.
#[derive(Clone, Copy)]
struct Strip {
    /// Pooled rows `row..row + n`.
    row: usize,
    n: usize,
    /// Rows at its top that the strip before it had at its end.
    kept: usize,
    /// Rows at its end that the next strip keeps.
    keeps: usize,
    /// Rows in all.
    rows: usize,
}

impl PooledConvolution {
    /// The strips of `rows` pooled rows.
    fn strips(&self, rows: usize) -> impl Iterator<Item = Strip> {
        let window = self.window;
        let step = (self.strip.plane.h() - window.size()) / window.stride() + 1;
        let shared = window.size().saturating_sub(window.stride());
        (0..rows).step_by(step).map(move |row| {
            let n = step.min(rows - row);
            Strip {
                row,
                n,
                kept: if row == 0 { 0 } else { shared },
                keeps: if row + n == rows { 0 } else { shared },
                rows: window.size() + (n - 1) * window.stride(),
            }
        })
    }

    /// Copies what the strip before had at its end to the top. All strips but the last are full.
    fn copy_overlap(&self, buffer: &mut [f32], kept: usize) {
        let strip = self.strip.plane;
        if kept > 0 {
            buffer.copy_within(strip.at(strip.h() - kept, 0)..strip.at(strip.h(), 0), strip.at(0, 0));
        }
    }

    /// Rows `first..first + n` of the convolution, as far to the right as pooling windows reach.
    fn pooled_rows(&self, windows: Windows, first: usize, n: usize) -> Windows {
        windows.blocks(first, n).narrowed(self.strip.plane.w())
    }

    /// The largest value of every window, as an entry of a sparse gradient: where its window of the convolution's input begins, and
    /// its gradient. They are written to the pass's `sparse_at` and `sparse_values`; what is returned says how to read them.
    fn list_maxima(&self, xp: Plane, dy: &[f32], dyp: Plane, pass: &mut BackwardPass<'_>) -> SparseConv {
        let (window, sliding) = (self.window, self.convolution.window);
        let argmax = &pass.argmax[self.argmax.clone()];
        let (at, values) = (&mut *pass.sparse_at, &mut *pass.sparse_values);
        let (out_channels, pixels) = (dyp.c(), dyp.pixels());
        let corner = xp.offset() - sliding.pad * (xp.pitch() + xp.stride());
        // From one output of the convolution to the next, in its input.
        let (down, right) = (sliding.stride * xp.pitch(), sliding.stride * xp.stride());
        let mut steps = [0u32; 256];
        for (k, step) in steps.iter_mut().enumerate().take(window.size() * window.size()) {
            *step = (k / window.size() * down + k % window.size() * right) as u32;
        }
        for y in 0..dyp.h() {
            for x in 0..dyp.w() {
                let pixel = y * dyp.w() + x;
                let base = (corner + y * window.stride() * down + x * window.stride() * right) as u32;
                let g = &dy[dyp.at(y, x)..][..out_channels];
                let argmax = &argmax[pixel * dyp.stride()..][..out_channels];
                for (out, (g, k)) in g.iter().zip(argmax).enumerate() {
                    at[out * pixels + pixel] = base + steps[usize::from(*k)];
                    values[out * pixels + pixel] = *g;
                }
            }
        }
        SparseConv::new(sliding.h, xp.stride(), xp.pitch(), out_channels, pixels)
    }

    /// The gradients of weights and input by the largest value of each window alone.
    fn sparse_backward(
        &self,
        tx: &Tensor,
        ty: &Tensor,
        gradients: &mut Gradients<'_>,
        pass: &mut BackwardPass<'_>,
    ) {
        let conv = &self.convolution;
        let input = conv.stored_input(tx, pass);
        let sparse = self.list_maxima(tx.plane, gradients.dy, ty.gradient, pass);
        let entries = ty.gradient.c() * ty.gradient.pixels();
        let (at, values) = (&pass.sparse_at[..entries], &pass.sparse_values[..entries]);
        let into = &mut pass.sum[conv.weight.gradient_range()];
        pass.tier.sparse_weights_add(sparse, at, values, pass.memory.read(input), into);
        if tx.needs_gradient {
            let dx = gradients.of(tx);
            dx.fill(0.0);
            pass.tier.sparse_input_add(sparse, at, values, conv.weights_back(pass.packed), dx);
            clear_border(dx, tx.gradient);
        }
    }

    /// The weight gradient by the argmax of each window where the machine is fast at that, else by strips. A strip is done once
    /// no later window reaches it.
    fn rows_backward(&self, tx: &Tensor, dy: &[f32], dyp: Plane, pass: &mut BackwardPass<'_>) {
        let (tier, conv, window, strip) = (pass.tier, &self.convolution, self.window, self.strip.plane);
        let argmax = &pass.argmax[self.argmax.clone()];
        let input = conv.stored_input(tx, pass);
        let (x, buffer) = pass.memory.pair(input, &self.strip);
        let into = &mut pass.sum[conv.weight.gradient_range()];
        let windows = input.plane.windows(conv.window);
        if tier.picks_winners(&windows, window) {
            return tier.pooled_weights_add(x, windows, window, dy, dyp, argmax, into);
        }
        let per_row = dyp.w() * dyp.stride();
        for s in self.strips(dyp.h()) {
            self.copy_overlap(buffer, s.kept);
            buffer[strip.at(s.kept, 0)..strip.at(s.rows, 0)].fill(0.0);
            let argmax = &argmax[s.row * per_row..][..s.n * per_row];
            let rows = strip.rows(0, s.rows);
            tier.max_pool_backward_add(dy, dyp.rows(s.row, s.n), argmax, window, buffer, rows);
            let done = s.rows - s.keeps;
            let from = self.pooled_rows(windows, s.row * window.stride(), done);
            tier.transposed_matmul_add(x, from, buffer, strip.rows(0, done).as_rows(), into);
        }
    }
}

impl Work for PooledConvolution {
    /// Strip by strip: rows that two windows share are kept, rows that are new are computed, and all are pooled.
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (strip, yp) = (self.strip.plane, ty.plane);
        let (x, y, buffer) = pass.memory.triple(tx, ty, &self.strip);
        let mut argmax = pass.keep.then(|| &mut pass.argmax[self.argmax.clone()]);
        let windows = tx.plane.windows(self.convolution.window);
        let per_row = yp.w() * yp.stride();
        for s in self.strips(yp.h()) {
            self.copy_overlap(buffer, s.kept);
            let new = self.pooled_rows(windows, s.row * self.window.stride() + s.kept, s.rows - s.kept);
            let out = (&mut *buffer, strip.rows(s.kept, s.rows - s.kept).as_rows());
            self.convolution.run(pass.tier, pass.packed, (x, new), out, pass.tiles);
            let argmax = argmax.as_deref_mut().map(|a| &mut a[s.row * per_row..][..s.n * per_row]);
            pass.tier.max_pool(buffer, strip.rows(0, s.rows), self.window, y, yp.rows(s.row, s.n), argmax);
        }
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        let (dy, dyp) = (gradients.dy, ty.gradient);
        let bias = self.convolution.bias.gradient_range();
        pass.tier.row_sum_add(dy, dyp.as_rows(), &mut pass.sum[bias]);
        match self.backward {
            PoolBackward::Sparse => self.sparse_backward(tx, ty, &mut gradients, pass),
            PoolBackward::Rows => self.rows_backward(tx, dy, dyp, pass),
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        let how = match (self.backward, self.convolution.winograd.is_some()) {
            (PoolBackward::Sparse, false) => "by strips; sparse gradient",
            (PoolBackward::Sparse, true) => "by strips, winograd; sparse gradient",
            (PoolBackward::Rows, false) => "by strips",
            (PoolBackward::Rows, true) => "by strips, winograd",
        };
        ("conv + maxpool", how)
    }

    fn pack(&self, x: &Tensor, y: &Tensor, tier: Tier, flat: &[f32], packed: &mut [f32]) {
        self.convolution.pack(x, y, tier, flat, packed);
    }

    fn unpack_gradient(&self, x: &Tensor, y: &Tensor, sums: &PackedGradient<'_>, flat: &mut [f32]) {
        self.convolution.unpack_gradient(x, y, sums, flat);
    }

    fn place_own(&mut self, place: &mut dyn FnMut(&mut Tensor)) {
        // Parts first: they are read while a strip is written.
        self.convolution.place_own(place);
        place(&mut self.strip);
    }
}
