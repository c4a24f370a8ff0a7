//! A run with its embeddings and its judgement: what `eval`, `report` and `demo` are made from.

use crate::commands::settings;
use alike::data::Dataset;
use alike::engine::Engine;
use alike::eval::{Judge, Judgement, RetrievalReport, SpaceJudgement};
use alike::images::{Features, Vectors};
use alike::model::Checkpoint;
use alike::report::Evidence;
use alike::train::{Metric, Run, Settings, read_metrics};
use alike_kernels::Tier;

pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    settings: Settings,
    checkpoint: Checkpoint,
    metrics: Vec<Metric>,
    gallery: Features,
    queries: Features,
    tier: Tier,
}

/// A run that can be judged: everything is read and checked before time is spent.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    checkpoint: Checkpoint,
    metrics: Vec<Metric>,
}

impl Opened {
    /// Reads a run folder: its best checkpoint, or its last.
    pub(crate) fn new(run: &Run, last: bool) -> anyhow::Result<Opened> {
        let settings = settings(run)?;
        let checkpoint = if last { run.last()? } else { run.best()? };
        let metrics = if run.metrics().exists() { read_metrics(&run.metrics())? } else { Vec::new() };
        Ok(Opened { settings, checkpoint, metrics })
    }

    /// Refuses data that the network does not take.
    pub(crate) fn fits(&self, data: &Dataset) -> anyhow::Result<()> {
        let input = self.checkpoint.network.input();
        anyhow::ensure!(
            data.shape() == input,
            "{} has images of {}, but the network was trained on {input}",
            data.name,
            data.shape(),
        );
        Ok(())
    }

    /// Embeds both splits and judges them against image space.
    pub(crate) fn judge(
        self,
        judge: &Judge,
        data: &Dataset,
        image: SpaceJudgement,
    ) -> anyhow::Result<Judged> {
        let Opened { settings, checkpoint, metrics } = self;
        let mut engine = Engine::new(&checkpoint.network)?;
        let (of_gallery, _) = data.gallery();
        let gallery = engine.embed(&checkpoint.parameters, &of_gallery.images);
        let queries = engine.embed(&checkpoint.parameters, &data.test.images);
        of_gallery.images.check()?;
        data.test.images.check()?;
        let judgement = judge.judge(data, image, &gallery, &queries, &settings.exclude_class)?;
        Ok(Judged { judgement, settings, checkpoint, metrics, gallery, queries, tier: engine.tier() })
    }
}

impl Judged {
    /// How well pixels and embeddings retrieve.
    pub(crate) fn retrieval(
        &self,
        judge: &Judge,
        data: &Dataset,
        ks: &[usize],
    ) -> anyhow::Result<[RetrievalReport; 2]> {
        let seed = self.settings.seed;
        let (gallery, queries) = (&data.gallery().0.images, &data.test.images);
        let pixels = (Vectors::Pixels(gallery), Vectors::Pixels(queries));
        let learned = (Vectors::Features(&self.gallery), Vectors::Features(&self.queries));
        let report = |(g, q)| judge.retrieval(data, g, q, ks, seed);
        Ok([report(pixels)?, report(learned)?])
    }

    pub(crate) fn evidence<'a>(&'a self, data: &'a Dataset) -> Evidence<'a> {
        Evidence {
            data,
            settings: &self.settings,
            checkpoint: &self.checkpoint,
            metrics: &self.metrics,
            gallery: &self.gallery,
            queries: &self.queries,
            judgement: &self.judgement,
            tier: self.tier,
        }
    }
}
