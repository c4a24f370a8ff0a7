//! What is to be done for an image, as pure data: tensors placed in buffers, and steps over them.

use super::layers::Step;
use crate::images::Shape;
use alike_kernels::Plane;
use std::fmt;
use std::ops::Range;

/// The steps that embed one image, and where every activation and parameter lies.
///
/// It prints as a line a step: what it does to which shape, and how its gradient is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) input: Shape,
    pub(super) embedding: usize,
    pub(super) tensors: Vec<Tensor>,
    pub(super) ops: Vec<Op>,
    /// What an image keeps for the backward pass.
    pub(super) tape: TapeSizes,
    /// What a thread needs besides.
    pub(super) run: RunSizes,
    /// Floats of the parameters in the kernels' layout.
    pub(super) packed_len: usize,
    /// Floats of the parameters' gradients in the kernels' layout.
    pub(super) gradient_len: usize,
}

/// How much of each kind an image keeps for the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TapeSizes {
    /// Floats of activations.
    pub(super) floats: usize,
    /// Bytes that say which value of a pooling window was the largest.
    pub(super) argmax: usize,
    /// Means and deviations of a normalisation's groups.
    pub(super) stats: usize,
}

impl TapeSizes {
    pub(super) fn bytes(&self) -> usize {
        4 * self.floats + self.argmax + 8 * self.stats
    }
}

/// What a thread needs while an image passes through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunSizes {
    /// Floats of activations that the backward pass does not need, and of its strips and parts.
    pub(super) scratch: usize,
    /// Floats of the gradients of all tensors.
    pub(super) gradients: usize,
    /// Entries of a sparse gradient, at most.
    pub(super) sparse: usize,
    /// Floats of windows whose gradients are added into an image, at most.
    pub(super) columns: usize,
    /// Floats of transformed tiles, at most.
    pub(super) tiles: usize,
}

/// An activation: its plane, and where its buffer lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) plane: Plane,
    /// Whether the backward pass reads it: then it lies in the image's tape, else in the thread's scratch.
    pub(super) kept: bool,
    pub(super) start: usize,
    /// The plane of its gradient, whose border is that which the convolution before it needs.
    pub(super) gradient: Plane,
    pub(super) gradient_start: usize,
    /// Whether any parameter lies before it whose gradient is computed from its own.
    pub(super) needs_gradient: bool,
    /// Whether its gradient must have the same offsets as its values.
    pub(super) same_offsets: bool,
    /// The tensor whose values these are, with a gradient of their own: what a residual unit sees of its input.
    pub(super) alias: Option<usize>,
}

impl Tensor {
    /// A tensor that is not placed yet.
    pub(super) fn new(shape: Shape, border: usize, needs_gradient: bool) -> Tensor {
        let plane = Plane::new(shape.h, shape.w, shape.c, border);
        Tensor {
            plane,
            kept: false,
            start: 0,
            gradient: plane,
            gradient_start: 0,
            needs_gradient,
            same_offsets: false,
            alias: None,
        }
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.plane.buffer_len()
    }

    pub(super) fn gradient_range(&self) -> Range<usize> {
        self.gradient_start..self.gradient_start + self.gradient.buffer_len()
    }
}

/// A step from tensor `x` to tensor `y`, `y` always the later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Op {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) step: Step,
}

/// A parameter tensor: where it lies in the flat list, among the packed ones, and among the packed gradients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) flat: Range<usize>,
    pub(super) packed: usize,
    pub(super) packed_len: usize,
    pub(super) gradient: usize,
    pub(super) gradient_len: usize,
}

impl Slot {
    pub(super) fn packed_range(&self) -> Range<usize> {
        self.packed..self.packed + self.packed_len
    }

    pub(super) fn gradient_range(&self) -> Range<usize> {
        self.gradient..self.gradient + self.gradient_len
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.ops {
            let (x, y) = (self.tensors[op.x].plane, self.tensors[op.y].plane);
            let shapes = format!("{}x{}x{} -> {}x{}x{}", x.h(), x.w(), x.c(), y.h(), y.w(), y.c());
            let (what, how) = op.step.work().describe();
            writeln!(f, "{}", format!("{what:16} {shapes:28} {how}").trim_end())?;
        }
        let (tape, run) = (self.tape, self.run);
        let floats = run.scratch + run.gradients + run.columns + run.tiles + 2 * run.sparse;
        write!(
            f,
            "kept an image: {:.1} KB; a thread's workspace: {:.1} KB",
            tape.bytes() as f64 / 1024.0,
            (4 * floats + tape.bytes()) as f64 / 1024.0,
        )
    }
}
