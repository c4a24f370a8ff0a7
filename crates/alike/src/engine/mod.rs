//! Runs a network: embeddings forward, parameter gradients backward.
//!
//! A thread carries one image depth-first through the whole network while its activations sit in cache. A batch is cut
//! into [`PARTS`] contiguous parts; the images of a part are summed in order, and parts are reduced in order, so results
//! do not depend on the number of threads.

mod plan;

mod build;
mod layers;
mod workspace;

mod backward;
mod forward;
mod inference;
mod pack;
mod pixels;
mod spinning;

pub use build::Rewrites;
pub use inference::Inference;
pub use pixels::PixelGradients;
pub use plan::Plan;
pub use spinning::with_spinning_threads;

use crate::files::FileError;
use crate::images::{Features, Images, Shape};
use crate::model::Network;
use alike_kernels::AlignedBuffer;
pub use alike_kernels::{Tier, TierError};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};
use workspace::{Tape, Workspace};

/// Into how many parts a batch is cut, at most. More threads than this have nothing to do.
pub const PARTS: usize = 16;

/// What the forward passes of a batch may keep for the backward pass unless told otherwise, in bytes.
pub const ACTIVATION_MEMORY: usize = 1 << 30;

/// Floats of the gradient that are reduced over the parts at a time.
const REDUCED: usize = 2048;

/// A network made ready to run on this machine.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    tier: Tier,
    /// One for each thread of the pool that calls.
    workspaces: Vec<Mutex<Workspace>>,
    /// What the forward pass keeps for the backward pass, an image each; none where that is computed again.
    tapes: Vec<Tape>,
    activation_memory: usize,
    /// Gradients of a part, in the kernels' layout.
    gradients: Vec<AlignedBuffer>,
    packed: AlignedBuffer,
    embeddings: Vec<f32>,
    batch: Vec<usize>,
}

impl Engine {
    /// Plans the network for the fastest instructions that this machine has.
    ///
    /// # Errors
    ///
    /// If `ALIKE_SIMD` asks for instructions that there are not.
    pub fn new(network: &Network) -> Result<Engine, TierError> {
        Ok(Engine::with_tier(network, Tier::from_env()?))
    }

    /// Plans the network for the given instructions.
    pub fn with_tier(network: &Network, tier: Tier) -> Engine {
        Engine::with_plan(Plan::new(network), tier)
    }

    /// Makes a plan ready to run with the given instructions.
    pub fn with_plan(plan: Plan, tier: Tier) -> Engine {
        let workspaces =
            (0..rayon::current_num_threads()).map(|_| Mutex::new(Workspace::new(&plan))).collect();
        Engine {
            tier,
            workspaces,
            tapes: Vec::new(),
            activation_memory: ACTIVATION_MEMORY,
            gradients: (0..PARTS).map(|_| AlignedBuffer::new(plan.gradient_len)).collect(),
            packed: AlignedBuffer::new(plan.packed_len),
            embeddings: Vec::new(),
            batch: Vec::new(),
            plan,
        }
    }

    /// Bounds what the forward passes of a batch keep, in bytes. A batch that would keep more keeps nothing: the backward
    /// pass then computes each image's activations again, to the same bits, for about a third more work.
    pub fn set_activation_memory(&mut self, bytes: usize) {
        self.activation_memory = bytes;
    }

