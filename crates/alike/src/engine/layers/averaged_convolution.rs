//! A convolution and the global average behind it in one step: the average of all outputs is one product with the average of all
//! windows.

use super::convolution::{Convolution, clear_border};
use super::{PackedGradient, Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::images::Shape;
use crate::model::LayerInfo;
use alike_kernels::{Tier, Windows, padded};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct AveragedConvolution {
    convolution: Convolution,
    /// The tensor of the windows' mean, which is all that the backward pass needs of the input.
    mean: usize,
}

/// Whether a convolution of tensor `x` and the global average behind it are done in one step.
pub(super) fn fits(builder: &Builder, x: usize) -> bool {
    builder.rewrites.conv_gap && builder.tensors[x].plane.in_lanes()
}

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo, convolution: Convolution) {
    let x = builder.last();
    let input = builder.tensors[x].plane;
    // Gradients are added to windows that reach into the border.
    builder.gradient_border(x, convolution.window.pad);
    builder.need_columns(convolution.columns(input));
    let values = convolution.window.taps() * input.stride();
    let mean = builder.tensor(Shape { h: 1, w: 1, c: values }, false);
    builder.tensors[mean].kept = true;
    let c = info.output.c;
    let y = builder.output(Shape { h: 1, w: 1, c }, padded(c), true);
    builder.push(x, y, Step::AveragedConvolution(AveragedConvolution { convolution, mean }));
}

impl Work for AveragedConvolution {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let tm = &pass.plan.tensors[self.mean];
        let (x, mean) = pass.memory.pair(tx, tm);
        let windows = tx.plane.windows(self.convolution.window);
        let mean = &mut mean[..windows.columns()];
        mean.fill(0.0);
        pass.tier.row_sum_add(x, windows, mean);
        let scale = 1.0 / windows.rows() as f32;
        mean.iter_mut().for_each(|v| *v *= scale);
        let (mean, y) = pass.memory.pair(tm, ty);
        let row = Windows::matrix(1, windows.columns(), windows.columns());
        let (mean, y) = ((mean, row), (y, ty.plane.as_rows()));
        self.convolution.run(pass.tier, pass.packed, mean, y, pass.tiles);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        let (tier, conv, dy) = (pass.tier, &self.convolution, gradients.dy);
        let rows = ty.gradient.as_rows();
        tier.row_sum_add(dy, rows, &mut pass.sum[conv.bias.gradient_range()]);
        let width = conv.window.taps() * tx.plane.stride();
        let row = Windows::matrix(1, width, width);
        let into = &mut pass.sum[conv.weight.gradient_range()];
        tier.transposed_matmul_add(pass.memory.read(&pass.plan.tensors[self.mean]), row, dy, rows, into);
        if tx.needs_gradient {
            let (dx, dxp) = (gradients.of(tx), tx.gradient);
            let windows = dxp.windows(conv.window);
            let column = &mut pass.columns[..width];
            column.fill(0.0);
            tier.matmul_add(dy, rows, conv.weights_back(pass.packed), column, row);
            let scale = 1.0 / windows.rows() as f32;
            column.iter_mut().for_each(|v| *v *= scale);
            dx.fill(0.0);
            tier.row_spread_add(column, dx, windows);
            clear_border(dx, dxp);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("conv + gap", "one product with the mean window")
    }

    fn pack(&self, x: &Tensor, y: &Tensor, tier: Tier, flat: &[f32], packed: &mut [f32]) {
        self.convolution.pack(x, y, tier, flat, packed);
    }

    fn unpack_gradient(&self, x: &Tensor, y: &Tensor, sums: &PackedGradient<'_>, flat: &mut [f32]) {
        self.convolution.unpack_gradient(x, y, sums, flat);
    }
}
