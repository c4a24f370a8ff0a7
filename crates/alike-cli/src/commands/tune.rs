//! `alike tune`.

use super::train::{self, stop};
use super::{data_paths, remark};
use crate::args::{Global, SourceArgs};
use crate::bars::Bars;
use crate::printer::{heading, json, line, note};
use alike::data::load;
use alike::files::{self, Claim};
use alike::names::shell_path;
use alike::report::tuned;
use alike::text;
use alike::train::{Settings, settings_text};
use alike::tune::{JudgeBy, Search, SearchOptions, Trial};
use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum JudgeArg {
    /// Held-out images of the classes that are trained on
    Image,
    /// Held-out classes
    Class,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike tune --data mnist --out tuned --minutes 10
  alike tune --data mnist --out tuned               continue a search that was stopped, or that ran out of time
  alike train --config tuned/best.toml --data mnist --out RUN")]
pub(crate) struct TuneArgs {
    /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder of the search; an existing search is continued
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Recipe that candidates start from
    #[arg(long, default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(alike::train::RECIPES))]
    pub(crate) recipe: String,
    /// Train on each class rotated by 90, 180 and 270 degrees as further classes, for classes to come; nothing is judged by them
    #[arg(long)]
    pub(crate) rotations: bool,
    /// Number of candidates: all losses with their defaults first, then others, whose optimizer, augmentation and epochs vary too
    #[arg(long, default_value_t = 27, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) candidates: u16,
    /// Validate on held-out images or on held-out classes
    #[arg(long, value_enum, default_value = "image")]
    pub(crate) by: JudgeArg,
    /// Share of images or classes to hold out
    #[arg(long, default_value_t = 0.2)]
    pub(crate) hold_out: f64,
    /// Epochs of all candidates [default: the recipe's, half as many and twice as many]
    #[arg(long)]
    pub(crate) epochs: Option<u64>,
    /// Stop after this time; the same command continues
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
}

/// What makes a search: trials of another one say nothing here.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Setup {
    base: Settings,
    #[serde(flatten)]
    options: SearchOptions,
}

const SETUP: &str = "search.json";
const TRIALS: &str = "trials.jsonl";

/// What `alike tune --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Found<'a> {
    /// The best candidate.
    best: &'a Trial,
    /// Its settings, as in the `[train]` table of a run's `config.toml`.
    settings: &'a Settings,
    /// Every candidate in every round.
    trials: &'a [Trial],
    /// The file of the best candidate's settings, for `alike train --config`.
    config: String,
}

