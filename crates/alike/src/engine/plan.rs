//! What is to be done for an image, as pure data: tensors placed in buffers, and operations over them.

use crate::images::Shape;
use alike_kernels::{Plane, PoolWindow, Sliding};
use std::fmt;
use std::ops::Range;

/// The operations that embed one image, and where everything lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) input: Shape,
    pub(super) embedding: usize,
    pub(super) tensors: Vec<Tensor>,
    pub(super) ops: Vec<Op>,
    /// Floats, places and statistics that an image keeps for the backward pass.
    pub(super) tape: TapeSizes,
    /// What a thread needs besides.
    pub(super) run: RunSizes,
    /// Floats of the parameters in the kernels' layout.
    pub(super) packed_len: usize,
    /// Floats of the parameters' gradients in the kernels' layout.
    pub(super) gradient_len: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TapeSizes {
    pub(super) floats: usize,
    pub(super) places: usize,
    pub(super) stats: usize,
}

impl TapeSizes {
    pub(super) fn bytes(&self) -> usize {
        4 * self.floats + self.places + 8 * self.stats
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunSizes {
    /// Floats of activations that the backward pass does not need, and of its strips and parts.
    pub(super) scratch: usize,
    /// Floats of the gradients of all tensors.
    pub(super) flow: usize,
    /// Entries of a sparse gradient, at most.
    pub(super) entries: usize,
    /// Floats of windows on their way back into an image, at most.
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
    pub(super) flow: Plane,
    pub(super) flow_start: usize,
    /// Whether any parameter lies before it whose gradient comes by way of its own.
    pub(super) needs_gradient: bool,
    /// Whether its gradient must lie as it does itself.
    pub(super) same_offsets: bool,
    /// The tensor whose values these are, with a gradient of their own: what a residual unit sees of its input.
    pub(super) alias: Option<usize>,
}

impl Tensor {
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.plane.buffer_len()
    }

    pub(super) fn flow_range(&self) -> Range<usize> {
        self.flow_start..self.flow_start + self.flow.buffer_len()
    }
}

/// An operation from tensor `x` to tensor `y`, `y` always the later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Op {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) kind: OpKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum OpKind {
    Norm(Norm),
    Relu,
    Conv(Conv),
    /// A convolution whose outputs are pooled row by row, never all in memory.
    ConvPool {
        conv: Conv,
        window: PoolWindow,
        places: Range<usize>,
        /// Rows of the convolution that are in memory at a time.
        strip: Tensor,
        backward: PoolBackward,
    },
    /// A convolution whose outputs are averaged over all pixels: one product with the sum of all windows.
    ConvGap {
        conv: Conv,
        /// The tensor of the windows' mean, which is all that the backward pass needs.
        sums: usize,
    },
    MaxPool {
        window: PoolWindow,
        places: Range<usize>,
    },
    AvgPool {
        window: PoolWindow,
    },
    Gap,
    /// `y` is `x` under another name.
    Fork,
    /// `y = x + skip`.
    Add {
        skip: usize,
    },
    L2,
}

/// Normalisation, with the ReLU behind it where there is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Norm {
    pub(super) eps: f32,
    pub(super) relu: bool,
    pub(super) stats: Range<usize>,
    pub(super) scale: Slot,
    pub(super) shift: Slot,
    /// Whether the convolution behind it finds the gradients of scale and shift.
    pub(super) folded: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conv {
    /// A linear layer's window is all of its input.
    pub(super) window: Sliding,
    pub(super) weight: Slot,
    pub(super) bias: Slot,
    /// Where the weights lie transformed, if the product is done with fewer multiplications.
    pub(super) winograd: Option<Range<usize>>,
    /// Where the weights lie once more, as the input's gradient reads them; nothing where that is not wanted.
    pub(super) back: Option<BackWeights>,
    pub(super) gradient: GradientLayout,
    /// The normalisation that makes the input, where the backward pass does it once more rather than keep its result.
    pub(super) renorm: Option<usize>,
}

