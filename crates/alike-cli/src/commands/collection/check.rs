//! `alike collection check`.

use crate::args::Global;
use crate::printer::{json, line, note};
use alike_store::Access;
use anyhow::ensure;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection check photos                         ends with 1 if anything is wrong")]
pub(crate) struct CheckArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
}

pub(super) fn run(args: &CheckArgs, global: &Global) -> anyhow::Result<()> {
    let answer = super::open(&args.collection, Access::Read)?.check()?;
    if global.json {
        json(&answer)?;
    } else {
        for fault in &answer.faults {
            line(fault)?;
        }
        for text in &answer.notes {
            note(global, text);
        }
    }
    let (path, n) = (answer.collection.display(), answer.faults.len());
    ensure!(
        n == 0,
        "{path} has {n} faults; a backup is the way back, or alike collection sync with what is left"
    );
    if global.json {
        return Ok(());
    }
    line(format!("{path}: {} pictures, nothing wrong", answer.images))
}
