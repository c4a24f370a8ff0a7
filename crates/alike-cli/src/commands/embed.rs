//! `alike embed`.

use super::refuse_existing;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::gallery::Gallery;
use alike::tasks::embed;
use anyhow::ensure;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike embed MODEL photos/ -o photos.npy              also photos.csv (the paths) and photos.json (the model)
  alike embed MODEL photos/ -o photos.npy --on-error skip --force")]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Image files or folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The .npy file to write; the paths go into a .csv beside it, the model's fingerprint into a .json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace existing files
    #[arg(long)]
    pub(crate) force: bool,
}

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.out.extension().is_some_and(|e| e == "npy"),
        "embeddings are written as a NumPy array; name a .npy file, not {}",
        args.out.display()
    );
    let [table, facts] = Gallery::files(&args.out);
    refuse_existing(&[&args.out, &table, &facts], args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.paths)?;
    let answer = embed(&model, &data, &args.out)?;
    note(
        global,
        format!(
            "{} images, {} numbers each; their paths are in {}",
            answer.n,
            answer.d,
            answer.paths.display()
        ),
    );
    if global.json {
        return json(&answer);
    }
    line(args.out.display().to_string())
}
