//! `alike export`.

use super::refuse_existing;
use crate::args::Global;
use crate::encoders::{MOST_SECONDS, find, isolation};
use crate::printer::{json, line};
use alike::names::shell_path;
use alike::train::Run;
use alike_onnx::{Manifest, export, export_head};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "The file takes prepared pictures as floats from 0 to 255, batch x height x width x channels, and gives embeddings, batch x numbers. How pictures
are prepared stands in the manifest beside it, so that alike takes it as an encoder.

Examples:
  alike export RUN --onnx model.onnx
  alike search model.onnx --gallery photos/ query.jpg"
)]
pub(crate) struct ExportArgs {
    /// The run: its network, with the encoder below it where it is a head
    model: PathBuf,
    /// The ONNX file to write; its manifest goes beside it
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// What `alike export --json` prints.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExportedModel<'a> {
    /// The ONNX file.
    model: &'a Path,
    /// Its manifest.
    manifest: PathBuf,
    /// Its bytes.
    bytes: usize,
    /// Numbers of an embedding.
    dimension: usize,
}

pub(crate) fn run(args: &ExportArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.onnx.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")),
        "{} does not end in .onnx, by which encoders are known; name it so",
        args.onnx.display()
    );
    let manifest = Manifest::beside(&args.onnx);
    refuse_existing(&[&args.onnx, &manifest], args.force)?;
    let run = Run::open(&args.model)?;
    let (checkpoint, settings) = (run.best()?, run.settings()?);
    let source = format!("alike export {}", args.model.display());
    let exported = match &settings.encoder {
        None => export(&checkpoint, &source),
        Some(name) => {
            let below = find(Path::new(name)).with_context(|| {
                format!("{} is a head on the encoder '{name}', which is not here", args.model.display())
            })?;
            ensure!(
                !settings.flip,
                "{} averages over mirror images, which one ONNX file does not do; train it without --flip to export it",
                args.model.display()
            );
            let seen = settings.preparation()?;
            export_head(&checkpoint, (&below, &Manifest::of(&below)?), seen.as_ref(), &source)
        }
    };
    let exported = exported.with_context(|| args.model.display().to_string())?;
    exported.write(&args.onnx)?;
    // What was written is used as any encoder is, so it is tried as any is.
    let tried = isolation(MOST_SECONDS, global)?.try_run(&args.onnx, &exported.manifest)?;
    crate::encoders::remember(&exported.manifest);
    let bytes = exported.model.len();
    if global.json {
        return json(&ExportedModel { model: &args.onnx, manifest, bytes, dimension: tried.dimension });
    }
    line(format!(
        "{}: {} numbers an image, {:.1} MB; its preparation is in {}",
        shell_path(&args.onnx),
        tried.dimension,
        bytes as f64 / 1e6,
        manifest.display()
    ))
}
