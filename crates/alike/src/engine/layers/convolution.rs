//! Convolution with a bias: a matrix product over windows, or Winograd's with fewer multiplications.
//!
//! The two steps in which a convolution is done together with the pooling behind it hold a [`Convolution`] too.

use super::averaged_convolution;
use super::convolution_weights::{BackLayout, BackWeights, GradientLayout};
use super::norm::{self, Norm};
use super::pooled_convolution::{self, PoolBackward};
use super::{PackedGradient, Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::{Slot, Tensor};
use crate::images::Shape;
use crate::model::{Layer, LayerInfo};
use alike_kernels::{Plane, PoolWindow, Sliding, Tier, Windows, padded, winograd_scratch_len};
use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Convolution {
    /// A linear layer's window is all of its input.
    pub(super) window: Sliding,
    pub(super) weight: Slot,
    pub(super) bias: Slot,
    /// Where the weights lie transformed, if the product is done with fewer multiplications.
    pub(super) winograd: Option<Range<usize>>,
    /// The weights once more, as the input's gradient reads them; none where that gradient is not needed.
    pub(super) back: Option<BackWeights>,
    pub(super) gradient: GradientLayout,
    /// The normalisation that makes the input, where the backward pass runs it once more rather than keep its result.
    renorm: Option<usize>,
}

/// What a convolution is done together with.
#[derive(Clone, Copy)]
enum Fusion {
    /// Its window, how its gradient goes back, and what comes out.
    MaxPool(PoolWindow, PoolBackward, Shape),
    GlobalAverage,
}

impl Fusion {
    /// Whether the weights' gradients lie a row an output channel, and the input's gradient is added window by window.
    fn by_out_channel(fused: Option<Fusion>) -> bool {
        matches!(fused, Some(Fusion::GlobalAverage | Fusion::MaxPool(_, PoolBackward::Sparse, _)))
    }
}

pub(super) fn plan(
    builder: &mut Builder,
    info: &LayerInfo,
    next: Option<&LayerInfo>,
    (kernel, pad, stride): (usize, usize, usize),
) -> usize {
    plan_window(builder, info, next, Sliding { h: kernel, w: kernel, pad, stride })
}

/// Plans a convolution of any window, and the pooling behind it where both are done together; returns how many layers.
pub(super) fn plan_window(
    builder: &mut Builder,
    info: &LayerInfo,
    next: Option<&LayerInfo>,
    window: Sliding,
) -> usize {
    let x = builder.last();
    let norm = if builder.rewrites.fold_norm { norm::fold(builder, x) } else { None };
    if norm.is_some() {
        // Nothing before this convolution needs the gradient of its input any more.
        builder.tensors[x].needs_gradient = false;
    }
    let fused = next.and_then(|next| match next.layer {
        Layer::MaxPool { size, stride } => {
            let pool = PoolWindow::new(size, stride);
            let backward = pooled_convolution::choose(builder, &builder.tensors[x], info, next, window)?;
            Some(Fusion::MaxPool(pool, backward, next.output))
        }
        Layer::Gap => averaged_convolution::fits(builder, x).then_some(Fusion::GlobalAverage),
        _ => None,
    });
    let convolution = Convolution::plan(builder, info, window, norm, fused);
    builder.border(x, window.pad);
    match fused {
        Some(Fusion::MaxPool(pool, backward, output)) => {
            pooled_convolution::plan(builder, output, convolution, pool, backward);
            2
        }
        Some(Fusion::GlobalAverage) => {
            averaged_convolution::plan(builder, info, convolution);
            2
        }
        None => {
            convolution.push(builder, info);
            1
        }
    }
}

/// Whether fewer multiplications make up for the additions around them: transforms grow with the channels, products with
/// their square, and small images leave tiles half empty.
fn winograd_pays(outputs: Shape, channels: usize, out_channels: usize) -> bool {
    channels.min(out_channels) >= 32 && outputs.h.min(outputs.w) >= 6
}

impl Convolution {
    /// Takes room for its weights and their gradients. `norm` is the normalisation whose gradients it finds too.
    fn plan(
        builder: &mut Builder,
        info: &LayerInfo,
        window: Sliding,
        norm: Option<usize>,
        fused: Option<Fusion>,
    ) -> Convolution {
        let x = builder.last();
        let input = builder.tensors[x].plane;
        // Outputs are written in whole lane groups, however few their channels.
        let (out_stride, taps) = (padded(info.output.c), window.taps());
        let size = taps * input.stride() * out_stride;
        let gradient = match (norm, fused) {
            (Some(norm), _) => {
                let shape = Shape { h: input.h(), w: input.w(), c: 2 * input.c() };
                let mut parts = Tensor::new(shape, window.pad, false);
                // A channel's two parts are neighbours, however many channels there are.
                parts.plane = parts.plane.with_stride(2 * input.c());
                GradientLayout::Parts { norm, parts }
            }
            (None, Some(Fusion::MaxPool(_, PoolBackward::Sparse, _))) => GradientLayout::ByOutChannel,
            _ => GradientLayout::AsWeights,
        };
        let doubled = if norm.is_some() { 2 } else { 1 };
        let weight = builder.slot(&info.parameters[0], size, doubled * size);
        let bias = builder.slot(&info.parameters[1], out_stride, out_stride);
        let fewer = builder.rewrites.winograd
            && (window.h, window.w, window.stride) == (3, 3, 1)
            && input.in_lanes()
            && winograd_pays(info.output, input.stride(), out_stride)
            && !matches!(fused, Some(Fusion::GlobalAverage));
        let winograd = fewer.then(|| builder.winograd(input.stride(), out_stride));
        let back = builder.tensors[x].needs_gradient.then(|| {
            let layout = BackLayout::choose(Fusion::by_out_channel(fused), window, input);
            let start = builder.packed.take(layout.size(taps, input, out_stride));
            let turned = fewer
                && layout == BackLayout::Turned
                && winograd_pays(info.input, input.stride(), out_stride);
            let winograd = turned.then(|| builder.winograd(out_stride, input.stride()));
            BackWeights { start, layout, winograd }
        });
        let again = builder.rewrites.renorm && norm.is_none();
        let renorm = if again { norm::before(builder, x) } else { None };
        Convolution { window, weight, bias, winograd, back, gradient, renorm }
    }

    /// Plans it as a step of its own.
    fn push(self, builder: &mut Builder, info: &LayerInfo) {
        let x = builder.last();
        builder.tensors[x].kept |= self.keeps_input();
        let y = builder.output(info.output, padded(info.output.c), true);
        match &self.back {
            Some(BackWeights { layout: BackLayout::ByOutChannel, .. }) => {
                builder.gradient_border(x, self.window.pad);
                builder.need_columns(info.output.w * self.columns(builder.tensors[x].plane));
            }
            Some(_) => {
                let t = &mut builder.tensors[y];
                t.gradient = t.gradient.with_border(self.window.h - 1 - self.window.pad);
            }
            None => {}
        }
        builder.push(x, y, Step::Convolution(self));
    }

    /// Whether the backward pass reads the input as the forward pass left it.
    pub(super) fn keeps_input(&self) -> bool {
        self.renorm.is_none() && !matches!(self.gradient, GradientLayout::Parts { .. })
    }

    /// Floats of a window's gradient, in whole lane groups.
    pub(super) fn columns(&self, input: Plane) -> usize {
        padded(self.window.taps() * input.stride())
    }

    /// The product of windows with the weights.
    pub(super) fn run(
        &self,
        tier: Tier,
        packed: &[f32],
        (x, windows): (&[f32], Windows),
        (y, out): (&mut [f32], Windows),
        tiles: &mut [f32],
    ) {
        let (weight, bias) = (&packed[self.weight.packed_range()], &packed[self.bias.packed_range()]);
        match &self.winograd {
            Some(at) => {
                let tiles = &mut tiles[..winograd_scratch_len(windows.inner_stride(), out.run_len())];
                tier.winograd(x, windows, &packed[at.clone()], bias, y, out, tiles);
            }
            None => tier.matmul(x, windows, weight, bias, y, out),
        }
    }

    /// What the weights' gradient is summed over: the input, computed again where it was not kept, or the parts of the
    /// normalisation before it.
    pub(super) fn stored_input<'t>(&'t self, x: &'t Tensor, pass: &mut BackwardPass<'_>) -> &'t Tensor {
        let (norm, into) = match (&self.gradient, self.renorm) {
            (GradientLayout::Parts { norm, parts }, _) => (*norm, parts),
            (_, Some(norm)) => (norm, x),
            (_, None) => return x,
        };
        let plan = pass.plan;
        Norm::of(plan, norm).recompute(&plan.tensors[plan.ops[norm].x], into, pass);
        into
    }

    /// The weights as the input's gradient reads them.
    pub(super) fn weights_back<'a>(&self, packed: &'a [f32]) -> &'a [f32] {
        self.back.as_ref().map_or(&[], |back| &packed[back.start..])
    }

    /// The input's gradient: a convolution of the output's gradient with the turned weights, or every pixel's gradient
    /// times the weights, added to its window.
    fn input_gradient(
        &self,
        (dy, dyp): (&[f32], Plane),
        (dx, dxp): (&mut [f32], Plane),
        pass: &mut BackwardPass<'_>,
    ) {
        let Some(back) = &self.back else { return };
        match back.layout {
            BackLayout::ByOutChannel => self.add_windows((dy, dyp), (dx, dxp), pass),
            BackLayout::Turned => self.turned_convolution(back, (dy, dyp), (dx, dxp), pass),
            BackLayout::TurnedByChannel => {
                // A picture's few channels: an inner product each. Their plane is dense where it has no border.
                assert_eq!(dxp.border(), 0, "the gradient of a narrow tensor has no border");
                let weights = &pass.packed[back.start..];
                let windows = dyp.windows(self.turned_window());
                let depth = windows.columns();
                for channel in 0..dxp.c() {
                    let weights = &weights[channel * depth..][..depth];
                    pass.tier.dots(dy, windows, weights, &mut dx[channel..], dxp.stride());
                }
            }
        }
    }

    /// The window of the convolution that the input's gradient is, over the output's.
    fn turned_window(&self) -> Sliding {
        let side = self.window.h;
        Sliding { h: side, w: side, pad: side - 1 - self.window.pad, stride: 1 }
    }

    fn turned_convolution(
        &self,
        back: &BackWeights,
        (dy, dyp): (&[f32], Plane),
        (dx, dxp): (&mut [f32], Plane),
        pass: &mut BackwardPass<'_>,
    ) {
        const NO_BIAS: [f32; 4096] = [0.0; 4096];
        let (tier, packed) = (pass.tier, pass.packed);
        let windows = dyp.windows(self.turned_window());
        let weights = &packed[back.start..][..windows.columns() * dxp.stride()];
        let bias = &NO_BIAS[..dxp.stride()];
        match &back.winograd {
            Some(at) => {
                let tiles = &mut pass.tiles[..winograd_scratch_len(dyp.stride(), dxp.stride())];
                tier.winograd(dy, windows, &packed[at.clone()], bias, dx, dxp.as_rows(), tiles);
            }
            None => tier.matmul(dy, windows, weights, bias, dx, dxp.as_rows()),
        }
    }

    fn add_windows(
        &self,
        (dy, dyp): (&[f32], Plane),
        (dx, dxp): (&mut [f32], Plane),
        pass: &mut BackwardPass<'_>,
    ) {
        let (tier, weights) = (pass.tier, self.weights_back(pass.packed));
        let windows = dxp.windows(self.window);
        let width = padded(windows.columns());
        dx.fill(0.0);
        let columns = &mut pass.columns[..dyp.w() * width];
        for row in 0..dyp.h() {
            columns.fill(0.0);
            let out = Windows::matrix(dyp.w(), width, width);
            tier.matmul_add(dy, dyp.rows(row, 1).as_rows(), weights, columns, out);
            tier.rows_add(columns, width, dx, windows.blocks(row, 1));
        }
        clear_border(dx, dxp);
    }
}

