//! Global max-pooling.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct GlobalMax;

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    // Which pixel was the largest is looked up again: a map may have more pixels than a window's number can count.
    builder.tensors[x].kept = true;
    builder.push(x, y, Step::GlobalMax(GlobalMax));
}

impl Work for GlobalMax {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        let (plane, y) = (tx.plane, &mut y[ty.plane.offset()..][..tx.plane.c()]);
        y.fill(f32::NEG_INFINITY);
        for r in 0..plane.h() {
            for pixel in x[plane.at(r, 0)..][..plane.w() * plane.stride()].chunks_exact(plane.stride()) {
                for (most, v) in y.iter_mut().zip(pixel) {
                    // As PyTorch's: a NaN stays one.
                    *most = if *v > *most || v.is_nan() { *v } else { *most };
                }
            }
        }
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        if !tx.needs_gradient {
            return;
        }
        let (x, plane, dxp) = (pass.memory.read(tx), tx.plane, tx.gradient);
        let dy = &gradients.dy[ty.gradient.offset()..];
        let dx = gradients.of(tx);
        for r in 0..dxp.h() {
            dx[dxp.at(r, 0)..][..dxp.w() * dxp.stride()].fill(0.0);
        }
        for (c, dy) in dy[..plane.c()].iter().enumerate() {
            // Of equal ones the first.
            let mut most = (f32::NEG_INFINITY, (0, 0));
            for at in (0..plane.h()).flat_map(|r| (0..plane.w()).map(move |q| (r, q))) {
                let v = x[plane.at(at.0, at.1) + c];
                if v > most.0 || v.is_nan() {
                    most = (v, at);
                }
            }
            let (r, q) = most.1;
            dx[dxp.at(r, q) + c] = *dy;
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("gmp", "")
    }
}
