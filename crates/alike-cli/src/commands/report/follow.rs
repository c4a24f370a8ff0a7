//! A page that is drawn again while its run trains.

use super::{ReportArgs, facts, figures_beside, make, page_of};
use crate::args::Global;
use crate::commands::refuse_existing;
use crate::models::source;
use crate::printer::{line, note};
use alike::report::PageFacts;
use alike::tasks::ModelSource;
use alike::train::Run;
use anyhow::bail;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Between looks at the run's folder.
const PAUSE: Duration = Duration::from_millis(500);
/// Seconds after which a browser loads the page again.
const REFRESH: u32 = 10;

/// When the checkpoint was last written; nothing before the first.
fn written(run: &Run) -> Option<SystemTime> {
    run.folder().join("last.safetensors").metadata().ok()?.modified().ok()
}

/// Draws the page whenever there is a new checkpoint, and for the last time when nobody trains the run.
pub(super) fn follow(args: &ReportArgs, global: &Global) -> anyhow::Result<()> {
    let ModelSource::Run(run) = source(&args.model, global)? else {
        bail!(
            "{} is not trained here, so there is nothing to follow; leave --follow out",
            args.model.display()
        )
    };
    let page = page_of(args, &ModelSource::Run(run.clone()))?;
    refuse_existing(&[&page, &figures_beside(&page)?], args.force)?;
    let mut seen: Option<SystemTime> = None;
    loop {
        // Asked before the checkpoint is: what is written after that is seen next time.
        let trains = run.is_training();
        let now = written(&run);
        if now.is_some() && (now != seen || !trains) {
            redraw(args, &page, trains, global)?;
            seen = now;
            note(global, format!("drawn: {}", page.display()));
        }
        if !trains {
            if now.is_none() {
                bail!("{} has no checkpoint, and nobody trains it", run.folder().display());
            }
            return line(page.display().to_string());
        }
        std::thread::sleep(PAUSE);
    }
}

fn redraw(args: &ReportArgs, page: &Path, trains: bool, global: &Global) -> anyhow::Result<()> {
    let facts = PageFacts {
        refresh: trains.then_some(REFRESH),
        ..facts(page, &args.model, args.unseen.as_deref(), None)
    };
    make(args, source(&args.model, global)?, page, &facts, global).map(|_| ())
}
