//! `--crop` and `--flip` of `alike train --encoder`: what an encoder that others trained is shown of each picture.

use super::TrainArgs;
use super::scores::{Row, table};
use crate::args::Global;
use crate::printer::note;
use alike::data::{Crop, Place};
use alike::tune::{Framing, FramingChoice};
use std::str::FromStr;

/// What `--crop` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CropArg {
    /// The parts that are usual.
    Auto,
    /// This one.
    Part(Crop),
}

impl FromStr for CropArg {
    type Err = String;

    fn from_str(text: &str) -> Result<CropArg, String> {
        if text == "auto" { Ok(CropArg::Auto) } else { text.parse().map(CropArg::Part) }
    }
}

/// What `--flip` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FlipArg {
    /// With mirror images
    Yes,
    /// With them if the training images say so
    Auto,
}

/// The parts that `auto` tries beside the encoder's own.
const USUAL: [Crop; 7] = [
    Crop::WHOLE,
    Crop::At(Place::Centre),
    Crop::At(Place::Top),
    Crop::At(Place::Bottom),
    Crop::At(Place::Left),
    Crop::At(Place::Right),
    Crop::Middle(0.8),
];

/// The framings that the flags leave to be chosen from; the first is what holds unless another is surely better.
pub(super) fn framings(args: &TrainArgs) -> Vec<Framing> {
    let mut crops: Vec<Option<Crop>> = Vec::new();
    if args.crop.is_empty() || args.crop.contains(&CropArg::Auto) {
        crops.push(None);
    }
    for crop in &args.crop {
        match crop {
            CropArg::Auto => crops.extend(USUAL.map(Some)),
            CropArg::Part(crop) => crops.push(Some(*crop)),
        }
    }
    let flips: &[bool] = match args.flip {
        None => &[false],
        Some(FlipArg::Yes) => &[true],
        Some(FlipArg::Auto) => &[false, true],
    };
    let mut framings: Vec<Framing> = Vec::new();
    for crop in crops {
        for flip in flips {
            let framing = Framing { crop, flip: *flip };
            if !framings.contains(&framing) {
                framings.push(framing);
            }
        }
    }
    framings
}

/// Says which framing was chosen, and why.
pub(super) fn tell_framing(choice: &FramingChoice, global: &Global) {
    let [Some(first), Some(best)] =
        [choice.scores.first(), choice.scores.iter().find(|s| s.framing == choice.framing)]
    else {
        let why = "no class has two images to choose by";
        return note(global, format!("auto: the encoder sees pictures '{}': {why}", choice.framing));
    };
    let rows = choice.scores.iter().map(|s| Row {
        name: s.framing.to_string(),
        accuracy: s.accuracy,
        map_at_r: s.map_at_r,
        gain: s.gain,
        interval: s.interval,
        chosen: s.framing == choice.framing,
    });
    table("the encoder sees", rows.collect(), global);
    let text = if first.framing == choice.framing {
        format!("of {} training images, none is surely better", choice.images)
    } else {
        let [gain, low, high] = [best.gain, best.interval[0], best.interval[1]].map(|v| 100.0 * v);
        format!(
            "{gain:+.1} points better than '{}' [{low:+.1} to {high:+.1}], on {} training images",
            first.framing, choice.images
        )
    };
    note(global, format!("auto: the encoder sees pictures '{}': {text}", choice.framing));
}
