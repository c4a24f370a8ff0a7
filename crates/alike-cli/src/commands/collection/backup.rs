//! `alike collection backup`.

use crate::args::Global;
use crate::printer::{json, line};
use alike_store::Access;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection backup photos /backup/photos.alike   a collection of its own, as it was at one moment")]
pub(crate) struct BackupArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// The copy, which must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) to: PathBuf,
}

pub(super) fn run(args: &BackupArgs, global: &Global) -> anyhow::Result<()> {
    let answer = super::open(&args.collection, Access::Read)?.backup(&args.to)?;
    if global.json {
        return json(&answer);
    }
    line(format!("{}: {} pictures, {} bytes", answer.backup.display(), answer.images, answer.bytes))
}
