//! From a network to a plan, with the rewrites that make it fast.

use super::plan::{
    BackLayout, BackWeights, Conv, GradientLayout, Norm, Op, OpKind, Plan, PoolBackward, RunSizes, Slot,
    TapeSizes, Tensor,
};
use crate::images::Shape;
use crate::model::{Layer, LayerInfo, Network, ParameterInfo};
use alike_kernels::{
    Plane, PoolWindow, Sliding, SparseConv, padded, winograd_scratch_len, winograd_weights_len,
};

/// Which rewrites a plan may use. Each gives the numbers of the plain path, up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrites {
    /// A ReLU is applied by the normalisation before it.
    pub norm_relu: bool,
    /// A convolution and the max-pool behind it run strip by strip, and its gradient by the pool's winners alone; rows and
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

/// What a strip of a pooled convolution may take: half of a usual first cache.
const STRIP_BYTES: usize = 24 << 10;

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
    /// Plans a network with every rewrite.
    pub fn new(network: &Network) -> Plan {
        Plan::with(network, Rewrites::ALL)
    }

    /// Plans a network with the given rewrites.
    pub fn with(network: &Network, rewrites: Rewrites) -> Plan {
        Plan::build(network, rewrites, false)
    }

    /// The same, for a backward pass that goes on to the picture itself.
    pub(super) fn for_pixels(network: &Network) -> Plan {
        Plan::build(network, Rewrites::ALL, true)
    }

    fn build(network: &Network, rewrites: Rewrites, to_pixels: bool) -> Plan {
        let mut builder = Builder::default();
        builder.tensor(network.input(), to_pixels);
        let layers = network.layers();
        let mut i = 0;
        while i < layers.len() {
            i += builder.layer(&layers[i], layers.get(i + 1), rewrites);
        }
        builder.finish(network.input(), network.embedding())
    }
}

#[derive(Default)]
struct Builder {
    tensors: Vec<Tensor>,
    ops: Vec<Op>,
    packed: Allocator,
    gradient: Allocator,
    places: usize,
    stats: usize,
    entries: usize,
    columns: usize,
    tiles: usize,
    /// Inputs of residual units that are open.
    forks: Vec<usize>,
}

fn tensor(shape: Shape, border: usize, needs_gradient: bool) -> Tensor {
    let plane = Plane::new(shape.h, shape.w, shape.c, border);
    Tensor {
        plane,
        kept: false,
        start: 0,
        flow: plane,
        flow_start: 0,
        needs_gradient,
        same_offsets: false,
        alias: None,
    }
}

impl Builder {
    fn tensor(&mut self, shape: Shape, needs_gradient: bool) -> usize {
        self.tensors.push(tensor(shape, 0, needs_gradient));
        self.tensors.len() - 1
    }

    fn slot(&mut self, p: &ParameterInfo, packed_len: usize, gradient_len: usize) -> Slot {
        Slot {
            flat: p.range(),
            packed: self.packed.take(packed_len),
            packed_len,
            gradient: self.gradient.take(gradient_len),
            gradient_len,
        }
    }

