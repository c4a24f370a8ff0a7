//! Parameters between PyTorch's layout, which everybody else sees, and the kernels'.

use super::layers::PackedGradient;
use super::plan::Plan;
use alike_kernels::Tier;

/// Copies parameters to where the kernels read them; padding stays zero.
pub(super) fn pack(plan: &Plan, tier: Tier, flat: &[f32], packed: &mut [f32]) {
    for op in &plan.ops {
        op.step.work().pack(&plan.tensors[op.x], &plan.tensors[op.y], tier, flat, packed);
    }
}

/// Copies gradients back to PyTorch's layout. `packed` holds the parameters that they belong to.
pub(super) fn unpack_gradient(plan: &Plan, packed: &[f32], sum: &[f32], flat: &mut [f32]) {
    let sums = PackedGradient { plan, packed, sum };
    for op in &plan.ops {
        op.step.work().unpack_gradient(&plan.tensors[op.x], &plan.tensors[op.y], &sums, flat);
    }
}
