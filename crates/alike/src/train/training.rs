//! The loop.

use super::{
    Adam, EpochReport, Observer, RunError, SamplerError, Settings, SettingsError, StepReport, TripletSampler,
    View,
};
use crate::data::{ClassError, Dataset, exclude, find_class, hold_out};
use crate::engine::{Engine, Plan, Rewrites, awake};
use crate::images::{Features, Images};
use crate::loss::{LossReport, TripletMargin, mean_triplet_loss};
use crate::model::{Checkpoint, Network, NetworkError, SpecError, initial};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// A run that can be continued from any step.
#[derive(Debug)]
pub struct Training {
    settings: Settings,
    network: Network,
    engine: Engine,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    adam: Adam,
    sampler: TripletSampler,
    /// The images that are trained on, and those held out for validation.
    trained: Vec<usize>,
    held_out: Vec<usize>,
    /// Whole epochs done, and steps of the next one.
    epochs: u64,
    step: u64,
    /// Sums over the steps of the epoch at hand.
    sums: LossReport,
    notes: serde_json::Map<String, Value>,
}

/// How a session of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It was asked to stop, and did after a step.
    Stopped,
}

/// A run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is impossible.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A class to be excluded does not exist.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The network's specification cannot be read.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The network does not fit the images.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No triplets can be drawn.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The instructions that were asked for are not to be had.
    #[error(transparent)]
    Tier(#[from] alike_kernels::TierError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A batch cannot be filled.
    #[error(
        "a batch of {batch} triplets is more than the {anchors} training images; lower --batch to at most {anchors}"
    )]
    BatchTooLarge {
        /// What was asked for.
        batch: usize,
        /// What is there.
        anchors: usize,
    },
    /// The loss left the numbers.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; the last good checkpoint is kept. Lower --learning-rate, \
         or check the images for what is unlike the rest"
    )]
    NotFinite {
        /// The value.
        loss: f64,
        /// Counted from 1.
        epoch: u64,
        /// Within the epoch, counted from 1.
        step: u64,
    },
    /// The weights left the numbers, though the losses that led there did not.
    #[error(
        "weights became infinite or NaN in epoch {epoch}; the last good checkpoint is kept. Lower --learning-rate, or check \
         the images for what is unlike the rest"
    )]
    WeightsNotFinite {
        /// Counted from 1.
        epoch: u64,
    },
    /// A checkpoint is not one of this run.
    #[error("this checkpoint cannot be continued: {0}")]
    Resume(String),
    /// Something that watches the run failed.
    #[error("{0}")]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}

impl Training {
    /// Prepares a run from its first step.
    pub fn new(settings: Settings, data: &Dataset) -> Result<Training, TrainError> {
        settings.check()?;
        let network = Network::new(settings.network.parse()?, data.shape())?;
        let excluded = settings
            .exclude_class
            .iter()
            .map(|name| find_class(data, name))
            .collect::<Result<Vec<u32>, ClassError>>()?;
        let kept = exclude(&data.train.labels, &excluded);
        let (trained, held_out) = hold_out(&data.train, &kept, settings.validate, settings.seed);
        let sampler = TripletSampler::new(&data.train.labels, &data.classes, &trained, settings.seed)?;
        if settings.batch > sampler.anchors() {
            return Err(TrainError::BatchTooLarge { batch: settings.batch, anchors: sampler.anchors() });
        }
        let parameters = initial(&network, settings.seed);
        Ok(Training {
            engine: Engine::new(&network)?,
            gradient: vec![0.0; parameters.len()],
            adam: Adam::new(parameters.len(), settings.learning_rate),
            parameters,
            network,
            sampler,
            trained,
            held_out,
            epochs: 0,
            step: 0,
            sums: LossReport::default(),
            notes: serde_json::Map::new(),
            settings,
        })
    }

    /// Prepares a run to go on from a checkpoint of it.
    pub fn resume(
        settings: Settings,
        data: &Dataset,
        checkpoint: Checkpoint,
    ) -> Result<Training, TrainError> {
        let mut training = Training::new(settings, data)?;
        let refuse = |why: &str| TrainError::Resume(why.to_owned());
        if checkpoint.network != training.network {
            return Err(refuse("its network is not that of the run's settings"));
        }
        training.parameters = checkpoint.parameters;
        for (name, into) in [("adam.m", &mut training.adam.m), ("adam.v", &mut training.adam.v)] {
            let moments = checkpoint.extra.get(name).ok_or_else(|| refuse("it has no optimiser state"))?;
            if moments.len() != into.len() {
                return Err(refuse("its optimiser state has another length"));
            }
            into.clone_from(moments);
        }
        // The position is taken out of the notes: what stays there belongs to observers.
        let mut notes = checkpoint.notes;
        let mut whole = |name: &str| {
            let value = notes.remove(name).and_then(|v| v.as_u64());
            value.ok_or_else(|| refuse(&format!("it does not say '{name}'")))
        };
        training.epochs = whole("epochs")?;
        training.step = whole("step")?;
        training.adam.steps = whole("adam-steps")?;
        let mut real = |name: &str| notes.remove(name).and_then(|v| v.as_f64()).unwrap_or(0.0);
        training.sums = LossReport {
            loss: real("sum-loss"),
            active: real("sum-active"),
            d_ap: real("sum-d-ap"),
            d_an: real("sum-d-an"),
        };
        training.notes = notes;
        if training.step >= training.steps_per_epoch() {
            return Err(refuse("its position is beyond an epoch's end; the data have changed since"));
        }
        Ok(training)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// All parameters, in the order of the network's flat list.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Which training images are trained on, and which are held out for validation.
    pub fn parts(&self) -> (&[usize], &[usize]) {
        (&self.trained, &self.held_out)
    }

    /// Steps in an epoch; a last partial batch is dropped.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.sampler.anchors() / self.settings.batch) as u64
    }

