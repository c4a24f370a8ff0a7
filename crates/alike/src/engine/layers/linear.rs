//! A linear layer: a convolution whose window is all of its input.

use super::convolution;
use crate::engine::build::Builder;
use crate::model::LayerInfo;
use alike_kernels::Sliding;

pub(super) fn plan(builder: &mut Builder, info: &LayerInfo) {
    let window = Sliding { h: info.input.h, w: info.input.w, pad: 0, stride: 1 };
    convolution::plan_window(builder, info, None, window);
}