/// Weights for the gradient of a convolution's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackWeights {
    pub(super) start: usize,
    pub(super) layout: BackLayout,
    /// As [`Conv::winograd`], for turned weights.
    pub(super) winograd: Option<Range<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackLayout {
    /// Turned by 180 degrees, `[tap][map][channel]`: a convolution of the output's gradient.
    Turned,
    /// Turned, `[channel][tap][map]`, where channels are too few for vectors.
    TurnedByChannel,
    /// `[map][tap][channel]`, whole lane groups a map: a map's gradient spreads over its window.
    ByMap,
}

/// How a convolution's weight gradient is summed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GradientLayout {
    /// `[tap][channel][map]`, as the forward pass reads weights.
    AsWeights,
    /// `[map][tap][channel]`.
    ByMap,
    /// `[tap][channel, two parts][map]`: by the two parts of the normalisation before it (see
    /// [`alike_kernels::Tier::group_norm_parts`]).
    Parts {
        /// The normalisation's operation.
        norm: usize,
        /// Where a thread keeps an image's parts.
        parts: Tensor,
    },
}

/// How the backward pass of a pooled convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolBackward {
    /// By the winners of each window alone.
    Sparse,
    /// By strips of the convolution's rows.
    Rows,
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

impl OpKind {
    pub(super) fn conv(&self) -> Option<&Conv> {
        match self {
            OpKind::Conv(conv) | OpKind::ConvPool { conv, .. } | OpKind::ConvGap { conv, .. } => Some(conv),
            _ => None,
        }
    }
}

/// A line an operation: what it does to which shape, and how its gradient goes.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.ops {
            let (x, y) = (self.tensors[op.x].plane, self.tensors[op.y].plane);
            let shapes = format!("{}x{}x{} -> {}x{}x{}", x.h(), x.w(), x.c(), y.h(), y.w(), y.c());
            let (what, how) = match &op.kind {
                OpKind::Norm(n) => (
                    if n.relu { "norm + relu" } else { "norm" },
                    if n.folded { "gradient by the convolution behind it" } else { "" },
                ),
                OpKind::Relu => ("relu", ""),
                OpKind::Conv(conv) => (
                    "conv",
                    match (&conv.winograd, &conv.back) {
                        (Some(_), Some(BackWeights { winograd: Some(_), .. })) => "winograd, both ways",
                        (Some(_), _) => "winograd",
                        _ => "",
                    },
                ),
                OpKind::ConvPool { conv, backward, .. } => (
                    "conv + maxpool",
                    match (backward, conv.winograd.is_some()) {
                        (PoolBackward::Sparse, false) => "by strips; sparse gradient",
                        (PoolBackward::Sparse, true) => "by strips, winograd; sparse gradient",
                        (PoolBackward::Rows, false) => "by strips",
                        (PoolBackward::Rows, true) => "by strips, winograd",
                    },
                ),
                OpKind::ConvGap { .. } => ("conv + gap", "one product with the mean window"),
                OpKind::MaxPool { .. } => ("maxpool", ""),
                OpKind::AvgPool { .. } => ("avgpool", ""),
                OpKind::Gap => ("gap", ""),
                OpKind::Fork => ("residual", "the same values, a gradient of their own"),
                OpKind::Add { .. } => ("add", ""),
                OpKind::L2 => ("l2", ""),
            };
            writeln!(f, "{}", format!("{what:16} {shapes:28} {how}").trim_end())?;
        }
        let (tape, run) = (self.tape, self.run);
        write!(
            f,
            "kept an image: {:.1} KB; a thread's workspace: {:.1} KB",
            tape.bytes() as f64 / 1024.0,
            (4 * (run.scratch + run.flow + run.columns + run.tiles + 2 * run.entries) + tape.bytes()) as f64
                / 1024.0,
        )
    }
}