    /// Another engine that runs as this one does, for the same network on images of another shape.
    pub(crate) fn with_input(&self, network: &Network) -> Engine {
        let mut other = Engine::with_tier(network, self.tier);
        other.activation_memory = self.activation_memory;
        other
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The shape of the images that it runs on.
    pub(crate) fn input(&self) -> Shape {
        self.plan.input
    }

    /// The instructions in use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Embeds every image: `n x d` floats.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    ///
    /// # Panics
    ///
    /// If the images or parameters are not those of the network.
    pub fn embed(&mut self, parameters: &[f32], images: &Images) -> Result<Features, FileError> {
        pack::pack(&self.plan, self.tier, parameters, &mut self.packed);
        inference::embed(&self.plan, self.tier, &self.packed, &self.workspaces, images)
    }

    /// Embeds the images at `indices` and keeps what [`Engine::backward`] needs; `indices.len() x d` floats.
    ///
    /// # Errors
    ///
    /// If an image cannot be read. There is nothing to go backward from then.
    ///
    /// # Panics
    ///
    /// If the images or parameters are not those of the network.
    pub fn forward(
        &mut self,
        parameters: &[f32],
        images: &Images,
        indices: &[usize],
    ) -> Result<&[f32], FileError> {
        self.forward_prepared(parameters, images, indices, None)
    }

    /// Embeds the images at `indices` as [`Engine::forward`] does, each changed by `prepare` in its own work: to the shape of the network's
    /// input, whatever theirs is.
    ///
    /// # Errors
    ///
    /// As [`Engine::forward`].
    ///
    /// # Panics
    ///
    /// As [`Engine::forward`].
    pub fn forward_prepared(
        &mut self,
        parameters: &[f32],
        images: &Images,
        indices: &[usize],
        prepare: Option<&dyn Prepare>,
    ) -> Result<&[f32], FileError> {
        assert!(prepare.is_some() || images.shape() == self.plan.input, "engine: images of another shape");
        pack::pack(&self.plan, self.tier, parameters, &mut self.packed);
        let (n, d) = (indices.len(), self.plan.embedding);
        self.batch.clear();
        self.batch.extend_from_slice(indices);
        let keep = n.saturating_mul(self.plan.tape.bytes()) <= self.activation_memory;
        if keep && self.tapes.len() < n {
            self.tapes.resize_with(n, || Tape::new(&self.plan));
        } else if !keep {
            self.tapes.clear();
        }
        self.embeddings.resize(n * d, 0.0);
        let (tier, packed, workspaces) = (self.tier, &*self.packed, &self.workspaces);
        let source = Source { plan: &self.plan, images, prepare };
        let outputs = self.embeddings.par_chunks_mut(d).zip(indices).enumerate();
        if keep {
            self.tapes[..n].par_iter_mut().zip(outputs).try_for_each(
                |(tape, (position, (out, &image)))| {
                    source.forward(
                        tier,
                        packed,
                        (position, image),
                        tape,
                        true,
                        &mut lock(workspaces).run,
                        Some(out),
                    )
                },
            )?;
        } else {
            outputs.try_for_each(|(position, (out, &image))| {
                let Workspace { run, tape } = &mut *lock(workspaces);
                source.forward(tier, packed, (position, image), tape, false, run, Some(out))
            })?;
        }
        Ok(&self.embeddings)
    }

    /// Turns the gradient of each embedding of the last [`Engine::forward`], over the same images, into that of the
    /// parameters, which replaces what `gradient` holds.
    ///
    /// # Errors
    ///
    /// If the forward pass kept nothing, and an image cannot be read again. The gradient is as it was then.
    ///
    /// # Panics
    ///
    /// If lengths are not those of the last forward pass.
    pub fn backward(
        &mut self,
        images: &Images,
        embedding_gradients: &[f32],
        gradient: &mut [f32],
    ) -> Result<(), FileError> {
        self.backward_prepared(images, None, embedding_gradients, gradient)
    }

    /// Turns gradients of embeddings into those of parameters, as [`Engine::backward`] does, after [`Engine::forward_prepared`].
    /// `prepare` must give the same images again.
    ///
    /// # Errors
    ///
    /// As [`Engine::backward`].
    ///
    /// # Panics
    ///
    /// As [`Engine::backward`].
    pub fn backward_prepared(
        &mut self,
        images: &Images,
        prepare: Option<&dyn Prepare>,
        embedding_gradients: &[f32],
        gradient: &mut [f32],
    ) -> Result<(), FileError> {
        let (n, d) = (self.batch.len(), self.plan.embedding);
        assert_eq!(embedding_gradients.len(), n * d, "engine: a gradient for each embedding");
        let (plan, tier, packed, workspaces) = (&self.plan, self.tier, &*self.packed, &self.workspaces);
        let per = n.div_ceil(PARTS).max(1);
        let parts = n.div_ceil(per);
        let work = embedding_gradients.par_chunks(per * d).zip(&mut self.gradients[..parts]);
        if self.tapes.is_empty() {
            let source = Source { plan, images, prepare };
            work.zip(self.batch.par_chunks(per)).enumerate().try_for_each(
                |(part, ((dys, sum), indices))| {
                    let Workspace { run, tape } = &mut *lock(workspaces);
                    sum.fill(0.0);
                    for (i, (dy, &image)) in
                        dys.chunks_exact(d).zip(indices).enumerate().filter(|(_, (dy, _))| is_nonzero(dy))
                    {
                        source.forward(tier, packed, (part * per + i, image), tape, true, run, None)?;
                        plan.backward(tier, packed, tape, run, dy, sum);
                    }
                    Ok(())
                },
            )?;
        } else {
            work.zip(self.tapes.par_chunks_mut(per)).for_each(|((dys, sum), tapes)| {
                let run = &mut lock(workspaces).run;
                sum.fill(0.0);
                for (dy, tape) in dys.chunks_exact(d).zip(tapes).filter(|(dy, _)| is_nonzero(dy)) {
                    plan.backward(tier, packed, tape, run, dy, sum);
                }
            });
        }
        let (first, rest) = self.gradients.split_at_mut(1);
        if parts == 0 {
            first[0].fill(0.0);
        }
        let rest = &rest[..parts.saturating_sub(1)];
        // Every float is summed in the order of the parts, whoever does it.
        first[0].par_chunks_mut(REDUCED).enumerate().for_each(|(chunk, sums)| {
            for part in rest {
                for (sum, v) in sums.iter_mut().zip(&part[chunk * REDUCED..]) {
                    *sum += v;
                }
            }
        });
        pack::unpack_gradient(&self.plan, &self.packed, &first[0], gradient);
        Ok(())
    }
}

/// Changes an image as training sees it, in the image's own work. The same position and image must always give the same.
pub trait Prepare: Sync {
    /// Writes image number `image`, whose bytes are `from`, as position `position` of the batch has it: `to` has the bytes of the network's input.
    fn prepare(&self, position: usize, image: usize, from: &[u8], to: &mut [u8]);
}

/// Where a pass takes its images from.
struct Source<'a> {
    plan: &'a Plan,
    images: &'a Images,
    prepare: Option<&'a dyn Prepare>,
}