    /// Plans a layer, and the one behind it where both are done together; returns how many.
    fn layer(&mut self, info: &LayerInfo, next: Option<&LayerInfo>, rewrites: Rewrites) -> usize {
        let x = self.tensors.len() - 1;
        let needs_gradient = self.tensors[x].needs_gradient || !info.parameters.is_empty();
        let behind = next.map(|n| n.layer);
        let stride = self.tensors[x].plane.stride();
        match info.layer {
            Layer::Norm { groups, eps } => {
                let relu = rewrites.norm_relu && behind == Some(Layer::Relu);
                self.tensors[x].kept = true;
                let c = info.output.c;
                let stats = self.stats..self.stats + groups;
                self.stats = stats.end;
                let (scale, shift) =
                    (self.slot(&info.parameters[0], c, c), self.slot(&info.parameters[1], c, c));
                let norm = Norm { eps, relu, stats, scale, shift, folded: false };
                let y = self.output(info.output, stride, needs_gradient);
                self.ops.push(Op { x, y, kind: OpKind::Norm(norm) });
                1 + usize::from(relu)
            }
            Layer::Relu => {
                let y = self.output(info.output, stride, needs_gradient);
                self.tensors[y].kept = true;
                self.ops.push(Op { x, y, kind: OpKind::Relu });
                1
            }
            Layer::Conv { maps, kernel, pad, stride } => {
                self.conv(info, next, rewrites, maps, Sliding { h: kernel, w: kernel, pad, stride })
            }
            Layer::Linear { width } => {
                let window = Sliding { h: info.input.h, w: info.input.w, pad: 0, stride: 1 };
                self.conv(info, None, rewrites, width, window)
            }
            Layer::Fork => {
                let y = self.output(info.output, stride, needs_gradient);
                let root = self.tensors[x].alias.unwrap_or(x);
                self.tensors[y].alias = Some(root);
                self.forks.push(x);
                self.ops.push(Op { x, y, kind: OpKind::Fork });
                1
            }
            Layer::Add => {
                // A specification's forks and additions are paired.
                let skip = self.forks.pop().unwrap_or(x);
                let needs_gradient = needs_gradient || self.tensors[skip].needs_gradient;
                let y = self.output(info.output, stride, needs_gradient);
                self.ops.push(Op { x, y, kind: OpKind::Add { skip } });
                1
            }
            Layer::AvgPool { size, stride: step } => {
                let y = self.output(info.output, stride, needs_gradient);
                let window = PoolWindow::new(size, step);
                self.ops.push(Op { x, y, kind: OpKind::AvgPool { window } });
                1
            }
            Layer::MaxPool { size, stride: step } => {
                let y = self.output(info.output, stride, needs_gradient);
                let places = self.take_places(y);
                let window = PoolWindow::new(size, step);
                self.ops.push(Op { x, y, kind: OpKind::MaxPool { window, places } });
                1
            }
            Layer::Gap => {
                let y = self.output(info.output, stride, needs_gradient);
                self.ops.push(Op { x, y, kind: OpKind::Gap });
                1
            }
            Layer::L2 => {
                self.tensors[x].kept = true;
                let y = self.output(info.output, stride, needs_gradient);
                self.ops.push(Op { x, y, kind: OpKind::L2 });
                1
            }
        }
    }

    fn output(&mut self, shape: Shape, stride: usize, needs_gradient: bool) -> usize {
        let y = self.tensor(shape, needs_gradient);
        let t = &mut self.tensors[y];
        t.plane = t.plane.with_stride(stride);
        y
    }

    fn take_places(&mut self, y: usize) -> std::ops::Range<usize> {
        let plane = self.tensors[y].plane;
        let places = self.places..self.places + plane.pixels() * plane.stride();
        self.places = places.end;
        places
    }

