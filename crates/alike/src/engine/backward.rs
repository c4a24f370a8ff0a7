//! One image's gradient, back through the plan.

use super::plan::{Plan, Tensor};
use super::workspace::{Memory, Run, Tape};
use alike_kernels::{GroupStats, Tier};

/// What the steps of a backward pass read and write, besides [`Gradients`].
pub(super) struct BackwardPass<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tier: Tier,
    /// The parameters in the kernels' layout.
    pub(super) packed: &'a [f32],
    pub(super) memory: Memory<'a>,
    /// Of every pooling window, the number of its largest value.
    pub(super) argmax: &'a [u8],
    pub(super) stats: &'a [GroupStats],
    /// Where the gradients of all parameters are added, in the kernels' layout.
    pub(super) sum: &'a mut [f32],
    /// Room for the entries of a sparse gradient: where their windows begin, and their values.
    pub(super) sparse_at: &'a mut [u32],
    pub(super) sparse_values: &'a mut [f32],
    /// Room for windows whose gradients are added into an image.
    pub(super) columns: &'a mut [f32],
    /// Room for transformed tiles of a convolution.
    pub(super) tiles: &'a mut [f32],
    /// Room for two numbers a group of a normalisation.
    pub(super) means: &'a mut [[f32; 2]],
}

/// The gradients of a step's output, and of all tensors before it.
pub(super) struct Gradients<'a> {
    /// Of the step's output.
    pub(super) dy: &'a [f32],
    before: &'a mut [f32],
}

impl Gradients<'_> {
    /// The gradient of a tensor before the step's output.
    pub(super) fn of(&mut self, tensor: &Tensor) -> &mut [f32] {
        &mut self.before[tensor.gradient_range()]
    }
}

impl Plan {
    /// Adds the parameters' gradients to `sum`, given that of the embedding.
    pub(super) fn backward(
        &self,
        tier: Tier,
        packed: &[f32],
        tape: &mut Tape,
        run: &mut Run,
        embedding_gradient: &[f32],
        sum: &mut [f32],
    ) {
        // Most images of a late epoch lie beyond every margin, and a gradient of zero has nothing to add.
        if embedding_gradient.iter().all(|g| *g == 0.0) {
            return;
        }
        let Tape { floats, argmax, stats } = tape;
        let Run { scratch, gradients, sparse_at, sparse_values, columns, tiles, means, .. } = run;
        let memory = Memory { floats, scratch };
        let plan = self;
        let mut pass = BackwardPass {
            plan,
            tier,
            packed,
            memory,
            argmax,
            stats,
            sum,
            sparse_at,
            sparse_values,
            columns,
            tiles,
            means,
        };
        let last = &self.tensors[self.tensors.len() - 1];
        gradients[last.gradient_start + last.gradient.offset()..][..embedding_gradient.len()]
            .copy_from_slice(embedding_gradient);
        for op in self.ops.iter().rev() {
            let (x, y) = (&self.tensors[op.x], &self.tensors[op.y]);
            if !y.needs_gradient {
                break;
            }
            let (before, after) = gradients.split_at_mut(y.gradient_start);
            let gradients = Gradients { dy: &after[..y.gradient.buffer_len()], before };
            op.step.work().backward(x, y, gradients, &mut pass);
        }
    }
}
