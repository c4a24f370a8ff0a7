//! `alike train`.

mod budget;
mod copies;
mod framing;
mod head;
mod scores;
mod settings;
mod start;

use budget::budget;
pub(crate) use settings::{TrainedOn, recipe, tell};

use super::{data_paths, remark};
use crate::args::{Global, NetworkArgs, ObjectiveArgs, RewriteArgs, ScheduleArgs, SourceArgs};
use crate::bars::{Bars, Live};
use crate::printer::{json, line, note, say};
use alike::data::Augment;
use alike::data::{Dataset, Request, leaks, load};
use alike::engine::Tier;
use alike::eval::Validator;
use alike::names::shell_path;
use alike::train::Sampler;
use alike::train::{
    Observer, Outcome, Recorder, Run, Settings, Start, Training, TrainingPlan, divide, settings_text,
};
use clap::Args;
use serde::Serialize;
use settings::{as_asked, given, leaves_head};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike train --data mnist --recipe fast --out RUN --seed 7
  alike train --data mnist --loss multi-similarity --miner semi-hard --sampler pk:10x20 --out RUN
  alike train --data fashion-mnist --epochs 10 --validate --out RUN
  alike train --data faces/ --split class --start whitened --out RUN   few images that always lie alike: a second's work
  alike train --encoder lite0 --data photos/ --out RUN                 a head on an encoder that others trained, or none if none helps
  alike train --encoder faces --data faces/ --split class --crop auto --flip=auto --out RUN
  alike train --data photos/ --minutes 5 --out RUN                     as many epochs as five minutes have room for
  alike train --data photos/ --seeds 1,2,3 --out runs/photos && alike compare runs/photos
  alike train --resume RUN                        continue after Ctrl-C, to the same bits")]
