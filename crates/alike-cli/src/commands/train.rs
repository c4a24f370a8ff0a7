//! `alike train`.

use super::{model, places, settings, settings_text};
use crate::args::{DistanceArg, Global, TrainArgs};
use crate::printer::{Downloads, Live, line, note};
use alike::data::{Dataset, load};
use alike::distance::Distance;
use alike::eval::Validator;
use alike::train::{Observer, Outcome, Recorder, Run, Settings, Training};
use alike_kernels::Tier;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) fn run(args: &TrainArgs, global: &Global) -> anyhow::Result<()> {
    let began = Instant::now();
    let (run, data, training) = match &args.resume {
        Some(folder) => resume(folder, args, global)?,
        None => begin(args, global)?,
    };
    let outcome = drive(&run, &data, training, global)?;
    let folder = run.folder().display();
    match outcome {
        Outcome::Stopped => anyhow::bail!("stopped and saved; continue with: alike train --resume {folder}"),
        Outcome::Finished if global.json => {
            line(json!({ "run": folder.to_string(), "seconds": began.elapsed().as_secs_f64() }).to_string())
        }
        Outcome::Finished => {
            note(
                global,
                format!(
                    "trained in {:.1} s; judge it with: alike eval {folder}",
                    began.elapsed().as_secs_f64()
                ),
            );
            line(folder.to_string())
        }
    }
}

fn begin(args: &TrainArgs, global: &Global) -> anyhow::Result<(Run, Dataset, Training)> {
    // clap requires both unless --resume is given.
    let (Some(what), Some(out)) = (&args.data, &args.out) else {
        anyhow::bail!("--data and --out are needed")
    };
    let settings = resolve(args, what)?;
    settings.check()?;
    let data = load(what, &places(global), &mut Downloads::new(global))?;
    describe(&data, global);
    let training = Training::new(settings, &data)?;
    let run = Run::create(out, &settings_text(training.settings())?, args.force)?;
    Ok((run, data, training))
}

fn resume(folder: &Path, args: &TrainArgs, global: &Global) -> anyhow::Result<(Run, Dataset, Training)> {
    let run = Run::open(folder)?;
    let mut settings = settings(&run)?;
    if let Some(epochs) = args.epochs {
        settings.epochs = epochs;
    }
    let data = load(&settings.data, &places(global), &mut Downloads::new(global))?;
    describe(&data, global);
    let training = Training::resume(settings, &data, run.last()?)?;
    Ok((run, data, training))
}

/// Flags over the recipe. Every field is named, so that no flag is forgotten.
fn resolve(args: &TrainArgs, data: &str) -> anyhow::Result<Settings> {
    let TrainArgs {
        data: _,
        out: _,
        resume: _,
        force: _,
        recipe: _,
        exclude_class,
        network,
        epochs,
        batch,
        margin,
        distance,
        learning_rate,
        validate,
        seed,
    } = args;
    let recipe = Settings::seed_recipe(data);
    Ok(Settings {
        exclude_class: exclude_class.clone(),
        network: model::spec(network, &recipe.network)?.to_string(),
        epochs: epochs.unwrap_or(recipe.epochs),
        batch: batch.unwrap_or(recipe.batch),
        margin: margin.unwrap_or(recipe.margin),
        distance: match distance {
            None => recipe.distance,
            Some(DistanceArg::Euclidean) => Distance::Euclidean,
            Some(DistanceArg::SquaredEuclidean) => Distance::SquaredEuclidean,
            Some(DistanceArg::Cosine) => Distance::Cosine,
        },
        learning_rate: learning_rate.unwrap_or(recipe.learning_rate),
        validate: validate.unwrap_or(recipe.validate),
        seed: seed.unwrap_or(recipe.seed),
        ..recipe
    })
}

fn describe(data: &Dataset, global: &Global) {
    if global.verbose {
        let (n, m) = (data.train.len(), data.test.len());
        note(
            global,
            format!("{}: {n} training and {m} test images of {}, {}", data.name, data.shape(), data.origin),
        );
    }
}

fn drive(run: &Run, data: &Dataset, mut training: Training, global: &Global) -> anyhow::Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    // A second Ctrl-C does not wait for the step.
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
    })?;
    let tier = Tier::from_env()?;
    if global.verbose {
        note(global, format!("instructions: {}, threads: {}", tier.name(), rayon::current_num_threads()));
    }
    let (trained, held_out) = training.parts();
    let mut validator = (!held_out.is_empty()).then(|| Validator::new(data, trained, held_out, tier));
    let mut recorder = Recorder::new(run.clone(), &training)?;
    let mut live =
        Live::new(global, training.settings().epochs, training.steps_per_epoch(), training.steps_done());
    // Validation first: what it finds is shown, then recorded.
    let mut observers: Vec<&mut dyn Observer> = Vec::new();
    if let Some(validator) = &mut validator {
        observers.push(validator);
    }
    observers.push(&mut live);
    observers.push(&mut recorder);
    Ok(training.run(data, &mut observers, &stop)?)
}
