//! `alike enroll`.

use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike::gallery::Gallery;
use alike::tasks::enroll;
use anyhow::ensure;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike embed MODEL known/ -o known.npy
  alike enroll MODEL --gallery known.npy --class cup cup1.jpg cup2.jpg cup3.jpg")]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images of the class: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery (.npy) that they are added to; created if it does not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: PathBuf,
    /// The class's name
    #[arg(long, value_name = "NAME")]
    pub(crate) class: String,
}

pub(crate) fn run(args: &EnrollArgs, global: &Global) -> anyhow::Result<()> {
    let path = &args.gallery;
    ensure!(
        path.extension().is_some_and(|e| e == "npy"),
        "{} is no gallery of embeddings; name a .npy file, such as one that alike embed wrote",
        path.display()
    );
    ensure!(!args.class.trim().is_empty(), "a class needs a name");
    ensure!(
        !path.exists() || Gallery::is(path),
        "{} was not written by alike embed: {} is missing",
        path.display(),
        path.with_extension("json").display()
    );
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.images)?;
    let answer = enroll(&model, &data, args.class.trim(), path)?;
    if global.json {
        return json(&answer);
    }
    line(format!(
        "{}: {} images of '{}' added; {} images of {} classes now",
        path.display(),
        answer.added,
        answer.class,
        answer.images,
        answer.classes
    ))
}
