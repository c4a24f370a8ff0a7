//! Runs a network: embeddings forward, parameter gradients backward.
//!
//! A thread carries one image depth-first through the whole network while its activations sit in cache. A batch is cut
//! into [`PARTS`] contiguous parts; the images of a part are summed in order, and parts are reduced in order, so results
//! do not depend on the number of threads.

mod plan;

mod build;
mod workspace;

mod backward;
mod forward;
mod pack;

pub use build::Rewrites;
pub use plan::Plan;

use crate::images::{Features, Images};
use crate::model::Network;
use alike_kernels::{AlignedBuffer, GroupStats, Tier, TierError};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};
use workspace::{Tape, Workspace};

/// Into how many parts a batch is cut, at most. More threads than this have nothing to do.
pub const PARTS: usize = 16;

/// A network made ready to run on this machine.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    tier: Tier,
    /// One for each thread of the pool that calls.
    workspaces: Vec<Mutex<Workspace>>,
    /// What the forward pass keeps for the backward pass, image by image.
    floats: AlignedBuffer,
    places: Vec<u8>,
    stats: Vec<GroupStats>,
    /// Gradients of a part, in the kernels' layout.
    gradients: Vec<AlignedBuffer>,
    packed: AlignedBuffer,
    embeddings: Vec<f32>,
    batch: Vec<usize>,
}

impl Engine {
    /// Plans the network for the fastest instructions that this machine has.
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
            floats: AlignedBuffer::new(0),
            places: Vec::new(),
            stats: Vec::new(),
            gradients: (0..PARTS).map(|_| AlignedBuffer::new(plan.gradient_len)).collect(),
            packed: AlignedBuffer::new(plan.packed_len),
            embeddings: Vec::new(),
            batch: Vec::new(),
            plan,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The instructions in use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Embeds every image: `n x d` floats.
    ///
    /// # Panics
    ///
    /// If the images or parameters are not those of the network.
    pub fn embed(&mut self, parameters: &[f32], images: &Images) -> Features {
        assert_eq!(images.shape(), self.plan.input, "engine: images of another shape");
        pack::pack(&self.plan, parameters, &mut self.packed);
        let d = self.plan.embedding;
        let mut out = vec![0.0; images.len() * d];
        let (plan, tier, packed, workspaces) = (&self.plan, self.tier, &*self.packed, &self.workspaces);
        // Small runs of images, so that threads end together; each image stands alone, so the cut does not matter.
        out.par_chunks_mut(d * 32).enumerate().for_each(|(run, out)| {
            let mut workspace = lock(workspaces);
            for (i, out) in out.chunks_exact_mut(d).enumerate() {
                let (tape, buffers) = workspace.own_tape();
                plan.forward(tier, packed, images.image(run * 32 + i), tape, buffers, out);
            }
        });
        Features::new(d, out)
    }

    /// Embeds the images at `indices` and keeps what [`Engine::backward`] needs; `indices.len() x d` floats.
    ///
    /// # Panics
    ///
    /// If the images or parameters are not those of the network.
    pub fn forward(&mut self, parameters: &[f32], images: &Images, indices: &[usize]) -> &[f32] {
        assert_eq!(images.shape(), self.plan.input, "engine: images of another shape");
        pack::pack(&self.plan, parameters, &mut self.packed);
        let (n, d) = (indices.len(), self.plan.embedding);
        self.batch.clear();
        self.batch.extend_from_slice(indices);
        let sizes = self.plan.tape;
        if self.floats.len() < n * sizes.floats {
            self.floats = AlignedBuffer::new(n * sizes.floats);
        }
        self.places.resize(n * sizes.places, 0);
        self.stats.resize(n * sizes.stats, GroupStats::default());
        self.embeddings.resize(n * d, 0.0);
        let (plan, tier, packed, workspaces) = (&self.plan, self.tier, &*self.packed, &self.workspaces);
        let per = n.div_ceil(PARTS).max(1);
        (
            self.floats[..n * sizes.floats].par_chunks_mut(per * sizes.floats),
            self.places.par_chunks_mut(per * sizes.places),
            self.stats.par_chunks_mut(per * sizes.stats),
            self.embeddings.par_chunks_mut(per * d),
            indices.par_chunks(per),
        )
            .into_par_iter()
            .for_each(|(floats, places, stats, embeddings, indices)| {
                let mut workspace = lock(workspaces);
                for (i, &image) in indices.iter().enumerate() {
                    let tape = Tape {
                        floats: &mut floats[i * sizes.floats..][..sizes.floats],
                        places: &mut places[i * sizes.places..][..sizes.places],
                        stats: &mut stats[i * sizes.stats..][..sizes.stats],
                    };
                    let out = &mut embeddings[i * d..][..d];
                    plan.forward(tier, packed, images.image(image), tape, &mut workspace.run, out);
                }
            });
        &self.embeddings
    }

    /// Turns the gradient of each embedding of the last [`Engine::forward`] into that of the parameters, which replaces
    /// what `gradient` holds.
    ///
    /// # Panics
    ///
    /// If lengths are not those of the last forward pass.
    pub fn backward(&mut self, embedding_gradients: &[f32], gradient: &mut [f32]) {
        let (n, d) = (self.batch.len(), self.plan.embedding);
        assert_eq!(embedding_gradients.len(), n * d, "engine: a gradient for each embedding");
        let sizes = self.plan.tape;
        let (plan, tier, packed, workspaces) = (&self.plan, self.tier, &*self.packed, &self.workspaces);
        let per = n.div_ceil(PARTS).max(1);
        let parts = n.div_ceil(per);
        (
            self.floats[..n * sizes.floats].par_chunks_mut(per * sizes.floats),
            self.places.par_chunks_mut(per * sizes.places),
            self.stats.par_chunks_mut(per * sizes.stats),
            embedding_gradients.par_chunks(per * d),
            self.gradients[..parts].par_iter_mut(),
        )
            .into_par_iter()
            .for_each(|(floats, places, stats, dys, sum)| {
                let mut workspace = lock(workspaces);
                sum.fill(0.0);
                for (i, dy) in dys.chunks_exact(d).enumerate() {
                    let tape = Tape {
                        floats: &mut floats[i * sizes.floats..][..sizes.floats],
                        places: &mut places[i * sizes.places..][..sizes.places],
                        stats: &mut stats[i * sizes.stats..][..sizes.stats],
                    };
                    plan.backward(tier, packed, tape, &mut workspace.run, dy, sum);
                }
            });
        let (first, rest) = self.gradients.split_at_mut(1);
        if parts == 0 {
            first[0].fill(0.0);
        }
        for part in &rest[..parts.saturating_sub(1)] {
            for (sum, v) in first[0].iter_mut().zip(part.iter()) {
                *sum += v;
            }
        }
        pack::unpack_gradient(&self.plan, &self.packed, &first[0], gradient);
    }
}

/// The calling thread's workspace: never contended, because a pool's thread runs one part at a time.
fn lock(workspaces: &[Mutex<Workspace>]) -> std::sync::MutexGuard<'_, Workspace> {
    let thread = rayon::current_thread_index().unwrap_or(0) % workspaces.len();
    // A workspace is scratch: what a panicking thread left in it cannot harm.
    workspaces[thread].lock().unwrap_or_else(PoisonError::into_inner)
}