    fn conv(
        &mut self,
        info: &LayerInfo,
        next: Option<&LayerInfo>,
        rewrites: Rewrites,
        maps: usize,
        window: Sliding,
    ) -> usize {
        let pad = window.pad;
        let x = self.tensors.len() - 1;
        let input = self.tensors[x].plane;
        let norm = rewrites.fold_norm.then(|| self.foldable(x)).flatten();
        if norm.is_some() {
            // Nothing before this convolution asks for the gradient of its input any more.
            self.tensors[x].needs_gradient = false;
        }
        let wanted = self.tensors[x].needs_gradient;
        let fused = next.and_then(|n| fusion(n, info, input, window, wanted, rewrites));
        // Outputs are written in whole lane groups, however few their channels.
        let (wide, taps) = (padded(maps), window.taps());
        let size = taps * input.stride() * wide;
        let gradient = match (norm, fused) {
            (Some(norm), _) => {
                let shape = Shape { h: input.h(), w: input.w(), c: 2 * input.c() };
                let mut parts = tensor(shape, pad, false);
                // A channel's two parts are neighbours, however many channels there are.
                parts.plane = parts.plane.with_stride(2 * input.c());
                GradientLayout::Parts { norm, parts }
            }
            (None, Some(Fusion::Pool(_, PoolBackward::Sparse))) => GradientLayout::ByMap,
            _ => GradientLayout::AsWeights,
        };
        let doubled = if norm.is_some() { 2 } else { 1 };
        let weight = self.slot(&info.parameters[0], size, doubled * size);
        let bias = self.slot(&info.parameters[1], wide, wide);
        let layout = match fused {
            Some(Fusion::Gap | Fusion::Pool(_, PoolBackward::Sparse)) => BackLayout::ByMap,
            // A gradient that slides back needs a step of one, and a window that reaches into the image everywhere.
            _ if window.stride > 1 || pad >= window.h.min(window.w) || window.h != window.w => {
                BackLayout::ByMap
            }
            _ if input.in_lanes() => BackLayout::Turned,
            _ => BackLayout::TurnedByChannel,
        };
        let columns = padded(taps * input.stride());
        let size = match layout {
            BackLayout::Turned => taps * wide * input.stride(),
            BackLayout::TurnedByChannel => taps * wide * input.c(),
            BackLayout::ByMap => wide * columns,
        };
        let slides = window.h == 3 && window.w == 3 && window.stride == 1;
        let fewer = rewrites.winograd
            && slides
            && input.in_lanes()
            && pays(info.output, input.stride(), wide)
            && !matches!(fused, Some(Fusion::Gap));
        let winograd = fewer.then(|| self.winograd(input.stride(), wide));
        let back = wanted.then(|| {
            let start = self.packed.take(size);
            let turned = fewer && layout == BackLayout::Turned && pays(info.input, input.stride(), wide);
            BackWeights { start, layout, winograd: turned.then(|| self.winograd(wide, input.stride())) }
        });
        let renorm = rewrites.renorm.then(|| self.norm_before(x)).flatten().filter(|_| norm.is_none());
        let keep = norm.is_none() && renorm.is_none();
        let conv = Conv { window, weight, bias, winograd, back, gradient, renorm };
        self.border(x, pad);
        match fused {
            None => {
                self.tensors[x].kept |= keep;
                let y = self.output(info.output, wide, true);
                if wanted && layout == BackLayout::ByMap {
                    self.flow_border(x, pad);
                    self.columns = self.columns.max(info.output.w * columns);
                } else if wanted {
                    let t = &mut self.tensors[y];
                    t.flow = t.flow.with_border(window.h - 1 - pad);
                }
                self.ops.push(Op { x, y, kind: OpKind::Conv(conv) });
                1
            }
            Some(Fusion::Gap) => {
                // Gradients are added to windows that reach into the border.
                self.flow_border(x, pad);
                self.columns = self.columns.max(columns);
                let sums = self.tensor(Shape { h: 1, w: 1, c: taps * input.stride() }, false);
                self.tensors[sums].kept = true;
                let y = self.output(Shape { h: 1, w: 1, c: maps }, wide, true);
                self.ops.push(Op { x, y, kind: OpKind::ConvGap { conv, sums } });
                2
            }
            Some(Fusion::Pool(pool, backward)) => {
                self.tensors[x].kept |= keep;
                let shape = next.map_or(info.output, |n| n.output);
                let y = self.output(shape, wide, true);
                let places = self.take_places(y);
                let reached = (shape.w - 1) * pool.stride() + pool.size();
                // As many pooled rows at a time as stay in the first cache; gaps between windows would be computed in vain.
                let bytes = |n: usize| 4 * (pool.size() + (n - 1) * pool.stride()) * reached * wide;
                let most = if pool.stride() > pool.size() { 1 } else { shape.h };
                let rows = (1..=most).rev().find(|&n| bytes(n) <= STRIP_BYTES).unwrap_or(1);
                let height = pool.size() + (rows - 1) * pool.stride();
                let mut strip = tensor(Shape { h: height, w: reached, c: maps }, 0, false);
                strip.plane = strip.plane.with_stride(wide);
                if backward == PoolBackward::Sparse {
                    self.flow_border(x, pad);
                    self.entries = self.entries.max(shape.h * shape.w * maps);
                }
                self.ops.push(Op {
                    x,
                    y,
                    kind: OpKind::ConvPool { conv, window: pool, places, strip, backward },
                });
                2
            }
        }
    }

    /// The normalisation that makes tensor `x`, if one does.
    fn norm_before(&self, x: usize) -> Option<usize> {
        self.ops.iter().position(|op| op.y == x && matches!(op.kind, OpKind::Norm(_)))
    }

    /// The operation that makes tensor `x`, if it is a normalisation of a picture that nothing before learns from.
    fn foldable(&mut self, x: usize) -> Option<usize> {
        let at = self.ops.iter().position(|op| op.y == x)?;
        let before = &self.tensors[self.ops[at].x];
        let narrow = !before.plane.in_lanes() && before.plane.c() <= 4;
        let fits = narrow && !before.needs_gradient;
        match &mut self.ops[at].kind {
            OpKind::Norm(norm) if fits => {
                norm.folded = true;
                Some(at)
            }
            _ => None,
        }
    }

