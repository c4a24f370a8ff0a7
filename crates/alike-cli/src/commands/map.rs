//! `alike map`.

use super::refuse_existing;
use super::report::facts;
use crate::args::{EncoderArgs, Global};
use crate::bars::{Bars, doing};
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::data::{Progress, Unit};
use alike::files;
use alike::names::shell;
use alike::report::{MapPoints, PageFacts};
use alike::tasks::{MapAnswer, MapMethod, MapOptions, map, tsne_seconds};
use alike::train::Run;
use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MapArg {
    /// Principal components: true distances, but only two directions are visible
    Pca,
    /// t-SNE: keeps neighbours together; sizes and gaps mean little
    Tsne,
    /// UMAP: keeps neighbours together, and similar clusters near each other
    Umap,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike map MODEL -o map.html                        the run's own images, by all three methods
  alike map MODEL photos/ -o photos.html --method umap
  alike map MODEL -o map.html --assets map-pictures  large pictures in a folder beside the page")]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images: files, or folders of them [default: the run's own]
    #[arg(value_name = "PATH")]
    pub(crate) images: Vec<PathBuf>,
    /// The .html file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Projection to two dimensions
    ///
    /// [default: pca,tsne,umap; of more than 10,000 images pca,umap]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) method: Vec<MapArg>,
    /// Number of images to place, at most; larger sets are sampled [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) max_images: Option<u32>,
    /// A folder to write every picture into as the model sees it, which the page then shows large
    #[arg(long, value_name = "DIR")]
    pub(crate) assets: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// All that is printed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Printed<'a> {
    /// The page.
    map: &'a Path,
    #[serde(flatten)]
    answer: &'a MapAnswer<'a>,
}

pub(crate) fn run(args: &MapArgs, global: &Global) -> anyhow::Result<()> {
    let mut files: Vec<&Path> = vec![&args.out];
    files.extend(args.assets.as_deref());
    refuse_existing(&files, args.force)?;
    ensure!(
        args.out.extension().is_some_and(|e| e == "html" || e == "htm"),
        "a map is a page; name a .html file, not {}",
        args.out.display()
    );
    let assets = args.assets.as_deref().map(|folder| address(&args.out, folder)).transpose()?;
    let model = OpenModel::new(&args.encoder, global)?;
    let own = args.images.is_empty();
    let data =
        if own { model.read_own("name the images after the model")? } else { model.read(&args.images)? };
    let parts = if model.is_kept() && own {
        vec![("kept", &data.train)]
    } else if own {
        vec![("train", &data.train), ("test", &data.test)]
    } else {
        vec![("given", &data.train)]
    };
    let method = |m: &MapArg| match m {
        MapArg::Pca => MapMethod::Pca,
        MapArg::Tsne => MapMethod::Tsne,
        MapArg::Umap => MapMethod::Umap,
    };
    let options = MapOptions {
        methods: args.method.iter().map(method).collect(),
        most: args.max_images.map_or(usize::MAX, |n| n as usize),
        seed: global.seed.unwrap_or(0),
    };
    let said = |method: MapMethod, images| {
        let time = match method {
            MapMethod::Tsne if images > MANY => {
                format!(", which takes about {}", minutes(tsne_seconds(images)))
            }
            _ => String::new(),
        };
        note(global, format!("placing {images} images by {}{time}", method.name()));
    };
    let answer = doing("placing images", || map(&model, &data, &parts, &options, said))?;
    if args.method.is_empty() && !answer.methods.contains(&MapMethod::Tsne) {
        let time = minutes(tsne_seconds(answer.images));
        note(
            global,
            format!(
                "t-SNE is left out: it takes about {time} for so many; --method pca,tsne,umap asks for it"
            ),
        );
    }
    let facts = PageFacts { command: Some(typed()), ..facts(&args.out, &args.encoder.model, None, None) };
    // Nothing for a model that was not trained here.
    let settings = Run::open(&args.encoder.model).and_then(|run| run.settings()).ok();
    let points = MapPoints {
        title: facts.title(&format!("{}: a map of its images", data.title()), settings.as_ref()),
        facts,
        of: answer.of,
        layouts: answer.layouts.clone(),
        names: answer.names.clone(),
        colours: answer.colours.clone(),
        pictures: answer.pictures.clone(),
        neighbours: answer.neighbours.clone(),
        assets,
    };
    let page = doing("writing the page", || points.html())?;
    if let Some(folder) = &args.assets {
        write_assets(folder, &points, global)?;
    }
    files::write(&args.out, page.as_bytes())?;
    if global.json {
        return json(&Printed { map: &args.out, answer: &answer });
    }
    line(args.out.display().to_string())
}

/// The command that was typed, as words for a shell; it may replace what it made.
fn typed() -> String {
    let words: Vec<String> = std::env::args_os().skip(1).map(shell).collect();
    let again = if words.iter().any(|w| w == "--force") { "" } else { " --force" };
    format!("alike {}{again}", words.join(" "))
}

/// From so many images on t-SNE is told to take its time.
const MANY: usize = 4000;

/// A time as people say it.
fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} seconds") } else { format!("{:.0} minutes", seconds / 60.0) }
}

/// A folder's address, seen from a page.
fn address(page: &Path, folder: &Path) -> anyhow::Result<String> {
    let whole = |path: &Path| std::path::absolute(path);
    let (page, folder) = (whole(page)?, whole(folder)?);
    let beside = page.parent().and_then(|from| folder.strip_prefix(from).ok());
    let Some(inside) = beside.filter(|p| !p.as_os_str().is_empty()) else {
        anyhow::bail!(
            "{} is not in the page's folder, so that the page would lose it; name a folder beside {}",
            folder.display(),
            page.display()
        )
    };
    let written = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~/".contains(&b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    Ok(format!("./{}", inside.to_string_lossy().bytes().map(written).collect::<String>()))
}

/// Every picture as a file. They are too many to appear together: the page that needs them comes last.
fn write_assets(folder: &Path, points: &MapPoints<'_>, global: &Global) -> anyhow::Result<()> {
    files::sweep(folder);
    let mut bars = Bars::new(global);
    bars.begin("writing pictures", Some(points.pictures.len() as u64), Unit::Images);
    for i in 0..points.pictures.len() {
        files::write(&folder.join(format!("{i}.png")), &points.asset(i)?)?;
        bars.advance(1);
    }
    bars.end();
    Ok(())
}
