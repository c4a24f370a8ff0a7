//! A run: what it is made of, how it begins, and what it tells of itself. The loop is in `steps`.

mod error;
mod saved;
mod steps;

pub use error::TrainError;

use super::batches::Batches;
use super::resizing::Resizing;
use super::rotations::Rotations;
use super::{
    Observer, Optimizer, Settings, SettingsError, Start, TrainingPlan, WhitenBy, groups, identity, whiten,
    whiten_patches,
};
use crate::data::{Apart, Augment, ClassError, Dataset, Preparation, exclude, find_class, hold_out};
use crate::engine::{Engine, Plan, Rewrites, with_spinning_threads};
use crate::files::FileError;
use crate::images::{Features, Images};
use crate::limits::Limit;
use crate::loss::{Loss, LossReport, Objective, ObjectiveSpec, Reducer, Reducers, TripletMargin};
use crate::model::{Network, initial};
use crate::text;
use serde_json::Value;
use std::sync::atomic::AtomicBool;

/// A run that can be continued from any step.
///
/// ```
/// use alike::data::{DigitCounts, digits};
/// use alike::train::{Settings, Training};
///
/// let data = digits(DigitCounts { train: 60, test: 20 }, 1);
/// let settings = Settings {
///     network: "norm relu conv(16) maxpool(3, stride=3) norm relu conv(16) gap".into(),
///     epochs: 1,
///     batch_size: 20,
///     ..Settings::seed_recipe("digits")
/// };
/// let mut training = Training::new(settings, &data)?;
/// training.fit(&data)?;
/// assert_eq!(training.embed(&data.test.images)?.d(), 16);
/// # Ok::<(), alike::train::TrainError>(())
/// ```
#[derive(Debug)]
pub struct Training {
    settings: Settings,
    /// What was done to every image, which goes with the weights.
    preparation: Preparation,
    network: Network,
    engine: Engine,
    /// The network's parameters, then what losses learn.
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    /// The moving average of the network's parameters, where one is kept.
    average: Option<Vec<f32>>,
    optimizer: Optimizer,
    objective: Objective,
    /// The loss of given triplets, where it is no more than that.
    of_triplets: Option<TripletMargin>,
    batches: Batches,
    rotations: Rotations,
    resizing: Resizing,
    /// For the images of the epoch at hand, where these are small.
    small: Option<Engine>,
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

/// Refuses a batch whose distances, all of which a miner and some losses keep, would not fit into memory.
fn check_distances(
    settings: &Settings,
    spec: &ObjectiveSpec,
    batches: &Batches,
    trained: usize,
) -> Result<(), SettingsError> {
    if !spec.keeps_distances() {
        return Ok(());
    }
    let mined = batches.to_mine().map_or(0, |(_, images)| images.len());
    let views = if settings.self_supervised { 2 } else { 1 };
    let batch = settings.sampler.images(settings.batch_size).saturating_mul(views).max(mined) as u64;
    let seen = (trained as u64).saturating_mul(settings.epochs.max(1));
    let references = batch.max(seen.min(spec.memory as u64));
    let bytes = batch.saturating_mul(references).saturating_mul(8);
    let what = || format!("the distances of {batch} images to {references} take memory");
    Limit::Model.check(bytes, what).map_err(|e| SettingsError::new("batch-size", batch, e))
}

impl Training {
    /// Prepares a run from its first step.
    ///
    /// # Errors
    ///
    /// If a setting is impossible, or does not fit the data.
    pub fn new(settings: Settings, data: &Dataset) -> Result<Training, TrainError> {
        Training::of(settings.resolve()?, data)
    }

    /// The same of settings that were resolved.
    ///
    /// # Errors
    ///
    /// If a setting does not fit the data.
    pub fn of(plan: TrainingPlan, data: &Dataset) -> Result<Training, TrainError> {
        let mut training = Training::unstarted(plan, data)?;
        match training.settings.start {
            Start::Random => {}
            Start::Whitened => training.whiten(data)?,
            Start::Patches => training.whiten_patches(data)?,
            Start::Identity => training.begin_as_identity(data)?,
        }
        Ok(training)
    }

