//! Whether few pictures are learned from, or a last layer is computed.

use super::scores::tell_choice;
use super::settings::{asks_nothing, resolve};
use super::{TrainArgs, stop};
use crate::args::Global;
use crate::bars::Bars;
use alike::data::Dataset;
use alike::train::{AutoChoice, Pace, Settings, Start};
use alike::tune::choose_start;
use anyhow::Context;

/// Floating-point operations that learning may take where it is tried before it is chosen, which takes as many again: 40 s at 0.5 TFLOP/s.
const MOST_WORK: f64 = 20e12;

/// Settings as flags and the recipe say, and why. Where a network would be trained on few pictures to tell other classes apart, and no flag
/// says how, cross-validation chooses between that and a computed start.
pub(super) fn resolved(
    args: &TrainArgs,
    seed: u64,
    data: &Dataset,
    what: &str,
    global: &Global,
) -> anyhow::Result<(Settings, Vec<AutoChoice>)> {
    let (learned, mut choices) = resolve(args, seed, data, what, false)?;
    let open = asks_nothing(args) && data.labelled && data.is_open_set() && !data.shape().is_features();
    if !open || Pace::work(&learned.clone().resolve()?, data)? > MOST_WORK {
        return Ok((learned, choices));
    }
    let choice = choose_start(data, &learned, &mut Bars::new(global), stop()?)?
        .context("stopped before a start was chosen; nothing was written")?;
    if choice.scores.is_empty() {
        return Ok((learned, choices));
    }
    tell_choice("start", &choice, global);
    if choice.settings.start == Start::Whitened {
        return Ok((resolve(args, seed, data, what, true)?.0, Vec::new()));
    }
    choices.retain(|choice| !choice.about.contains(&"start"));
    Ok((learned, choices))
}
