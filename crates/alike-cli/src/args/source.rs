//! What can be typed about which images are read, and how.

use alike::data::{OnError, PreparationWish, Request, SplitBy};
use clap::Args;
/// Which images, and what becomes of them before training.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "source", multiple = true)]
pub(crate) struct SourceArgs {
    /// How pictures are prepared: size=64x64,channels=1,resize=fit|fill|squash|exact,crop=SHARE,invert,stretch,
    /// filter=bilinear|bicubic; what is not said follows from the pictures
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = clap::value_parser!(PreparationWish), help_heading = "Images")]
    pub(crate) prepare: Option<PreparationWish>,
    /// Test split: image:test=0.2,seed=0, class, group, given, lists:folder=DIR [default: as the source says, else image]. --seed does
    /// not change it
    #[arg(long, value_parser = clap::value_parser!(SplitBy), help_heading = "Images")]
    pub(crate) split: Option<SplitBy>,
    /// Take the whole path of an image's folder as its class, rather than the first folder
    #[arg(long, help_heading = "Images")]
    pub(crate) nested: bool,
    /// What to do with pictures that cannot be read
    #[arg(long, value_name = "skip|fail", value_enum, help_heading = "Images")]
    pub(crate) on_error: Option<OnErrorArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnErrorArg {
    /// Skip them, and list them
    Skip,
    /// Stop at the first
    Fail,
}

impl OnErrorArg {
    pub(crate) fn or_fail(given: Option<OnErrorArg>) -> OnError {
        match given {
            Some(OnErrorArg::Skip) => OnError::Skip,
            Some(OnErrorArg::Fail) | None => OnError::Fail,
        }
    }
}

impl SourceArgs {
    pub(crate) fn request(&self, what: &str) -> Request {
        Request {
            what: what.to_owned(),
            found_at: None,
            prepare: self.prepare.unwrap_or_default(),
            split: self.split.clone(),
            nested: self.nested,
            on_error: OnErrorArg::or_fail(self.on_error),
        }
    }
}
