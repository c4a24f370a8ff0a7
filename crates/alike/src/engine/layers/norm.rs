//! Group normalisation with a learned scale and shift, and the ReLU behind it where there is one.

use super::{PackedGradient, Step, Work};
use crate::engine::backward::{BackwardPass, Gradients};
use crate::engine::build::Builder;
use crate::engine::forward::ForwardPass;
use crate::engine::plan::{Plan, Slot, Tensor};
use crate::model::{Layer, LayerInfo};
use alike_kernels::{ScaleShift, ScaleShiftGradient, Tier};
use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Norm {
    eps: f32,
    relu: bool,
    /// Where its groups' means and deviations lie in an image's tape.
    stats: Range<usize>,
    pub(super) scale: Slot,
    pub(super) shift: Slot,
    /// Whether the convolution behind it finds the gradients of scale and shift.
    folded: bool,
}

pub(super) fn plan(
    builder: &mut Builder,
    info: &LayerInfo,
    next: Option<&LayerInfo>,
    groups: usize,
    eps: f32,
) -> usize {
    let relu = builder.rewrites.norm_relu && next.is_some_and(|n| n.layer == Layer::Relu);
    let c = info.output.c;
    let stats = builder.take_stats(groups);
    let scale = builder.slot(&info.parameters[0], c, c);
    let shift = builder.slot(&info.parameters[1], c, c);
    let (x, y) = builder.output_like_input(info);
    builder.tensors[x].kept = true;
    builder.push(x, y, Step::Norm(Norm { eps, relu, stats, scale, shift, folded: false }));
    1 + usize::from(relu)
}

/// The step of the normalisation that makes tensor `x`, if one does.
pub(super) fn before(builder: &Builder, x: usize) -> Option<usize> {
    builder.ops.iter().position(|op| op.y == x && matches!(op.step, Step::Norm(_)))
}

/// The step that makes tensor `x`, if it is a normalisation of a picture before which there are no parameters. The convolution behind
/// it then finds the gradients of its scale and shift.
pub(super) fn fold(builder: &mut Builder, x: usize) -> Option<usize> {
    let at = before(builder, x)?;
    let input = &builder.tensors[builder.ops[at].x];
    let narrow = !input.plane.in_lanes() && input.plane.c() <= 4;
    let fits = narrow && !input.needs_gradient;
    match &mut builder.ops[at].step {
        Step::Norm(norm) if fits => {
            norm.folded = true;
            Some(at)
        }
        _ => None,
    }
}

impl Norm {
    /// The normalisation that is step `at` of a plan.
    pub(super) fn of(plan: &Plan, at: usize) -> &Norm {
        let Step::Norm(norm) = &plan.ops[at].step else { unreachable!("step {at} is a normalisation") };
        norm
    }

    fn affine<'a>(&self, packed: &'a [f32]) -> ScaleShift<'a> {
        ScaleShift {
            scale: &packed[self.scale.packed_range()],
            shift: &packed[self.shift.packed_range()],
            relu: self.relu,
        }
    }

    /// Makes its output once more for the backward pass, from its input `x`; or, where it is folded, the two parts of it (see
    /// [`alike_kernels::Tier::group_norm_parts`]).
    pub(super) fn recompute(&self, x: &Tensor, into: &Tensor, pass: &mut BackwardPass<'_>) {
        let (stats, affine) = (&pass.stats[self.stats.clone()], self.affine(pass.packed));
        let (values, y) = pass.memory.pair(x, into);
        if self.folded {
            pass.tier.group_norm_parts(values, x.plane, stats, affine, y, into.plane);
        } else {
            pass.tier.group_norm(values, x.plane, stats, affine, y, into.plane);
        }
    }
}

impl Work for Norm {
    fn forward(&self, tx: &Tensor, ty: &Tensor, pass: &mut ForwardPass<'_>) {
        let (x, y) = pass.memory.pair(tx, ty);
        let stats = &mut pass.stats[self.stats.clone()];
        pass.tier.group_stats(x, tx.plane, self.eps, stats);
        pass.tier.group_norm(x, tx.plane, stats, self.affine(pass.packed), y, ty.plane);
    }

    fn backward(&self, tx: &Tensor, ty: &Tensor, mut gradients: Gradients<'_>, pass: &mut BackwardPass<'_>) {
        // Slots are taken scale first, so one split reaches both.
        let (low, high) = pass.sum.split_at_mut(self.shift.gradient);
        let gradient = ScaleShiftGradient {
            scale: &mut low[self.scale.gradient_range()],
            shift: &mut high[..self.shift.gradient_len],
        };
        let (x, stats) = (pass.memory.read(tx), &pass.stats[self.stats.clone()]);
        let (affine, dy) = (self.affine(pass.packed), gradients.dy);
        let dx = tx.needs_gradient.then(|| (gradients.of(tx), tx.gradient));
        pass.tier.group_norm_backward(x, tx.plane, stats, affine, dy, ty.gradient, gradient, pass.means, dx);
    }

    fn describe(&self) -> (&'static str, &'static str) {
        (
            if self.relu { "norm + relu" } else { "norm" },
            if self.folded { "gradient by the convolution behind it" } else { "" },
        )
    }

    fn pack(&self, _x: &Tensor, _y: &Tensor, _tier: Tier, flat: &[f32], packed: &mut [f32]) {
        packed[self.scale.packed_range()].copy_from_slice(&flat[self.scale.flat.clone()]);
        packed[self.shift.packed_range()].copy_from_slice(&flat[self.shift.flat.clone()]);
    }

    fn unpack_gradient(&self, _x: &Tensor, _y: &Tensor, sums: &PackedGradient<'_>, flat: &mut [f32]) {
        if !self.folded {
            flat[self.scale.flat.clone()].copy_from_slice(&sums.sum[self.scale.gradient_range()]);
            flat[self.shift.flat.clone()].copy_from_slice(&sums.sum[self.shift.gradient_range()]);
        }
    }
}
