//! `alike collection import`.

use super::is_parquet;
use crate::args::Global;
use crate::printer::{json, line};
use alike::gallery::Gallery;
use alike_store::{Access, Added, Collection, Occasion, Taken};
use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection import photos known.npy              what alike embed and alike enroll wrote: .npy, .csv and .json
  alike collection import photos others.parquet --same-model   columns path, vector, and class, group, facts where there are some")]
pub(crate) struct ImportArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// Embeddings: .npy with the table and the fingerprint beside them, or .parquet
    #[arg(required = true, value_name = "FILE")]
    pub(crate) galleries: Vec<PathBuf>,
    /// Replace what is there already
    #[arg(long)]
    pub(crate) replace: bool,
    /// Take tables that do not name their model: you say that it is the collection's
    #[arg(long)]
    pub(crate) same_model: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Imported {
    /// The collection.
    collection: PathBuf,
    /// Pictures that were added.
    added: usize,
    /// Pictures that were there and are replaced.
    replaced: usize,
    /// Pictures that were there and stay.
    kept: usize,
    /// Pictures that there are now.
    images: usize,
}

pub(super) fn run(args: &ImportArgs, global: &Global) -> anyhow::Result<()> {
    let mut collection = super::open(&args.collection, Access::Write)?;
    let about = collection.about().clone();
    let read = |path: &PathBuf| -> anyhow::Result<(String, Gallery)> {
        ensure!(
            Gallery::is(path),
            "{} was not written by alike embed: name a .npy file with a .csv and a .json beside it",
            path.display()
        );
        Ok((path.display().to_string(), Gallery::read(path, &about.fingerprint, about.dimension)?))
    };
    // All are read before the first is added; tables are as large as they like, and read as they are added.
    let (tables, arrays): (Vec<&PathBuf>, Vec<&PathBuf>) = args.galleries.iter().partition(|p| is_parquet(p));
    let galleries = arrays.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let taken = if args.replace { Taken::Replace } else { Taken::Keep };
    let mut all = Added::default();
    for (name, gallery) in &galleries {
        all += collection.add_gallery(gallery, &mut Occasion::new("import", name.as_str()), taken)?;
    }
    for path in tables {
        all += table(&mut collection, path, args.same_model, taken)?;
    }
    let Added { added, replaced, kept } = all;
    let images = collection.len()?;
    let path = collection.path().to_owned();
    if global.json {
        return json(&Imported { collection: path, added, replaced, kept, images });
    }
    line(format!(
        "{}: {added} added, {replaced} replaced, {kept} as they were; {images} pictures now",
        path.display()
    ))
}

#[cfg(feature = "parquet")]
fn table(collection: &mut Collection, path: &Path, same: bool, taken: Taken) -> anyhow::Result<Added> {
    Ok(alike_store::parquet::import(collection, path, same, taken)?)
}

#[cfg(not(feature = "parquet"))]
fn table(_: &mut Collection, _: &Path, _: bool, _: Taken) -> anyhow::Result<Added> {
    Err(super::no_parquet())
}
