//! What can be typed about a model, and about the images that it is judged on.

use super::{OnErrorArg, SourceArgs};
use alike::data::PreparationWish;
use clap::Args;
use std::path::PathBuf;

/// A model, and how it turns pictures into embeddings.
#[derive(Debug, Default, Args)]
pub(crate) struct EncoderArgs {
    /// The model: a run's folder, an ONNX file with its manifest, an encoder's name (alike encoders list) or a collection
    pub(crate) model: PathBuf,
    /// Where a collection's encoder is found, if not where it was
    #[arg(long, value_name = "MODEL", help_heading = "Images")]
    pub(crate) encoder: Option<PathBuf>,
    /// Override the model's preparation of pictures, as in resize=squash or invert
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = clap::value_parser!(PreparationWish), help_heading = "Images")]
    pub(crate) prepare: Option<PreparationWish>,
    /// What to do with pictures that cannot be read
    #[arg(long, value_name = "skip|fail", value_enum, help_heading = "Images")]
    pub(crate) on_error: Option<OnErrorArg>,
    /// Average the embeddings of each image and its mirror image
    #[arg(long, help_heading = "Images")]
    pub(crate) flip: bool,
    /// An ensemble: concatenate the embeddings of these models to the first; repeat the flag or separate them by commas
    #[arg(long, value_name = "MODEL", help_heading = "Images")]
    pub(crate) with: Vec<PathBuf>,
}

/// Which images a run is judged on.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Evaluate on other data than the run was trained on: a name, a folder or a file
    #[arg(long, value_name = "NAME|PATH")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Average the embeddings of each image and its mirror image
    #[arg(long)]
    pub(crate) flip: bool,
    /// An ensemble: concatenate the embeddings of these models to the first; repeat the flag or separate them by commas
    #[arg(long, value_name = "MODEL")]
    pub(crate) with: Vec<PathBuf>,
    /// Evaluate the last epoch even if another validated better
    #[arg(long)]
    pub(crate) last: bool,
}

/// A share above none and up to all.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| *s > 0.0 && *s <= 1.0);
    share.ok_or_else(|| "give a share above 0 and up to 1, as in 0.95".to_owned())
}
