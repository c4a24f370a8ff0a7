//! The run folder: all that is needed to continue, judge or show a run.
//!
//! | file | content |
//! |---|---|
//! | `config.toml` | the resolved settings, which `alike train --config` reads too |
//! | `last.safetensors` | weights, optimiser and position after the last whole epoch, or where the run was stopped |
//! | `best.safetensors` | the same after the epoch that validated best, if any did |
//! | `split.csv` | which image is in which part, where images have names |
//! | `skipped.csv` | pictures that could not be read and were left out, if any |
//! | `metrics.jsonl` | one JSON object a line: a step now and then, and every epoch |

use super::{EpochReport, Observer, Settings, SettingsError, StepReport, TrainError, Training, View};
use crate::data::{DataError, DataPaths, Dataset, Progress, load};
use crate::files::{self, Claim, FileError};
use crate::model::{Checkpoint, CheckpointError};
use crate::own_files;
use crate::text::toml_fault;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A folder that holds a run.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    /// Held by whoever trains it.
    _claim: Option<Claim>,
}

/// A run folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Something is there already.
    #[error("{} exists already; name another folder, or give --force to replace it, or --resume to continue it", .0.display())]
    Exists(PathBuf),
    /// Something else than a run is there.
    #[error("{} exists already and is no run; name another folder", .0.display())]
    Foreign(PathBuf),
    /// Another process trains it.
    #[error("{} is being trained by another process; wait for it, or name another folder", .0.display())]
    Busy(PathBuf),
    /// There is no run there.
    #[error("{} is not a run folder: it has no {file}{hint}", folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// The file that is missing.
        file: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The images are not those that the run was begun with.
    #[error("{data} has changed since the run began ({what}); put it back, or train anew")]
    Changed {
        /// The data set.
        data: String,
        /// The first difference.
        what: String,
    },
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The data are not there any more.
    #[error("{why}; put it back, or write where it is now as data into {}", config.display())]
    Moved {
        /// Where they were looked for.
        why: Box<DataError>,
        /// The run's `config.toml`.
        config: PathBuf,
    },
    /// A file of the run does not make sense.
    #[error("{} cannot be read: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

// By these a folder is known as a run's.
const CONFIG: &str = own_files::CONFIG;
const LAST: &str = own_files::OF_A_RUN[0];
const BEST: &str = own_files::OF_A_RUN[1];
const METRICS: &str = own_files::OF_A_RUN[2];
const SPLIT: &str = "split.csv";
const SKIPPED: &str = "skipped.csv";

impl Run {
    /// Refuses a folder that a new run cannot have, before time is spent on it. Nothing is written.
    ///
    /// # Errors
    ///
    /// If it holds something else, or a run and `force` is not set.
    pub fn vacant(folder: &Path, force: bool) -> Result<Run, RunError> {
        let run = Run { folder: folder.to_owned(), _claim: None };
        if !folder.exists() {
            return Ok(run);
        }
        // A file that was never finished is no run.
        let mut there = std::fs::read_dir(folder).map_err(FileError::reading(folder))?.flatten();
        let occupied = there.any(|entry| !files::is_part(&entry.path()));
        if occupied && !run.path(CONFIG).exists() {
            return Err(RunError::Foreign(folder.to_owned()));
        }
        if occupied && !force {
            return Err(RunError::Exists(folder.to_owned()));
        }
        Ok(run)
    }

    /// The run, for this process alone to train.
    ///
    /// # Errors
    ///
    /// If another process has it.
    pub fn claim(self) -> Result<Run, RunError> {
        match Claim::folder(&self.folder)? {
            Some(claim) => Ok(Run { _claim: Some(claim), ..self }),
            None => Err(RunError::Busy(self.folder)),
        }
    }

    /// Whether a process trains it.
    pub fn is_training(&self) -> bool {
        matches!(self.clone().claim(), Err(RunError::Busy(_)))
    }

