//! What a person sees: results on stdout, everything else on stderr.

use crate::args::Global;
use alike::data::{Progress, Unit};
use alike::names::printable;
use alike::neighbours::pairs_compared;
use alike::train::{Observer, StepReport, TrainError, Training, View, verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Writes a line to stdout; a closed pipe is an error that `main` forgives.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // A file or another program gets names as they are.
    let text = if out.is_terminal() { printable(text.as_ref()) } else { text.as_ref().into() };
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Writes a result to stdout as one JSON object.
pub(crate) fn json(result: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(result)?)
}

/// Writes a line to stderr. Who has closed it wants to hear nothing, which is no reason to stop work.
pub(crate) fn say(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(text.as_ref()));
}

/// A remark on stderr, unless the user wants quiet.
pub(crate) fn note(global: &Global, text: impl AsRef<str>) {
    if !global.quiet {
        say(text);
    }
}

/// What is said of images that pass.
const IMAGES: &str = "{msg} {bar:30} {pos}/{len} {per_sec}, {eta} left";

/// A bar that is drawn only on a terminal, and never when the user wants quiet.
fn bar(quiet: bool, template: &str, len: u64) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Does what takes a while: on a terminal its name is shown with the time that it has taken.
pub(crate) fn doing<T>(what: &str, global: &Global, work: impl FnOnce() -> T) -> T {
    comparing(what, 0, global, work)
}

/// As [`doing`], for work that is mostly comparing queries with members of galleries: how far it is of so many `pairs`, and how long it
/// will take, are shown too.
pub(crate) fn comparing<T>(what: &str, pairs: usize, global: &Global, work: impl FnOnce() -> T) -> T {
    if global.quiet || !std::io::stderr().is_terminal() {
        return work();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let before = pairs_compared();
    let far = move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
        let share = (pairs_compared() - before) as f64 / pairs.max(1) as f64;
        // Before a hundredth nothing can be told; what comes after the last pair is short.
        if pairs > 0 && share > 0.01 {
            let left = state.elapsed().as_secs_f64() * (1.0 / share.min(1.0) - 1.0);
            let _ = write!(to, ": {:.0} %, {left:.0} s left", 100.0 * share.min(0.99));
        }
    };
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg}{far}, {elapsed} so far")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key("far", far),
    );
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(std::time::Duration::from_millis(250));
    let done = work();
    bar.finish_and_clear();
    done
}

/// Downloads and other work on data, a bar each.
pub(crate) struct Bars<'a> {
    global: &'a Global,
    bar: Option<ProgressBar>,
}

impl<'a> Bars<'a> {
    pub(crate) fn new(global: &'a Global) -> Bars<'a> {
        Bars { global, bar: None }
    }
}

impl Progress for Bars<'_> {
    fn begin(&mut self, what: &str, total: Option<u64>, unit: Unit) {
        let template = match unit {
            Unit::Bytes => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}",
            Unit::Images | Unit::Figures => IMAGES,
            Unit::Trials => "{msg} {bar:30} {pos}/{len}, {eta} left",
        };
        let bar = bar(self.global.quiet, template, total.unwrap_or(0));
        bar.set_message(what.to_owned());
        self.bar = Some(bar);
    }

    fn advance(&mut self, by: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(by);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// How far an encoder is that takes long, a bar each time.
#[cfg(feature = "onnx")]
pub(crate) fn embedding(global: &Global) -> Box<alike::encoder::Watch> {
    let quiet = global.quiet;
    // Nothing is drawn on a pipe, so nothing need be counted.
    let hidden = bar(quiet, IMAGES, 0).is_hidden();
    let drawn: std::sync::Mutex<Option<ProgressBar>> = std::sync::Mutex::new(None);
    Box::new(move |done, all| {
        if hidden {
            return;
        }
        let mut drawn = drawn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done == all {
            drawn.take().iter().for_each(ProgressBar::finish_and_clear);
            return;
        }
        let begin = || bar(quiet, IMAGES, all as u64).with_message("embedding");
        drawn.get_or_insert_with(begin).set_position(done as u64);
    })
}

/// Training, live: a bar, and a line an epoch.
pub(crate) struct Live<'a> {
    global: &'a Global,
    bar: ProgressBar,
    epochs: u64,
    width: usize,
    margin: Option<f64>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(global: &'a Global, training: &Training) -> Live<'a> {
        let settings = training.settings();
        let template = "{msg} {bar:20} {pos}/{len} steps, {eta} left";
        let bar = bar(global.quiet, template, settings.epochs * training.steps_per_epoch());
        bar.set_position(training.steps_done());
        bar.reset_eta();
        let margin = settings.triplet_margin().map(|loss| loss.margin);
        Live { global, bar, epochs: settings.epochs, width: training.network().embedding(), margin }
    }
}

impl Observer for Live<'_> {
    fn step(&mut self, s: &StepReport) -> Result<(), TrainError> {
        self.bar.inc(1);
        if s.step.is_multiple_of(10) {
            let t = s.loss;
            self.bar.set_message(format!(
                "epoch {}/{}  loss {:.3}  active {:3.0} %  d(a,p) {:.2}  d(a,n) {:.2}  {:.0} images/s",
                s.epoch,
                self.epochs,
                t.loss,
                100.0 * t.active,
                t.d_ap,
                t.d_an,
                self.bar.per_sec() * s.images as f64,
            ));
        }
        Ok(())
    }

    fn pause(&mut self, view: &mut View<'_>) -> Result<(), TrainError> {
        if let Some(e) = view.epoch.as_deref() {
            let validation =
                e.validation.map_or(String::new(), |v| format!("  validation 1-NN {:.2} %", 100.0 * v));
            self.bar.suspend(|| {
                note(
                    self.global,
                    format!(
                        "epoch {}/{}  loss {:.4}  active {:.1} %  d(a,p) {:.3}  d(a,n) {:.3}  rank {:.1}{validation}",
                        e.epoch,
                        self.epochs,
                        e.loss,
                        100.0 * e.active,
                        e.d_ap,
                        e.d_an,
                        e.health.rank,
                    ),
                );
                // Not even quiet hides that a run is for nothing.
                if let Some(warning) = verdict(e, self.width, self.margin) {
                    say(format!("warning: {warning}"));
                }
            });
        }
        Ok(())
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
