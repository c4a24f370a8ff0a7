//! `--augment` and `--views` of `alike train --encoder`: augmented copies of pictures that a head is trained on.

use super::TrainArgs;
use alike::data::{Augment, Photo};

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
