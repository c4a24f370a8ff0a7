//! The memory of an image, and of a thread.

use super::plan::{Plan, Tensor};
use alike_kernels::{AlignedBuffer, GroupStats};

/// What an image keeps from its forward pass.
#[derive(Debug)]
pub(super) struct Tape {
    pub(super) floats: AlignedBuffer,
    /// Of every pooling window, the number of its largest value.
    pub(super) argmax: Vec<u8>,
    pub(super) stats: Vec<GroupStats>,
}

impl Tape {
    pub(super) fn new(plan: &Plan) -> Tape {
        let sizes = plan.tape;
        Tape {
            floats: AlignedBuffer::new(sizes.floats),
            argmax: vec![0; sizes.argmax],
            stats: vec![GroupStats::default(); sizes.stats],
        }
    }
}

/// The memory of one thread. Borders are zero from the start, and whoever writes to one clears it again.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) run: Run,
    /// For images whose tape is not kept.
    pub(super) tape: Tape,
}

/// What a thread writes while it computes an image: activations that the backward pass does not need, and gradients.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) scratch: AlignedBuffer,
    /// Gradients of all tensors.
    pub(super) gradients: AlignedBuffer,
    /// Where the windows of a sparse gradient begin, and its values.
    pub(super) sparse_at: Vec<u32>,
    pub(super) sparse_values: Vec<f32>,
    /// Windows whose gradients are added into an image.
    pub(super) columns: AlignedBuffer,
    /// Transformed tiles of a convolution.
    pub(super) tiles: AlignedBuffer,
    /// Two numbers a group of a normalisation.
    pub(super) means: Vec<[f32; 2]>,
    /// An embedding that is computed again only for its activations.
    pub(super) embedding: Vec<f32>,
    /// An image as training sees it.
    pub(super) image: Vec<u8>,
    /// An image as it is read from a file.
    pub(super) raw: Vec<u8>,
}

impl Workspace {
    pub(super) fn new(plan: &Plan) -> Workspace {
        let sizes = plan.run;
        Workspace {
            run: Run {
                scratch: AlignedBuffer::new(sizes.scratch),
                gradients: AlignedBuffer::new(sizes.gradients),
                sparse_at: vec![0; sizes.sparse],
                sparse_values: vec![0.0; sizes.sparse],
                columns: AlignedBuffer::new(sizes.columns),
                tiles: AlignedBuffer::new(sizes.tiles),
                means: vec![[0.0; 2]; plan.tape.stats],
                embedding: vec![0.0; plan.embedding],
                image: vec![0; plan.input.len()],
                raw: Vec::with_capacity(plan.input.len()),
            },
            tape: Tape::new(plan),
        }
    }
}

/// Where the tensors of an image lie: kept ones in the tape, others in the scratch.
pub(super) struct Memory<'a> {
    pub(super) floats: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

impl Memory<'_> {
    pub(super) fn read(&self, t: &Tensor) -> &[f32] {
        if t.kept { &self.floats[t.range()] } else { &self.scratch[t.range()] }
    }

    pub(super) fn write(&mut self, t: &Tensor) -> &mut [f32] {
        if t.kept { &mut self.floats[t.range()] } else { &mut self.scratch[t.range()] }
    }

    /// A step's input and output, whichever of the two memories each lies in.
    pub(super) fn pair(&mut self, x: &Tensor, y: &Tensor) -> (&[f32], &mut [f32]) {
        pair(self.floats, self.scratch, x, y)
    }

    /// Input, output, and a step's own memory in the scratch, which lies behind all tensors.
    pub(super) fn triple(
        &mut self,
        x: &Tensor,
        y: &Tensor,
        own: &Tensor,
    ) -> (&[f32], &mut [f32], &mut [f32]) {
        let (scratch, after) = self.scratch.split_at_mut(own.start);
        let (x, y) = pair(self.floats, scratch, x, y);
        (x, y, &mut after[..own.plane.buffer_len()])
    }
}

fn pair<'a>(
    floats: &'a mut [f32],
    scratch: &'a mut [f32],
    x: &Tensor,
    y: &Tensor,
) -> (&'a [f32], &'a mut [f32]) {
    match (x.kept, y.kept) {
        (true, false) => (&floats[x.range()], &mut scratch[y.range()]),
        (false, true) => (&scratch[x.range()], &mut floats[y.range()]),
        (both, _) => split(if both { floats } else { scratch }, x, y),
    }
}

/// Two ranges of one memory, `x` before `y`.
fn split<'a>(memory: &'a mut [f32], x: &Tensor, y: &Tensor) -> (&'a [f32], &'a mut [f32]) {
    let (before, after) = memory.split_at_mut(y.start);
    (&before[x.range()], &mut after[..y.plane.buffer_len()])
}
