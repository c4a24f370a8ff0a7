//! What is to be done for an image, as pure data: tensors placed in buffers, and operations over them.

use crate::images::Shape;
use crate::model::{Layer, Network, ParameterInfo};
use alike_kernels::{Plane, PoolWindow, padded};
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
    /// Floats of activations that the backward pass does not need; one buffer a thread.
    pub(super) scratch_len: usize,
    /// Floats of the gradients of all tensors; one buffer a thread.
    pub(super) flow_len: usize,
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
    /// Whether any parameter lies before it.
    pub(super) needs_gradient: bool,
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
    /// Normalisation, with the ReLU behind it where there is one.
    Norm {
        groups: usize,
        eps: f32,
        relu: bool,
        stats: Range<usize>,
        scale: Slot,
        shift: Slot,
    },
    Relu,
    Conv {
        kernel: usize,
        pad: usize,
        weight: Slot,
        bias: Slot,
        flipped: usize,
    },
    MaxPool {
        window: PoolWindow,
        places: Range<usize>,
    },
    Gap,
    L2,
}

/// A parameter tensor: where it lies in the flat list, among the packed ones, and among the packed gradients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) flat: Range<usize>,
    pub(super) packed: usize,
    pub(super) gradient: usize,
    pub(super) packed_len: usize,
}

impl Slot {
    pub(super) fn packed_range(&self) -> Range<usize> {
        self.packed..self.packed + self.packed_len
    }

    pub(super) fn gradient_range(&self) -> Range<usize> {
        self.gradient..self.gradient + self.packed_len
    }
}

/// Adds lengths up, whole lane groups at a time, so that every range begins on a cache line.
#[derive(Default)]
struct Allocator(usize);

impl Allocator {
    fn take(&mut self, len: usize) -> usize {
        let start = self.0;
        self.0 += padded(len);
        start
    }
}

impl Plan {
    /// Plans a network.
    pub fn new(network: &Network) -> Plan {
        let mut builder = Builder::default();
        builder.tensor(network.input(), false);
        let layers = network.layers();
        let mut i = 0;
        while i < layers.len() {
            let info = &layers[i];
            let relu = matches!(info.layer, Layer::Norm { .. })
                && layers.get(i + 1).is_some_and(|l| l.layer == Layer::Relu);
            builder.op(info.layer, info.output, &info.parameters, relu);
            i += 1 + usize::from(relu);
        }
        builder.finish(network.input(), network.embedding())
    }

    pub(super) fn tape_sizes(&self) -> TapeSizes {
        self.tape
    }
}

#[derive(Default)]
struct Builder {
    tensors: Vec<Tensor>,
    shapes: Vec<Shape>,
    ops: Vec<Op>,
    packed: Allocator,
    gradient: Allocator,
    places: usize,
    stats: usize,
}

impl Builder {
    fn tensor(&mut self, shape: Shape, needs_gradient: bool) -> usize {
        let plane = Plane::new(shape.h, shape.w, shape.c, 0);
        self.tensors.push(Tensor {
            plane,
            kept: false,
            start: 0,
            flow: plane,
            flow_start: 0,
            needs_gradient,
        });
        self.shapes.push(shape);
        self.tensors.len() - 1
    }

    fn slot(&mut self, p: &ParameterInfo, packed_len: usize) -> Slot {
        Slot {
            flat: p.range(),
            packed: self.packed.take(packed_len),
            gradient: self.gradient.take(packed_len),
            packed_len,
        }
    }

    fn op(&mut self, layer: Layer, output: Shape, parameters: &[ParameterInfo], relu: bool) {
        let x = self.tensors.len() - 1;
        let needs_gradient = self.tensors[x].needs_gradient || !parameters.is_empty();
        let y = self.tensor(output, needs_gradient);
        let kind = match layer {
            Layer::Norm { groups, eps } => {
                self.tensors[x].kept = true;
                let c = output.c;
                let stats = self.stats..self.stats + groups;
                self.stats = stats.end;
                let (scale, shift) = (self.slot(&parameters[0], c), self.slot(&parameters[1], c));
                OpKind::Norm { groups, eps, relu, stats, scale, shift }
            }
            Layer::Relu => {
                self.tensors[y].kept = true;
                OpKind::Relu
            }
            Layer::Conv { maps, kernel, pad } => {
                self.tensors[x].kept = true;
                self.border(x, pad);
                // Outputs are written in whole lane groups, however few their channels.
                let wide = padded(maps);
                {
                    let plane = &mut self.tensors[y];
                    plane.plane.stride = wide;
                }
                let taps = kernel * kernel;
                let input = self.tensors[x].plane;
                let weight = self.slot(&parameters[0], taps * input.stride * wide);
                let bias = self.slot(&parameters[1], wide);
                let flipped = if self.tensors[x].needs_gradient {
                    self.tensors[y].flow.border = kernel - 1 - pad;
                    let inputs = if input.in_lanes() { input.stride } else { input.c };
                    self.packed.take(taps * wide * inputs)
                } else {
                    0
                };
                OpKind::Conv { kernel, pad, weight, bias, flipped }
            }
            Layer::MaxPool { size, stride } => {
                let window = PoolWindow { size, stride };
                self.inherit_stride(x, y);
                let len = output.h * output.w * self.tensors[y].plane.stride;
                let places = self.places..self.places + len;
                self.places = places.end;
                OpKind::MaxPool { window, places }
            }
            Layer::Gap => OpKind::Gap,
            Layer::L2 => {
                self.tensors[x].kept = true;
                OpKind::L2
            }
        };
        if !matches!(kind, OpKind::Conv { .. }) {
            self.inherit_stride(x, y);
        }
        self.ops.push(Op { x, y, kind });
    }

    fn inherit_stride(&mut self, x: usize, y: usize) {
        self.tensors[y].plane.stride = self.tensors[x].plane.stride;
    }

    fn border(&mut self, t: usize, pad: usize) {
        let border = &mut self.tensors[t].plane.border;
        *border = (*border).max(pad);
    }

    fn finish(mut self, input: Shape, embedding: usize) -> Plan {
        let (mut tape, mut scratch, mut flow) =
            (Allocator::default(), Allocator::default(), Allocator::default());
        for t in &mut self.tensors {
            let place = |p: Plane| {
                let pitch = (p.w + 2 * p.border) * p.stride;
                Plane { pitch, offset: p.border * (pitch + p.stride), ..p }
            };
            t.flow.stride = t.plane.stride;
            t.plane = place(t.plane);
            t.flow = place(t.flow);
            t.start =
                if t.kept { tape.take(t.plane.buffer_len()) } else { scratch.take(t.plane.buffer_len()) };
            t.flow_start = flow.take(t.flow.buffer_len());
        }
        Plan {
            input,
            embedding,
            tensors: self.tensors,
            ops: self.ops,
            // Never empty, so that a batch can always be cut by images.
            tape: TapeSizes { floats: tape.0.max(1), places: self.places.max(1), stats: self.stats.max(1) },
            scratch_len: scratch.0,
            flow_len: flow.0,
            packed_len: self.packed.0,
            gradient_len: self.gradient.0,
        }
    }
}