    /// Prepares a run that minimises `spec` instead of what the settings name: with a loss or a miner of one's own, see
    /// [`Loss::own`] and [`Miner::own`](crate::mining::Miner::own). The settings of the run, [`Training::settings`], then say so,
    /// own ones by their names.
    ///
    /// # Errors
    ///
    /// As [`Training::new`].
    pub fn with_objective(
        settings: Settings,
        spec: ObjectiveSpec,
        data: &Dataset,
    ) -> Result<Training, TrainError> {
        Training::of(TrainingPlan::with_objective(settings, spec)?, data)
    }

    fn whiten(&mut self, data: &Dataset) -> Result<(), TrainError> {
        let part = data.train.select(&self.trained);
        let n = self.network.parameter_count();
        let by = WhitenBy {
            images: &part.images,
            labels: (!self.settings.self_supervised).then_some(&part.labels),
            identities: &part.identities,
            augment: &self.augment_of(data),
            seed: self.settings.seed,
        };
        whiten(&self.network, &mut self.parameters[..n], by)?;
        self.begin_average();
        Ok(())
    }

    fn whiten_patches(&mut self, data: &Dataset) -> Result<(), TrainError> {
        let part = data.train.select(&self.trained);
        let n = self.network.parameter_count();
        let parameters = &mut self.parameters[..n];
        whiten_patches(&self.network, parameters, &part.images, &part.identities, self.settings.seed)?;
        self.begin_average();
        Ok(())
    }

    fn begin_as_identity(&mut self, data: &Dataset) -> Result<(), TrainError> {
        let part = data.train.select(&self.trained);
        let n = self.network.parameter_count();
        identity(&self.network, &mut self.parameters[..n], &part.images)?;
        self.begin_average();
        Ok(())
    }

