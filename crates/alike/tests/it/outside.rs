//! Losses and miners from outside the library, in the real loop.

use alike::data::{Dataset, DigitCounts, digits};
use alike::distance::Distance;
use alike::loss::{
    Evaluation, Facts, Loss, LossFunction, LossReport, Losses, MultiSimilarity, ObjectiveSpec, Parameter,
    Row, RowLoss, RowOut, State,
};
use alike::mining::{Candidates, Mine, Miner, Tuples};
use alike::rng::Rng;
use alike::train::{Observer, Outcome, Run, Settings, StepReport, TrainError, Training, settings_text};
use std::sync::atomic::{AtomicBool, Ordering};

/// A built-in loss, as if it came from outside.
struct Wrapped(Loss);

impl LossFunction for Wrapped {
    fn facts(&self) -> Facts {
        self.0.facts()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.0.function().parameters()
    }

    fn initial(&self, classes: usize) -> State {
        self.0.function().initial(classes)
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        self.0.function().evaluate(evaluation)
    }
}

/// A built-in formula in a loss from outside.
struct Formula(MultiSimilarity);

impl LossFunction for Formula {
    fn facts(&self) -> Facts {
        self.0.facts()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters()
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for Formula {
    fn once(&self) -> bool {
        self.0.once()
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        self.0.row(row, out);
    }
}

/// A built-in miner, as if it came from outside.
struct WrappedMiner(Miner);

impl Mine for WrappedMiner {
    fn mine(&self, candidates: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        self.0.mine(candidates, rng)
    }

    fn distance(&self) -> Option<Distance> {
        self.0.distance()
    }

    fn refusal(&self) -> Option<String> {
        self.0.refusal()
    }
}

fn data() -> Dataset {
    digits(DigitCounts { train: 300, test: 60 }, 5)
}

fn settings() -> Settings {
    Settings {
        network: "norm relu conv(20) maxpool(3, stride=2) norm(4) relu conv(17) gap".into(),
        sampler: "pk:5x4".parse().unwrap(),
        epochs: 2,
        seed: 3,
        ..Settings::seed_recipe("digits")
    }
}

fn spec(loss: &str, miner: Option<&str>, memory: usize) -> ObjectiveSpec {
    let miner = miner.map(|m| m.parse().unwrap());
    ObjectiveSpec { miner, memory, ..ObjectiveSpec::new(loss.parse::<Loss>().unwrap()) }
}

/// The same objective, of a loss and a miner from outside.
fn from_outside(built_in: &ObjectiveSpec) -> ObjectiveSpec {
    let loss = Loss::own("outside", Wrapped(built_in.losses.0[0].1.clone()));
    let miner = built_in.miner.clone().map(|m| Miner::own("outside-too", WrappedMiner(m)));
    ObjectiveSpec { losses: loss.into(), miner, ..built_in.clone() }
}

/// The bits of all that a run learned: weights, proxies and other numbers, averages, memory.
fn bits(training: &Training) -> Vec<u32> {
    let checkpoint = training.checkpoint();
    checkpoint.parameters.iter().chain(checkpoint.extra.values().flatten()).map(|v| v.to_bits()).collect()
}

fn run(mut training: Training, data: &Dataset) -> Vec<u32> {
    assert_eq!(training.run(data, &mut [], &AtomicBool::new(false)).unwrap(), Outcome::Finished);
    bits(&training)
}

#[test]
fn a_loss_from_outside_trains_to_the_bits_of_the_built_in_one_that_it_wraps() {
    let data = data();
    for (loss, miner, memory) in [
        ("multi-similarity", None, 0),
        ("contrastive", Some("distance-weighted"), 60),
        ("margin:learn-beta=true,per-class=true,nu=0.1", Some("semi-hard"), 0),
        ("soft-triple:centers-per-class=2", None, 0),
        ("dynamic-soft-margin", None, 0),
    ] {
        let built_in = spec(loss, miner, memory);
        let outside = Training::with_objective(settings(), from_outside(&built_in), &data).unwrap();
        let named = Training::with_objective(settings(), built_in, &data).unwrap();
        // What was given as an objective and what is read from settings are the same.
        let read = Training::new(named.settings().clone(), &data).unwrap();
        let expected = run(named, &data);
        assert!(run(read, &data) == expected, "{loss}");
        assert!(run(outside, &data) == expected, "{loss}");
    }
    let formula = Loss::own("formula", Formula(MultiSimilarity::default()));
    let outside = Training::with_objective(settings(), ObjectiveSpec::new(formula), &data).unwrap();
    let named = Training::with_objective(settings(), spec("multi-similarity", None, 0), &data).unwrap();
    assert!(run(outside, &data) == run(named, &data));
}

/// Stops after the third step.
struct Stop<'a>(&'a AtomicBool);

impl Observer for Stop<'_> {
    fn step(&mut self, step: &StepReport) -> Result<(), TrainError> {
        self.0.store(step.step == 3, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_run_with_a_loss_from_outside_names_it_and_is_continued_with_it_only() {
    let data = data();
    let built_in = spec("multi-similarity", Some("semi-hard"), 40);
    let outside = from_outside(&built_in);
    let whole = run(Training::with_objective(settings(), outside.clone(), &data).unwrap(), &data);

    let stop = AtomicBool::new(false);
    let mut begun = Training::with_objective(settings(), outside.clone(), &data).unwrap();
    assert_eq!(begun.run(&data, &mut [&mut Stop(&stop)], &stop).unwrap(), Outcome::Stopped);
    let settings = begun.settings().clone();
    assert_eq!((settings.loss.as_str(), settings.miner.as_deref()), ("outside", Some("outside-too")));

    let folder = tempfile::tempdir().unwrap();
    let config = settings_text(&settings).unwrap();
    let run_folder = Run::create(&folder.path().join("run"), &config, false).unwrap();
    begun.checkpoint().save(&run_folder.folder().join("last.safetensors")).unwrap();
    // What is continued is what the run folder says.
    let settings = run_folder.settings().unwrap();
    let checkpoint = || run_folder.last().unwrap();

    let refused = Training::resume(settings.clone(), &data, checkpoint()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "this checkpoint cannot be continued: loss 'outside' is not built in, so the run can only be continued by the program \
         that brought it, with Training::resume_with_objective"
    );
    let other = Training::resume_with_objective(settings.clone(), built_in, &data, checkpoint());
    assert!(other.unwrap_err().to_string().contains("the objective is not that of the run's settings"));
    let resumed = Training::resume_with_objective(settings, outside, &data, checkpoint()).unwrap();
    assert!(run(resumed, &data) == whole);
}

#[test]
fn a_loss_from_outside_is_checked_like_a_built_in_one() {
    let data = data();
    let refused = |name: &str, loss: &str| {
        let spec = ObjectiveSpec::new(Loss::own(name, Wrapped(loss.parse().unwrap())));
        let spec = ObjectiveSpec { memory: 40, ..spec };
        Training::with_objective(settings(), spec, &data).unwrap_err().to_string()
    };
    assert_eq!(
        refused("circle", "circle"),
        "loss circle: this is the name of a built-in loss; choose another"
    );
    assert_eq!(refused("a + b", "circle"), "loss a + b: a name is made of letters, digits, - and _");
    assert_eq!(refused("own", "circle:gamma=-1"), "loss own: gamma must be above 0");
    let miner = Miner::own("semi-hard", WrappedMiner("semi-hard".parse().unwrap()));
    let named = ObjectiveSpec { miner: Some(miner), ..spec("circle", None, 0) };
    let named = Training::with_objective(settings(), named, &data).unwrap_err().to_string();
    assert!(named.contains("this is the name of a built-in miner"), "{named}");
    let empty = ObjectiveSpec { losses: Losses(Vec::new()), ..spec("circle", None, 0) };
    assert!(Training::with_objective(settings(), empty, &data).unwrap_err().to_string().contains("no loss"));
    assert_eq!(refused("own", "arcface"), "loss own cannot take a memory for references: leave --memory out");
}