impl Work for Convolution {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        let (x, y) = ((x, tx.plane.windows(self.window)), (y, ty.plane.as_rows()));
        self.run(pass.tier, pass.packed, x, y, pass.tiles);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        let (dy, dyp) = (gradients.dy, ty.gradient);
        let rows = dyp.as_rows();
        pass.tier.row_sum_add(dy, rows, &mut pass.sum[self.bias.gradient_range()]);
        let input = self.stored_input(tx, pass);
        let windows = input.plane.windows(self.window);
        let into = &mut pass.sum[self.weight.gradient_range()];
        pass.tier.transposed_matmul_add(pass.memory.read(input), windows, dy, rows, into);
        if tx.needs_gradient {
            self.input_gradient((dy, dyp), (gradients.of(tx), tx.gradient), pass);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        let how = match (&self.winograd, &self.back) {
            (Some(_), Some(BackWeights { winograd: Some(_), .. })) => "winograd, both ways",
            (Some(_), _) => "winograd",
            _ => "",
        };
        ("conv", how)
    }

    fn pack(&self, x: &Tensor, y: &Tensor, tier: Tier, flat: &[f32], packed: &mut [f32]) {
        self.pack_weights((x.plane, y.plane), tier, flat, packed);
    }

    fn unpack_gradient(&self, x: &Tensor, y: &Tensor, sums: &PackedGradient<'_>, flat: &mut [f32]) {
        self.unpack_weight_gradient((x.plane, y.plane), sums, flat);
    }

    fn place_own(&mut self, place: &mut dyn FnMut(&mut Tensor)) {
        if let GradientLayout::Parts { parts, .. } = &mut self.gradient {
            place(parts);
        }
    }
}

/// Zeroes what was added to the border: a convolution before it reads zeros there.
pub(super) fn clear_border(dx: &mut [f32], p: Plane) {
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

const _: () = assert!(padded(4096) == 4096, "the widest layer is whole lane groups");
