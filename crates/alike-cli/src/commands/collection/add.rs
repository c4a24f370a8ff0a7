//! `alike collection add`.

use super::{model_of, tell};
use crate::args::{Global, OnErrorArg};
use crate::bars::Bars;
use crate::printer::json;
use alike_store::{Access, Taken};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection add photos holiday/ cup.jpg         those that are there already stay as they are
  alike collection add photos cup.jpg --replace")]
pub(crate) struct AddArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// Pictures: files, folders, archives or tables
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Embed again what is there already
    #[arg(long)]
    pub(crate) replace: bool,
    /// Where the encoder is found, if not where it was
    #[arg(long, value_name = "MODEL")]
    pub(crate) encoder: Option<PathBuf>,
    /// What to do with pictures that cannot be read
    #[arg(long, value_name = "skip|fail", value_enum)]
    pub(crate) on_error: Option<OnErrorArg>,
}

pub(super) fn run(args: &AddArgs, global: &Global) -> anyhow::Result<()> {
    let model = model_of(&args.collection, args.encoder.as_ref(), args.on_error, global)?;
    let mut collection = super::open(&args.collection, Access::Write)?;
    let taken = if args.replace { Taken::Replace } else { Taken::Keep };
    let bars = &mut Bars::new(global);
    let answer = alike_store::add(&mut collection, &model.embedder(), &args.paths, None, taken, bars)?;
    if global.json {
        return json(&answer);
    }
    tell(&answer, global)
}
