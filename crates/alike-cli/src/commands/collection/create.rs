//! `alike collection create`.

use crate::args::{EncoderArgs, Global};
use crate::collections::meant;
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike_store::{About, Address, Collection, user};
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection create photos runs/photos          has a name: alike collection list shows where it lies
  alike collection create ./photos.alike lite0        a file of its own, with an encoder from an ONNX file")]
pub(crate) struct CreateArgs {
    /// The collection: a name, or a path that ends in .alike
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}

pub(super) fn run(args: &CreateArgs, global: &Global) -> anyhow::Result<()> {
    let path = user::new_path(&args.collection)?;
    ensure!(
        meant(&args.encoder.model).is_none(),
        "{} is a collection; name the model that embeds pictures",
        args.encoder.model.display()
    );
    let model = OpenModel::new(&args.encoder, global)?;
    // A path is found again from whatever folder; a name stays a name.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let address = Address {
        model: whole(&args.encoder.model),
        with: crate::models::runs(&args.encoder.with).iter().map(|p| whole(p)).collect(),
        flip: args.encoder.flip,
    };
    let about = About {
        preparation: model.preparation().to_string(),
        ..About::new(model.encoder().facts(), address)
    };
    let summary = Collection::create(&path, about)?.summary()?;
    if global.json {
        return json(&summary);
    }
    line(path.display().to_string())
}
