//! `alike collection reembed`.

use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{Bars, json, line, say};
use alike_store::{Access, Address};
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection reembed photos runs/better           classes, facts and all that was said by hand stay
  alike collection reembed photos lite0 --on-error skip  pictures that are gone are removed")]
pub(crate) struct ReembedArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}

pub(super) fn run(args: &ReembedArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        crate::collections::meant(&args.encoder.model).is_none(),
        "{} is a collection; name the model that embeds the pictures anew",
        args.encoder.model.display()
    );
    let mut collection = super::open(&args.collection, Access::Write)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let address = Address {
        model: whole(&args.encoder.model),
        with: crate::models::runs(&args.encoder.with).iter().map(|p| whole(p)).collect(),
        flip: args.encoder.flip,
    };
    let bars = &mut Bars::new(global);
    let answer = alike_store::reembed(&mut collection, &model.embedder(), address, bars)?;
    for failure in answer.removed.iter().take(super::TOLD) {
        say(format!("removed: {}: {}", failure.name, failure.why));
    }
    if global.json {
        return json(&answer);
    }
    let before = match answer.there_already {
        0 => String::new(),
        n => format!(", {n} were from a run that was ended"),
    };
    line(format!(
        "{}: {} pictures embedded by {}{before}; {} pictures now",
        answer.collection.display(),
        answer.embedded,
        answer.encoder,
        answer.images
    ))
}
