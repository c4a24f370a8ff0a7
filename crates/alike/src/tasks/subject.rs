//! A run or an encoder that is judged: its embeddings of a data set, against the images themselves.

use super::TaskError;
use super::model::{ModelSource, combined, network_on};
use crate::data::{DataPaths, Dataset, Preparation, PreparationWish, Progress, Request, load};
use crate::encoder::Encoder;
use crate::engine::PixelGradients;
use crate::eval::{Judge, Judgement, RetrievalReport, SpaceJudgement};
use crate::images::{Features, Images, Shape, Vectors, with_pixels};
use crate::model::Checkpoint;
use crate::train::{Metric, Run, Settings, read_metrics};
use std::path::Path;

/// How a network was trained here.
#[derive(Clone, Debug)]
pub struct TrainingRecord {
    /// How it was trained.
    pub settings: Settings,
    /// What came of it.
    pub checkpoint: Checkpoint,
    /// Its `metrics.jsonl`.
    pub metrics: Vec<Metric>,
}

/// A model with its embeddings and its judgement: what pages are made from.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Image space against feature space.
    pub judgement: Judgement,
    /// How it was trained; nothing where it was not trained here.
    pub training: Option<TrainingRecord>,
    /// Embeddings of the gallery, the training split.
    pub gallery: Features,
    /// Embeddings of the test split.
    pub queries: Features,
}

struct TrainedRun {
    run: Run,
    record: TrainingRecord,
    /// What the network stands on, where it is a head.
    base: Option<Box<dyn Encoder>>,
}

/// The encoder that a run's network stands on.
fn first_of(run: &TrainedRun) -> Option<&dyn Encoder> {
    run.base.as_deref()
}

/// A model that can be judged: everything is read and checked before time is spent.
pub struct Opened {
    what: What,
}

enum What {
    Run(Box<TrainedRun>),
    /// One that was not trained here, and what a user calls it.
    Encoder(String, Box<dyn Encoder>),
}

impl Opened {
    /// Reads a run folder: its best checkpoint, or its last.
    ///
    /// # Errors
    ///
    /// If a file of the run cannot be read.
    pub fn new(run: &Run, last: bool) -> Result<Opened, TaskError> {
        Opened::on(run, None, last)
    }

    fn on(run: &Run, base: Option<Box<dyn Encoder>>, last: bool) -> Result<Opened, TaskError> {
        let settings = run.settings()?;
        let checkpoint = if last { run.last()? } else { run.best()? };
        if let (Some(name), None) = (&settings.encoder, &base) {
            return Err(TaskError::NeedsEncoder(run.folder().to_owned(), name.clone()));
        }
        let metrics = if run.metrics().exists() { read_metrics(&run.metrics())? } else { Vec::new() };
        let record = TrainingRecord { settings, checkpoint, metrics };
        Ok(Opened { what: What::Run(Box::new(TrainedRun { run: run.clone(), record, base })) })
    }

    /// An encoder that was not trained here, and what a user calls it.
    pub fn of(name: String, encoder: Box<dyn Encoder>) -> Opened {
        Opened { what: What::Encoder(name, encoder) }
    }

    /// A run or an encoder; of a run its best checkpoint, or its last.
    ///
    /// # Errors
    ///
    /// If a file of the run cannot be read.
    pub fn from_source(source: ModelSource, last: bool) -> Result<Opened, TaskError> {
        match source {
            ModelSource::Run(run) => Opened::new(&run, last),
            ModelSource::Head(run, base) => Opened::on(&run, Some(base), last),
            ModelSource::Encoder { name, encoder } => Ok(Opened::of(name, encoder)),
        }
    }

    /// How it was trained; nothing where it was not trained here.
    pub fn settings(&self) -> Option<&Settings> {
        match &self.what {
            What::Run(run) => Some(&run.record.settings),
            What::Encoder(..) => None,
        }
    }

    /// The data that the run was made from.
    ///
    /// # Errors
    ///
    /// If they are not there any more, or have changed, or it was not trained here.
    pub fn own_data(&self, paths: &DataPaths, progress: &mut dyn Progress) -> Result<Dataset, TaskError> {
        match &self.what {
            What::Run(run) => Ok(run.run.data(&run.record.settings, paths, progress)?),
            What::Encoder(..) => Err(TaskError::NoImages),
        }
    }

