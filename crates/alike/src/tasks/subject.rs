//! A run that is judged: its embeddings of a data set, against the images themselves.

use super::TaskError;
use super::model::encoder;
use crate::data::{DataPaths, Dataset, Preparation, PreparationWish, Progress, Request, load};
use crate::encoder::{Encoder, TrainedNetwork};
use crate::engine::PixelGradients;
use crate::eval::{Judge, Judgement, RetrievalReport, SpaceJudgement};
use crate::images::{Features, Images, Vectors, with_pixels};
use crate::model::Checkpoint;
use crate::train::{Metric, Run, Settings, read_metrics};
use std::path::{Path, PathBuf};

/// A run with its embeddings and its judgement: what pages are made from.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Image space against feature space.
    pub judgement: Judgement,
    /// How it was trained.
    pub settings: Settings,
    /// What came of it.
    pub checkpoint: Checkpoint,
    /// Its `metrics.jsonl`.
    pub metrics: Vec<Metric>,
    /// Embeddings of the gallery, the training split.
    pub gallery: Features,
    /// Embeddings of the test split.
    pub queries: Features,
}

/// A run that can be judged: everything is read and checked before time is spent.
pub struct Opened {
    run: Run,
    /// How it was trained.
    pub settings: Settings,
    checkpoint: Checkpoint,
    metrics: Vec<Metric>,
}

impl Opened {
    /// Reads a run folder: its best checkpoint, or its last.
    ///
    /// # Errors
    ///
    /// If a file of the run cannot be read.
    pub fn new(run: &Run, last: bool) -> Result<Opened, TaskError> {
        let settings = run.settings()?;
        let checkpoint = if last { run.last()? } else { run.best()? };
        let metrics = if run.metrics().exists() { read_metrics(&run.metrics())? } else { Vec::new() };
        Ok(Opened { run: run.clone(), settings, checkpoint, metrics })
    }

    /// The data that the run was made from.
    ///
    /// # Errors
    ///
    /// If they are not there any more, or have changed.
    pub fn own_data(&self, paths: &DataPaths, progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        Ok(self.run.data(&self.settings, paths, progress)?)
    }

    /// What is done to every picture before the network sees it.
    pub fn preparation(&self) -> Preparation {
        self.checkpoint.preparation
    }

    /// Other data than the run's: prepared as is usual for them, but in the size that the network takes.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are features that were to be prepared.
    pub fn other(
        &self,
        mut request: Request,
        paths: &DataPaths,
        progress: &mut dyn Progress,
    ) -> Result<Dataset, TaskError> {
        let input = self.checkpoint.network.input();
        // A class is what it was to the run.
        request.nested |= self.settings.nested && Path::new(&request.what).is_dir();
        if input.is_features() {
            if request.prepare != PreparationWish::default() {
                return Err(TaskError::PreparedFeatures { run: self.run.folder().to_owned() });
            }
        } else {
            let size = request.prepare.size.or(Some([input.h, input.w]));
            let channels = request.prepare.channels.or(Some(input.c));
            request.prepare = PreparationWish { size, channels, ..request.prepare };
        }
        Ok(load(&request, paths, progress)?)
    }

    /// Refuses data that the network does not take.
    ///
    /// # Errors
    ///
    /// If they are of another kind or shape.
    pub fn fits(&self, data: &Dataset) -> Result<(), TaskError> {
        let (takes, has) = (self.checkpoint.network.input(), data.shape());
        if takes == has {
            return Ok(());
        }
        let [takes, got] = match (takes.is_features(), has.is_features()) {
            (true, false) => ["features", "pictures"].map(str::to_owned),
            (false, true) => ["pictures", "features"].map(str::to_owned),
            (true, true) => [takes, has].map(|s| format!("features of {} numbers", s.c)),
            (false, false) => [takes, has].map(|s| format!("images of {s}")),
        };
        Err(TaskError::Misfit { data: data.name.clone(), got, takes })
    }

    /// Embeds both splits and judges them against image space.
    ///
    /// # Errors
    ///
    /// If an image cannot be read, or there is nothing to judge.
    pub fn judge(self, judge: &Judge, data: &Dataset, image: SpaceJudgement) -> Result<Judged, TaskError> {
        let Opened { settings, checkpoint, metrics, .. } = self;
        let encoder = TrainedNetwork::new(checkpoint)?;
        let gallery = encoder.embed(&data.gallery().0.images)?;
        let queries = encoder.embed(&data.test.images)?;
        let judgement = judge.judge(data, image, &gallery, &queries, &settings.exclude_class)?;
        let checkpoint = encoder.into_checkpoint();
        Ok(Judged { judgement, settings, checkpoint, metrics, gallery, queries })
    }
}

impl Judged {
    /// How well embeddings retrieve.
    ///
    /// # Errors
    ///
    /// As [`Judge::retrieval`].
    pub fn retrieval(
        &self,
        judge: &Judge,
        data: &Dataset,
        ks: &[usize],
    ) -> Result<RetrievalReport, TaskError> {
        Ok(judge.retrieval(data, Vectors::Features(&self.gallery), Vectors::Features(&self.queries), ks)?)
    }
}

/// How well pixels retrieve, where that takes seconds.
///
/// # Errors
///
/// As [`Judge::retrieval`].
pub fn quick_pixel_retrieval(
    judge: &Judge,
    data: &Dataset,
    ks: &[usize],
) -> Result<Option<RetrievalReport>, TaskError> {
    /// Multiplications.
    const MOST: usize = 100_000_000_000;
    let (gallery, queries) = (&data.gallery().0.images, &data.test.images);
    let work = gallery.len().saturating_mul(queries.len()).saturating_mul(data.shape().len());
    let quick = work <= MOST;
    let report = || with_pixels([gallery, queries], |[g, q]| judge.retrieval(data, g, q, ks));
    Ok(quick.then(report).transpose()?.transpose()?)
}

/// A run, images to judge it on, and the means to embed them.
pub struct Subject {
    /// How it was trained.
    pub settings: Settings,
    /// The images.
    pub data: Dataset,
    /// Whether these are other data than the run's.
    foreign: bool,
    encoder: Box<dyn Encoder>,
}

impl Subject {
    /// A run and the images to judge it on: the run's own, or others if these are `foreign`.
    ///
    /// # Errors
    ///
    /// If the data do not fit the network, or another run cannot stand beside it.
    pub fn new(
        opened: Opened,
        data: Dataset,
        foreign: bool,
        with: &[PathBuf],
        flip: bool,
    ) -> Result<Subject, TaskError> {
        opened.fits(&data)?;
        let Opened { settings, checkpoint, .. } = opened;
        let encoder = encoder(checkpoint, with, flip)?;
        Ok(Subject { settings, data, foreign, encoder })
    }

    /// What judgements are explained by; nothing where several networks, or mirrored images, have a say in them.
    pub fn pixel_gradients(&self) -> Option<PixelGradients> {
        self.encoder.pixel_gradients()
    }

    /// Embeds images.
    ///
    /// # Errors
    ///
    /// As [`Encoder::embed`].
    pub fn embed(&self, images: &Images) -> Result<Features, TaskError> {
        Ok(self.encoder.embed(images)?)
    }

    /// What embeds the images, for protocols of [`crate::eval`].
    pub fn encoder(&self) -> &dyn Encoder {
        &*self.encoder
    }

    /// Names of the classes of the data that were left out of training: none of other data than the run's.
    pub fn excluded(&self) -> &[String] {
        if self.foreign { &[] } else { &self.settings.exclude_class }
    }
}
