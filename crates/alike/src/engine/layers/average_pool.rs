//! Average-pooling.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;
use alike_kernels::PoolWindow;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct AveragePool {
    window: PoolWindow,
}

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo, size: usize, stride: usize) {
    let (x, y) = builder.output_like_input(info);
    builder.push(x, y, Step::AveragePool(AveragePool { window: PoolWindow::new(size, stride) }));
}

impl Work for AveragePool {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        pass.tier.average_pool(x, tx.plane, self.window, y, ty.plane);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        if tx.needs_gradient {
            let dy = gradients.dy;
            pass.tier.average_pool_backward(dy, ty.gradient, self.window, gradients.of(tx), tx.gradient);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("avgpool", "")
    }
}