    /// What is done to every picture before the network sees it.
    pub fn preparation(&self) -> Preparation {
        match &self.what {
            What::Run(run) => {
                first_of(run).map_or(run.record.checkpoint.preparation, |e| e.facts().preparation)
            }
            What::Encoder(_, encoder) => encoder.facts().preparation,
        }
    }

    /// The encoder that sees pictures, where it was not trained here.
    fn untrained(&self) -> Option<&dyn Encoder> {
        match &self.what {
            What::Run(run) => first_of(run),
            What::Encoder(_, encoder) => Some(&**encoder),
        }
    }

    /// The shape of images, or of features, that it takes.
    fn takes(&self) -> Shape {
        self.preparation().shape
    }

    /// Other data than the run's: prepared as is usual for them, but in the size that the network takes. An encoder that was not trained
    /// here has them prepared as it says.
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
        let input = self.takes();
        // A class is what it was to the run.
        request.nested |= self.settings().is_some_and(|s| s.nested) && Path::new(&request.what).is_dir();
        if input.is_features() {
            if request.prepare != PreparationWish::default() {
                let run = match &self.what {
                    What::Run(run) => run.run.folder().to_owned(),
                    What::Encoder(name, _) => name.into(),
                };
                return Err(TaskError::PreparedFeatures { run });
            }
        } else if let Some(encoder) = self.untrained() {
            request.prepare = request.prepare.or(encoder.facts().preparation);
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
        let (takes, has) = (self.takes(), data.shape());
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
        let excluded = self.settings().map_or(Vec::new(), |s| s.exclude_class.clone());
        let embed = |encoder: &dyn Encoder| -> Result<[Features; 2], TaskError> {
            Ok([encoder.embed(&data.gallery().0.images)?, encoder.embed(&data.test.images)?])
        };
        let ([gallery, queries], training) = self.with_encoder(embed)?;
        let judgement = judge.judge(data, image, &gallery, &queries, &excluded)?;
        Ok(Judged { judgement, training, gallery, queries })
    }
}

impl Opened {
    /// Does something with the encoder, and gives back how it was trained.
    pub(super) fn with_encoder<T>(
        self,
        then: impl FnOnce(&dyn Encoder) -> Result<T, TaskError>,
    ) -> Result<(T, Option<TrainingRecord>), TaskError> {
        match self.what {
            What::Encoder(_, encoder) => Ok((then(&*encoder)?, None)),
            What::Run(run) => {
                let TrainedRun { record, base, .. } = *run;
                let encoder = network_on(record.checkpoint.clone(), base)?;
                Ok((then(&*encoder)?, Some(record)))
            }
        }
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

/// A run or an encoder, images to judge it on, and the means to embed them.
pub struct Subject {
    /// How it was trained; nothing where it was not trained here.
    pub settings: Option<Settings>,
    /// The images.
    pub data: Dataset,
    /// Whether these are other data than the run's.
    foreign: bool,
    encoder: Box<dyn Encoder>,
}

impl Subject {
    /// A model and the images to judge it on: the run's own, or others if these are `foreign`. Those `with` it make an ensemble.
    ///
    /// # Errors
    ///
    /// If the data do not fit the network, or another model cannot stand beside it.
    pub fn new(
        opened: Opened,
        data: Dataset,
        foreign: bool,
        with: Vec<ModelSource>,
        flip: bool,
    ) -> Result<Subject, TaskError> {
        opened.fits(&data)?;
        let (settings, first): (_, Box<dyn Encoder>) = match opened.what {
            What::Encoder(_, encoder) => (None, encoder),
            What::Run(run) => {
                let TrainedRun { record, base, .. } = *run;
                (Some(record.settings), network_on(record.checkpoint, base)?)
            }
        };
        Ok(Subject { settings, data, foreign, encoder: combined(first, with, flip)? })
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
        match &self.settings {
            Some(settings) if !self.foreign => &settings.exclude_class,
            _ => &[],
        }
    }
}
