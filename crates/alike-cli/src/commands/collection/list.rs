//! `alike collection list`.

use crate::args::Global;
use crate::printer::{json, line, note};
use alike_store::{Access, Collection, Filter, Item, user};
use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike collection list                                 the collections that have names
  alike collection list photos --where \"class is null\" --most 20
  alike collection list photos --after 20               the next page")]
pub(crate) struct ListArgs {
    /// A collection, whose pictures are listed
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: Option<PathBuf>,
    /// Those of which a condition holds, as in "class = 'cup' and added > 2024-05-01"
    #[arg(long = "where", value_name = "CONDITION", value_parser = clap::value_parser!(Filter))]
    pub(crate) filter: Option<Filter>,
    /// Number of pictures of a page
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) most: u32,
    /// Begin after the picture of this number: the last of the page before
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<i64>,
}

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum Listed {
    /// Without a collection.
    Collections(NamedCollections),
    /// With one.
    Pictures(Page),
}

/// The collections that have names.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NamedCollections {
    /// The folder that holds them.
    folder: PathBuf,
    /// By name.
    collections: Vec<NamedCollection>,
}

/// A collection that has a name.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct NamedCollection {
    /// Its name.
    name: String,
    /// Its file.
    path: PathBuf,
    /// Pictures; nothing where it cannot be read.
    images: Option<usize>,
    /// Where its encoder is found.
    encoder: Option<String>,
    /// What is wrong with it, if anything is.
    fault: Option<String>,
}

/// Pictures of a collection.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Page {
    /// The collection.
    collection: PathBuf,
    /// Pictures of which the condition holds, on all pages.
    matching: usize,
    /// Those of this page.
    pictures: Vec<Item>,
    /// What `--after` takes for the next page; nothing on the last.
    next: Option<i64>,
}

pub(super) fn run(args: &ListArgs, global: &Global) -> anyhow::Result<()> {
    let Some(what) = &args.collection else {
        ensure!(
            args.filter.is_none() && args.after.is_none(),
            "--where and --after choose pictures; name the collection that they are in"
        );
        return named(global);
    };
    let collection = super::open(what, Access::Read)?;
    let most = args.most as usize;
    let mut pictures = collection.items(args.filter.as_ref(), args.after, most + 1)?;
    let more = pictures.len() > most;
    pictures.truncate(most);
    let next = pictures.last().map(|p| p.id).filter(|_| more);
    let matching = collection.count_items(args.filter.as_ref())?;
    if global.json {
        let collection = collection.path().to_owned();
        return json(&Listed::Pictures(Page { collection, matching, pictures, next }));
    }
    for Item { id, path, class, group, .. } in &pictures {
        let said = [class, group].into_iter().flatten().map(|t| format!("  {t}")).collect::<String>();
        line(format!("#{id}  {path}{said}"))?;
    }
    let rest = next.map_or(String::new(), |next| format!("; the next page: --after {next}"));
    note(global, format!("{} of {matching} pictures{rest}", pictures.len()));
    Ok(())
}

fn named(global: &Global) -> anyhow::Result<()> {
    let folder = user::user_folder()?;
    let of = |(name, path): (String, PathBuf)| {
        let opened = Collection::open(&path, Access::Read);
        let images = opened.as_ref().ok().and_then(|c| c.len().ok());
        let encoder = opened.as_ref().ok().map(|c| c.about().address.to_string());
        NamedCollection { name, path, images, encoder, fault: opened.err().map(|e| e.to_string()) }
    };
    let collections: Vec<NamedCollection> = user::named()?.into_iter().map(of).collect();
    if global.json {
        return json(&Listed::Collections(NamedCollections { folder, collections }));
    }
    if collections.is_empty() {
        note(global, format!("there are none in {}; alike collection create makes one", folder.display()));
    }
    for c in &collections {
        match (&c.fault, c.images, &c.encoder) {
            (None, Some(n), Some(encoder)) => {
                line(format!("{:20}  {n:>9} pictures  {}  by {encoder}", c.name, c.path.display()))?;
            }
            (fault, ..) => line(format!("{:20}  {}", c.name, fault.as_deref().unwrap_or("cannot be read")))?,
        }
    }
    Ok(())
}
