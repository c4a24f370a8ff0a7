//! One image through the plan.

use super::plan::Plan;
use super::workspace::{Memory, Tape};
use crate::images::to_floats;
use alike_kernels::{GroupStats, Plane, Tier};

/// What the steps of a forward pass read and write.
pub(super) struct ForwardPass<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tier: Tier,
    /// The parameters in the kernels' layout.
    pub(super) packed: &'a [f32],
    /// Whether a backward pass may follow over this tape.
    pub(super) keep: bool,
    pub(super) memory: Memory<'a>,
    /// Of every pooling window, the number of its largest value.
    pub(super) argmax: &'a mut [u8],
    pub(super) stats: &'a mut [GroupStats],
    /// Room for transformed tiles of a convolution.
    pub(super) tiles: &'a mut [f32],
}

impl Plan {
    /// Embeds an image. The tape holds all that [`Plan::backward`] needs, unless `keep` says that it will not be called.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is done, with what, to what, and all the memory that it takes"
    )]
    pub(super) fn forward(
        &self,
        tier: Tier,
        packed: &[f32],
        image: &[u8],
        tape: &mut Tape,
        keep: bool,
        (scratch, tiles): (&mut [f32], &mut [f32]),
        embedding: &mut [f32],
    ) {
        let Tape { floats, argmax, stats } = tape;
        let memory = Memory { floats, scratch };
        let mut pass = ForwardPass { plan: self, tier, packed, keep, memory, argmax, stats, tiles };
        read_image(image, self.tensors[0].plane, pass.memory.write(&self.tensors[0]));
        for op in &self.ops {
            op.step.work().forward(&self.tensors[op.x], &self.tensors[op.y], &mut pass);
        }
        let last = &self.tensors[self.tensors.len() - 1];
        embedding.copy_from_slice(&pass.memory.read(last)[last.plane.offset()..][..embedding.len()]);
    }
}

/// Bytes become numbers from 0 to 1; floats stay as they are.
fn read_image(image: &[u8], p: Plane, buffer: &mut [f32]) {
    if image.len() != p.h() * p.w() * p.c() {
        for (i, pixel) in image.chunks_exact(4 * p.c()).enumerate() {
            to_floats(pixel, &mut buffer[p.at(i / p.w(), i % p.w())..][..p.c()]);
        }
        return;
    }
    for (y, row) in image.chunks_exact(p.w() * p.c()).enumerate() {
        if p.stride() == p.c() {
            for (to, from) in buffer[p.at(y, 0)..].iter_mut().zip(row) {
                *to = f32::from(*from) * (1.0 / 255.0);
            }
        } else {
            for (x, pixel) in row.chunks_exact(p.c()).enumerate() {
                for (to, from) in buffer[p.at(y, x)..].iter_mut().zip(pixel) {
                    *to = f32::from(*from) * (1.0 / 255.0);
                }
            }
        }
    }
}
