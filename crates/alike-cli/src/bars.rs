//! What a terminal shows while work goes on: one line, which goes away. Nothing of it on a pipe, nor when the user wants quiet.
//!
//! Data that are read and a training have bars of their own. Whatever else takes more than a second is shown by a thread, which looks at what
//! a command is [`doing`] and at the [`current_stage`] of the library: how far it is, and how long it will take.

use crate::args::Global;
use crate::printer::{note, say};
use alike::data::{Progress, Unit};
use alike::meter::{StageReport, current_stage, pairs_compared};
use alike::train::{Observer, StepReport, TrainError, Training, View, verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What commands do, the innermost last.
static DOING: Mutex<Vec<Doing>> = Mutex::new(Vec::new());
/// The line that the thread draws, where it draws one.
static LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);
/// Bars that are drawn by others.
static OTHERS: AtomicUsize = AtomicUsize::new(0);
/// Time from one drawing to the next.
const TICK: Duration = Duration::from_millis(250);
/// What takes less is not shown.
const SHORT: Duration = Duration::from_secs(1);

struct Doing {
    what: String,
    /// Pairs that are compared in all, and pairs that were before it began; none where it mostly does other things.
    pairs: u64,
    before: u64,
    began: Instant,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to show what takes long.
pub(crate) fn watch(global: &Global) {
    if global.quiet || !std::io::stderr().is_terminal() {
        return;
    }
    let forever = || {
        loop {
            std::thread::sleep(TICK);
            draw();
        }
    };
    // Without a thread nothing is shown, and all is done.
    let _ = std::thread::Builder::new().spawn(forever);
}

fn draw() {
    let mut line = lock(&LINE);
    let text = if OTHERS.load(Ordering::Relaxed) > 0 { None } else { status() };
    let Some(text) = text else {
        line.take().iter().for_each(ProgressBar::finish_and_clear);
        return;
    };
    let bar = line.get_or_insert_with(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
    });
    bar.set_message(text);
    bar.tick();
}

/// Writes while the line is away.
pub(crate) fn away<T>(write: impl FnOnce() -> T) -> T {
    let mut line = lock(&LINE);
    line.take().iter().for_each(ProgressBar::finish_and_clear);
    write()
}

/// Does what takes a while; its name is shown.
pub(crate) fn doing<T>(what: &str, work: impl FnOnce() -> T) -> T {
    comparing(what, 0, work)
}

/// As [`doing`], for work that is mostly comparing so many `pairs` of queries and members of galleries, in several searches.
pub(crate) fn comparing<T>(what: &str, pairs: usize, work: impl FnOnce() -> T) -> T {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            lock(&DOING).pop();
        }
    }
    let before = pairs_compared();
    lock(&DOING).push(Doing { what: what.to_owned(), pairs: pairs as u64, before, began: Instant::now() });
    let _ends = Ends;
    work()
}

fn status() -> Option<String> {
    let stage = current_stage();
    let doing = lock(&DOING);
    let Some(Doing { what, pairs, before, began }) = doing.last() else {
        let stage = stage?;
        return described(stage.name, None, stage.elapsed, Some(stage));
    };
    let share = (*pairs > 0).then(|| (pairs_compared() - before) as f64 / *pairs as f64);
    described(what, share, began.elapsed(), stage)
}

/// What is done, for how long, and how long it will take: by the share of the whole where that is known, otherwise by that of the stage.
fn described(
    what: &str,
    share: Option<f64>,
    elapsed: Duration,
    stage: Option<StageReport>,
) -> Option<String> {
    if elapsed < SHORT {
        return None;
    }
    // Before a hundredth nothing can be told.
    let told = |share: &f64| (0.01..0.99).contains(share);
    let far = |share: f64, elapsed: Duration| {
        let left = elapsed.as_secs_f64() * (1.0 / share - 1.0);
        format!("{:.0} %, {left:.0} s left, ", 100.0 * share)
    };
    let stage = stage.filter(|stage| told(&stage.share));
    let far = match (share.filter(told), stage) {
        (Some(share), _) => far(share, elapsed),
        (None, Some(stage)) if stage.name == what => far(stage.share, stage.elapsed),
        (None, Some(stage)) => format!("{} {}", stage.name, far(stage.share, stage.elapsed)),
        (None, None) => String::new(),
    };
    Some(format!("{what}: {far}{:.0} s so far", elapsed.as_secs_f64()))
}

/// What is said of images that pass.
const IMAGES: &str = "{msg} {bar:30} {pos}/{len} {per_sec}, {eta} left";

/// A bar with the line to itself.
struct Bar(ProgressBar);

impl Bar {
    fn new(quiet: bool, template: &str, len: u64) -> Bar {
        OTHERS.fetch_add(1, Ordering::Relaxed);
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = away(|| ProgressBar::with_draw_target(Some(len), target));
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Bar(bar)
    }
}

impl Deref for Bar {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish_and_clear();
        OTHERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Downloads and other work on data, a bar each.
pub(crate) struct Bars<'a> {
    global: &'a Global,
    bar: Option<Bar>,
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
        let bar = Bar::new(self.global.quiet, template, total.unwrap_or(0));
        bar.set_message(what.to_owned());
        self.bar = Some(bar);
    }

    fn advance(&mut self, by: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(by);
        }
    }

    fn end(&mut self) {
        self.bar = None;
    }
}

/// Training, live: a bar, and a line an epoch.
pub(crate) struct Live<'a> {
    global: &'a Global,
    bar: Bar,
    epochs: u64,
    width: usize,
    margin: Option<f64>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(global: &'a Global, training: &Training) -> Live<'a> {
        let settings = training.settings();
        let template = "{msg} {bar:20} {pos}/{len} steps, {eta} left";
        let bar = Bar::new(global.quiet, template, settings.epochs * training.steps_per_epoch());
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

#[cfg(test)]
mod tests {
    use super::*;
    use alike::meter::stage;

    #[test]
    fn the_whole_is_told_where_it_is_known_and_the_stage_otherwise() {
        let seconds = Duration::from_secs;
        let stage = stage("drawing for intervals", 10);
        stage.advance(5);
        // Other tests may have a stage open.
        let mut now = current_stage().unwrap();
        (now.name, now.share, now.elapsed) = ("drawing for intervals", 0.5, seconds(2));
        let said = |what: &str, share, elapsed, stage| described(what, share, seconds(elapsed), stage);
        assert_eq!(said("judging", Some(0.25), 0, Some(now)), None);
        assert_eq!(said("judging", Some(0.25), 3, Some(now)).unwrap(), "judging: 25 %, 9 s left, 3 s so far");
        let by_stage = "judging: drawing for intervals 50 %, 2 s left, 5 s so far";
        assert_eq!(said("judging", None, 5, Some(now)).unwrap(), by_stage);
        assert_eq!(said("judging", Some(1.0), 5, Some(now)).unwrap(), by_stage);
        let alone = "drawing for intervals: 50 %, 2 s left, 2 s so far";
        assert_eq!(said("drawing for intervals", None, 2, Some(now)).unwrap(), alone);
        assert_eq!(said("writing the page", None, 5, None).unwrap(), "writing the page: 5 s so far");
    }
}
