//! `alike embed`.

use super::refuse_existing;
use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line, note};
use alike::gallery::Gallery;
use alike::tasks::{EmbedAnswer, embed};
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};

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

/// Refuses a file that embeddings cannot be written to.
pub(super) fn check_out(out: &Path, force: bool) -> anyhow::Result<()> {
    ensure!(
        out.extension().is_some_and(|e| e == "npy"),
        "embeddings are written as a NumPy array; name a .npy file, not {}",
        out.display()
    );
    let [table, facts] = Gallery::files(out);
    refuse_existing(&[out, &table, &facts], force)
}

pub(super) fn print(answer: &EmbedAnswer, global: &Global) -> anyhow::Result<()> {
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
        return json(answer);
    }
    line(answer.embeddings.display().to_string())
}

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    check_out(&args.out, args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.paths)?;
    print(&embed(&model, &data, &args.out)?, global)
}