pub(crate) struct TrainArgs {
    /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
    #[arg(long, required_unless_present = "resume", value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    /// Where the data were found before, as a run's own settings say
    #[arg(long, hide = true, requires = "data", value_name = "PATH")]
    pub(crate) found_at: Option<PathBuf>,
    /// Train a head on this encoder: an ONNX file, or a name (alike encoders list). --recipe auto chooses the head by cross-validation, and
    /// chooses none where none helps
    #[arg(long, value_name = "MODEL")]
    pub(crate) encoder: Option<PathBuf>,
    /// The fingerprint of that encoder, as a run's own settings say
    #[arg(long, hide = true, requires = "encoder", value_name = "TEXT")]
    pub(crate) encoder_fingerprint: Option<String>,
    /// What ran that encoder: written into a run, and read from one, but never compared
    #[arg(long, value_name = "TEXT", hide = true)]
    pub(crate) encoder_runtime: Option<String>,
    /// The part of each picture that this encoder sees: a share in the middle, whole, centre, top, bottom, left, right, or x,y,w,h. Of several
    /// (repeat the flag), or with auto, the part that tells the training classes apart best is chosen [default: as the encoder says]
    #[arg(long, value_name = "PART", value_parser = clap::value_parser!(framing::CropArg), requires = "encoder")]
    pub(crate) crop: Vec<framing::CropArg>,
    /// Average that encoder's embeddings of each picture and its mirror image; with auto, if that tells the training classes apart better
    #[arg(long, value_name = "auto", value_enum, num_args = 0..=1, default_missing_value = "yes", require_equals = true, requires = "encoder")]
    pub(crate) flip: Option<framing::FlipArg>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder to create
    #[arg(long, short, required_unless_present = "resume", value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "out", "seeds", "force", "recipe", "exclude_class", "network", "encoder",
        "crop", "flip", "embedding", "normalize", "objective", "schedule", "source", "rotations", "batch_size", "validate", "seed", "start"])]
    pub(crate) resume: Option<PathBuf>,
    /// Train a run with each of these seeds, on one split, in a folder each: OUT/seed-1, OUT/seed-2...; alike compare OUT sums them up
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', conflicts_with = "seed")]
    pub(crate) seeds: Vec<u64>,
    /// Replace an existing run
    #[arg(long)]
    pub(crate) force: bool,
    /// Defaults for all other settings; auto chooses them for the data, and says why
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// A class to leave out of training; repeat the flag or separate names by commas. A name that contains a comma is matched whole first
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude_class: Vec<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Initial weights. With whitened, the network is 'shallow' and there are no epochs unless --network and --epochs say otherwise
    /// [default: random; where a split by class leaves few pictures and no flag says how to learn, cross-validation decides]
    #[arg(long, value_enum)]
    pub(crate) start: Option<StartArg>,
    /// Number of epochs
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Minutes that training may take here: as many epochs as there is time for, by a measured second. Without it, what --recipe auto chooses
    /// never takes more than ten
    #[arg(long, value_name = "N", value_parser = minutes, conflicts_with_all = ["epochs", "resume"])]
    pub(crate) minutes: Option<f64>,
    /// What a run's epochs were made from, as its own settings say
    #[arg(long, hide = true, value_name = "N")]
    pub(crate) budget_minutes: Option<f64>,
    /// See there
    #[arg(long, hide = true, value_name = "N")]
    pub(crate) budget_rate: Option<f64>,
    /// Batch size in images, or in triplets for samplers of triplets
    #[arg(long)]
    pub(crate) batch_size: Option<usize>,
    /// Batch sampler: triplets, random, pk:CLASSESxIMAGES, hierarchical, fixed-triplets, tuples-to-weights
    #[arg(long, value_parser = clap::value_parser!(Sampler))]
    pub(crate) sampler: Option<Sampler>,
    #[command(flatten)]
    pub(crate) objective: ObjectiveArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
    /// Augmentation of training images: none, affine, custom:KEY=VALUE,... (see alike losses --all)
    #[arg(long, value_parser = clap::value_parser!(Augment))]
    pub(crate) augment: Option<Augment>,
    /// Augmented copies of each picture that a head on --encoder is trained on beside the picture, one an epoch in turn [default: 4 with --augment,
    /// else none; --augment is photo unless it says otherwise]
    #[arg(long, value_name = "N", requires = "encoder")]
    pub(crate) views: Option<usize>,
    /// Train on each class rotated by 90, 180 and 270 degrees as further classes, for classes to come; nothing is judged by them
    #[arg(long, conflicts_with = "encoder")]
    pub(crate) rotations: bool,
    /// Megabytes of activations that a batch may keep for the backward pass; beyond it activations are recomputed [default: 1024]
    #[arg(long, value_name = "MB")]
    pub(crate) activation_memory: Option<usize>,
    #[command(flatten)]
    pub(crate) rewrites: RewriteArgs,
    /// Share of the training images to hold out for validation after each epoch; the best epoch is kept
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.1", require_equals = true)]
    pub(crate) validate: Option<f64>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let n = text.parse().ok().filter(|n| (0.01..=100_000.0).contains(n));
    n.ok_or_else(|| "give a number of minutes, from 0.01 to 100000".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StartArg {
    /// Random weights
    Random,
    /// With a last linear layer by which differences within classes count for less: a second's work, for few images that always
    /// lie alike
    Whitened,
    /// Of a head over features: it changes nothing but their mean, and residual units add nothing yet
    Identity,
    /// With a first convolution whose filters are whitened patches of the training images: photos are learned faster
    Patches,
}

impl From<StartArg> for Start {
    fn from(start: StartArg) -> Start {
        match start {
            StartArg::Random => Start::Random,
            StartArg::Whitened => Start::Whitened,
            StartArg::Patches => Start::Patches,
            StartArg::Identity => Start::Identity,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum Trained {
    /// A run.
    One(TrainedRun),
    /// A run a seed.
    Seeds {
        /// The runs, by their seeds.
        runs: Vec<TrainedRun>,
        /// Seconds that all of them took, reading the data included.
        seconds: f64,
    },
}

/// A run that was trained.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TrainedRun {
    /// Its folder.
    run: String,
    /// Its seed.
    seed: u64,
    /// Seconds that it took.
    seconds: f64,
}

pub(crate) fn run(args: &TrainArgs, global: &Global) -> anyhow::Result<()> {
    let began = Instant::now();
    let trained = match (&args.resume, &args.data, &args.out) {
        (Some(folder), ..) => {
            let (run, data, training) = resume(folder, args, global)?;
            Trained::One(finish(&run, &data, training, began, args, global)?)
        }
        (None, Some(what), Some(out)) => begin(what, out, began, args, global)?,
        // clap requires both unless --resume is given.
        (None, ..) => anyhow::bail!("--data and --out are needed"),
    };
    if global.json {
        return json(&trained);
    }
    let seconds = began.elapsed().as_secs_f64();
    match (&trained, &args.out) {
        (Trained::One(run), _) => line(&run.run),
        (Trained::Seeds { runs, .. }, Some(out)) => {
            note(global, format!("trained in {seconds:.1} s; go on with: alike compare {}", shell_path(out)));
            runs.iter().try_for_each(|run| line(&run.run))
        }
        (Trained::Seeds { .. }, None) => Ok(()),
    }
}

/// Trains new runs: one, or one a seed.
fn begin(
    what: &str,
    out: &Path,
    began: Instant,
    args: &TrainArgs,
    global: &Global,
) -> anyhow::Result<Trained> {
    let usual = global.seed.unwrap_or_else(|| Settings::seed_recipe(what).seed);
    let folders: Vec<(u64, PathBuf)> = if args.seeds.is_empty() {
        vec![(usual, out.to_owned())]
    } else {
        // Runs within a run would be found by nobody.
        if Run::open(out).is_ok() {
            Run::vacant(out, false)?;
        }
        let seeds: BTreeSet<u64> = args.seeds.iter().copied().collect();
        seeds.into_iter().map(|seed| (seed, out.join(format!("seed-{seed}")))).collect()
    };
    folders.iter().try_for_each(|(_, folder)| Run::vacant(folder, args.force).map(drop))?;
    let request = Request { found_at: args.found_at.clone(), ..args.source.request(what) };
    let mut base = args.encoder.as_deref().map(|name| head::Base::open(name, args, global)).transpose()?;
    if let Some(base) = &mut base {
        base.choose_framing(args, &request, usual, global)?;
    }
    let request = base.as_ref().map_or(Ok(request.clone()), |base| base.request(&request))?;
    let pictures = load(&request, &data_paths(global), &mut Bars::new(global))?;
    let augment = copies::augmented(args);
    let data = base.as_ref().map_or(Ok(pictures.clone()), |base| base.embed(&pictures, augment.as_ref()))?;
    let mut runs = Vec::new();
    let mut pace = None;
    for (number, (seed, folder)) in folders.iter().enumerate() {
        let (mut settings, choices) = match &base {
            Some(base) if leaves_head(args) => (base.choose(args, *seed, &data, global)?, Vec::new()),
            _ => start::resolved(args, *seed, &data, what, global)?,
        };
        settings.keep_source(&request, &pictures);
        if let Some(base) = &base {
            base.keep(&mut settings, augment.as_ref());
        }
        // What is true of all of them is told once.
        if number == 0 {
            describe(&data, &settings, global)?;
            let mut given = given(args);
            // A budget decides the epochs.
            given.extend(args.minutes.map(|_| "epochs"));
            tell(&choices, &given, global);
        }
        budget(args, &mut settings, &data, &mut pace, global)?;
        let asked = as_asked(args, &settings);
        let plan = settings.resolve()?;
        if number == 0 {
            tell_start(plan.settings(), global);
        }
        if !args.seeds.is_empty() {
            note(global, format!("seed {seed}:"));
        }
        let since = if number == 0 { began } else { Instant::now() };
        let (run, training) = create(plan, &data, folder, args.force)?;
        // What cannot be is refused, and not repeated before.
        if let Some(said) = asked.filter(|_| number == 0) {
            note(global, said);
        }
        runs.push(finish(&run, &data, training, since, args, global)?);
    }
    Ok(match runs.pop() {
        Some(run) if args.seeds.is_empty() => Trained::One(run),
        last => {
            runs.extend(last);
            Trained::Seeds { runs, seconds: began.elapsed().as_secs_f64() }
        }
    })
}

/// Trains to the end, and says what to do next.
fn finish(
    run: &Run,
    data: &Dataset,
    mut training: Training,
    began: Instant,
    args: &TrainArgs,
    global: &Global,
) -> anyhow::Result<TrainedRun> {
    // A change of plan makes a new engine, so it comes first.
    if let Some(rewrites) = args.rewrites.changed() {
        training.set_rewrites(rewrites);
    }
    if let Some(megabytes) = args.activation_memory {
        training.set_activation_memory(megabytes.saturating_mul(1 << 20));
    }
    let seed = training.settings().seed;
    drive(run, data, training, global)?;
    let seconds = began.elapsed().as_secs_f64();
    if args.seeds.is_empty() {
        let quoted = shell_path(run.folder());
        let next = if data.test.is_empty() && data.labelled {
            format!("embed {quoted} PATH -o out.npy")
        } else {
            format!("eval {quoted}")
        };
        note(global, format!("trained in {seconds:.1} s; go on with: alike {next}"));
    }
    Ok(TrainedRun { run: run.folder().display().to_string(), seed, seconds })
}

fn tell_start(settings: &Settings, global: &Global) {
    if settings.start == Start::Whitened {
        let learned = match settings.epochs {
            0 => "nothing more is learned".to_owned(),
            n => format!("then {n} epochs are learned"),
        };
        note(global, format!("whitened: the last layer of {} is computed; {learned}", settings.network));
    }
}

/// A new run, whose folder is made only once nothing can be wrong with it.
pub(super) fn create(
    plan: TrainingPlan,
    data: &Dataset,
    out: &Path,
    force: bool,
) -> anyhow::Result<(Run, Training)> {
    let training = Training::of(plan, data)?;
    let run = Run::create(out, &settings_text(training.settings())?, force)?;
    run.keep_split(data)?;
    Ok((run, training))
}

fn resume(folder: &Path, args: &TrainArgs, global: &Global) -> anyhow::Result<(Run, Dataset, Training)> {
    let run = Run::open(folder)?.claim()?;
    let mut settings = run.settings()?;
    if let Some(epochs) = args.epochs {
        settings.epochs = epochs;
    }
    let data = run.data(&settings, &data_paths(global), &mut Bars::new(global))?;
    let data = match &settings.encoder {
        Some(name) => {
            let augment = copies::Augmented { by: settings.augment, views: settings.views };
            head::Base::of_run(name, &settings, global)?.embed(&data, Some(&augment))?
        }
        None => data,
    };
    describe(&data, &settings, global)?;
    let training = Training::resume(settings, &data, run.last()?)?;
    Ok((run, data, training))
}

fn describe(data: &Dataset, settings: &Settings, global: &Global) -> anyhow::Result<()> {
    remark(data, global);
    // A class that is not there is refused when training begins.
    let parts = divide(data, &settings.exclude_class, settings.validate, settings.seed);
    let (trained, held) = parts.unwrap_or_else(|_| ((0..data.train.len()).collect(), Vec::new()));
    if !data.train.names.is_empty() {
        let (n, m, shape) = (trained.len(), data.test.len(), data.shape());
        let classes: BTreeSet<u32> = trained.iter().map(|i| data.train.labels[*i]).collect();
        let classes = if data.labelled { format!(" of {} classes", classes.len()) } else { String::new() };
        let held = if held.is_empty() { String::new() } else { format!(", {} for validation", held.len()) };
        note(global, format!("data: {n} images of {shape}{classes} to train on{held}, {m} to judge by"));
        let twice = leaks(data)?;
        if let Some((test, train)) = twice.first() {
            let (a, b) = (&data.test.names[*test], &data.train.names[*train]);
            let n = twice.len();
            say(format!(
                "warning: {n} test images are trained on too, pixel for pixel, so results will flatter: {a} is {b}"
            ));
        }
    }
    if global.verbose {
        let (n, m) = (data.train.len(), data.test.len());
        note(
            global,
            format!("{}: {n} training and {m} test images of {}, {}", data.name, data.shape(), data.origin),
        );
    }
    Ok(())
}

/// Set by Ctrl-C, for as long as the program lives.
pub(super) fn stop() -> anyhow::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static HANDLER: Once = Once::new();
    let mut set = Ok(());
    HANDLER.call_once(|| {
        set = ctrlc::set_handler(|| {
            // A second Ctrl-C does not wait for the step.
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
    });
    set?;
    Ok(&STOP)
}

/// Trains to the end, watched by validation, the terminal and the run folder. An error if Ctrl-C stops it.
pub(super) fn drive(
    run: &Run,
    data: &Dataset,
    mut training: Training,
    global: &Global,
) -> anyhow::Result<()> {
    let stop = stop()?;
    if global.verbose {
        let tier = Tier::found().name();
        note(global, format!("instructions: {tier}, threads: {}", rayon::current_num_threads()));
    }
    let (trained, held_out) = training.parts();
    let mut validator =
        (data.labelled && !held_out.is_empty()).then(|| Validator::new(data, trained, held_out));
    let mut recorder = Recorder::new(run.clone(), &training)?;
    let mut live = Live::new(global, &training);
    // Validation first: what it finds is shown, then recorded.
    let mut observers: Vec<&mut dyn Observer> = Vec::new();
    if let Some(validator) = &mut validator {
        observers.push(validator);
    }
    observers.push(&mut live);
    observers.push(&mut recorder);
    match training.run(data, &mut observers, stop)? {
        Outcome::Finished => Ok(()),
        Outcome::Stopped => {
            anyhow::bail!(
                "stopped and saved; continue with: alike train --resume {}",
                shell_path(run.folder())
            )
        }
    }
}