pub(crate) fn run(args: &TuneArgs, global: &Global) -> anyhow::Result<()> {
    anyhow::ensure!(
        (0.01..=0.5).contains(&args.hold_out),
        "--hold-out cannot be {}: it is a share from 0.01 to 0.5",
        args.hold_out
    );
    let Some(_claim) = Claim::folder(&args.out)? else {
        anyhow::bail!(
            "{} is being searched by another process; wait for it, or name another folder",
            args.out.display()
        )
    };
    let request = args.source.request(&args.data);
    let data = load(&request, &data_paths(global), &mut Bars::new(global))?;
    remark(&data, global);
    let trained: Vec<usize> = (0..data.train.len()).filter(|i| !data.held_out.contains(i)).collect();
    let by_class = matches!(args.by, JudgeArg::Class);
    let on = train::TrainedOn { images: &trained, rotations: args.rotations, by_class };
    let (recipe, choices) = train::recipe(&args.recipe, &data, &on, &args.data)?;
    // These are what is searched.
    let mut given = vec!["loss", "sampler", "batch-size", "optimizer", "augment"];
    given.extend(args.epochs.map(|_| "epochs"));
    train::tell(&choices, &given, global);
    anyhow::ensure!(!recipe.self_supervised, "{} has no classes to judge candidates by", data.name);
    let mut base = Settings {
        epochs: args.epochs.unwrap_or(recipe.epochs),
        seed: global.seed.unwrap_or(recipe.seed),
        rotations: args.rotations || recipe.rotations,
        ..recipe
    };
    base.keep_source(&request, &data);
    base.clone().resolve()?;
    let by = match args.by {
        JudgeArg::Image => JudgeBy::Image,
        JudgeArg::Class => JudgeBy::Class,
    };
    let options = SearchOptions {
        candidates: args.candidates.into(),
        judge_by: by,
        held_out: args.hold_out,
        keep_epochs: args.epochs.is_some(),
    };
    let mut search = Search::new(base.clone(), &data, options)?;
    search.trials = continued(&args.out, &Setup { base, options }, &search)?;
    let (began, stop) = (Instant::now(), stop()?);
    while let Some((rung, number)) = search.next() {
        if args.minutes.is_some_and(|m| began.elapsed().as_secs_f64() > 60.0 * m) {
            note(global, "out of time; the same command goes on from here");
            break;
        }
        let Some(trial) = search.run(rung, number, &mut [], stop)? else { break };
        record(&args.out.join(TRIALS), &trial)?;
        note(
            global,
            format!("round {}/{}  {}", rung + 1, search.rungs.len(), sentence(&trial, search.settings(0))),
        );
        search.trials.push(trial);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    anyhow::ensure!(!search.trials.is_empty(), "stopped before the first trial was done");
    finish(&search, &args.out, global)?;
    let done = search.next().is_none();
    if stop.load(Ordering::Relaxed) && !done {
        anyhow::bail!("stopped and saved; the same command goes on from here");
    }
    Ok(())
}

/// The trials of a search that was begun in this folder, if it is this one.
fn continued(folder: &Path, setup: &Setup, search: &Search) -> anyhow::Result<Vec<Trial>> {
    let path = folder.join(SETUP);
    if path.exists() {
        let mut there: Setup = serde_json::from_str(&files::read_text(&path)?)
            .with_context(|| format!("{} is not a search's", path.display()))?;
        there.options.keep_epochs = setup.options.keep_epochs;
        anyhow::ensure!(
            there == *setup,
            "{} holds a search with other settings; name another folder",
            folder.display()
        );
    } else {
        files::write(&path, serde_json::to_string_pretty(setup)?.as_bytes())?;
    }
    let path = folder.join(TRIALS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read_text(&path)?;
    let trials = files::json_lines::<Trial>(&text).map_err(|(line, e)| {
        anyhow::anyhow!(
            "line {line} of {} cannot be read ({e}); remove that line to try it again",
            path.display()
        )
    })?;
    if let Some((line, _)) = trials.iter().find(|(_, t)| !search.has(t)) {
        anyhow::bail!(
            "line {line} of {} is no trial of this search, or one of another version; remove that line, or name another folder",
            path.display(),
        )
    }
    // What a crash cut short is tried again, on a line of its own.
    if !text.is_empty() && !text.ends_with('\n') {
        let whole = trials.iter().map(|(_, t)| Ok(serde_json::to_string(t)? + "\n"));
        files::write(&path, whole.collect::<anyhow::Result<String>>()?.as_bytes())?;
    }
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}

fn record(path: &Path, trial: &Trial) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{}\n", serde_json::to_string(trial)?).as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn sentence(t: &Trial, base: &Settings) -> String {
    let result = if t.accuracy < 0.0 {
        "the loss became NaN or infinite".to_owned()
    } else {
        format!("{:.2} %  MAP@R {:.2} %", 100.0 * t.accuracy, 100.0 * t.map_at_r)
    };
    format!("{result}  {}, {:.0} s", flags(t, base), t.seconds)
}

/// What a candidate is, as the flags that give it: loss, miner and step size, and what else differs from the settings that it began from.
fn flags(t: &Trial, base: &Settings) -> String {
    let (optimizer, augment) = (text::write(&base.optimizer), text::write(&base.augment));
    let differs = |value: &Option<String>, usual: String| value.clone().filter(|v| *v != usual);
    let more = [
        ("--miner", t.miner.clone()),
        ("--learning-rate", Some(format!("{:.2e}", t.learning_rate))),
        ("--optimizer", differs(&t.optimizer, optimizer)),
        ("--augment", differs(&t.augment, augment)),
        ("--epochs", differs(&t.epochs.map(|n| n.to_string()), base.epochs.to_string())),
    ];
    let said = more.into_iter().filter_map(|(flag, value)| Some(format!("  {flag} {}", value?)));
    t.loss.clone() + &said.collect::<String>()
}

fn finish(search: &Search, folder: &Path, global: &Global) -> anyhow::Result<()> {
    // The last round that anything came out of.
    let last = (0..search.rungs.len()).rev().find(|r| !search.best(*r).is_empty()).unwrap_or(0);
    let best = search.best(last);
    let winner = search.settings(best[0].number);
    let config = folder.join("best.toml");
    files::write(&config, settings_text(winner)?.as_bytes())?;
    let figure = tuned(search);
    files::write(&folder.join("tune.svg"), figure.svg().as_bytes())?;
    files::write(&folder.join("tune.png"), &figure.png(2.0)?)?;
    if global.json {
        return json(&Found {
            best: best[0],
            settings: winner,
            trials: &search.trials,
            config: config.display().to_string(),
        });
    }
    line(format!(
        "best of {} candidates, trained on {:.0} % of the images, judged by {} that were held out",
        best.len(),
        100.0 * search.rungs[last].share,
        search.queries()
    ))?;
    line(format!("{:>11} {:>8} {:>8}  loss", "Precision@1", "MAP@R", "seconds"))?;
    for t in best.iter().filter(|t| t.accuracy >= 0.0).take(10) {
        let (accuracy, map_at_r) = (100.0 * t.accuracy, 100.0 * t.map_at_r);
        line(format!(
            "{accuracy:>9.2} % {map_at_r:>6.2} % {:>8.1}  {}",
            t.seconds,
            flags(t, search.settings(0))
        ))?;
    }
    heading(folder.join("tune.png").display().to_string())?;
    line(format!(
        "train it with: alike train --config {} --data {} --out RUN",
        shell_path(&config),
        shell_path(&winner.data)
    ))
}