    /// The moving average, where one is kept, begins with the weights.
    fn begin_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.copy_from_slice(&self.parameters[..self.network.parameter_count()]);
        }
    }

    /// How images are changed as they are trained on. Pictures below a head were changed before they were embedded.
    fn augment_of(&self, data: &Dataset) -> Augment {
        if data.shape().is_features() { Augment::None } else { self.settings.augment }
    }

    /// A run before its first step.
    fn unstarted(plan: TrainingPlan, data: &Dataset) -> Result<Training, TrainError> {
        let TrainingPlan { settings, network, objective: spec } = plan;
        let network = Network::new(network, data.shape())?;
        if data.shape().is_features() && settings.augment != Augment::None && data.views.is_empty() {
            let why = "the images are features, and only pictures are augmented: give --augment none";
            return Err(SettingsError::new("augment", text::write(&settings.augment), why).into());
        }
        let (trained, held_out) = divide(data, &settings.exclude_class, settings.validate, settings.seed)?;
        let rotations = Rotations::new(&settings, data)?;
        let all = rotations.of(&trained);
        let labels = rotations.labels(&data.train.labels);
        let classes: std::collections::BTreeSet<u32> = all.iter().map(|i| labels[*i]).collect();
        // A sampler of triplets says it better, where there are classes.
        let plain = (data.labelled && settings.sampler.of_triplets()) || settings.epochs == 0;
        if classes.len() < 2 && !settings.self_supervised && !plain {
            return Err(TrainError::OneClass { name: data.name.clone(), labelled: data.labelled });
        }
        let batches = Batches::new(
            settings.sampler,
            settings.batch_size,
            settings.seed,
            &labels,
            (&rotations.names(&data.classes), &rotations.names(&data.categories)),
            &all,
        )?;
        let (steps, anchors) = batches.supply();
        if steps == 0 {
            return Err(TrainError::BatchTooLarge { batch: settings.batch_size, anchors });
        }
        let resizing = Resizing::new(&settings, data.shape());
        resizing.check(&network)?;
        let engine = Engine::new(&network)?;
        check_distances(&settings, &spec, &batches, all.len())?;
        let of_triplets = plain_triplets(&settings, &spec);
        let objective =
            Objective::new(spec, rotations.classes(), network.embedding(), settings.seed, engine.tier())?;
        let own = objective.parameter_count();
        let mut parameters = initial(&network, settings.seed);
        let average = (settings.average > 0.0).then(|| parameters.clone());
        let mut learned = Vec::new();
        objective.read_parameters(&mut learned);
        parameters.extend_from_slice(&learned);
        let groups = groups(&network, own, settings.weight_decay, settings.proxy_rate);
        Ok(Training {
            engine,
            gradient: vec![0.0; parameters.len()],
            average,
            optimizer: Optimizer::new(settings.optimizer, groups),
            objective,
            of_triplets,
            parameters,
            network,
            batches,
            rotations,
            resizing,
            small: None,
            trained,
            held_out,
            epochs: 0,
            step: 0,
            sums: LossReport::default(),
            notes: serde_json::Map::new(),
            preparation: data.preparation,
            settings,
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What is judged: the network's parameters in the order of its flat list, or their moving average.
    pub fn parameters(&self) -> &[f32] {
        self.average.as_deref().unwrap_or(&self.parameters[..self.network.parameter_count()])
    }

    /// What is minimised, with what it learned.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Which training images are trained on, and which are held out for validation.
    pub fn parts(&self) -> (&[usize], &[usize]) {
        (&self.trained, &self.held_out)
    }

    /// What observers kept in the checkpoint that the run goes on from.
    pub(super) fn notes(&self) -> &serde_json::Map<String, Value> {
        &self.notes
    }

    /// Steps in an epoch; a last partial batch is dropped.
    pub fn steps_per_epoch(&self) -> u64 {
        self.batches.supply().0
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
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    pub fn embed(&mut self, images: &Images) -> Result<Features, FileError> {
        let parameters =
            self.average.as_deref().unwrap_or(&self.parameters[..self.network.parameter_count()]);
        self.engine.embed(parameters, images)
    }

    /// Trains to the last epoch's end, watched by nobody: see [`Training::run`].
    ///
    /// # Errors
    ///
    /// As [`Training::run`].
    pub fn fit(&mut self, data: &Dataset) -> Result<(), TrainError> {
        self.run(data, &mut [], &AtomicBool::new(false)).map(drop)
    }

    /// Runs to the last epoch's end, or until `stop` is set, watched by observers.
    ///
    /// # Errors
    ///
    /// If an image cannot be read, numbers become infinite, or an observer fails.
    pub fn run(
        &mut self,
        data: &Dataset,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        with_spinning_threads(|| self.steps(data, observers, stop))
    }
}

/// Which training images are trained on, in a run without some classes, and which are held out for validation: what the source
/// says is for that, or the share `validate` where it is not zero.
///
/// # Errors
///
/// If a class does not exist.
pub fn divide(
    data: &Dataset,
    excluded: &[String],
    validate: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), ClassError> {
    let excluded =
        excluded.iter().map(|name| find_class(data, name)).collect::<Result<Vec<u32>, ClassError>>()?;
    let kept = exclude(&data.train.labels, &excluded);
    if validate == 0.0 && !data.held_out.is_empty() {
        // The source says what is for validation.
        let held: std::collections::BTreeSet<usize> = data.held_out.iter().copied().collect();
        return Ok(kept.into_iter().partition(|i| !held.contains(i)));
    }
    Ok(hold_out(&data.train, &kept, validate, seed, Apart::of(data)))
}

/// The margin loss of given triplets, where the objective is nothing else: its distances need no matrix.
fn plain_triplets(settings: &Settings, spec: &crate::loss::ObjectiveSpec) -> Option<TripletMargin> {
    let alone = settings.sampler.of_triplets()
        && spec.miner.is_none()
        && spec.memory == 0
        && spec.regularizers.is_empty()
        && spec.distance.is_some()
        && spec.reducer == Some(Reducers(vec![Reducer::Mean]));
    match &spec.losses.0[..] {
        [(weight, Loss::TripletMargin(loss))] if alone && *weight == 1.0 && !loss.swap => Some(*loss),
        _ => None,
    }
}