    /// Steps taken since the run began.
    pub fn steps_done(&self) -> u64 {
        self.epochs * self.steps_per_epoch() + self.step
    }

    /// Bounds what a batch keeps for its backward pass; see [`Engine::set_activation_memory`]. No bit depends on it.
    pub fn set_activation_memory(&mut self, bytes: usize) {
        self.engine.set_activation_memory(bytes);
    }

    /// Runs the network by a plan with other rewrites than all of them: to the same numbers, up to rounding.
    pub fn set_rewrites(&mut self, rewrites: Rewrites) {
        self.engine = Engine::with_plan(Plan::with(&self.network, rewrites), self.engine.tier());
    }

    /// Embeds images with the parameters as they stand.
    pub fn embed(&mut self, images: &Images) -> Features {
        self.engine.embed(&self.parameters, images)
    }

    /// Everything that a later bit depends on.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(self.network.clone(), self.parameters.clone());
        checkpoint.extra.insert("adam.m".into(), self.adam.m.clone());
        checkpoint.extra.insert("adam.v".into(), self.adam.v.clone());
        checkpoint.notes = self.notes.clone();
        for (name, value) in [
            ("epochs", Value::from(self.epochs)),
            ("step", self.step.into()),
            ("adam-steps", self.adam.steps.into()),
            ("sum-loss", self.sums.loss.into()),
            ("sum-active", self.sums.active.into()),
            ("sum-d-ap", self.sums.d_ap.into()),
            ("sum-d-an", self.sums.d_an.into()),
        ] {
            checkpoint.notes.insert(name.into(), value);
        }
        checkpoint
    }

    /// Runs to the last epoch's end, or until `stop` is set.
    pub fn run(
        &mut self,
        data: &Dataset,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        awake(|| self.steps(data, observers, stop))
    }

    fn steps(
        &mut self,
        data: &Dataset,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        let steps = self.steps_per_epoch();
        let d = self.network.embedding();
        let batch = self.settings.batch;
        let loss = TripletMargin { margin: self.settings.margin, ..TripletMargin::default() };
        let mut indices = Vec::new();
        let mut embedding_gradients = vec![0.0; 3 * batch * d];
        while self.epochs < self.settings.epochs {
            let epoch = self.epochs;
            let order = self.sampler.order(epoch);
            while self.step < steps {
                let anchors = &order[self.step as usize * batch..][..batch];
                self.sampler.batch(epoch, anchors, &mut indices);
                let embeddings = self.engine.forward(&self.parameters, &data.train.images, &indices);
                let distance = self.settings.distance;
                let triplets = mean_triplet_loss(&loss, distance, embeddings, d, &mut embedding_gradients);
                if !triplets.loss.is_finite() {
                    let (epoch, step) = (epoch + 1, self.step + 1);
                    return Err(TrainError::NotFinite { loss: triplets.loss, epoch, step });
                }
                self.engine.backward(&data.train.images, &embedding_gradients, &mut self.gradient);
                self.adam.step(&mut self.parameters, &self.gradient);
                self.step += 1;
                self.sums.loss += triplets.loss;
                self.sums.active += triplets.active;
                self.sums.d_ap += triplets.d_ap;
                self.sums.d_an += triplets.d_an;
                let images = indices.len() as u64;
                let report = StepReport { epoch: epoch + 1, step: self.step, steps, triplets, images };
                for observer in observers.iter_mut() {
                    observer.step(&report)?;
                }
                if stop.load(Ordering::Relaxed) && self.step < steps {
                    self.pause(None, observers)?;
                    return Ok(Outcome::Stopped);
                }
            }
            let n = steps as f64;
            let sums = std::mem::take(&mut self.sums);
            self.epochs += 1;
            self.step = 0;
            let mut report = EpochReport {
                epoch: self.epochs,
                step: self.steps_done(),
                loss: sums.loss / n,
                active: sums.active / n,
                d_ap: sums.d_ap / n,
                d_an: sums.d_an / n,
                validation: None,
            };
            self.pause(Some(&mut report), observers)?;
            if stop.load(Ordering::Relaxed) && self.epochs < self.settings.epochs {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    fn pause(
        &mut self,
        mut epoch: Option<&mut EpochReport>,
        observers: &mut [&mut dyn Observer],
    ) -> Result<(), TrainError> {
        // A checkpoint that could not be read again must not replace one that can.
        if self.parameters.iter().any(|p| !p.is_finite()) {
            return Err(TrainError::WeightsNotFinite { epoch: self.epochs + u64::from(epoch.is_none()) });
        }
        for observer in observers.iter_mut() {
            let mut notes = std::mem::take(&mut self.notes);
            let seen =
                observer.pause(&mut View { training: self, epoch: epoch.as_deref_mut(), notes: &mut notes });
            // Notes of a later observer must be in the checkpoint that a still later one saves.
            self.notes.append(&mut notes);
            seen?;
        }
        Ok(())
    }
}
