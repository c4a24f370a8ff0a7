//! The two ends of a residual unit: the fork where its input is set aside, and the addition of that input to its output.

use super::{Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::Tensor;
use crate::model::LayerInfo;
use alike_kernels::Plane;

/// `y` is `x` under another name, with a gradient of its own.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Fork;

/// `y = x + skip`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Add {
    /// The tensor that came into the unit.
    skip: usize,
}

pub(super) fn plan_fork(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    let root = builder.tensors[x].alias.unwrap_or(x);
    builder.tensors[y].alias = Some(root);
    builder.open_units.push(x);
    builder.push(x, y, Step::Fork(Fork));
}

pub(super) fn plan_add(builder: &mut Builder, info: &LayerInfo) {
    let (x, y) = builder.output_like_input(info);
    // A specification's forks and additions are paired.
    let skip = builder.open_units.pop().unwrap_or(x);
    builder.tensors[y].needs_gradient |= builder.tensors[skip].needs_gradient;
    builder.push(x, y, Step::Add(Add { skip }));
}

impl Work for Fork {
    fn forward(&self, _x: &Tensor, _y: &Tensor, _pass: &mut ForwardPass<'_>) {}

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, _pass: &mut BackwardPass<'_>) {
        // The addition has written its part of this gradient already.
        let dy = gradients.dy;
        add(dy, ty.gradient, gradients.of(tx), tx.gradient);
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("residual", "the same values, a gradient of their own")
    }
}

impl Work for Add {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let skip = &pass.plan.tensors[self.skip];
        let (x, y) = pass.memory.pair(tx, ty);
        copy(x, tx.plane, y, ty.plane);
        let (skipped, y) = pass.memory.pair(skip, ty);
        add(skipped, skip.plane, y, ty.plane);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        let (dy, dyp) = (gradients.dy, ty.gradient);
        copy(dy, dyp, gradients.of(tx), tx.gradient);
        // What comes through the unit is added to this when its fork is reached.
        let skip = &pass.plan.tensors[self.skip];
        copy(dy, dyp, gradients.of(skip), skip.gradient);
    }

    fn describe(&self) -> (&'static str, &'static str) {
        ("add", "")
    }
}

/// Every channel of every pixel, from one plane to another that may have another stride or border.
fn each(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane, f: impl Fn(&mut f32, f32)) {
    for r in 0..fp.h() {
        if fp.stride() == tp.stride() {
            let row = &from[fp.at(r, 0)..][..fp.w() * fp.stride()];
            for (to, from) in to[tp.at(r, 0)..].iter_mut().zip(row) {
                f(to, *from);
            }
            continue;
        }
        for p in 0..fp.w() {
            for (to, from) in to[tp.at(r, p)..].iter_mut().zip(&from[fp.at(r, p)..][..fp.c()]) {
                f(to, *from);
            }
        }
    }
}

fn copy(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane) {
    each(from, fp, to, tp, |to, from| *to = from);
}

fn add(from: &[f32], fp: Plane, to: &mut [f32], tp: Plane) {
    each(from, fp, to, tp, |to, from| *to += from);
}
