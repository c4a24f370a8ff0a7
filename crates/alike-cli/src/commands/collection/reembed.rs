//! `alike collection reembed`.

use super::address_of;
use crate::args::{EncoderArgs, Global};
use crate::bars::Bars;
use crate::models::OpenModel;
use crate::printer::{json, line, say};
use alike_store::Access;
use clap::Args;
use std::path::PathBuf;

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
    let address = address_of(&args.encoder)?;
    let mut collection = super::open(&args.collection, Access::Write)?;
    let model = OpenModel::new(&args.encoder, global)?;
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