    /// Makes the folder of a new run, whose settings `config` states as TOML. What another run left there is removed if
    /// `force` says so; a folder that holds anything else is never touched.
    ///
    /// # Errors
    ///
    /// As [`Run::vacant`], or if it cannot be made.
    pub fn create(folder: &Path, config: &str, force: bool) -> Result<Run, RunError> {
        let run = Run::vacant(folder, force)?.claim()?;
        // Another process may have made it in between.
        Run::vacant(folder, force)?;
        for old in [LAST, BEST, METRICS, SPLIT, SKIPPED] {
            match std::fs::remove_file(run.path(old)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::writing(&run.path(old))(e).into());
                }
                _ => {}
            }
        }
        files::write(&run.path(CONFIG), config.as_bytes())?;
        Ok(run)
    }

    /// Writes down which image is in which part, and which were left out.
    ///
    /// # Errors
    ///
    /// If the tables cannot be written.
    pub fn keep_split(&self, data: &Dataset) -> Result<(), RunError> {
        if let Some(table) = data.split_table() {
            files::write(&self.path(SPLIT), table.as_bytes())?;
        }
        if !data.skipped.is_empty() {
            files::write_with(&self.path(SKIPPED), |out| {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(["name", "why"])?;
                data.skipped.iter().try_for_each(|f| csv.write_record([&f.name, &f.why]))?;
                csv.flush()
            })?;
        }
        Ok(())
    }

    /// Refuses data whose images or parts are not those that the run was begun with.
    ///
    /// # Errors
    ///
    /// If they are not, or cannot be compared.
    pub fn check_split(&self, data: &Dataset) -> Result<(), RunError> {
        let path = self.path(SPLIT);
        let now = data.split_table().unwrap_or_default();
        let before = if path.exists() { files::read_lines(&path)? } else { String::new() };
        if now == before {
            return Ok(());
        }
        if path.exists() && !now.is_empty() && before.lines().next() != now.lines().next() {
            let why = "its first line is not that of a table of parts; put it back, or train anew".to_owned();
            return Err(RunError::Content { path, why });
        }
        // An image that vanished may move others from part to part: it is named, not they.
        let image = |line: &str| line.split_once(',').map_or("", |(_, image)| image).to_owned();
        let images = |table: &str| table.lines().map(image).collect::<HashSet<String>>();
        let (old, new) = (images(&before), images(&now));
        let first =
            |table: &str, other: &HashSet<String>| table.lines().map(image).find(|l| !other.contains(l));
        let gone = first(&before, &new).map(|l| format!("'{l}' is no longer there"));
        let come = first(&now, &old).map(|l| format!("'{l}' is new"));
        let what = gone.or(come).unwrap_or_else(|| "which images are in which part".to_owned());
        Err(RunError::Changed { data: data.name.clone(), what })
    }

    /// A run that is there.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn open(folder: &Path) -> Result<Run, RunError> {
        let run = Run { folder: folder.to_owned(), _claim: None };
        if run.path(CONFIG).is_file() {
            return Ok(run);
        }
        Err(RunError::NotARun {
            folder: folder.to_owned(),
            file: CONFIG,
            hint: "; give the --out of an alike train",
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The text of `config.toml`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn config(&self) -> Result<String, RunError> {
        Ok(files::read_text(&self.path(CONFIG))?)
    }

    /// The checkpoint to continue from.
    ///
    /// # Errors
    ///
    /// If there is none, or it is damaged.
    pub fn last(&self) -> Result<Checkpoint, RunError> {
        if !self.path(LAST).is_file() {
            return Err(RunError::NotARun {
                folder: self.folder.clone(),
                file: LAST,
                hint: "; its training was stopped before the first checkpoint, so train it anew with --force",
            });
        }
        Ok(Checkpoint::load(&self.path(LAST))?)
    }

    /// The checkpoint to judge and use: the best validated, or the last where none was.
    ///
    /// # Errors
    ///
    /// If there is none, or it is damaged.
    pub fn best(&self) -> Result<Checkpoint, RunError> {
        let best = self.path(BEST);
        if best.is_file() { Ok(Checkpoint::load(&best)?) } else { self.last() }
    }

    /// The file of metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path(METRICS)
    }
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Metric {
    /// Means over the steps since the line before, or since the epoch began.
    Step {
        /// Counted from 1.
        epoch: u64,
        /// Steps since the run began.
        step: u64,
        /// The mean loss.
        loss: f64,
        /// The mean share of triplets whose loss is not zero.
        active: f64,
        /// The mean distance of anchor and positive.
        d_ap: f64,
        /// The mean distance of anchor and negative.
        d_an: f64,
        /// Images a second, forward and backward.
        images_per_second: f64,
    },
    /// An epoch.
    Epoch {
        /// What it came to.
        #[serde(flatten)]
        report: EpochReport,
        /// Since this session of the run began.
        seconds: f64,
    },
}

impl Metric {
    /// Steps since the run began.
    pub fn step(&self) -> u64 {
        match self {
            Metric::Step { step, .. } => *step,
            Metric::Epoch { report, .. } => report.step,
        }
    }
}

/// Reads the metrics of a run. A last line that a crash cut short is left out.
///
/// # Errors
///
/// If they cannot be read, or a line is none.
pub fn read_metrics(path: &Path) -> Result<Vec<Metric>, RunError> {
    let wrong = |(line, e)| RunError::Content { path: path.to_owned(), why: format!("line {line}: {e}") };
    let lines = files::json_lines(&files::read_lines(path)?).map_err(wrong)?;
    Ok(lines.into_iter().map(|(_, metric)| metric).collect())
}

/// Steps between two lines of metrics.
const EVERY: u64 = 25;

/// Writes checkpoints and metrics into a run folder.
#[derive(Debug)]
pub struct Recorder {
    run: Run,
    began: Instant,
    window: Window,
    window_began: Instant,
}

/// Sums over the steps since the last line of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    steps: u64,
    loss: f64,
    active: f64,
    d_ap: f64,
    d_an: f64,
    images: u64,
    /// What sessions before this one took for them.
    seconds: f64,
}

/// Under which a window that a stop cut short is kept in the checkpoint, so that the next line counts its steps too.
const WINDOW: &str = "metrics-window";

