//! `alike collection export`.

use super::is_parquet;
use crate::args::Global;
use crate::commands::embed::{check_out, print};
use alike::gallery::Gallery;
use alike::tasks::EmbedAnswer;
use alike_store::{Access, Filter};
use anyhow::ensure;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection export photos -o photos.npy          also photos.csv (paths, classes) and photos.json (the model)
  alike collection export photos --where \"class = 'cup'\" -o cups.npy
  alike collection export photos -o photos.parquet      a table of paths, classes, groups, facts and vectors")]
pub(crate) struct ExportArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// Those of which a condition holds, as in "class = 'cup' and added > 2024-05-01"
    #[arg(long = "where", value_name = "CONDITION", value_parser = clap::value_parser!(Filter))]
    pub(crate) filter: Option<Filter>,
    /// The .npy file to write; the table goes into a .csv beside it, the model's fingerprint into a .json. Or a .parquet file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

pub(super) fn run(args: &ExportArgs, global: &Global) -> anyhow::Result<()> {
    if is_parquet(&args.out) {
        return as_parquet(args, global);
    }
    check_out(&args.out, args.force)?;
    let gallery = super::open(&args.collection, Access::Read)?.gallery(args.filter.as_ref())?;
    ensure!(!gallery.is_empty(), "there is no picture to export");
    gallery.save(&args.out)?;
    let [paths, _] = Gallery::files(&args.out);
    let answer = EmbedAnswer {
        embeddings: args.out.clone(),
        paths,
        model: gallery.fingerprint.clone(),
        n: gallery.len(),
        d: gallery.features.d(),
    };
    print(&answer, global)
}

#[cfg(feature = "parquet")]
fn as_parquet(args: &ExportArgs, global: &Global) -> anyhow::Result<()> {
    crate::commands::refuse_existing(&[&args.out], args.force)?;
    let collection = super::open(&args.collection, Access::Read)?;
    ensure!(collection.count_items(args.filter.as_ref())? > 0, "there is no picture to export");
    let n = alike_store::parquet::export(&collection, args.filter.as_ref(), &args.out)?;
    let about = collection.about();
    let (embeddings, paths) = (args.out.clone(), args.out.clone());
    print(&EmbedAnswer { embeddings, paths, model: about.fingerprint.clone(), n, d: about.dimension }, global)
}

#[cfg(not(feature = "parquet"))]
fn as_parquet(_: &ExportArgs, _: &Global) -> anyhow::Result<()> {
    Err(super::no_parquet())
}
