//! The loop.

mod saved;

use super::batches::Batches;
use super::{
    EmbeddingHealth, EpochReport, Observer, Optimizer, RunError, SamplerError, Settings, SettingsError,
    Start, StepReport, TrainingPlan, View, WhitenBy, WhitenError, clip, groups, whiten,
};
use crate::data::{
    Apart, Changes, ClassError, Dataset, Occasion, Preparation, exclude, find_class, hold_out,
};
use crate::engine::{Engine, Plan, Prepare, Rewrites, with_spinning_threads};
use crate::files::FileError;
use crate::images::{Features, Images, Shape};
use crate::limits::Limit;
use crate::loss::{
    Loss, LossReport, Objective, ObjectiveError, ObjectiveSpec, Reducer, Reducers, TripletMargin,
    mean_triplet_loss,
};
use crate::mining::{Lists, Tuples};
use crate::model::{Network, NetworkError, initial};
use crate::rng::{Purpose, RngExt, stream};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

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
///     batch: 20,
///     ..Settings::seed_recipe("digits")
/// };
/// let mut training = Training::new(settings, &data)?;
/// training.fit(&data)?;
/// assert_eq!(training.embed(&data.test.images).d(), 16);
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
#[non_exhaustive]
pub enum TrainError {
    /// A setting is impossible.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A class to be excluded does not exist.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The network does not fit the images.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The network cannot begin as it was asked to.
    #[error(transparent)]
    Whiten(#[from] WhitenError),
    /// No triplets can be drawn.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The instructions that were asked for are not to be had.
    #[error(transparent)]
    Tier(#[from] alike_kernels::TierError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Losses, miner and the rest do not go together.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// A batch cannot be filled.
    #[error(
        "a batch of {batch} is more than the {anchors} training images; lower --batch-size to at most {anchors}"
    )]
    BatchTooLarge {
        /// What was asked for.
        batch: usize,
        /// What is there.
        anchors: usize,
    },
    /// The loss became NaN or infinite.
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
    /// The weights became NaN or infinite, though the losses did not.
    #[error(
        "weights became infinite or NaN in epoch {epoch}; the last good checkpoint is kept. Lower --learning-rate, or check \
         the images for what is unlike the rest"
    )]
    WeightsNotFinite {
        /// Counted from 1.
        epoch: u64,
    },
    /// There is nothing to tell apart.
    #[error(
        "{name} has {} to be trained on; without two there is nothing to tell apart. Give --self-supervised with a loss such as \
         nt-xent and an --augment, or leave --recipe out, which finds all three",
        if *labelled { "images of fewer than two classes" } else { "no classes" }
    )]
    OneClass {
        /// The data set.
        name: String,
        /// Whether images have classes.
        labelled: bool,
    },
    /// An image could not be read.
    #[error(transparent)]
    Images(#[from] FileError),
    /// A checkpoint is not one of this run.
    #[error("this checkpoint cannot be continued: {0}")]
    Resume(String),
    /// Something that watches the run failed.
    #[error("{0}")]
    Observer(Box<dyn std::error::Error + Send + Sync>),
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
        if training.settings.start == Start::Whitened {
            training.whiten(data)?;
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
            augment: &self.settings.augment,
            seed: self.settings.seed,
        };
        whiten(&self.network, &mut self.parameters[..n], by)?;
        if let Some(average) = &mut self.average {
            average.copy_from_slice(&self.parameters[..n]);
        }
        Ok(())
    }

    /// A run before its first step.
    fn unstarted(plan: TrainingPlan, data: &Dataset) -> Result<Training, TrainError> {
        let TrainingPlan { settings, network, objective: spec } = plan;
        let network = Network::new(network, data.shape())?;
        let (trained, held_out) = divide(data, &settings.exclude_class, settings.validate, settings.seed)?;
        let classes: std::collections::BTreeSet<u32> =
            trained.iter().map(|i| data.train.labels[*i]).collect();
        // A sampler of triplets says it better, where there are classes.
        let plain = data.labelled && settings.sampler.of_triplets();
        if classes.len() < 2 && !settings.self_supervised && !plain {
            return Err(TrainError::OneClass { name: data.name.clone(), labelled: data.labelled });
        }
        let batches = Batches::new(
            settings.sampler,
            settings.batch_size,
            settings.seed,
            &data.train.labels,
            (&data.classes, &data.categories),
            &trained,
        )?;
        let (steps, anchors) = batches.supply();
        if steps == 0 {
            return Err(TrainError::BatchTooLarge { batch: settings.batch_size, anchors });
        }
        let engine = Engine::new(&network)?;
        check_distances(&settings, &spec, &batches, trained.len())?;
        let of_triplets = plain_triplets(&settings, &spec);
        let objective =
            Objective::new(spec, data.classes.len(), network.embedding(), settings.seed, engine.tier())?;
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

    fn steps(
        &mut self,
        data: &Dataset,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        let steps = self.steps_per_epoch();
        let total = steps * self.settings.epochs;
        let warmup = (self.settings.warmup * steps as f64).round() as u64;
        let shape = data.shape();
        let (mut indices, mut labels, mut gradient) = (Vec::new(), Vec::new(), Vec::new());
        let mut health = EmbeddingHealth::default();
        if self.settings.epochs == 0 {
            // The start is all that is asked for, and is to be kept.
            self.pause(None, observers)?;
        }
        while self.epochs < self.settings.epochs {
            let epoch = self.epochs;
            // An order that was found is in the checkpoint, for it cannot be found again in the middle of an epoch.
            if self.step == 0 || self.batches.found_order().is_none() {
                self.batches.begin(epoch);
                self.mine_order(data, epoch)?;
            }
            while self.step < steps {
                self.batches.batch(self.step, &mut indices);
                labels.clear();
                if self.settings.self_supervised {
                    // Every image is a class of its own, named by its number so that a memory cannot confuse it with another
                    // batch's, and comes twice.
                    indices.extend_from_within(..);
                    labels.extend(indices.iter().map(|i| *i as u32));
                } else {
                    labels.extend(indices.iter().map(|i| data.train.labels[*i]));
                }
                let views = if self.settings.self_supervised { labels.len() / 2 } else { labels.len() };
                let prepare = self.settings.augment.changes().map(|changes| Views {
                    changes,
                    shape,
                    seed: self.settings.seed,
                    epoch: epoch * steps + self.step,
                    views,
                });
                let prepare = prepare.as_ref().map(|p| p as &dyn Prepare);
                let images = &data.train.images;
                let n = self.network.parameter_count();
                let embeddings =
                    self.engine.forward_prepared(&self.parameters[..n], images, &indices, prepare)?;
                gradient.resize(embeddings.len(), 0.0);
                let d = self.network.embedding();
                let report = match &self.of_triplets {
                    Some(loss) => {
                        let distance = self.settings.distance.unwrap_or_default();
                        mean_triplet_loss(loss, distance, embeddings, d, &mut gradient)
                    }
                    None => {
                        let own = &mut self.gradient[n..];
                        let mut rng = stream(self.settings.seed, Purpose::Mining, epoch, self.step);
                        if self.settings.sampler.of_triplets()
                            && self.settings.miner.is_none()
                            && self.settings.memory == 0
                        {
                            let tuples = given(indices.len() / 3);
                            self.objective.evaluate_tuples(embeddings, &labels, &tuples, &mut gradient, own)
                        } else {
                            self.objective.evaluate(embeddings, &labels, &mut rng, &mut gradient, own)
                        }
                    }
                };
                if !report.loss.is_finite() {
                    let (epoch, step) = (epoch + 1, self.step + 1);
                    return Err(TrainError::NotFinite { loss: report.loss, epoch, step });
                }
                self.step += 1;
                if self.step == steps {
                    health = EmbeddingHealth::of(embeddings, d);
                }
                self.engine.backward_prepared(images, prepare, &gradient, &mut self.gradient[..n])?;
                clip(&mut self.gradient, self.settings.clip);
                let position = epoch * steps + self.step - 1;
                let factor = self.settings.schedule.factor(position, total, steps, warmup);
                let rate = self.settings.learning_rate * factor;
                self.optimizer.step(rate, &mut self.parameters, &self.gradient);
                if self.parameters.len() > n {
                    self.objective.write_parameters(&self.parameters[n..]);
                }
                if let Some(average) = &mut self.average {
                    // A young average keeps less, so that it does not remember where the run began.
                    let keep = self.settings.average.min(position as f64 / (position as f64 + 10.0));
                    let new = (1.0 - keep) as f32;
                    average.iter_mut().zip(&self.parameters).for_each(|(a, p)| *a += (p - *a) * new);
                }
                self.sums.loss += report.loss;
                self.sums.active += report.active;
                self.sums.d_ap += report.d_ap;
                self.sums.d_an += report.d_an;
                let images = indices.len() as u64;
                let report = StepReport { epoch: epoch + 1, step: self.step, steps, loss: report, images };
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
                health,
                validation: None,
            };
            self.pause(Some(&mut report), observers)?;
            if stop.load(Ordering::Relaxed) && self.epochs < self.settings.epochs {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// Draws the epoch's images by how often the miner's tuples name them, for the sampler that does so.
    fn mine_order(&mut self, data: &Dataset, epoch: u64) -> Result<(), FileError> {
        let Some((n, subset)) = self.batches.to_mine() else { return Ok(()) };
        let split = data.train.select(&subset);
        let embeddings =
            self.engine.embed(&self.parameters[..self.network.parameter_count()], &split.images)?;
        let mut rng = stream(self.settings.seed, Purpose::Mining, epoch, u64::MAX);
        let weights = self.objective.weights(embeddings.data(), &split.labels, &mut rng);
        let sums: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, w| {
                *sum += w;
                Some(*sum)
            })
            .collect();
        let total = sums.last().copied().unwrap_or(0.0);
        let mut draw = || {
            let at = rng.random::<f64>() * total;
            sums.partition_point(|s| *s <= at).min(subset.len() - 1)
        };
        let order = (0..n).map(|_| subset[draw()]).collect();
        self.batches.reorder(order);
        Ok(())
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

/// Triplets of a batch: anchors, then positives, then negatives.
fn given(n: usize) -> Tuples {
    Tuples::Triplets(Lists::build(3 * n, |anchor, out| {
        if anchor < n {
            out.push([(n + anchor) as u32, (2 * n + anchor) as u32]);
        }
    }))
}

/// Images as a step sees them.
struct Views {
    changes: Changes,
    shape: Shape,
    seed: u64,
    /// The step since the run began: an image that comes twice in an epoch comes differently.
    epoch: u64,
    /// How many images a view has.
    views: usize,
}

impl Prepare for Views {
    fn prepare(&self, position: usize, image: usize, from: &[u8], to: &mut [u8]) {
        let view = (position / self.views.max(1)) as u64;
        let occasion = Occasion { seed: self.seed, epoch: self.epoch, image: image as u64, view };
        self.changes.apply(self.shape, occasion, from, to);
    }
}
