//! Division of an embedding by its Euclidean norm.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;

/// A norm of at least this divides an embedding, as in `torch.nn.functional.normalize`.
const EPS: f32 = 1e-12;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct L2;

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    builder.tensors[x].kept = true;
    builder.push(x, y, Step::L2(L2));
}

impl Work for L2 {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        let x = &x[tx.plane.offset()..][..tx.plane.c()];
        let norm = norm(x).max(EPS);
        for (out, v) in y[ty.plane.offset()..].iter_mut().zip(x) {
            *out = v / norm;
        }
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        if !tx.needs_gradient {
            return;
        }
        let x = &pass.memory.read(tx)[tx.plane.offset()..][..tx.plane.c()];
        let dy = &gradients.dy[ty.gradient.offset()..][..ty.gradient.c()];
        let norm = norm(x);
        let dot: f32 = x.iter().zip(dy).map(|(a, b)| a * b).sum();
        // Below the floor the divisor is a constant.
        let along = if norm > EPS { dot / (norm * norm) } else { 0.0 };
        for ((out, v), g) in gradients.of(tx)[tx.gradient.offset()..].iter_mut().zip(x).zip(dy) {
            *out = (g - v * along) / norm.max(EPS);
        }
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("l2", "")
    }
}

fn norm(v: &[f32]) -> f32 {
    v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32
}