impl Recorder {
    /// A recorder for `training`, which begins or continues `run`: metrics after its position are dropped.
    ///
    /// # Errors
    ///
    /// If the metrics cannot be read or written.
    pub fn new(run: Run, training: &Training) -> Result<Recorder, RunError> {
        let path = run.metrics();
        let kept: Vec<Metric> = match read_metrics(&path) {
            Ok(all) => all.into_iter().filter(|m| m.step() <= training.steps_done()).collect(),
            Err(RunError::File(e)) if e.why.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        files::write_with(&path, |w| {
            for metric in &kept {
                writeln!(w, "{}", serde_json::to_string(metric).map_err(std::io::Error::other)?)?;
            }
            Ok(())
        })?;
        let now = Instant::now();
        let window = training.notes().get(WINDOW).and_then(|w| serde_json::from_value(w.clone()).ok());
        Ok(Recorder { run, began: now, window: window.unwrap_or_default(), window_began: now })
    }

    fn append(&self, metric: &Metric) -> Result<(), RunError> {
        let path = self.run.metrics();
        let attempt = || -> std::io::Result<()> {
            let line = format!("{}\n", serde_json::to_string(metric).map_err(std::io::Error::other)?);
            OpenOptions::new().append(true).open(&path)?.write_all(line.as_bytes())
        };
        Ok(attempt().map_err(FileError::writing(&path))?)
    }
}

impl Observer for Recorder {
    fn step(&mut self, step: &StepReport) -> Result<(), TrainError> {
        let w = &mut self.window;
        w.steps += 1;
        w.loss += step.loss.loss;
        w.active += step.loss.active;
        w.d_ap += step.loss.d_ap;
        w.d_an += step.loss.d_an;
        w.images += step.images;
        if step.step.is_multiple_of(EVERY) || step.step == step.steps {
            let w = std::mem::take(&mut self.window);
            let n = w.steps as f64;
            let seconds = w.seconds + self.window_began.elapsed().as_secs_f64();
            self.append(&Metric::Step {
                epoch: step.epoch,
                step: (step.epoch - 1) * step.steps + step.step,
                loss: w.loss / n,
                active: w.active / n,
                d_ap: w.d_ap / n,
                d_an: w.d_an / n,
                images_per_second: w.images as f64 / seconds,
            })?;
            self.window_began = Instant::now();
        }
        Ok(())
    }

    fn pause(&mut self, view: &mut View<'_>) -> Result<(), TrainError> {
        // Validation's verdict, from an observer before this one.
        let is_best = view.notes.remove("is-best") == Some(true.into());
        view.notes.remove(WINDOW);
        if self.window.steps > 0 {
            let seconds = self.window.seconds + self.window_began.elapsed().as_secs_f64();
            let window = serde_json::to_value(Window { seconds, ..self.window });
            view.notes.extend(window.ok().map(|w| (WINDOW.to_owned(), w)));
        }
        let mut checkpoint = view.training.checkpoint();
        checkpoint.notes.append(&mut view.notes.clone());
        if let Some(report) = view.epoch.as_deref() {
            let seconds = self.began.elapsed().as_secs_f64();
            self.append(&Metric::Epoch { report: *report, seconds })?;
            if is_best {
                checkpoint.save(&self.run.path(BEST)).map_err(RunError::from)?;
            }
        }
        checkpoint.save(&self.run.path(LAST)).map_err(RunError::from)?;
        if self.window.steps == 0 {
            // What was done between epochs is no training.
            self.window_began = Instant::now();
        }
        Ok(())
    }
}

impl Run {
    /// The settings: the `[train]` table of `config.toml`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or makes no sense.
    pub fn settings(&self) -> Result<Settings, RunError> {
        let parse = |text: &str| -> Result<Settings, String> {
            let plain = |e: toml::de::Error| toml_fault(text, &e);
            let mut table: toml::Table = text.parse().map_err(plain)?;
            let train = table.remove(TRAIN).ok_or("it has no [train] table")?;
            train.try_into().map_err(plain)
        };
        parse(&self.config()?).map_err(|why| RunError::Content { path: self.path(CONFIG), why })
    }

    /// The data that the run was made from.
    ///
    /// # Errors
    ///
    /// If they are not there any more, or have changed since.
    pub fn data(
        &self,
        settings: &Settings,
        paths: &DataPaths,
        progress: &mut dyn Progress,
    ) -> Result<Dataset, RunError> {
        let request = settings.request()?;
        let data = load(&request, paths, progress).map_err(|e| match e {
            DataError::Moved { .. } => RunError::Moved { why: Box::new(e), config: self.path(CONFIG) },
            e => e.into(),
        })?;
        self.check_split(&data)?;
        Ok(data)
    }
}

/// The table of settings.
const TRAIN: &str = "train";

/// Settings as the text of a run's `config.toml`.
///
/// # Errors
///
/// If a value cannot be written as TOML.
pub fn settings_text(settings: &Settings) -> Result<String, toml::ser::Error> {
    let table = toml::Table::from_iter([(TRAIN.to_owned(), toml::Value::try_from(settings)?)]);
    let comment = "# The resolved settings of this run; `alike train --config` reads them too.\n";
    Ok(format!("{comment}{}", toml::to_string(&table)?))
}
