//! `alike collection create`.

use super::address_of;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike_store::{About, Collection, user};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection create photos runs/photos          has a name: alike collection list shows where it lies
  alike collection create ./photos.alike lite0        a file of its own, with an encoder from an ONNX file
  alike collection create people lite0 --thumbnails   keeps small copies, to show pictures whose files are gone")]
pub(crate) struct CreateArgs {
    /// The collection: a name, or a path that ends in .alike
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Keep a small copy of every picture, whose longer side has so many pixels
    #[arg(long, value_name = "PIXELS", num_args = 0..=1, default_missing_value = "160", value_parser = clap::value_parser!(u32).range(16..=1024))]
    pub(crate) thumbnails: Option<u32>,
}

pub(super) fn run(args: &CreateArgs, global: &Global) -> anyhow::Result<()> {
    let path = user::new_path(&args.collection)?;
    let address = address_of(&args.encoder)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let about = About {
        thumbnails: args.thumbnails.map_or(0, |side| side as usize),
        preparation: model.preparation().to_string(),
        ..About::new(model.encoder().facts(), address)
    };
    let summary = Collection::create(&path, about)?.summary()?;
    if global.json {
        return json(&summary);
    }
    line(path.display().to_string())
}
