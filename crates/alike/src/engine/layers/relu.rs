//! Rectification as a step of its own; a normalisation may do it instead.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Relu;

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    builder.tensors[y].kept = true;
    builder.push(x, y, Step::Relu(Relu));
}

impl Work for Relu {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (xp, yp) = (tx.plane, ty.plane);
        let (x, y) = pass.memory.pair(tx, ty);
        for r in 0..xp.h() {
            let from = &x[xp.at(r, 0)..][..xp.w() * xp.stride()];
            for (v, out) in from.iter().zip(&mut y[yp.at(r, 0)..]) {
                // As PyTorch's: a NaN stays one.
                *out = if *v < 0.0 { 0.0 } else { *v };
            }
        }
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        let (yp, dyp, dxp) = (ty.plane, ty.gradient, tx.gradient);
        let (y, dy) = (pass.memory.read(ty), gradients.dy);
        let dx = gradients.of(tx);
        for r in 0..yp.h() {
            let y = &y[yp.at(r, 0)..][..yp.w() * yp.stride()];
            for ((v, g), out) in y.iter().zip(&dy[dyp.at(r, 0)..]).zip(&mut dx[dxp.at(r, 0)..]) {
                *out = if *v <= 0.0 { 0.0 } else { *g };
            }
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("relu", "")
    }
}
