//! From a network to a plan, with the rewrites that make it fast. What concerns one layer stands in its file of `layers`.

use super::layers::{self, Step};
use super::plan::{Op, Plan, RunSizes, Slot, TapeSizes, Tensor};
use crate::images::Shape;
use crate::model::{LayerInfo, Network, ParameterInfo};
use alike_kernels::{padded, winograd_scratch_len, winograd_weights_len};
use std::ops::Range;

/// Which rewrites a plan may use. Each gives the numbers of the plain path, up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrites {
    /// A ReLU is applied by the normalisation before it.
    pub norm_relu: bool,
    /// A convolution and the max-pool behind it run strip by strip, and its gradient by the largest value of each window alone; rows and
    /// columns that no window reaches are not computed.
    pub conv_pool: bool,
    /// A convolution and the global average behind it are one product with the mean window.
    pub conv_gap: bool,
    /// The gradients of a first normalisation are found together with those of the convolution behind it.
    pub fold_norm: bool,
    /// What a normalisation makes is not kept for the backward pass but made again, which takes less time than memory.
    pub renorm: bool,
    /// A convolution of 3 x 3 is done with fewer multiplications, at about twice the rounding error.
    pub winograd: bool,
}

impl Rewrites {
    /// Every rewrite.
    pub const ALL: Rewrites = Rewrites {
        norm_relu: true,
        conv_pool: true,
        conv_gap: true,
        fold_norm: true,
        renorm: true,
        winograd: true,
    };
    /// What [`Rewrites::without`] calls them.
    pub const NAMES: [&str; 6] = ["norm-relu", "conv-pool", "conv-gap", "fold-norm", "renorm", "winograd"];

    /// These without the one of that name, if there is one.
    pub fn without(mut self, name: &str) -> Option<Rewrites> {
        *match name {
            "norm-relu" => &mut self.norm_relu,
            "conv-pool" => &mut self.conv_pool,
            "conv-gap" => &mut self.conv_gap,
            "fold-norm" => &mut self.fold_norm,
            "renorm" => &mut self.renorm,
            "winograd" => &mut self.winograd,
            _ => return None,
        } = false;
        Some(self)
    }

    /// The plain path.
    pub const NONE: Rewrites = Rewrites {
        norm_relu: false,
        conv_pool: false,
        conv_gap: false,
        fold_norm: false,
        renorm: false,
        winograd: false,
    };
}

/// Adds lengths up, whole lane groups at a time, so that every range begins on a cache line.
#[derive(Default)]
pub(super) struct Allocator(usize);

impl Allocator {
    pub(super) fn take(&mut self, len: usize) -> usize {
        let start = self.0;
        self.0 += padded(len);
        start
    }
}

impl Plan {
    /// Plans a network with every rewrite.
    pub fn new(network: &Network) -> Plan {
        Plan::with(network, Rewrites::ALL)
    }

    /// Plans a network with the given rewrites.
    pub fn with(network: &Network, rewrites: Rewrites) -> Plan {
        Plan::build(network, rewrites, false)
    }

    /// Plans a network with every rewrite, for a backward pass that goes on to the picture itself.
    pub(super) fn for_pixels(network: &Network) -> Plan {
        Plan::build(network, Rewrites::ALL, true)
    }

    fn build(network: &Network, rewrites: Rewrites, to_pixels: bool) -> Plan {
        let mut builder = Builder::new(rewrites);
        builder.tensor(network.input(), to_pixels);
        let layers = network.layers();
        let mut i = 0;
        while i < layers.len() {
            i += layers::plan(&mut builder, &layers[i], layers.get(i + 1));
        }
        builder.finish(network.input(), network.embedding())
    }
}

/// A plan while its layers are added to it, one by one.
pub(super) struct Builder {
    pub(super) rewrites: Rewrites,
    pub(super) tensors: Vec<Tensor>,
    pub(super) ops: Vec<Op>,
    /// Room for parameters in the kernels' layout.
    pub(super) packed: Allocator,
    gradient: Allocator,
    argmax: usize,
    stats: usize,
    sparse: usize,
    columns: usize,
    tiles: usize,
    /// Inputs of residual units that have not ended yet.
    pub(super) open_units: Vec<usize>,
}

impl Builder {
    fn new(rewrites: Rewrites) -> Builder {
        Builder {
            rewrites,
            tensors: Vec::new(),
            ops: Vec::new(),
            packed: Allocator::default(),
            gradient: Allocator::default(),
            argmax: 0,
            stats: 0,
            sparse: 0,
            columns: 0,
            tiles: 0,
            open_units: Vec::new(),
        }
    }

    /// The tensor that the next layer reads.
    pub(super) fn last(&self) -> usize {
        self.tensors.len() - 1
    }

    /// A new tensor whose channels are not padded.
    pub(super) fn tensor(&mut self, shape: Shape, needs_gradient: bool) -> usize {
        self.tensors.push(Tensor::new(shape, 0, needs_gradient));
        self.last()
    }

    /// A new tensor whose pixels lie `stride` floats apart.
    pub(super) fn output(&mut self, shape: Shape, stride: usize, needs_gradient: bool) -> usize {
        let y = self.tensor(shape, needs_gradient);
        let t = &mut self.tensors[y];
        t.plane = t.plane.with_stride(stride);
        y
    }

