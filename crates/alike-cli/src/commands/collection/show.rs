//! `alike collection show`.

use crate::args::Global;
use crate::commands::refuse_existing;
use crate::printer::{json, line};
use alike_store::{Access, Item, Pair, Summary};
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection show photos                          its encoder, how large it is
  alike collection show photos cup.jpg '#12' --json     all that is known of two pictures")]
pub(crate) struct ShowArgs {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: PathBuf,
    /// Pictures: paths, or numbers as in '#12'
    #[arg(value_name = "PICTURE")]
    pub(crate) pictures: Vec<String>,
    /// Their vectors, too
    #[arg(long, requires = "pictures")]
    pub(crate) vectors: bool,
    /// Write the thumbnail of the one picture into a .jpg file
    #[arg(long, requires = "pictures", value_name = "FILE")]
    pub(crate) thumbnail: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownCollection {
    #[serde(flatten)]
    summary: Summary,
    /// The pictures that were asked for.
    pictures: Vec<ShownPicture>,
}

/// All that is known of a picture.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ShownPicture {
    #[serde(flatten)]
    item: Item,
    /// What was said of it and another.
    pairs: Vec<Pair>,
    /// Its vector, where that was asked for.
    vector: Option<Vec<f32>>,
}

pub(super) fn run(args: &ShowArgs, global: &Global) -> anyhow::Result<()> {
    let collection = super::open(&args.collection, Access::Read)?;
    if let Some(out) = &args.thumbnail {
        let [one] = &args.pictures[..] else { bail!("--thumbnail writes that of one picture; name one") };
        refuse_existing(&[out], args.force)?;
        let found = collection.thumbnail(collection.find(one)?.id)?;
        let why = "has no thumbnail: alike collection create --thumbnails keeps them";
        alike::files::write(out, &found.with_context(|| format!("{one} {why}"))?)?;
    }
    let shown = |what: &String| -> anyhow::Result<ShownPicture> {
        let item = collection.find(what)?;
        let vector = if args.vectors { Some(collection.vector(item.id)?) } else { None };
        Ok(ShownPicture { pairs: collection.pairs(Some(item.id))?, item, vector })
    };
    let pictures = args.pictures.iter().map(shown).collect::<anyhow::Result<Vec<_>>>()?;
    let summary = collection.summary()?;
    if global.json {
        return json(&ShownCollection { summary, pictures });
    }
    if pictures.is_empty() {
        let s = &summary;
        line(format!(
            "{}: {} pictures of {} classes, {} set by hand",
            s.collection.display(),
            s.images,
            s.classes,
            s.by_hand
        ))?;
        line(format!("encoder      {}", s.encoder))?;
        line(format!("fingerprint  {}", s.fingerprint))?;
        line(format!("preparation  {}", s.preparation))?;
        line(format!("vectors      {} numbers, {} distance", s.dimension, s.metric))?;
        line(format!("made         {} (schema {})", s.created, s.schema))?;
        return line(format!("size         {} bytes, index {} bytes", s.bytes, s.index_bytes));
    }
    for ShownPicture { item, pairs, vector } in &pictures {
        line(format!("#{}  {}", item.id, item.path))?;
        let by = if item.by_hand { " (set by hand)" } else { "" };
        line(format!("  class   {}{by}", item.class.as_deref().unwrap_or("none")))?;
        if let Some(group) = &item.group {
            line(format!("  group   {group}"))?;
        }
        line(format!("  added   {} by {} with {}", item.added, item.how, item.with))?;
        for (name, value) in &item.facts {
            line(format!("  {name}: {value}"))?;
        }
        for pair in pairs {
            line(format!("  {:?}: {}  {}", pair.said, pair.paths[0], pair.paths[1]))?;
        }
        if let Some(vector) = vector {
            line(format!("  vector  {vector:?}"))?;
        }
    }
    Ok(())
}
