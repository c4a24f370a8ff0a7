//! The layers as steps of a plan, each in one file: what a step holds, how it is planned, how it runs forward and backward, and
//! how it prints.
//!
//! A new layer is a file here, with its lines in the three lists of this file, and its facts in `model::layer`.

mod average_pool;
mod averaged_convolution;
mod convolution;
mod convolution_weights;
mod global_average;
mod global_max;
mod l2;
mod linear;
mod max_pool;
mod norm;
mod pooled_convolution;
mod relu;
mod residual;

use super::backward::{BackwardPass, Gradients};
use super::build::Builder;
use super::forward::ForwardPass;
use super::plan::{Plan, Tensor};
use crate::model::{Layer, LayerInfo};
use alike_kernels::Tier;

/// What a step does. `x` is its input and `y` its output.
pub(super) trait Work {
    /// Computes `y` from `x`.
    fn forward(&self, x: &Tensor, y: &Tensor, pass: &mut ForwardPass<'_>);

    /// Computes the gradient of `x` from that of `y`, where `x` needs one, and adds those of the step's parameters to the pass's sum.
    fn backward(&self, x: &Tensor, y: &Tensor, gradients: Gradients<'_>, pass: &mut BackwardPass<'_>);

    /// What it is called in a printed plan, and how it is done where there is a choice.
    fn describe(&self) -> (&'static str, &'static str);

    /// Copies its parameters from PyTorch's layout to that of the kernels. Padding is zero and stays so.
    fn pack(&self, _x: &Tensor, _y: &Tensor, _tier: Tier, _flat: &[f32], _packed: &mut [f32]) {}

    /// Copies its parameters' gradients back to PyTorch's layout. `packed` holds the parameters.
    fn unpack_gradient(&self, _x: &Tensor, _y: &Tensor, _sums: &PackedGradient<'_>, _flat: &mut [f32]) {}

    /// Takes the tensors that it needs for itself, in the order in which it reads them.
    fn place_own(&mut self, _place: &mut dyn FnMut(&mut Tensor)) {}
}

/// The gradient of all parameters in the kernels' layout.
pub(super) struct PackedGradient<'a> {
    pub(super) plan: &'a Plan,
    /// The parameters that it belongs to.
    pub(super) packed: &'a [f32],
    pub(super) sum: &'a [f32],
}

macro_rules! steps {
    ($($step:ident($type:ty),)*) => {
        /// A step of a plan.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) enum Step {
            $($step($type),)*
        }

        impl Step {
            /// What it does.
            pub(super) fn work(&self) -> &dyn Work {
                match self {
                    $(Step::$step(step) => step,)*
                }
            }

            pub(super) fn work_mut(&mut self) -> &mut dyn Work {
                match self {
                    $(Step::$step(step) => step,)*
                }
            }
        }
    };
}

steps! {
    Norm(norm::Norm),
    Relu(relu::Relu),
    Convolution(convolution::Convolution),
    PooledConvolution(pooled_convolution::PooledConvolution),
    AveragedConvolution(averaged_convolution::AveragedConvolution),
    MaxPool(max_pool::MaxPool),
    AveragePool(average_pool::AveragePool),
    GlobalAverage(global_average::GlobalAverage),
    GlobalMax(global_max::GlobalMax),
    Fork(residual::Fork),
    Add(residual::Add),
    L2(l2::L2),
}

/// Plans a layer, and the one behind it where both are done in one step; returns how many layers that were.
pub(super) fn plan(builder: &mut Builder, info: &LayerInfo, next: Option<&LayerInfo>) -> usize {
    match info.layer {
        Layer::Norm { groups, eps } => return norm::plan(builder, info, next, groups, eps),
        Layer::Conv { kernel, pad, stride, .. } => {
            return convolution::plan(builder, info, next, (kernel, pad, stride));
        }
        Layer::Relu => relu::plan(builder, info),
        Layer::Linear { .. } => linear::plan(builder, info),
        Layer::Fork => residual::plan_fork(builder, info),
        Layer::Add => residual::plan_add(builder, info),
        Layer::AvgPool { size, stride } => average_pool::plan(builder, info, size, stride),
        Layer::MaxPool { size, stride } => max_pool::plan(builder, info, size, stride),
        Layer::Gap => global_average::plan(builder, info),
        Layer::Gmp => global_max::plan(builder, info),
        Layer::L2 => l2::plan(builder, info),
    }
    1
}
