//! The loop as a whole: the same bits however it is run, and nothing that was excluded.

use alike::data::{Dataset, DigitCounts, digits};
use alike::encoder::{Encoder, EncoderError, TrainedNetwork};
use alike::eval::{EvalError, Judge, Validator};
use alike::images::Images;
use alike::loss::LossReport;
use alike::train::{
    EpochReport, Metric, Observer, Outcome, RECIPES, Recorder, Run, Settings, StepReport, TrainError,
    Training, View, read_metrics, verdict,
};
use std::sync::atomic::{AtomicBool, Ordering};

fn data() -> Dataset {
    digits(DigitCounts { train: 300, test: 60 }, 5)
}

fn settings() -> Settings {
    Settings {
        network: "norm relu conv(20) maxpool(3, stride=2) norm(4) relu conv(17) gap".into(),
        epochs: 2,
        batch_size: 24,
        seed: 3,
        validate: 0.1,
        ..Settings::seed_recipe("digits")
    }
}

fn bits(training: &Training) -> Vec<u32> {
    training.parameters().iter().map(|p| p.to_bits()).collect()
}

/// Asks to stop after so many steps.
struct StopAfter<'a>(u64, &'a AtomicBool);

impl Observer for StopAfter<'_> {
    fn step(&mut self, _: &StepReport) -> Result<(), TrainError> {
        self.0 -= 1;
        self.1.store(self.0 == 0, Ordering::Relaxed);
        Ok(())
    }
}

fn trained() -> Training {
    let data = data();
    let mut training = Training::new(settings(), &data).unwrap();
    assert_eq!(training.run(&data, &mut [], &AtomicBool::new(false)).unwrap(), Outcome::Finished);
    training
}

#[test]
fn the_same_seed_gives_the_same_bits_at_any_number_of_threads() {
    let expected = bits(&trained());
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| bits(&trained())), expected, "{threads} threads");
    }
    let mut other = settings();
    other.seed = 4;
    assert_ne!(
        bits(&Training::new(other, &data()).unwrap()),
        bits(&Training::new(settings(), &data()).unwrap())
    );
}

#[test]
fn a_resumed_run_has_the_bits_and_records_of_an_uninterrupted_one() {
    let data = data();
    let folder = tempfile::tempdir().unwrap();
    let go = |name: &str, stops: &[u64]| {
        let run = Run::create(&folder.path().join(name), "", false).unwrap();
        let mut training = Training::new(settings(), &data).unwrap();
        for after in stops.iter().copied().chain([u64::MAX]) {
            let stop = AtomicBool::new(false);
            let (trained, held_out) = training.parts();
            let mut validator = Validator::new(&data, trained, held_out);
            let mut recorder = Recorder::new(run.clone(), &training).unwrap();
            let mut stopper = StopAfter(after, &stop);
            let outcome =
                training.run(&data, &mut [&mut stopper, &mut validator, &mut recorder], &stop).unwrap();
            assert_eq!(outcome == Outcome::Finished, after == u64::MAX);
            if outcome == Outcome::Stopped {
                training = Training::resume(settings(), &data, run.last().unwrap()).unwrap();
            }
        }
        // All but times, of steps and of epochs alike: the first line after a stop counts the steps before it.
        let lines: Vec<_> = read_metrics(&run.metrics())
            .unwrap()
            .into_iter()
            .map(|m| match m {
                Metric::Epoch { report, .. } => Metric::Epoch { report, seconds: 0.0 },
                Metric::Step { epoch, step, loss, active, d_ap, d_an, images_per_second } => {
                    assert!(images_per_second > 0.0 && images_per_second.is_finite());
                    Metric::Step { epoch, step, loss, active, d_ap, d_an, images_per_second: 0.0 }
                }
            })
            .collect();
        (bits(&training), lines, run.best().unwrap())
    };
    let whole = go("whole", &[]);
    assert!(whole.1.len() >= 4, "two epochs, and a line of steps at the end of each");
    // Within the first epoch, at its end, and within the second.
    for stops in [&[3][..], &[11], &[4, 9]] {
        let name = format!("{stops:?}");
        let (bits, lines, best) = go(&name, stops);
        assert!(bits == whole.0, "stopped after {name}: other weights");
        assert_eq!(lines, whole.1, "stopped after {name}");
        assert!(best == whole.2, "stopped after {name}: another best checkpoint {:?}", best.notes);
    }
}

