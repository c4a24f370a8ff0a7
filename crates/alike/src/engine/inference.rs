//! A network that only embeds: weights packed once, shared between threads.

use super::workspace::Workspace;
use super::{Plan, lock, pack};
use crate::files::FileError;
use crate::images::{Features, Images};
use crate::meter::stage;
use crate::model::Network;
use alike_kernels::{AlignedBuffer, Tier};
use rayon::prelude::*;
use std::sync::Mutex;

/// Images of a task. Small runs, so that threads end together; each image stands alone, so the cut does not matter.
const AT_ONCE: usize = 32;

/// A network with its weights, ready to embed.
#[derive(Debug)]
pub struct Inference {
    plan: Plan,
    tier: Tier,
    packed: AlignedBuffer,
    /// One for each thread of the pool.
    workspaces: Vec<Mutex<Workspace>>,
}

impl Inference {
    /// Plans the network and packs its weights.
    ///
    /// # Panics
    ///
    /// If there are not as many parameters as the network has.
    pub fn new(network: &Network, parameters: &[f32], tier: Tier) -> Inference {
        assert_eq!(parameters.len(), network.parameter_count(), "inference: parameters of another network");
        let plan = Plan::new(network);
        let mut packed = AlignedBuffer::new(plan.packed_len);
        pack::pack(&plan, tier, parameters, &mut packed);
        let workspaces =
            (0..rayon::current_num_threads()).map(|_| Mutex::new(Workspace::new(&plan))).collect();
        Inference { plan, tier, packed, workspaces }
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
    /// If the images are not of the network's shape.
    pub fn embed(&self, images: &Images) -> Result<Features, FileError> {
        embed(&self.plan, self.tier, &self.packed, &self.workspaces, images)
    }
}

/// Embeds every image with packed weights.
pub(super) fn embed(
    plan: &Plan,
    tier: Tier,
    packed: &[f32],
    workspaces: &[Mutex<Workspace>],
    images: &Images,
) -> Result<Features, FileError> {
    assert_eq!(images.shape(), plan.input, "engine: images of another shape");
    let d = plan.embedding;
    let stage = stage("embedding", images.len());
    let mut out = vec![0.0; images.len() * d];
    out.par_chunks_mut(d * AT_ONCE).enumerate().try_for_each(|(run, out)| {
        let mut workspace = lock(workspaces);
        let Workspace { run: buffers, tape } = &mut *workspace;
        for (i, out) in out.chunks_exact_mut(d).enumerate() {
            let image = images.image(run * AT_ONCE + i, &mut buffers.raw)?;
            plan.forward(tier, packed, image, tape, false, (&mut buffers.scratch, &mut buffers.tiles), out);
        }
        stage.advance(out.len() / d);
        Ok(())
    })?;
    Ok(Features::new(d, out))
}