    /// Room for transformed weights, and for tiles.
    fn winograd(&mut self, channels: usize, maps: usize) -> std::ops::Range<usize> {
        self.tiles = self.tiles.max(winograd_scratch_len(channels, maps));
        let len = winograd_weights_len(channels, maps);
        let start = self.packed.take(len);
        start..start + len
    }

    fn border(&mut self, t: usize, pad: usize) {
        let plane = &mut self.tensors[t].plane;
        *plane = plane.with_border(plane.border().max(pad));
    }

    /// Gives a gradient its tensor's own border, so that both have the same offsets.
    fn flow_border(&mut self, t: usize, pad: usize) {
        let t = &mut self.tensors[t];
        let border = t.plane.border().max(t.flow.border()).max(pad);
        (t.plane, t.flow) = (t.plane.with_border(border), t.flow.with_border(border));
        t.same_offsets = true;
    }

    fn finish(mut self, input: Shape, embedding: usize) -> Plan {
        let (mut tape, mut scratch, mut flow) =
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
            t.flow = t.flow.with_stride(t.plane.stride());
            // A gradient that is added to windows has the offsets of its tensor, whose border may have grown.
            if t.same_offsets {
                t.flow = t.flow.with_border(t.plane.border());
            }
            t.flow_start = flow.take(t.flow.buffer_len());
            if let Some(place) = place {
                (t.plane, t.kept, t.start) = place;
                continue;
            }
            let memory = if t.kept { &mut tape } else { &mut scratch };
            t.start = memory.take(t.plane.buffer_len());
        }
        // Behind all tensors, so that an operation's input, output and own memory are always three ranges in order.
        for op in &mut self.ops {
            let mut own = |t: &mut Tensor| {
                t.start = scratch.take(t.plane.buffer_len());
            };
            // Parts first: they are read while a strip is written.
            if let OpKind::Conv(conv) | OpKind::ConvPool { conv, .. } = &mut op.kind
                && let GradientLayout::Parts { parts, .. } = &mut conv.gradient
            {
                own(parts);
            }
            if let OpKind::ConvPool { strip, .. } = &mut op.kind {
                own(strip);
            }
        }
        Plan {
            input,
            embedding,
            tensors: self.tensors,
            ops: self.ops,
            // Never empty, so that a batch can always be cut by images.
            tape: TapeSizes { floats: tape.0.max(1), places: self.places.max(1), stats: self.stats.max(1) },
            run: RunSizes {
                scratch: scratch.0,
                flow: flow.0,
                entries: self.entries,
                columns: self.columns,
                tiles: self.tiles,
            },
            packed_len: self.packed.0,
            gradient_len: self.gradient.0,
        }
    }
}

/// Whether fewer multiplications make up for the additions around them: transforms grow with the channels, products with
/// their square, and small images leave tiles half empty.
fn pays(outputs: Shape, channels: usize, maps: usize) -> bool {
    channels.min(maps) >= 32 && outputs.h.min(outputs.w) >= 6
}

/// What a convolution is done together with.
#[derive(Clone, Copy)]
enum Fusion {
    Pool(PoolWindow, PoolBackward),
    Gap,
}

fn fusion(
    next: &LayerInfo,
    conv: &LayerInfo,
    input: Plane,
    sliding: Sliding,
    wanted: bool,
    rewrites: Rewrites,
) -> Option<Fusion> {
    match next.layer {
        Layer::MaxPool { size, stride } if rewrites.conv_pool => {
            let window = PoolWindow::new(size, stride);
            let (all, winners) = (conv.output.h * conv.output.w, next.output.h * next.output.w);
            // A winner costs about twice as much as a pixel of the dense gradient.
            let sparse = input.in_lanes() && SparseConv::supports(sliding.h) && 2 * winners <= all;
            match (sparse, wanted) {
                (true, _) => Some(Fusion::Pool(window, PoolBackward::Sparse)),
                (false, false) => Some(Fusion::Pool(window, PoolBackward::Rows)),
                (false, true) => None,
            }
        }
        Layer::Gap if rewrites.conv_gap && input.in_lanes() => Some(Fusion::Gap),
        _ => None,
    }
}
