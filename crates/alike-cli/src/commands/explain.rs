//! `alike explain`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike::eval::Saliency;
use alike::files;
use alike::report::{Explained, explained};
use alike::tasks::explain;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike explain MODEL a.png b.png -o why.png")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// One image
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// The .png or .svg file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// All that is printed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Printed<'a> {
    #[serde(flatten)]
    answer: &'a Saliency,
    /// The figure.
    figure: &'a Path,
}

pub(crate) fn run(args: &ExplainArgs, global: &Global) -> anyhow::Result<()> {
    refuse_existing(&[&args.out], args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let two = model.read_two(&args.a, &args.b)?;
    let images = &two.train.images;
    let answer = explain(&model, &two, global.seed.unwrap_or(0))?;
    let name = |i: usize| {
        let name = &two.train.names[i];
        name.rsplit('/').next().unwrap_or(name).to_owned()
    };
    let figure = explained(&[Explained {
        images: [(images, 0, name(0)), (images, 1, name(1))],
        why: answer.clone(),
    }])?;
    files::write(&args.out, &draw(&figure, &args.out)?)?;
    if global.json {
        return json(&Printed { answer: &answer, figure: &args.out });
    }
    line(format!(
        "distance {:.4}; painting over the most salient tenth moves it by {:.4}, a random tenth by {:.4}",
        answer.distance, answer.masking.salient, answer.masking.random
    ))?;
    if answer.masking.salient < answer.masking.random {
        line("the salient pixels moved the distance less than random ones, so the figure explains little")?;
    }
    line(args.out.display().to_string())
}
