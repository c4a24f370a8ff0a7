//! The loop: steps over batches, and what follows each epoch.

use super::{Outcome, TrainError, Training};
use crate::data::{Changes, Dataset, Occasion};
use crate::engine::Prepare;
use crate::files::FileError;
use crate::images::Shape;
use crate::loss::{LossReport, mean_triplet_loss};
use crate::mining::{Lists, Tuples};
use crate::model::Network;
use crate::rng::{Purpose, RngExt, stream};
use crate::train::resizing::shrink;
use crate::train::rotations::Rotations;
use crate::train::{EmbeddingHealth, EpochReport, Observer, StepReport, View, clip};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a step works on; kept from step to step for its memory.
#[derive(Default)]
struct Batch {
    /// With rotated images, by their numbers.
    numbers: Vec<usize>,
    /// The images of these.
    indices: Vec<usize>,
    labels: Vec<u32>,
    /// By the embeddings.
    gradient: Vec<f32>,
}

impl Training {
    pub(super) fn steps(
        &mut self,
        data: &Dataset,
        observers: &mut [&mut dyn Observer],
        stop: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        let steps = self.steps_per_epoch();
        let mut batch = Batch::default();
        let mut health = EmbeddingHealth::default();
        if self.settings.epochs == 0 {
            // The start is all that is asked for, and is to be kept.
            self.pause(None, observers)?;
        }
        while self.epochs < self.settings.epochs {
            // An order that was found is in the checkpoint, for it cannot be found again in the middle of an epoch.
            if self.step == 0 || self.batches.found_order().is_none() {
                self.batches.begin(self.epochs);
                self.mine_order(data, self.epochs)?;
            }
            self.resize()?;
            while self.step < steps {
                self.fill(&mut batch, data);
                let loss = self.compute(&mut batch, data, &mut health)?;
                self.update();
                self.step += 1;
                self.sums.loss += loss.loss;
                self.sums.active += loss.active;
                self.sums.d_ap += loss.d_ap;
                self.sums.d_an += loss.d_an;
                let images = batch.indices.len() as u64;
                let report = StepReport { epoch: self.epochs + 1, step: self.step, steps, loss, images };
                for observer in observers.iter_mut() {
                    observer.step(&report)?;
                }
                if stop.load(Ordering::Relaxed) && self.step < steps {
                    self.pause(None, observers)?;
                    return Ok(Outcome::Stopped);
                }
            }
            let mut report = self.end_epoch(health);
            self.pause(Some(&mut report), observers)?;
            if stop.load(Ordering::Relaxed) && self.epochs < self.settings.epochs {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// Makes an engine for the images of the epoch, where these are small and it is not there.
    fn resize(&mut self) -> Result<(), TrainError> {
        let shape = self.resizing.shape(self.epochs);
        if shape == self.network.input() {
            self.small = None;
        } else if self.small.as_ref().is_none_or(|e| e.input() != shape) {
            self.small = Some(self.engine.with_input(&Network::new(self.network.spec().clone(), shape)?));
        }
        Ok(())
    }

    /// The images of this step, and what they are.
    fn fill(&self, batch: &mut Batch, data: &Dataset) {
        let Batch { numbers, indices, labels, .. } = batch;
        self.batches.batch(self.step, numbers);
        labels.clear();
        if self.settings.self_supervised {
            // Every image is a class of its own, named by its number so that a memory cannot confuse it with another
            // batch's, and comes twice.
            numbers.extend_from_within(..);
            labels.extend(numbers.iter().map(|i| *i as u32));
        } else {
            labels.extend(numbers.iter().map(|i| self.rotations.label(*i, &data.train.labels)));
        }
        indices.clear();
        indices.extend(numbers.iter().map(|i| self.rotations.image(*i)));
    }

    /// The loss of a batch, and the gradient by all that is learned. Of an epoch's last step, the health of the embeddings too.
    fn compute(
        &mut self,
        batch: &mut Batch,
        data: &Dataset,
        health: &mut EmbeddingHealth,
    ) -> Result<LossReport, TrainError> {
        let Batch { numbers, indices, labels, gradient } = batch;
        let (epoch, steps, images) = (self.epochs, self.steps_per_epoch(), data.seen_in(self.epochs));
        let views = if self.settings.self_supervised { labels.len() / 2 } else { labels.len() };
        let changes = self.augment_of(data).changes();
        let engine = self.small.as_mut().unwrap_or(&mut self.engine);
        let (shape, input) = (data.shape(), engine.input());
        let as_they_are = changes.is_none() && !self.settings.rotations && shape == input;
        let seen = Views {
            changes,
            rotations: self.rotations,
            numbers,
            shape,
            input,
            seed: self.settings.seed,
            step: epoch * steps + self.step,
            epoch,
            views,
        };
        let prepare = (!as_they_are).then_some(&seen as &dyn Prepare);
        let (n, d) = (self.network.parameter_count(), self.network.embedding());
        let embeddings = engine.forward_prepared(&self.parameters[..n], images, indices, prepare)?;
        gradient.resize(embeddings.len(), 0.0);
        let own = &mut self.gradient[n..];
        let of_triplets =
            self.settings.sampler.of_triplets() && self.settings.miner.is_none() && self.settings.memory == 0;
        let report = if let Some(loss) = &self.of_triplets {
            let distance = self.settings.distance.unwrap_or_default();
            mean_triplet_loss(loss, distance, embeddings, d, gradient)
        } else if of_triplets {
            let tuples = given(indices.len() / 3);
            self.objective.evaluate_tuples(embeddings, labels, &tuples, gradient, own)
        } else {
            let mut rng = stream(self.settings.seed, Purpose::Mining, epoch, self.step);
            self.objective.evaluate(embeddings, labels, &mut rng, gradient, own)
        };
        if !report.loss.is_finite() {
            let (epoch, step) = (epoch + 1, self.step + 1);
            return Err(TrainError::NotFinite { loss: report.loss, epoch, step });
        }
        if self.step + 1 == steps {
            *health = EmbeddingHealth::of(embeddings, d);
        }
        engine.backward_prepared(images, prepare, gradient, &mut self.gradient[..n])?;
        Ok(report)
    }

    /// A step against the gradient.
    fn update(&mut self) {
        let (settings, steps, n) = (&self.settings, self.steps_per_epoch(), self.network.parameter_count());
        clip(&mut self.gradient, settings.clip);
        let position = self.epochs * steps + self.step;
        let warmup = (settings.warmup * steps as f64).round() as u64;
        let factor = settings.schedule.factor(position, steps * settings.epochs, steps, warmup);
        self.optimizer.step(settings.learning_rate * factor, &mut self.parameters, &self.gradient);
        if self.parameters.len() > n {
            self.objective.write_parameters(&self.parameters[n..]);
        }
        if let Some(average) = &mut self.average {
            // A young average keeps less, so that it does not remember where the run began.
            let keep = settings.average.min(position as f64 / (position as f64 + 10.0));
            let new = (1.0 - keep) as f32;
            average.iter_mut().zip(&self.parameters).for_each(|(a, p)| *a += (p - *a) * new);
        }
    }

    /// Begins the next epoch, and tells of the last.
    fn end_epoch(&mut self, health: EmbeddingHealth) -> EpochReport {
        let n = self.steps_per_epoch() as f64;
        let sums = std::mem::take(&mut self.sums);
        self.epochs += 1;
        self.step = 0;
        EpochReport {
            epoch: self.epochs,
            step: self.steps_done(),
            loss: sums.loss / n,
            active: sums.active / n,
            d_ap: sums.d_ap / n,
            d_an: sums.d_an / n,
            health,
            validation: None,
        }
    }

    /// Draws the epoch's images by how often the miner's tuples name them, for the sampler that does so.
    fn mine_order(&mut self, data: &Dataset, epoch: u64) -> Result<(), FileError> {
        let Some((n, subset)) = self.batches.to_mine() else { return Ok(()) };
        let images = self.rotations.images(&data.train.images, &subset)?;
        let labels: Vec<u32> = subset.iter().map(|i| self.rotations.label(*i, &data.train.labels)).collect();
        let embeddings = self.engine.embed(&self.parameters[..self.network.parameter_count()], &images)?;
        let mut rng = stream(self.settings.seed, Purpose::Mining, epoch, u64::MAX);
        let weights = self.objective.weights(embeddings.data(), &labels, &mut rng);
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

/// Triplets of a batch: anchors, then positives, then negatives.
fn given(n: usize) -> Tuples {
    Tuples::Triplets(Lists::build(3 * n, |anchor, out| {
        if anchor < n {
            out.push([(n + anchor) as u32, (2 * n + anchor) as u32]);
        }
    }))
}

/// Images as a step sees them.
struct Views<'a> {
    changes: Option<Changes>,
    rotations: Rotations,
    /// The batch's images, rotated ones by their own numbers.
    numbers: &'a [usize],
    shape: Shape,
    /// The shape that the network takes in this epoch.
    input: Shape,
    seed: u64,
    step: u64,
    epoch: u64,
    /// How many images a view has.
    views: usize,
}

impl Prepare for Views<'_> {
    fn prepare(&self, position: usize, _: usize, from: &[u8], to: &mut [u8]) {
        let number = self.numbers[position];
        let rotated = self.rotations.rotated(number, self.shape, from);
        let from = rotated.as_deref().unwrap_or(from);
        let view = (position / self.views.max(1)) as u64;
        let (seed, step, epoch, image) = (self.seed, self.step, self.epoch, number as u64);
        let occasion = Occasion { seed, step, epoch, image, view };
        let change = |to: &mut [u8]| match &self.changes {
            Some(changes) => changes.apply(self.shape, occasion, from, to),
            None => to.copy_from_slice(from),
        };
        if self.input == self.shape {
            change(to);
        } else {
            // As it is changed at full size, so that a shift by pixels is the same share of the image.
            let mut full = vec![0; self.shape.len()];
            change(&mut full);
            shrink(self.shape, &full, self.input, to);
        }
    }
}