impl Source<'_> {
    /// One image forward; its embedding goes to `out`, or nowhere.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is done, with what, to what, and all the memory that it takes"
    )]
    fn forward(
        &self,
        tier: Tier,
        packed: &[f32],
        (position, image): (usize, usize),
        tape: &mut Tape,
        keep: bool,
        run: &mut workspace::Run,
        out: Option<&mut [f32]>,
    ) -> Result<(), FileError> {
        let mut bytes = self.images.image(image, &mut run.raw)?;
        if let Some(prepare) = self.prepare {
            prepare.prepare(position, image, bytes, &mut run.image);
            bytes = &run.image;
        }
        let memory = (&mut run.scratch[..], &mut run.tiles[..]);
        let out = out.unwrap_or(&mut run.embedding);
        self.plan.forward(tier, packed, bytes, tape, keep, memory, out);
        Ok(())
    }
}

/// Whether a gradient has anything to add. Late in a run most triplets are beyond the margin, and their gradients are zero.
fn is_nonzero(gradient: &[f32]) -> bool {
    gradient.iter().any(|g| *g != 0.0)
}

/// The calling thread's workspace: never contended, because a pool's thread runs one part at a time.
fn lock(workspaces: &[Mutex<Workspace>]) -> std::sync::MutexGuard<'_, Workspace> {
    let thread = rayon::current_thread_index().unwrap_or(0) % workspaces.len();
    // A workspace is scratch: what a panicking thread left in it cannot harm.
    workspaces[thread].lock().unwrap_or_else(PoisonError::into_inner)
}
