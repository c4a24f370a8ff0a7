//! `alike data`.

use super::{data_paths, refuse_existing, remark, report};
use crate::args::{Global, SourceArgs};
use crate::bars::Bars;
use crate::printer::{heading, json, line};
use alike::data::{
    Augment, DIGITS, KNOWN_FOLDERS, NAMED, Request, cached, image_cache, inspect, load, named,
};
use alike::files;
use alike::report::contact_sheet;
use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct DataCommand {
    #[command(subcommand)]
    pub(crate) verb: DataVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// List the data sets that are known by name, and where they are
    #[command(after_help = "Examples:
  alike data list")]
    List,
    /// Download a data set, or check that it is there
    #[command(after_help = "Examples:
  alike data fetch mnist")]
    Fetch {
        /// mnist, fashion-mnist or kmnist
        name: String,
    },
    /// Inspect all images of a data set: counts, sizes, unreadable files, duplicates
    #[command(after_help = "Examples:
  alike data stats photos/
  alike data stats faces/ --split class --on-error skip")]
    Stats {
        /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
        #[arg(value_name = "NAME|PATH")]
        data: String,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// List or delete the prepared images in the cache
    #[command(after_help = "Examples:
  alike data cache
  alike data cache --clear")]
    Cache {
        /// Delete them all
        #[arg(long)]
        clear: bool,
    },
    /// Count a data set's images by class as training would see them, and draw a contact sheet
    #[command(after_help = "Examples:
  alike data show mnist -o sheet.png
  alike data show photos/ --augment affine -o augmented.png")]
    Show {
        /// A name (see alike data list), a folder of pictures, or a file: .csv, .zip, .tar, .npy, .npz
        #[arg(value_name = "NAME|PATH")]
        data: String,
        #[command(flatten)]
        source: SourceArgs,
        /// The .png or .svg file to write
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Show images with this augmentation
        #[arg(long, value_parser = clap::value_parser!(Augment))]
        augment: Option<Augment>,
        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
    /// Decode a Parquet file that another process of alike asks for
    #[cfg(feature = "parquet")]
    #[command(
        hide = true,
        after_help = "Examples:
  alike data read-parquet REQUEST -- pictures.parquet      what alike does in a process of its own wherever it reads Parquet"
    )]
    ReadParquet {
        /// What is wanted, as JSON
        request: String,
        /// The file
        path: PathBuf,
    },
}

/// What `alike data list --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DataSets {
    /// Data sets that are known by name.
    sets: Vec<KnownSet>,
}

/// A data set that is known by name.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct KnownSet {
    /// Its name.
    name: String,
    /// What it holds.
    about: String,
    /// Where it is; nothing if it is not here.
    found: Option<String>,
}

/// What `alike data fetch --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Fetched {
    /// The data set's name.
    name: String,
    /// Where it is now.
    folder: String,
    /// Training images.
    train: usize,
    /// Test images.
    test: usize,
}

/// What `alike data cache --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CacheContents {
    /// The cache's folder.
    folder: PathBuf,
    /// Sets of prepared images, each a file.
    files: usize,
    /// Their size.
    bytes: u64,
    /// Whether they were deleted.
    cleared: bool,
}

/// What `alike data show --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownData {
    /// The data set's name.
    name: String,
    /// Height, width and channels of its images, as in `28x28x1`.
    shape: String,
    /// Training images.
    train: usize,
    /// Test images.
    test: usize,
    /// Images by class.
    classes: Vec<ClassCount>,
    /// The contact sheet, if one was drawn.
    sheet: Option<PathBuf>,
}

/// A class and its images.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ClassCount {
    /// The class.
    class: String,
    /// Training images of it.
    train: usize,
    /// Test images of it.
    test: usize,
}

