//! A run with its embeddings and its judgement: what `eval`, `report` and `demo` are made from.

use crate::args::{Global, SourceArgs, SubjectArgs};
use crate::commands::{data_of, places, remark, settings};
use crate::embedder::Embedder;
use crate::printer::Bars;
use alike::data::{Dataset, Preparation, PreparationWish, Split, load};
use alike::engine::{Engine, PixelGradients};
use alike::eval::{EvalError, Independent, Judge, Judgement, RetrievalReport, SpaceJudgement};
use alike::images::{Features, Images, Vectors};
use alike::model::Checkpoint;
use alike::report::Evidence;
use alike::train::{Metric, Run, Settings, read_metrics};
use alike_kernels::Tier;
use std::path::{Path, PathBuf};

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
    run: Run,
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
        Ok(Opened { run: run.clone(), settings, checkpoint, metrics })
    }

    /// What is done to every picture before the network sees it.
    pub(crate) fn preparation(&self) -> Preparation {
        self.checkpoint.preparation
    }

    /// Other data than the run's: prepared as is usual for them, but in the size that the network takes.
    pub(crate) fn other(&self, what: &str, how: &SourceArgs, global: &Global) -> anyhow::Result<Dataset> {
        let mut request = how.request(what, global.seed.unwrap_or(0));
        let input = self.checkpoint.network.input();
        // A class is what it was to the run.
        request.nested |= self.settings.nested && Path::new(what).is_dir();
        if input.is_features() {
            anyhow::ensure!(
                request.prepare == PreparationWish::default(),
                "the run was trained on features, which are taken as they are; leave --prepare out"
            );
        } else {
            let size = request.prepare.size.or(Some([input.h, input.w]));
            let channels = request.prepare.channels.or(Some(input.c));
            request.prepare = PreparationWish { size, channels, ..request.prepare };
        }
        let data = load(&request, &places(global), &mut Bars::new(global))?;
        remark(&data, global);
        Ok(data)
    }

    /// Refuses data that the network does not take.
    pub(crate) fn fits(&self, data: &Dataset) -> anyhow::Result<()> {
        let input = self.checkpoint.network.input();
        if input.is_features() != data.shape().is_features() {
            let [takes, has] =
                if input.is_features() { ["features", "pictures"] } else { ["pictures", "features"] };
            anyhow::bail!(
                "{} has {has}, but the run was trained on {takes}; judge it on {takes} with --data",
                data.name
            );
        }
        if input.is_features() {
            anyhow::ensure!(
                data.shape() == input,
                "{} has features of {} numbers, but the run was trained on features of {}",
                data.name,
                data.shape().c,
                input.c
            );
        }
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
        let Opened { settings, checkpoint, metrics, .. } = self;
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
    /// How well embeddings retrieve.
    pub(crate) fn retrieval(
        &self,
        judge: &Judge,
        data: &Dataset,
        ks: &[usize],
    ) -> anyhow::Result<RetrievalReport> {
        Ok(judge.retrieval(data, Vectors::Features(&self.gallery), Vectors::Features(&self.queries), ks)?)
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
            retrieval: None,
            tier: self.tier,
        }
    }
}

/// How well pixels retrieve, where that takes seconds.
pub(crate) fn quick_pixel_retrieval(
    judge: &Judge,
    data: &Dataset,
    ks: &[usize],
) -> anyhow::Result<Option<RetrievalReport>> {
    /// Multiplications.
    const MOST: usize = 100_000_000_000;
    let (gallery, queries) = (&data.gallery().0.images, &data.test.images);
    let work = gallery.len().saturating_mul(queries.len()).saturating_mul(data.shape().len());
    let quick = work <= MOST;
    let report = || judge.retrieval(data, Vectors::Pixels(gallery), Vectors::Pixels(queries), ks);
    Ok(quick.then(report).transpose()?)
}

/// What of test images is independent of each other: their classes where others would be met, or the images alone.
pub(crate) fn independent(data: &Dataset) -> Independent {
    if data.is_open_set() { Independent::Classes } else { Independent::Images }
}

/// A run, images to judge it on, and the means to embed them.
pub(crate) struct Subject {
    pub(crate) settings: Settings,
    pub(crate) data: Dataset,
    /// Whether these are other data than the run's.
    foreign: bool,
    embedder: Embedder,
}

impl Subject {
    /// The run's own data, or others that the user names: these are prepared as is usual for them, but in the size that the
    /// network takes.
    pub(crate) fn of(opened: Opened, args: &SubjectArgs, global: &Global) -> anyhow::Result<Subject> {
        let data = match &args.data {
            None => data_of(&opened.run, &opened.settings, global)?,
            Some(what) => opened.other(what, &args.source, global)?,
        };
        opened.fits(&data)?;
        let subject = Subject::new(opened, data, &args.with, args.flip)?;
        Ok(Subject { foreign: args.data.is_some(), ..subject })
    }

    pub(crate) fn new(
        opened: Opened,
        data: Dataset,
        with: &[PathBuf],
        flip: bool,
    ) -> anyhow::Result<Subject> {
        let Opened { settings, checkpoint, .. } = opened;
        Ok(Subject { settings, data, foreign: false, embedder: Embedder::new(checkpoint, with, flip)? })
    }

    pub(crate) fn tier(&self) -> Tier {
        self.embedder.tier()
    }

    /// What judgements are explained by; nothing where several networks, or mirrored images, have a say in them.
    pub(crate) fn pixel_gradients(&self) -> Option<PixelGradients> {
        self.embedder.pixel_gradients()
    }

    /// Embeds images.
    pub(crate) fn embed(&mut self, images: &Images) -> anyhow::Result<Features> {
        self.embedder.embed(images)
    }

    /// Judges embeddings against pixels, and how well both retrieve.
    pub(crate) fn judge(
        &mut self,
        judge: &Judge,
        ks: &[usize],
    ) -> anyhow::Result<(Judgement, [RetrievalReport; 2])> {
        let data = self.data.clone();
        let (gallery, queries) = (&data.gallery().0.images, &data.test.images);
        let embedded = [self.embed(gallery)?, self.embed(queries)?];
        // Classes that were left out of training are those of the run's own data.
        let excluded = if self.foreign { &[][..] } else { &self.settings.exclude_class };
        let image = judge.image_space(&data)?;
        let mut judgement = judge.judge(&data, image, &embedded[0], &embedded[1], excluded)?;
        let seed = self.settings.seed;
        if let Some(verification) = &mut judgement.spaces.feature.verification {
            let pairs = judge.pairs(&data, Vectors::Features(&embedded[1]));
            verification.interval = pairs.map(|p| p.eer_interval(seed, independent(&data)));
        }
        let report = |g, q| judge.retrieval(&data, g, q, ks);
        let pixels = report(Vectors::Pixels(gallery), Vectors::Pixels(queries))?;
        let learned = report(Vectors::Features(&embedded[0]), Vectors::Features(&embedded[1]))?;
        Ok((judgement, [pixels, learned]))
    }

    /// The groups of a part of the data, if they are to be left out.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub(crate) fn groups(&self, split: &Split, leave_group: bool) -> Result<Vec<u32>, EvalError> {
        if leave_group && split.groups.is_empty() && !split.is_empty() {
            return Err(EvalError::NoGroups(self.data.name.clone()));
        }
        Ok(if leave_group { split.groups.clone() } else { Vec::new() })
    }

    /// How many classes the test split has images of.
    pub(crate) fn classes(&self) -> usize {
        let mut labels = self.data.test.labels.clone();
        labels.sort_unstable();
        labels.dedup();
        labels.len()
    }
}
