//! One trained network, or several whose embeddings stand side by side.

use alike::engine::{Engine, PixelGradients};
use alike::images::{Features, Images};
use alike::model::Checkpoint;
use alike::train::Run;
use alike_kernels::Tier;
use anyhow::ensure;
use std::path::PathBuf;

/// The runs that are meant, each a folder or a list of folders with commas between them. A folder that there is whole is meant.
fn runs(with: &[PathBuf]) -> Vec<PathBuf> {
    let split = |path: &PathBuf| match path.to_str() {
        Some(text) if !path.exists() && text.contains(',') => text.split(',').map(PathBuf::from).collect(),
        _ => vec![path.clone()],
    };
    with.iter().flat_map(split).collect()
}

pub(crate) struct Embedder {
    /// Those besides the first take the same images.
    members: Vec<(Checkpoint, Engine)>,
    flip: bool,
}

impl Embedder {
    /// A network with those of other runs beside it; `flip`: each image and its mirror image, in the mean.
    pub(crate) fn new(first: Checkpoint, with: &[PathBuf], flip: bool) -> anyhow::Result<Embedder> {
        let mut members = Vec::new();
        let engine = Engine::new(&first.network)?;
        members.push((first, engine));
        for folder in &runs(with) {
            let other = Run::open(folder)?.best()?;
            let (own, its) = (members[0].0.preparation, other.preparation);
            ensure!(
                own == its,
                "{} cannot stand beside the first run: its images are prepared as {its}, not {own}",
                folder.display()
            );
            let engine = Engine::new(&other.network)?;
            members.push((other, engine));
        }
        Ok(Embedder { members, flip })
    }

    /// The first network.
    pub(crate) fn first(&self) -> &Checkpoint {
        &self.members[0].0
    }

    /// Whether it is alone.
    pub(crate) fn is_one(&self) -> bool {
        self.members.len() == 1
    }

    pub(crate) fn tier(&self) -> Tier {
        self.members[0].1.tier()
    }

    /// Which pixels an embedding hangs on, where it is one network's, of images as they are.
    pub(crate) fn pixel_gradients(&self) -> Option<PixelGradients> {
        let first = self.first();
        (self.is_one() && !self.flip)
            .then(|| PixelGradients::new(&first.network, &first.parameters, self.tier()))
    }

    /// Numbers of an embedding.
    pub(crate) fn width(&self) -> usize {
        self.members.iter().map(|(c, _)| c.network.embedding()).sum()
    }

    /// Names all that an embedding depends on.
    pub(crate) fn fingerprint(&self) -> String {
        let each: Vec<String> = self.members.iter().map(|(c, _)| c.fingerprint()).collect();
        format!("{}{}", each.join("+"), if self.flip { " and mirrored" } else { "" })
    }

    /// Embeds images. Several embeddings stand side by side, each divided by the root of their number, so that vectors of length 1
    /// make one of length 1.
    pub(crate) fn embed(&mut self, images: &Images) -> anyhow::Result<Features> {
        let flip = self.flip;
        let mut parts: Vec<Features> = self
            .members
            .iter_mut()
            .map(|(checkpoint, engine)| {
                if flip {
                    engine.embed_with_mirror(&checkpoint.parameters, images)
                } else {
                    engine.embed(&checkpoint.parameters, images)
                }
            })
            .collect();
        images.check()?;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let scale = 1.0 / (parts.len() as f32).sqrt();
        let mut data = Vec::with_capacity(images.len() * self.width());
        for i in 0..images.len() {
            parts.iter().for_each(|p| data.extend(p.row(i).iter().map(|v| v * scale)));
        }
        Ok(Features::new(self.width(), data))
    }
}
