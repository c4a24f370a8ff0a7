//! `alike collection compact`.

use crate::args::Global;
use crate::printer::{json, line};
use alike_store::Access;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection compact photos                       after many pictures were removed")]
pub(crate) struct CompactArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
}

pub(super) fn run(args: &CompactArgs, global: &Global) -> anyhow::Result<()> {
    let answer = super::open(&args.collection, Access::Write)?.compact()?;
    if global.json {
        return json(&answer);
    }
    line(format!(
        "{}: {} pictures, {} bytes before, {} now, index {}",
        answer.collection.display(),
        answer.images,
        answer.before,
        answer.after,
        answer.index
    ))
}
