//! `--crop` and `--flip` of `alike train --encoder`: how pictures are shown to an encoder that others trained.

use super::TrainArgs;
use crate::args::Global;
use crate::printer::note;
use alike::data::{Augment, Crop, Photo, Place};
use alike::tune::{View, ViewChoice};
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

/// Copies of pictures that a head is trained on, and how many of each.
pub(super) struct Augmented {
    pub(super) by: Augment,
    pub(super) views: usize,
}

/// Views of each picture where only their augmentation is given.
const VIEWS: usize = 4;

/// What `--augment` and `--views` say of a head; nothing where no copies are asked for.
pub(super) fn augmented(args: &TrainArgs) -> Option<Augmented> {
    args.encoder.as_ref()?;
    let by = match args.augment {
        Some(Augment::None) => return None,
        Some(by) => by,
        None if args.views.is_some() => Augment::Photo(Photo::default()),
        None => return None,
    };
    let views = args.views.unwrap_or(VIEWS);
    (views > 0).then_some(Augmented { by, views })
}

/// The parts that `auto` tries beside what the encoder says: of pictures that are as tall as wide, most are one.
const USUAL: [Crop; 7] = [
    Crop::WHOLE,
    Crop::At(Place::Centre),
    Crop::At(Place::Top),
    Crop::At(Place::Bottom),
    Crop::At(Place::Left),
    Crop::At(Place::Right),
    Crop::Middle(0.8),
];

/// The views that the flags leave to be chosen from; the first is what holds unless another is surely better.
pub(super) fn views(args: &TrainArgs) -> Vec<View> {
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
    let mut views: Vec<View> = Vec::new();
    for crop in crops {
        for flip in flips {
            let view = View { crop, flip: *flip };
            if !views.contains(&view) {
                views.push(view);
            }
        }
    }
    views
}

/// Says which view was chosen, and why.
pub(super) fn tell_view(choice: &ViewChoice, global: &Global) {
    let percent = |v: f64| 100.0 * v;
    let Some(best) = choice.scores.iter().find(|s| s.view == choice.view) else {
        return note(
            global,
            "auto: pictures are shown as first said: there are no two images of a class to choose by",
        );
    };
    note(global, format!("{:23} 1-NN    MAP@R   gain [95 % interval]", "the encoder sees"));
    for s in &choice.scores {
        let [low, high] = s.interval.map(percent);
        note(
            global,
            format!(
                "{:22} {:6.2} % {:6.2} % {:+6.2} [{low:+.2}, {high:+.2}]{}",
                s.view.to_string(),
                percent(s.accuracy),
                percent(s.map_at_r),
                percent(s.gain),
                if s.view == choice.view { "  chosen" } else { "" }
            ),
        );
    }
    let text = if choice.scores[0].view == choice.view {
        format!("of {} training images, none is surely better", choice.images)
    } else {
        let [low, high] = best.interval.map(percent);
        format!(
            "{:+.1} points better than '{}' [{low:+.1} to {high:+.1}], on {} training images",
            percent(best.gain),
            choice.scores[0].view,
            choice.images
        )
    };
    note(global, format!("auto: the encoder sees pictures '{}': {text}", choice.view));
}
