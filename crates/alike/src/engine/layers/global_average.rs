//! Global average pooling as a step of its own; a convolution before it may do it instead.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct GlobalAverage;

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    builder.push(x, y, Step::GlobalAverage(GlobalAverage));
}

impl Work for GlobalAverage {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        pass.tier.average(x, tx.plane, &mut y[ty.plane.offset()..]);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        if tx.needs_gradient {
            let dy = &gradients.dy[ty.gradient.offset()..];
            pass.tier.average_backward(dy, gradients.of(tx), tx.gradient);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("gap", "")
    }
}
