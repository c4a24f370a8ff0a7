//! Max-pooling as a step of its own; a convolution before it may do it instead.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;
use alike_kernels::PoolWindow;
use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct MaxPool {
    window: PoolWindow,
    /// Where an image's tape says which value of each window was the largest.
    argmax: Range<usize>,
}

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo, size: usize, stride: usize) {
    let (x, y) = builder.output_like_input(info);
    let argmax = builder.take_argmax(y);
    builder.push(x, y, Step::MaxPool(MaxPool { window: PoolWindow::new(size, stride), argmax }));
}

impl Work for MaxPool {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        let argmax = pass.keep.then(|| &mut pass.argmax[self.argmax.clone()]);
        pass.tier.max_pool(x, tx.plane, self.window, y, ty.plane, argmax);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        if tx.needs_gradient {
            let (dy, argmax) = (gradients.dy, &pass.argmax[self.argmax.clone()]);
            let dx = gradients.of(tx);
            pass.tier.max_pool_backward(dy, ty.gradient, argmax, self.window, dx, tx.gradient);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("maxpool", "")
    }
}
