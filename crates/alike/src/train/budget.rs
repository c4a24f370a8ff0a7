//! How long training takes here: a budget of time becomes epochs, by the work of an epoch and by how fast this machine does such work.

use super::resizing::Resizing;
use super::rotations::copies;
use super::{Observer, Outcome, StepReport, TrainError, Training, TrainingPlan, divide};
use crate::data::Dataset;
use crate::model::Network;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Steps before the clock starts: the first ones find memory and caches cold.
const WARM_UP: u64 = 2;
/// Steps that are timed, at least.
const LEAST: u64 = 3;
/// The share of a budget that steps get; the rest is for what follows an epoch.
const FOR_STEPS: f64 = 0.97;

/// The work of an epoch, and how fast it is done here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Floating-point operations of an epoch: of the network, forward and backward, for every image.
    pub epoch: f64,
    /// Floating-point operations a second, with everything that a step does beside the network.
    pub rate: f64,
}

impl Pace {
    /// Floating-point operations of a whole run, about.
    ///
    /// # Errors
    ///
    /// If the network does not fit the images, or a class to be left out is not there.
    pub fn work(plan: &TrainingPlan, data: &Dataset) -> Result<f64, TrainError> {
        let settings = plan.settings();
        let network = Network::new(plan.network().clone(), data.shape())?;
        let (trained, _) = divide(data, &settings.exclude_class, settings.validate, settings.seed)?;
        // An anchor is three images, and without labels an image is two.
        let triplets = settings.sampler.of_triplets() && settings.miner.is_none() && settings.memory == 0;
        let views = if triplets {
            3.0
        } else if settings.self_supervised {
            2.0
        } else {
            1.0
        };
        let images = trained.len() * copies(settings);
        let share = Resizing::new(settings, data.shape()).mean_work();
        Ok(3.0 * network.flop() as f64 * share * views * images as f64 * settings.epochs as f64)
    }

    /// Trains a copy for about `time`, or an epoch where that is less, and throws it away.
    ///
    /// # Errors
    ///
    /// As [`Training::run`].
    pub fn measure(plan: &TrainingPlan, data: &Dataset, time: Duration) -> Result<Pace, TrainError> {
        let mut training = Training::of(plan.clone(), data)?;
        // Backward costs twice forward.
        let each = 3.0 * training.network().flop() as f64;
        let steps = training.steps_per_epoch();
        let stop = AtomicBool::new(false);
        let mut watch =
            Watch { time, stop: &stop, began: Instant::now(), images: [0; 2], took: Duration::ZERO };
        if plan.settings().epochs > 0 {
            let (Outcome::Finished | Outcome::Stopped) = training.run(data, &mut [&mut watch], &stop)?;
        }
        let [seen, timed] = watch.images;
        let per_step = seen as f64 / training.steps_done().max(1) as f64;
        let took = watch.took.as_secs_f64().max(f64::MIN_POSITIVE);
        // Steps of the first epoch were timed, whose images may be small.
        let resizing = Resizing::new(plan.settings(), data.shape());
        let (first, mean) = (each * resizing.work(0), each * resizing.mean_work());
        Ok(Pace { epoch: mean * per_step * steps as f64, rate: first * timed as f64 / took })
    }

    /// Seconds that so many epochs take.
    pub fn seconds(&self, epochs: u64) -> f64 {
        epochs as f64 * self.epoch / self.rate / FOR_STEPS
    }

    /// As many epochs as a budget of so many seconds has room for; 0 where not even one.
    pub fn epochs(&self, seconds: f64) -> u64 {
        (seconds / self.seconds(1)) as u64
    }
}

/// Counts and times steps, and stops the run after a while.
struct Watch<'a> {
    time: Duration,
    stop: &'a AtomicBool,
    began: Instant,
    /// Images of all steps, and of those that were timed.
    images: [u64; 2],
    took: Duration,
}

impl Observer for Watch<'_> {
    fn step(&mut self, step: &StepReport) -> Result<(), TrainError> {
        self.images[0] += step.images;
        // A run of one or two steps is timed as it is.
        let warm = WARM_UP.min(step.steps - 1);
        if step.epoch > 1 || step.step > warm {
            self.images[1] += step.images;
            self.took = self.began.elapsed();
        } else {
            self.began = Instant::now();
        }
        let enough =
            step.epoch > 1 || step.step >= step.steps || step.step >= warm + LEAST && self.took >= self.time;
        if enough {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DigitCounts, digits};
    use crate::train::Settings;

    #[test]
    fn a_pace_is_measured_and_nothing_is_kept_of_it() {
        let data = digits(DigitCounts { train: 640, test: 20 }, 1);
        let settings = Settings { epochs: 7, ..Settings::seed_recipe("digits") };
        let plan = settings.resolve().unwrap();
        for time in [Duration::ZERO, Duration::from_secs(60)] {
            let pace = Pace::measure(&plan, &data, time).unwrap();
            // Triplets: three images for each anchor.
            let network = Training::of(plan.clone(), &data).unwrap().network().clone();
            let each = 3.0 * network.flop() as f64;
            assert!((pace.epoch / each / (3.0 * 640.0) - 1.0).abs() < 1e-6, "{pace:?}");
            assert!(pace.rate > 0.0 && pace.rate.is_finite(), "{pace:?}");
            assert_eq!(pace.epochs(pace.seconds(5) * 1.0001), 5);
            assert_eq!(pace.epochs(pace.seconds(1) * 0.9999), 0);
        }
    }
}