pub(crate) fn run(args: &DataCommand, global: &Global) -> anyhow::Result<()> {
    match &args.verb {
        DataVerb::List => list(global),
        DataVerb::Fetch { name } => fetch(name, global),
        DataVerb::Show { data, source, out, augment, force } => {
            let request = source.request(data);
            show(&request, out.as_deref(), augment.as_ref(), *force, global)
        }
        DataVerb::Stats { data, source } => stats(&source.request(data), source.on_error.is_some(), global),
        DataVerb::Cache { clear } => cache(*clear, global),
        #[cfg(feature = "parquet")]
        DataVerb::ReadParquet { request, path } => Ok(alike::data::parquet::serve(request, path)?),
    }
}

/// Prepared images that are kept.
fn cache(clear: bool, global: &Global) -> anyhow::Result<()> {
    let paths = data_paths(global);
    let files = cached(&paths);
    let total: u64 = files.iter().map(|f| f.1).sum();
    if clear {
        for (path, ..) in &files {
            std::fs::remove_file(path).with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    let folder = image_cache(&paths);
    if global.json {
        return json(&CacheContents { folder, files: files.len(), bytes: total, cleared: clear });
    }
    let done = if clear { "deleted: " } else { "" };
    line(format!(
        "{done}{} sets of prepared images, {} MB, in {}",
        files.len(),
        total >> 20,
        folder.display()
    ))
}

fn stats(request: &Request, ignore: bool, global: &Global) -> anyhow::Result<()> {
    anyhow::ensure!(!ignore, "--on-error: stats always looks at all images and lists what cannot be read");
    let s = inspect(request, &data_paths(global), &mut Bars::new(global))?;
    if global.json {
        return json(&s);
    }
    line(format!("{}: {} images, {} other files", s.name, s.images, s.ignored))?;
    if s.found != s.images {
        line(format!("  {} pictures found: {} images of the set", s.found, s.images))?;
        s.left_out.iter().try_for_each(|l| line(format!("  {}", l.sentence())))?;
    }
    for text in &s.notes {
        line(format!("  {text}"))?;
    }
    if let Some(preparation) = &s.preparation {
        line(format!("  --prepare {preparation}"))?;
    }
    for (what, counts) in
        [("formats", &s.formats), ("sizes, height x width", &s.sizes), ("channels", &s.channels)]
    {
        heading(what)?;
        table(counts.iter().map(|(k, n)| (k.as_str(), *n)).collect())?;
    }
    if !s.parts.is_empty() {
        heading("parts")?;
        table(s.parts.iter().map(|(k, n)| (*k, *n)).collect())?;
    }
    heading(format!("classes: {}", s.classes.len()))?;
    table(s.classes.iter().map(|(k, n)| (k.as_str(), *n)).collect())?;
    let list = |what: &str, names: Vec<String>| -> anyhow::Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        heading(format!("{what}: {}", names.len()))?;
        names.iter().take(LISTED).try_for_each(|name| line(format!("  {name}")))?;
        if names.len() > LISTED { line("  ... (all with --json)") } else { Ok(()) }
    };
    list("cannot be read", s.unreadable.iter().map(|f| format!("{}: {}", f.name, f.why)).collect())?;
    list("identical, pixel for pixel", s.identical.iter().map(|g| g.join(" = ")).collect())?;
    list("near duplicates", s.near.iter().map(|p| p.join(" ~ ")).collect())?;
    list("classes of fewer than 5 images", s.few.clone())?;
    if s.across_classes > 0 {
        heading(format!("{} pairs of identical or near images are of different classes", s.across_classes))?;
    }
    if s.across_parts > 0 {
        heading(format!(
            "{} pairs of identical or near images are in training and test both",
            s.across_parts
        ))?;
    }
    Ok(())
}

/// Lines of a list that a person sees.
const LISTED: usize = 20;

/// The largest counts.
fn table(mut counts: Vec<(&str, usize)>) -> anyhow::Result<()> {
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.iter().take(LISTED).try_for_each(|(name, n)| line(format!("  {name:30} {n:>8}")))?;
    match counts.get(LISTED..) {
        Some(rest) if !rest.is_empty() => {
            let n: usize = rest.iter().map(|c| c.1).sum();
            line(format!("  {:30} {n:>8}", format!("{} others", rest.len())))
        }
        _ => Ok(()),
    }
}

fn list(global: &Global) -> anyhow::Result<()> {
    let paths = data_paths(global);
    let mut rows: Vec<(&str, &str, Option<String>)> = NAMED
        .iter()
        .map(|set| (set.name, set.about, set.find(&paths).map(|folder| folder.display().to_string())))
        .collect();
    rows.extend(
        KNOWN_FOLDERS.map(|(name, about)| (name, about, paths.folder(name).map(|f| f.display().to_string()))),
    );
    rows.push((DIGITS, "built-in synthetic digits", Some("built in".to_owned())));
    if global.json {
        let set = |(name, about, found): (&str, &str, Option<String>)| KnownSet {
            name: name.to_owned(),
            about: about.to_owned(),
            found,
        };
        return json(&DataSets { sets: rows.into_iter().map(set).collect() });
    }
    for (name, about, at) in rows {
        let at = at.unwrap_or_else(|| match named(name) {
            Some(_) => format!("not here; get it with: alike data fetch {name}"),
            None => format!("not here; put it into a folder called {name} in --data-dir"),
        });
        line(format!("{name:14} {about:52} {at}"))?;
    }
    Ok(())
}

fn fetch(name: &str, global: &Global) -> anyhow::Result<()> {
    let Some(set) = named(name) else {
        let known = NAMED.map(|set| set.name);
        anyhow::bail!(
            "there is no set '{name}' to fetch{} (sets: {})",
            alike::suggest::did_you_mean(name, known),
            known.join(", ")
        );
    };
    let data = set.load(&data_paths(global), &mut Bars::new(global))?;
    if global.json {
        let (train, test) = (data.train.len(), data.test.len());
        return json(&Fetched { name: name.to_owned(), folder: data.origin, train, test });
    }
    line(format!(
        "{}: {} training and {} test images in {}",
        name,
        data.train.len(),
        data.test.len(),
        data.origin
    ))
}

fn show(
    request: &Request,
    out: Option<&Path>,
    augment: Option<&Augment>,
    force: bool,
    global: &Global,
) -> anyhow::Result<()> {
    if let Some(out) = out {
        refuse_existing(&[out], force)?;
    }
    let mut data = load(request, &data_paths(global), &mut Bars::new(global))?;
    remark(&data, global);
    if let Some(augment) = augment {
        if let Some(why) = augment.refusal() {
            anyhow::bail!(why);
        }
        let (images, keys) = (&data.train.images, data.train.identities.keys());
        data.train.images = augment.changed(images, keys, global.seed.unwrap_or(0))?;
    }
    if let Some(out) = out {
        files::write(out, &report::draw(&contact_sheet(&data)?, out)?)?;
    }
    let count = |labels: &[u32], class: usize| labels.iter().filter(|l| **l as usize == class).count();
    let rows = data
        .classes
        .iter()
        .enumerate()
        .map(|(i, name)| (name, count(&data.train.labels, i), count(&data.test.labels, i)));
    if global.json {
        return json(&ShownData {
            name: data.name.clone(),
            shape: data.shape().to_string(),
            train: data.train.len(),
            test: data.test.len(),
            classes: rows
                .map(|(class, train, test)| ClassCount { class: class.clone(), train, test })
                .collect(),
            sheet: out.map(Path::to_owned),
        });
    }
    line(format!("{}: images of {}, {}", data.name, data.shape(), data.origin))?;
    line(format!("{:20} {:>8} {:>8}", "class", "train", "test"))?;
    for (name, train, test) in rows {
        line(format!("{name:20} {train:>8} {test:>8}"))?;
    }
    line(format!("{:20} {:>8} {:>8}", "total", data.train.len(), data.test.len()))?;
    out.map_or(Ok(()), |out| line(out.display().to_string()))
}
