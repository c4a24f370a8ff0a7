//! How long training takes: what the user allows, or ten minutes.

use super::TrainArgs;
use crate::args::Global;
use crate::printer::note;
use alike::data::Dataset;
use alike::train::{Pace, Settings};
use anyhow::ensure;
use std::time::Duration;

/// Minutes that a run takes whose epochs nobody asked for, at most.
const MOST_MINUTES: f64 = 10.0;
/// Floating-point operations that take seconds on any machine: for fewer nobody waits, and nothing is measured.
const SHORT: f64 = 5e12;
/// What is measured for.
const MEASURED: Duration = Duration::from_secs(1);

/// Sets the epochs by a budget, if there is one, and says how long training takes. Of several runs the first measures, `pace`.
pub(super) fn budget(
    args: &TrainArgs,
    settings: &mut Settings,
    data: &Dataset,
    pace: &mut Option<Pace>,
    global: &Global,
) -> anyhow::Result<()> {
    let free = args.recipe == "auto" && args.epochs.is_none() && settings.epochs > 0;
    if args.minutes.is_none() && !free {
        return Ok(());
    }
    ensure!(
        settings.epochs > 0,
        "--minutes: nothing is learned in epochs here, as with a whitened start or a head that is computed; leave --minutes out"
    );
    let first = pace.is_none();
    let pace = match *pace {
        Some(pace) => pace,
        None => {
            let plan = settings.clone().resolve()?;
            if args.minutes.is_none() && Pace::work(&plan, data)? < SHORT {
                return Ok(());
            }
            *pace.insert(Pace::measure(&plan, data, MEASURED)?)
        }
    };
    let minutes = args.minutes.unwrap_or(MOST_MINUTES);
    let fits = pace.epochs(60.0 * minutes);
    let speed = format!("at {:.2} TFLOP/s, as measured", pace.rate / 1e12);
    if args.minutes.is_some() {
        ensure!(
            fits > 0,
            "--minutes {minutes}: one pass over the images takes about {} here; give more minutes, or fewer or smaller images",
            spoken(pace.seconds(1))
        );
    }
    if args.minutes.is_some() || fits < settings.epochs {
        // A run that was not asked for always learns something.
        settings.epochs = fits.max(1);
        settings.budget_minutes = Some(minutes);
        settings.budget_rate = Some(pace.rate.round());
    }
    if first {
        let (epochs, time) = (settings.epochs, spoken(pace.seconds(settings.epochs)));
        let unit = if epochs == 1 { "epoch" } else { "epochs" };
        note(
            global,
            match (args.minutes, settings.budget_minutes) {
                (Some(_), _) => format!("{epochs} {unit} in {time}, {speed}"),
                (None, Some(_)) => format!(
                    "{epochs} {unit}, not more, in {time}, {speed}: --minutes N allows more than {MOST_MINUTES:.0}"
                ),
                (None, None) => format!("takes about {time}, {speed}"),
            },
        );
    }
    Ok(())
}

/// A time as people say it.
fn spoken(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => "less than a second".to_owned(),
        s if s < 1.5 => "1 second".to_owned(),
        s if s < 90.0 => format!("{s:.0} seconds"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}
