//! `alike collection remove`.

use super::WhichArgs;
use crate::args::Global;
use crate::printer::{json, line};
use alike_store::Access;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection remove photos holiday/cup.jpg
  alike collection remove people --where \"class = 'Eve'\" --purge      so that nothing can be read of them any more")]
pub(crate) struct RemoveArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Overwrite what was stored of them and of all that was removed before, so that no trace is left in the collection's files
    #[arg(long)]
    pub(crate) purge: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Removed {
    /// The collection.
    collection: PathBuf,
    /// Pictures that were removed.
    removed: usize,
    /// Whether what was stored of them was overwritten.
    purged: bool,
    /// Pictures that there are now.
    images: usize,
}

pub(super) fn run(args: &RemoveArgs, global: &Global) -> anyhow::Result<()> {
    let mut collection = super::open(&args.collection, Access::Write)?;
    let ids = args.which.ids(&collection)?;
    let removed = if args.purge { collection.purge(&ids)? } else { collection.remove(&ids)? };
    let images = collection.len()?;
    let path = collection.path().to_owned();
    if global.json {
        return json(&Removed { collection: path, removed, purged: args.purge, images });
    }
    line(format!("{}: {removed} removed; {images} pictures now", path.display()))
}