/// Everything that a checkpoint must hold: proxies, a memory, a running histogram, a moving average, changed images.
fn elaborate() -> Vec<Settings> {
    let base = Settings {
        sampler: "pk:5x4".parse().unwrap(),
        distance: None,
        reducer: None,
        augment: "affine".parse().unwrap(),
        optimizer: "adamw".parse().unwrap(),
        schedule: "one-cycle".parse().unwrap(),
        average: 0.9,
        clip: Some(1.0),
        warmup: 0.5,
        ..settings()
    };
    vec![
        Settings {
            loss: "arcface + 0.5 * multi-similarity".into(),
            regularizer: vec!["0.1 * lp".into()],
            ..base.clone()
        },
        Settings { loss: "supervised-contrastive".into(), memory: 50, ..base.clone() },
        Settings { loss: "triplet-margin".into(), miner: Some("distance-weighted".into()), ..base.clone() },
        Settings { loss: "dynamic-soft-margin".into(), ..base.clone() },
        Settings {
            loss: "multi-similarity".into(),
            miner: Some("multi-similarity".into()),
            sampler: "tuples-to-weights:subset=60".parse().unwrap(),
            ..base.clone()
        },
        Settings {
            loss: "nt-xent".into(),
            self_supervised: true,
            sampler: "random".parse().unwrap(),
            optimizer: "sgd".parse().unwrap(),
            learning_rate: 1e-2,
            ..base.clone()
        },
        Settings { loss: "contrastive".into(), sampler: "fixed-triplets:count=100".parse().unwrap(), ..base },
    ]
}

#[test]
fn every_kind_of_run_continues_to_the_same_bits_at_any_number_of_threads_and_in_any_memory() {
    let data = data();
    let never = AtomicBool::new(false);
    for settings in elaborate() {
        let run = |threads: usize, stop_after: Option<u64>, memory: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut training = Training::new(settings.clone(), &data).unwrap();
                training.set_activation_memory(memory);
                if let Some(steps) = stop_after {
                    let stop = AtomicBool::new(false);
                    let mut after = StopAfter(steps, &stop);
                    let outcome = training.run(&data, &mut [&mut after], &stop).unwrap();
                    assert_eq!(outcome, Outcome::Stopped);
                    training = Training::resume(settings.clone(), &data, training.checkpoint()).unwrap();
                }
                assert_eq!(training.run(&data, &mut [], &never).unwrap(), Outcome::Finished);
                training.checkpoint()
            })
        };
        let whole = run(1, None, usize::MAX);
        for (threads, stop, memory) in [(2, Some(3), usize::MAX), (3, None, 0)] {
            assert!(whole == run(threads, stop, memory), "{}: {threads} threads, {stop:?}", settings.loss);
        }
    }
}

/// Without labels an image's only positive is its other view, also where a memory holds images of earlier batches.
#[test]
fn a_memory_of_unlabelled_images_tells_them_apart() {
    let data = data();
    let settings = Settings {
        loss: "nt-xent".into(),
        distance: None,
        reducer: None,
        self_supervised: true,
        sampler: "random".parse().unwrap(),
        augment: "affine".parse().unwrap(),
        batch_size: 20,
        memory: 90,
        epochs: 1,
        ..settings()
    };
    let mut training = Training::new(settings, &data).unwrap();
    training.run(&data, &mut [], &AtomicBool::new(false)).unwrap();
    let checkpoint = training.checkpoint();
    let labels: Vec<u64> = serde_json::from_value(checkpoint.notes["memory-labels"].clone()).unwrap();
    assert_eq!(labels.len(), 90);
    // A batch is 20 images, then 20 others' views: an image is there twice at most, and many are.
    let mut counts = std::collections::HashMap::new();
    labels.iter().for_each(|l| *counts.entry(l).or_insert(0) += 1);
    assert!(counts.len() >= 45 && counts.values().all(|n| *n <= 2), "{counts:?}");
}

/// Keeps what every epoch came to.
struct Epochs(Vec<EpochReport>);

impl Observer for Epochs {
    fn pause(&mut self, view: &mut View<'_>) -> Result<(), TrainError> {
        self.0.extend(view.epoch.as_deref().copied());
        Ok(())
    }
}

#[test]
fn a_run_that_collapses_is_flagged_and_no_recipe_is() {
    let data = digits(DigitCounts { train: 1200, test: 60 }, 2);
    let verdicts = |settings: &Settings| {
        let mut training = Training::new(settings.clone(), &data).unwrap();
        let mut epochs = Epochs(Vec::new());
        training.run(&data, &mut [&mut epochs], &AtomicBool::new(false)).unwrap();
        let width = training.network().embedding();
        epochs
            .0
            .iter()
            .map(|e| verdict(e, width, settings.triplet_margin().map(|l| l.margin)))
            .collect::<Vec<_>>()
    };
    // The hardest triplets and a step that is far too large: every image comes to the same place.
    let collapse = Settings {
        loss: "triplet-margin:margin=1".into(),
        miner: Some("batch-hard".into()),
        sampler: "pk:10x10".parse().unwrap(),
        learning_rate: 0.3,
        epochs: 2,
        validate: 0.0,
        ..Settings::seed_recipe("digits")
    };
    let found = verdicts(&collapse);
    let sentence = found[0].as_ref().expect("a collapse within an epoch");
    assert!(sentence.contains("collapsed") && sentence.contains("--learning-rate"), "{sentence}");
    for name in &RECIPES[1..] {
        let recipe = Settings { epochs: 2, ..Settings::recipe(name, "digits").unwrap() };
        assert!(verdicts(&recipe).iter().all(Option::is_none), "{name}: {:?}", verdicts(&recipe));
    }
}