    /// A layer's input, and a new tensor for its output, whose pixels lie as far apart as the input's.
    pub(super) fn output_like_input(&mut self, info: &LayerInfo) -> (usize, usize) {
        let x = self.last();
        let needs_gradient = self.tensors[x].needs_gradient || !info.parameters.is_empty();
        (x, self.output(info.output, self.tensors[x].plane.stride(), needs_gradient))
    }

    /// Adds a step from tensor `x` to tensor `y`.
    pub(super) fn push(&mut self, x: usize, y: usize, step: Step) {
        self.ops.push(Op { x, y, step });
    }

    /// Room for a parameter tensor, `packed_len` floats of it and `gradient_len` of its gradient.
    pub(super) fn slot(&mut self, p: &ParameterInfo, packed_len: usize, gradient_len: usize) -> Slot {
        Slot {
            flat: p.range(),
            packed: self.packed.take(packed_len),
            packed_len,
            gradient: self.gradient.take(gradient_len),
            gradient_len,
        }
    }

    /// Room in an image's tape for the argmax of every pixel and channel of tensor `y`.
    pub(super) fn take_argmax(&mut self, y: usize) -> Range<usize> {
        let plane = self.tensors[y].plane;
        let argmax = self.argmax..self.argmax + plane.pixels() * plane.stride();
        self.argmax = argmax.end;
        argmax
    }

    /// Room in an image's tape for the statistics of so many groups.
    pub(super) fn take_stats(&mut self, groups: usize) -> Range<usize> {
        let stats = self.stats..self.stats + groups;
        self.stats = stats.end;
        stats
    }

    /// Room for transformed weights, and for tiles.
    pub(super) fn winograd(&mut self, channels: usize, out_channels: usize) -> Range<usize> {
        self.tiles = self.tiles.max(winograd_scratch_len(channels, out_channels));
        let len = winograd_weights_len(channels, out_channels);
        let start = self.packed.take(len);
        start..start + len
    }

    /// Room in a thread's workspace for so many floats of windows' gradients.
    pub(super) fn need_columns(&mut self, floats: usize) {
        self.columns = self.columns.max(floats);
    }

    /// Room in a thread's workspace for so many entries of a sparse gradient.
    pub(super) fn need_sparse(&mut self, entries: usize) {
        self.sparse = self.sparse.max(entries);
    }

    /// Gives a tensor a border of at least `pad` zero pixels.
    pub(super) fn border(&mut self, t: usize, pad: usize) {
        let plane = &mut self.tensors[t].plane;
        *plane = plane.with_border(plane.border().max(pad));
    }

    /// Gives a gradient its tensor's own border, so that both have the same offsets.
    pub(super) fn gradient_border(&mut self, t: usize, pad: usize) {
        let t = &mut self.tensors[t];
        let border = t.plane.border().max(t.gradient.border()).max(pad);
        (t.plane, t.gradient) = (t.plane.with_border(border), t.gradient.with_border(border));
        t.same_offsets = true;
    }

    fn finish(mut self, input: Shape, embedding: usize) -> Plan {
        let (mut tape, mut scratch, mut gradients) =
            (Allocator::default(), Allocator::default(), Allocator::default());
        // What is asked of a tensor under another name is asked of the tensor.
        for i in 0..self.tensors.len() {
            if let Some(root) = self.tensors[i].alias {
                let (kept, border) = (self.tensors[i].kept, self.tensors[i].plane.border());
                self.tensors[root].kept |= kept;
                self.border(root, border);
            }
        }
        for i in 0..self.tensors.len() {
            if let Some(root) = self.tensors[i].alias {
                let border = self.tensors[root].plane.border();
                self.tensors[i].plane = self.tensors[i].plane.with_border(border);
            }
        }
        for i in 0..self.tensors.len() {
            let place = self.tensors[i].alias.map(|root| {
                let root = &self.tensors[root];
                (root.plane, root.kept, root.start)
            });
            let t = &mut self.tensors[i];
            t.gradient = t.gradient.with_stride(t.plane.stride());
            // A gradient that is added to windows has the offsets of its tensor, whose border may have grown.
            if t.same_offsets {
                t.gradient = t.gradient.with_border(t.plane.border());
            }
            t.gradient_start = gradients.take(t.gradient.buffer_len());
            if let Some(place) = place {
                (t.plane, t.kept, t.start) = place;
                continue;
            }
            let memory = if t.kept { &mut tape } else { &mut scratch };
            t.start = memory.take(t.plane.buffer_len());
        }
        // Behind all tensors, so that a step's input, output and own memory are always three ranges in order.
        for op in &mut self.ops {
            op.step.work_mut().place_own(&mut |t| t.start = scratch.take(t.plane.buffer_len()));
        }
        Plan {
            input,
            embedding,
            tensors: self.tensors,
            ops: self.ops,
            // Never empty, so that a batch can always be cut by images.
            tape: TapeSizes { floats: tape.0.max(1), argmax: self.argmax.max(1), stats: self.stats.max(1) },
            run: RunSizes {
                scratch: scratch.0,
                gradients: gradients.0,
                sparse: self.sparse,
                columns: self.columns,
                tiles: self.tiles,
            },
            packed_len: self.packed.0,
            gradient_len: self.gradient.0,
        }
    }
}
