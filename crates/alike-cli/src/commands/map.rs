//! `alike map`.

use super::refuse_existing;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::files;
use alike::report::MapPoints;
use alike::tasks::{MapAnswer, MapMethod, MapOptions, map};
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
  alike map MODEL photos/ -o photos.html --method umap")]
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
    #[arg(long, value_enum, value_delimiter = ',', default_value = "pca,tsne,umap")]
    pub(crate) method: Vec<MapArg>,
    /// Number of images to place, at most; larger sets are sampled
    #[arg(long, default_value_t = 4000, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50_000))]
    pub(crate) max_images: u32,
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
    refuse_existing(&[&args.out], args.force)?;
    ensure!(
        args.out.extension().is_some_and(|e| e == "html" || e == "htm"),
        "a map is a page; name a .html file, not {}",
        args.out.display()
    );
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
        most: args.max_images as usize,
        seed: global.seed.unwrap_or(0),
    };
    let said =
        |method: MapMethod, images| note(global, format!("placing {images} images by {}", method.name()));
    let answer = map(&model, &data, &parts, &options, said)?;
    let page = MapPoints {
        title: format!("{}: a map of {} images", data.name, answer.images),
        layouts: answer.layouts.clone(),
        names: answer.names.clone(),
        colours: answer.colours.clone(),
        pictures: answer.pictures.clone(),
    }
    .html()?;
    files::write(&args.out, page.as_bytes())?;
    if global.json {
        return json(&Printed { map: &args.out, answer: &answer });
    }
    line(args.out.display().to_string())
}