#[test]
fn an_excluded_class_is_not_trained_on_and_an_unknown_one_is_refused() {
    let data = data();
    let mut s = settings();
    s.exclude_class = vec!["3".into(), "7".into()];
    let training = Training::new(s.clone(), &data).unwrap();
    let (trained, held_out) = training.parts();
    assert!(trained.iter().chain(held_out).all(|&i| ![3, 7].contains(&data.train.labels[i])));
    assert_eq!(trained.len() + held_out.len(), 240);
    s.exclude_class = vec!["three".into()];
    let message = Training::new(s, &data).unwrap_err().to_string();
    assert!(message.contains("no class 'three'"), "{message}");
}

#[test]
fn what_is_not_finite_stops_the_run_and_no_checkpoint_is_made_of_it() {
    let data = data();
    let folder = tempfile::tempdir().unwrap();
    // One step an epoch: the loss is still finite when the first epoch ends with weights that are not.
    for (batch, message) in [(24, "the loss became"), (270, "weights became infinite or NaN in epoch 1")] {
        let run = Run::create(&folder.path().join(message), "", false).unwrap();
        let s = Settings { learning_rate: 1e300, batch_size: batch, ..settings() };
        let mut training = Training::new(s, &data).unwrap();
        let mut recorder = Recorder::new(run.clone(), &training).unwrap();
        let error =
            training.run(&data, &mut [&mut recorder], &AtomicBool::new(false)).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("epoch 1"), "{error}");
        assert!(run.last().is_err(), "a checkpoint was made");
    }
}

#[test]
fn ready_batches_teach() {
    struct Losses(Vec<LossReport>);
    impl Observer for Losses {
        fn step(&mut self, s: &StepReport) -> Result<(), TrainError> {
            self.0.push(s.loss);
            Ok(())
        }
    }
    let data = digits(DigitCounts { train: 1500, test: 100 }, 1);
    let s = Settings { batch_size: 32, epochs: 2, ..Settings::seed_recipe("digits") };
    let mut training = Training::new(s, &data).unwrap();
    let mut losses = Losses(Vec::new());
    training.run(&data, &mut [&mut losses], &AtomicBool::new(false)).unwrap();
    let mean = |r: &[LossReport]| r.iter().map(|t| t.loss).sum::<f64>() / r.len() as f64;
    let (first, last) = (mean(&losses.0[..8]), mean(&losses.0[losses.0.len() - 8..]));
    assert!(last < 0.6 * first, "{first} -> {last}");
}

/// Cuts a file short after so many steps.
struct CutAfter<'a>(u64, &'a std::path::Path);

impl Observer for CutAfter<'_> {
    fn step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        if report.step == self.0 {
            std::fs::File::options().write(true).open(self.1).unwrap().set_len(100).unwrap();
        }
        Ok(())
    }
}

#[test]
fn a_file_of_images_that_is_cut_short_fails_what_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prepared");
    let whole = data();
    let shape = whole.shape();
    let mut bytes = Vec::new();
    for i in 0..whole.train.len() {
        bytes.extend_from_slice(whole.train.images.image(i, &mut Vec::new()).unwrap());
    }
    // What a batch keeps, and what it computes twice, which reads images in the backward pass too.
    for activation_memory in [usize::MAX, 0] {
        std::fs::write(&path, &bytes).unwrap();
        let mut data = whole.clone();
        let file = std::fs::File::open(&path).unwrap();
        data.train.images = Images::in_file(shape, data.train.len(), file, &path, 0).unwrap();
        let mut training = Training::new(settings(), &data).unwrap();
        training.set_activation_memory(activation_memory);
        let stop = AtomicBool::new(false);
        let error = training.run(&data, &mut [&mut CutAfter(3, &path)], &stop).unwrap_err();
        assert!(matches!(&error, TrainError::Images(_)), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(training.steps_done(), 3, "the step that failed is not counted");
        let encoder = TrainedNetwork::new(training.checkpoint()).unwrap();
        let error = encoder.embed(&data.train.images).unwrap_err();
        assert!(matches!(error, EncoderError::Image(_)), "{error}");
        assert!(encoder.embed(&whole.train.images).is_ok());
        let judge = Judge::new(&[1]);
        assert!(matches!(judge.image_space(&data).unwrap_err(), EvalError::Image(_)));
    }
}
