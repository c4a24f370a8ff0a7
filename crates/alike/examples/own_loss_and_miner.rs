//! A loss and a miner of one's own: a small network learns digits with them, by the same loop as with built-in ones.
//!
//! cargo run --release -p alike --example own_loss_and_miner

use alike::data::{Dataset, DigitCounts, digits};
use alike::distance::Distance;
use alike::eval::vote;
use alike::images::Vectors;
use alike::loss::{
    Elements, Evaluation, Facts, Loss, LossFunction, LossReport, Measure, ObjectiveSpec, Parameter, Reducer,
    Row, RowLoss, RowOut,
};
use alike::mining::{Candidates, Lists, Mine, Miner, Tuples};
use alike::neighbours::{Exact, Exclude, nearest};
use alike::rng::{Rng, RngExt};
use alike::train::{Observer, Settings, TrainError, Training, View};
use std::error::Error;
use std::sync::atomic::AtomicBool;

/// The squared distance of positive pairs, and a peak around the anchor for negatives: `exp(-d / width)`.
struct Peak {
    width: f64,
}

/// What is true of the loss. Settings are checked against it: `--memory`, the miner, the distance.
impl LossFunction for Peak {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::positive("width", self.width)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

/// The formula, over one anchor's distances to its references.
impl RowLoss for Peak {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let peak = |d: f64| (-d / self.width).exp();
        let pulls: f64 = row.positives.iter().map(|p| row.d(*p).powi(2)).sum();
        let pushes: f64 = row.negatives.iter().map(|n| peak(row.d(*n))).sum();
        // An element of the loss; what comes back is the factor that its gradient is to be added with.
        let weight = out.element(0, pulls + pushes);
        row.positives.iter().for_each(|p| out.add_gradient(*p, weight * 2.0 * row.d(*p)));
        row.negatives.iter().for_each(|n| out.add_gradient(*n, -weight * peak(row.d(*n)) / self.width));
    }
}

/// Every positive, and for each of them a random negative among the nearest ten.
struct NearButNotAlways;

impl Mine for NearButNotAlways {
    fn mine(&self, batch: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        Tuples::Pairs {
            positives: Lists::build(batch.len(), |anchor, out| out.extend(batch.positives(anchor))),
            negatives: Lists::build(batch.len(), |anchor, out| {
                let mut nearest: Vec<u32> = batch.negatives(anchor).collect();
                nearest.sort_by(|a, b| batch.distance(anchor, *a).total_cmp(&batch.distance(anchor, *b)));
                nearest.truncate(10);
                if !nearest.is_empty() {
                    let drawn = batch.positives(anchor).map(|_| nearest[rng.random_range(0..nearest.len())]);
                    out.extend(drawn);
                }
            }),
        }
    }

    /// It takes any distance: that of the loss.
    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        None
    }
}

/// Prints what each epoch came to.
struct Print;

impl Observer for Print {
    fn pause(&mut self, view: &mut View<'_>) -> Result<(), TrainError> {
        if let Some(epoch) = view.epoch.as_deref() {
            println!(
                "epoch {}: loss {:.3}, positive pairs {:.2} apart, negative pairs {:.2}",
                epoch.epoch, epoch.loss, epoch.d_ap, epoch.d_an
            );
        }
        Ok(())
    }
}

/// The share of test images whose nearest training image is of their class.
fn accuracy(training: &mut Training, data: &Dataset) -> Result<f64, Box<dyn Error>> {
    let (gallery, queries) = (training.embed(&data.train.images)?, training.embed(&data.test.images)?);
    let (gallery, queries) = (Vectors::Features(&gallery), Vectors::Features(&queries));
    let right = nearest(&Exact::new(gallery), queries, 1, Exclude::None, |query, found| {
        vote(&[data.train.labels[found[0].index]]) == data.test.labels[query]
    });
    Ok(right.iter().filter(|r| **r).count() as f64 / right.len() as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = digits(DigitCounts { train: 2000, test: 500 }, 1);
    let objective = ObjectiveSpec {
        miner: Some(Miner::own("near-but-not-always", NearButNotAlways)),
        ..ObjectiveSpec::new(Loss::own("peak", Peak { width: 0.3 }))
    };
    let settings = Settings {
        network: "norm relu conv(20) maxpool(3, stride=2) norm(4) relu conv(32) gap".into(),
        sampler: "pk:10x6".parse()?,
        epochs: 10,
        learning_rate: 0.01,
        ..Settings::seed_recipe("digits")
    };
    let mut training = Training::with_objective(settings, objective, &data)?;
    println!(
        "before: {:.1} % of test images by their nearest neighbour",
        100.0 * accuracy(&mut training, &data)?
    );
    training.run(&data, &mut [&mut Print], &AtomicBool::new(false))?;
    println!("after: {:.1} %", 100.0 * accuracy(&mut training, &data)?);
    // The settings of the run name what it was trained with.
    println!("loss = {:?}, miner = {:?}", training.settings().loss, training.settings().miner);
    Ok(())
}
